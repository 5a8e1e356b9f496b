package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

// history is what CONTROL says of the streams that were made: when each was, the
// first time. A stream that is gone, or is another by now, took with it what was
// settled and who was removed. One that is made in its place would let old ids
// settle again, so nobody here makes it.
type history map[schemas.Stream]time.Time

// madeOnce reads the history. Without CONTROL there is none, but where there is
// AUDIT there was a CONTROL: AUDIT is made last.
func (p *Provisioner) madeOnce(ctx context.Context) (history, error) {
	made := history{}
	log, err := OpenLog(ctx, p.gate, schemas.Control)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		audit, err := p.audit.streamInfoAt(ctx, "$JS.API.STREAM.INFO."+string(schemas.Audit))
		if err == nil {
			made[schemas.Control] = audit.Created
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = nil
		}
		return made, err
	}
	if err != nil {
		return nil, err
	}
	var unreadable error
	filter := schemas.Subject{Kind: "control", Writer: schemas.Name(schemas.RoleProvision), About: "stream"}.String()
	err = log.Each(ctx, schemas.Control, filter, func(r schemas.Record) bool {
		var s schemas.StreamMade
		if unreadable = schemas.Read(r, &s); unreadable != nil {
			return false
		}
		if _, known := made[s.Stream]; !known {
			made[s.Stream] = s.Created
		}
		return true
	})
	return made, errors.Join(err, unreadable)
}

// gone names what is wrong with a stream that is not there, or nothing if it never
// was.
func (h history) gone(stream string) []string {
	at, known := h[schemas.Stream(stream)]
	if !known {
		return nil
	}
	return []string{fmt.Sprintf("it is gone; it was there at %s", at.Format(time.RFC3339Nano))}
}

// another names what is wrong with a stream that is not the one that was made.
func (h history) another(info *jetstream.StreamInfo) []string {
	at, known := h[schemas.Stream(info.Config.Name)]
	if !known || at.Equal(info.Created) {
		return nil
	}
	return []string{fmt.Sprintf("it was made at %s, and this one at %s", at.Format(time.RFC3339Nano), info.Created.Format(time.RFC3339Nano))}
}

// record writes into CONTROL what every stream is, unless it says so already.
func (p *Provisioner) record(ctx context.Context) error {
	log, err := OpenLog(ctx, p.gate, schemas.Control)
	if err != nil {
		return err
	}
	for _, want := range p.layout.streams(p.tenant) {
		if want.Name == bundleStore {
			continue
		}
		info, err := p.at(want.Name).streamInfoAt(ctx, "$JS.API.STREAM.INFO."+want.Name)
		if err != nil {
			return err
		}
		if err := p.recordStream(ctx, log, info); err != nil {
			return err
		}
	}
	return nil
}

func (p *Provisioner) recordStream(ctx context.Context, log *Log, info *jetstream.StreamInfo) error {
	made := schemas.StreamMade{
		By:            schemas.Name(schemas.RoleProvision),
		Stream:        schemas.Stream(info.Config.Name),
		Created:       info.Created.UTC(),
		Configuration: configurationDigest(info.Config),
		At:            time.Now().UTC(),
	}
	have, err := log.Last(ctx, schemas.Control, made.Subject())
	if err != nil && !errors.Is(err, schemas.ErrNotFound) {
		return err
	}
	if err == nil {
		var before schemas.StreamMade
		if err := schemas.Read(have, &before); err == nil && before.Same(made) {
			return nil
		}
	}
	_, err = log.Append(ctx, schemas.Write(made, p.source, made.At, ""), schemas.Expect{Filter: made.Subject(), Last: have.Seq})
	return err
}
