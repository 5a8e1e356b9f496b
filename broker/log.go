package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/holdpoint/holdpoint/schemas"
)

// Log appends records to the streams and reads them back, as one identity. It is
// what the stages see of the broker.
type Log struct {
	*Conn

	// replicated says that reads must name the leader: a direct get may be
	// answered by a replica that lags.
	replicated bool

	// mu guards gathers, for the time it takes to find one.
	mu      sync.Mutex
	gathers map[schemas.Stream]*gather
}

// OpenLog returns the log that conn may write and read. It asks the broker how
// stream, one that conn may see, is kept.
func OpenLog(ctx context.Context, conn *Conn, stream schemas.Stream) (*Log, error) {
	info, err := conn.streamInfo(ctx, stream)
	if err != nil {
		return nil, err
	}
	return &Log{Conn: conn, replicated: info.Config.Replicas > 1, gathers: map[schemas.Stream]*gather{}}, nil
}

// Append writes d if expect holds. An ErrStale means that another write came
// first or is under way: look, and decide again. After any other error but an
// ErrInvalid the caller does not know whether the write happened.
func (l *Log) Append(ctx context.Context, d schemas.Draft, expect schemas.Expect) (schemas.Record, error) {
	sent, err := l.publish(ctx, d, expect)
	if err != nil {
		return schemas.Record{}, translate("writing "+d.Subject, err)
	}
	if sent.Duplicate {
		return schemas.Record{}, fmt.Errorf("writing %s: %w: taken for a duplicate of %s/%d", d.Subject, schemas.ErrInvalid, sent.Stream, sent.Seq)
	}
	return schemas.Record{Stream: sent.Stream, Seq: sent.Seq, Subject: d.Subject, Header: d.Header, Body: d.Body}, nil
}

// Last returns the last record of stream that matches filter, as its leader
// knows it, or an ErrNotFound.
func (l *Log) Last(ctx context.Context, stream schemas.Stream, filter string) (schemas.Record, error) {
	return l.get(ctx, stream, getRequest{LastFor: filter})
}

// At returns the record of stream with that sequence, as its leader knows it, or
// an ErrNotFound.
func (l *Log) At(ctx context.Context, stream schemas.Stream, seq uint64) (schemas.Record, error) {
	return l.get(ctx, stream, getRequest{Seq: seq})
}

// Each hands every record of stream that matches filter to next, in order, until
// next returns false. It reads up to what the leader has.
func (l *Log) Each(ctx context.Context, stream schemas.Stream, filter string, next func(schemas.Record) bool) error {
	end, err := l.Last(ctx, stream, filter)
	if errors.Is(err, schemas.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	t := l.Tail(stream, filter, 1)
	err = t.ReadTo(ctx, end.Seq, func(r schemas.Record) error {
		if !next(r) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// errEnough stops a reading whose reader has seen enough.
var errEnough = errors.New("seen enough")

func (l *Log) get(ctx context.Context, stream schemas.Stream, r getRequest) (schemas.Record, error) {
	if l.replicated {
		return l.getFromLeader(ctx, "$JS.API", stream, r)
	}
	// The only replica is the leader.
	return l.gatherOf(stream).get(ctx, r)
}

func (l *Log) gatherOf(stream schemas.Stream) *gather {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gathers[stream]
	if g == nil {
		g = &gather{conn: l.Conn, stream: stream}
		l.gathers[stream] = g
	}
	return g
}
