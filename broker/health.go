package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

// streamInfo asks for the configuration and state of a stream.
func (c *Conn) streamInfo(ctx context.Context, stream schemas.Stream) (*jetstream.StreamInfo, error) {
	subject := "$JS.API.STREAM.INFO." + string(stream)
	if stream == schemas.Audit {
		subject = auditInfo
	}
	return c.streamInfoAt(ctx, subject)
}

func (c *Conn) streamInfoAt(ctx context.Context, subject string) (*jetstream.StreamInfo, error) {
	op := "asking " + subject
	m, err := c.request(ctx, op, subject, nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
		*jetstream.StreamInfo
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return nil, translate(op, err)
	}
	if answer.Error != nil {
		return nil, translate(op, answer.Error)
	}
	return answer.StreamInfo, nil
}

// LastSeq returns the sequence of the last record of stream, as its leader knows
// it.
func (l *Log) LastSeq(ctx context.Context, stream schemas.Stream) (uint64, error) {
	info, err := l.streamInfo(ctx, stream)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}

// Bounds say how far the audit and the clock may be off before nothing is
// released.
type Bounds struct {
	// Lag is how many records AUDIT may be behind one of its sources.
	Lag uint64

	// Silence is how long AUDIT may have heard nothing from a source. A source
	// that is made again shows no lag while it stalls.
	Silence time.Duration

	// Skew is how far the local clock may be off the broker's.
	Skew time.Duration
}

// DefaultBounds are the bounds of a gate that is not told others.
func DefaultBounds() Bounds {
	return Bounds{Lag: 10_000, Silence: 20 * time.Second, Skew: 5 * time.Second}
}

// Health asks for the state of AUDIT, as conn may, and returns what holds at the
// local time now: one condition for the audit, one for the clock.
func (c *Conn) Health(ctx context.Context, b Bounds, now func() time.Time) []schemas.Condition {
	before := now()
	info, err := c.streamInfo(ctx, schemas.Audit)
	after := now()
	if err != nil {
		unreachable := schemas.Condition{Detail: err.Error()}
		return []schemas.Condition{named("audit", unreachable), named("clock", unreachable)}
	}
	return []schemas.Condition{
		named("audit", b.audit(info)),
		named("clock", b.clock(info.TimeStamp, before, after)),
	}
}

func named(name string, c schemas.Condition) schemas.Condition {
	c.Name, c.Healthy = name, c.Detail == ""
	return c
}

func (b Bounds) audit(info *jetstream.StreamInfo) schemas.Condition {
	if limit := info.Config.MaxBytes; limit > 0 && info.State.Bytes > uint64(limit)/100*95 {
		return schemas.Condition{Detail: fmt.Sprintf("AUDIT holds %d of at most %d bytes", info.State.Bytes, limit)}
	}
	if have, want := len(info.Sources), len(schemas.Streams()); have != want {
		return schemas.Condition{Detail: fmt.Sprintf("AUDIT copies %d of %d streams", have, want)}
	}
	for _, s := range info.Sources {
		switch {
		case s.Error != nil:
			return schemas.Condition{Detail: fmt.Sprintf("copying %s: %s", s.Name, s.Error.Description)}
		case s.Lag > b.Lag:
			return schemas.Condition{Detail: fmt.Sprintf("AUDIT is %d records behind %s, at most %d", s.Lag, s.Name, b.Lag)}
		case s.Active < 0:
			return schemas.Condition{Detail: fmt.Sprintf("AUDIT has not begun to copy %s", s.Name)}
		case s.Active > b.Silence:
			return schemas.Condition{Detail: fmt.Sprintf("AUDIT has not heard from %s within %s", s.Name, b.Silence)}
		}
	}
	return schemas.Condition{}
}

// clock compares the broker's time stamp, made some time between before and
// after, with the local clock.
func (b Bounds) clock(broker, before, after time.Time) schemas.Condition {
	off := time.Duration(0)
	switch {
	case broker.Before(before):
		off = before.Sub(broker)
	case broker.After(after):
		off = broker.Sub(after)
	}
	if off > b.Skew {
		return schemas.Condition{Detail: fmt.Sprintf("the clock is %s off the broker's, at most %s", off.Round(time.Millisecond), b.Skew)}
	}
	return schemas.Condition{}
}

// Sees reports whether a role of the gateway may look at a stream's configuration.
func Sees(role schemas.Role, stream schemas.Stream) bool {
	u, err := UserOf(schemas.Identity{Name: schemas.Name(role), Role: role})
	subject := "$JS.API.STREAM.INFO." + string(stream)
	if stream == schemas.Audit {
		subject = auditInfo
	}
	return err == nil && slices.Contains(u.Publish, subject)
}

// CheckStream returns an ErrInvalid if the stream is not the one that provision
// made: somebody made it again, or changed it. The role must see the stream.
func (l *Log) CheckStream(ctx context.Context, made schemas.StreamMade) error {
	info, err := l.streamInfo(ctx, made.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("stream %s: %w: it is gone", made.Stream, schemas.ErrInvalid)
	}
	if err != nil {
		return err
	}
	now := schemas.StreamMade{Stream: made.Stream, Created: info.Created, Configuration: configurationDigest(info.Config)}
	if !now.Same(made) {
		return fmt.Errorf("stream %s: %w: it is not as it was made: created %s, configuration %s, recorded %s, %s",
			made.Stream, schemas.ErrInvalid, now.Created.Format(time.RFC3339Nano), now.Configuration.Short(),
			made.Created.Format(time.RFC3339Nano), made.Configuration.Short())
	}
	return nil
}
