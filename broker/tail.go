package broker

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/holdpoint/holdpoint/schemas"
)

// batch is how many records one request of a Tail brings.
const batch = 1000

// Tail reads a stream from a sequence on, without a consumer: in batches of
// direct gets, so that it needs no right but to read.
type Tail struct {
	conn   *Conn
	api    string
	stream schemas.Stream
	filter string
	next   uint64
	wake   chan struct{}
}

// Tail returns a tail of stream that begins with sequence from. If filter is not
// empty, only records on subjects that it matches are read.
func (l *Log) Tail(stream schemas.Stream, filter string, from uint64) *Tail {
	return newTail(l.Conn, "$JS.API", stream, filter, from)
}

// AuditTail returns a tail of AUDIT for an auditor's connection.
func (c *Conn) AuditTail(filter string, from uint64) *Tail {
	return newTail(c, API, schemas.Audit, filter, from)
}

func newTail(c *Conn, api string, stream schemas.Stream, filter string, from uint64) *Tail {
	if filter == "" {
		filter = ">"
	}
	return &Tail{conn: c, api: api, stream: stream, filter: filter, next: max(1, from), wake: make(chan struct{}, 1)}
}

// Next returns the sequence that the tail reads next.
func (t *Tail) Next() uint64 { return t.next }

// Read hands every record there is to apply, in order, and returns when it
// reached the end that the answering replica knows.
func (t *Tail) Read(ctx context.Context, apply func(schemas.Record) error) error {
	b, err := t.conn.openBatches(t.api, t.stream)
	if err != nil {
		return err
	}
	defer b.close()
	for {
		more, err := b.read(ctx, getRequest{Seq: t.next, NextFor: t.filter, Batch: batch}, func(r schemas.Record) error {
			if err := apply(r); err != nil {
				return err
			}
			t.next = r.Seq + 1
			return nil
		})
		if err != nil || !more {
			return err
		}
	}
}

// ReadTo is Read until everything up to sequence last was read, wherever replicas
// stand. With last 0 it reads nothing.
func (t *Tail) ReadTo(ctx context.Context, last uint64, apply func(schemas.Record) error) error {
	for t.next <= last {
		if err := t.Read(ctx, apply); err != nil {
			return err
		}
		if t.next > last {
			return nil
		}
		if over, err := t.over(ctx, last); over || err != nil {
			return err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// over reports whether nothing up to last is left to read: what was there was
// trimmed meanwhile. Only a leader that knows of last can say so.
func (t *Tail) over(ctx context.Context, last uint64) (bool, error) {
	_, err := t.conn.getFromLeader(ctx, t.api, t.stream, getRequest{Seq: last, NextFor: ">"})
	if errors.Is(err, schemas.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	left, err := t.conn.getFromLeader(ctx, t.api, t.stream, getRequest{Seq: t.next, NextFor: t.filter})
	if errors.Is(err, schemas.ErrNotFound) {
		return true, nil
	}
	return left.Seq > last, err
}

// Follow reads for ever: at once when the broker passes something on, and every
// interval in case it did not say so. It ends with ctx, when apply fails, or when the
// broker does not know the identity any more.
func (t *Tail) Follow(ctx context.Context, every time.Duration, apply func(schemas.Record) error) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := t.readPatiently(ctx, apply); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		case <-t.wake:
			if err := t.readWoken(ctx, apply); err != nil {
				return err
			}
		}
	}
}

// readWoken reads until something came: the broker passes a message on before the
// stream has stored it.
func (t *Tail) readWoken(ctx context.Context, apply func(schemas.Record) error) error {
	before := t.next
	for wait := time.Millisecond; t.next == before && wait < time.Second; wait *= 2 {
		if err := t.readPatiently(ctx, apply); err != nil {
			return err
		}
		if t.next > before {
			return nil
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}

// readPatiently is Read, but trouble with the broker is no reason to stop, unless it
// lasts for good.
func (t *Tail) readPatiently(ctx context.Context, apply func(schemas.Record) error) error {
	var failed *applyError
	err := t.Read(ctx, func(r schemas.Record) error {
		if err := apply(r); err != nil {
			return &applyError{err}
		}
		return nil
	})
	if errors.As(err, &failed) {
		return failed.err
	}
	if errors.Is(err, ErrTurnedAway) { // not while it is being closed: then the next one is
		return err
	}
	if err != nil && ctx.Err() == nil && !unsent(err) { // that the connection is broken was said
		t.conn.log.Warn().Err(err).Str("stream", string(t.stream)).Msg("following; trying again")
	}
	return nil
}

type applyError struct{ err error }

func (e *applyError) Error() string { return e.err.Error() }

// Wake makes Follow look as soon as the broker passes a message on one of the
// stream's subjects, until ctx ends.
func (t *Tail) Wake(ctx context.Context) error {
	for _, subject := range t.stream.Subjects() {
		sub, err := t.conn.nc.Subscribe(subject, func(*nats.Msg) {
			select {
			case t.wake <- struct{}{}:
			default:
			}
		})
		if err != nil {
			return translate("watching "+subject, err)
		}
		context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() })
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return ctx.Err() // both may be over
	}
}

// sourceHeader is where the broker says what an audit record is a copy of.
const sourceHeader = "Nats-Stream-Source"

// Origin returns the record of which r, a record of AUDIT, is the copy: its
// stream, sequence and subject are what the broker says, its time is the time of
// the copy.
func Origin(r schemas.Record) (schemas.Record, error) {
	r.Header = maps.Clone(r.Header)
	source := strings.Split(take(nats.Header(r.Header), sourceHeader), " ")
	if len(source) < 5 {
		return schemas.Record{}, translate("reading where AUDIT/"+strconv.FormatUint(r.Seq, 10)+" comes from", errUnreadable)
	}
	stream, _, _ := strings.Cut(source[0], ":")
	seq, err := strconv.ParseUint(source[1], 10, 64)
	if err != nil {
		return schemas.Record{}, translate("reading where AUDIT comes from", err)
	}
	r.Stream, r.Seq, r.Subject = schemas.Stream(stream), seq, text(source[4])
	return r, nil
}
