package broker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/schemas"
)

// A message that met trouble waits before it is handed out again, longer each
// time.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// troubleLines is how many lines a second a stage logs about messages that met
// trouble: while nothing can be released, every one does.
const troubleLines = 5

// Handler handles the messages of one stream. Both methods may be called
// concurrently, and more than once with the same record.
type Handler interface {
	// Handle returns nil when r was dealt with, in whatever way. Its error
	// decides when r is handed out again, see settle.
	Handle(ctx context.Context, r schemas.Record) error

	// Refuse ends r in place of Handle, which panicked on it.
	Refuse(ctx context.Context, r schemas.Record, cause string) error
}

// Work hands the messages of a stream to h, the stage whose input it is, at most
// width at a time, until ctx ends. Then it takes no more, and returns when those
// that were taken are dealt with. The same stage on several processes shares the
// messages.
func (l *Log) Work(ctx context.Context, stream schemas.Stream, width int, h Handler) error {
	op := "working on " + string(stream)
	if _, err := l.js.Consumer(ctx, string(stream), stageConsumer(stream)); err != nil {
		return translate(op, err)
	}
	w := worker{
		log: l, stream: stream, handler: h, hand: newHand(),
		trouble: l.Conn.log.Sample(&zerolog.BurstSampler{Burst: troubleLines, Period: time.Second}),
	}
	defer w.hand.hold()()
	var busy sync.WaitGroup
	defer busy.Wait()
	places := make(chan struct{}, width)
	err := l.pull(ctx, stream, 2*width, w.hand.take, func(m *nats.Msg) {
		places <- struct{}{}
		busy.Go(func() {
			defer func() { <-places }()
			// What was taken is dealt with even while the stage stops.
			w.handle(context.WithoutCancel(ctx), m)
		})
	})
	return translate(op, err)
}

type worker struct {
	log     *Log
	stream  schemas.Stream
	handler Handler
	hand    *hand

	// trouble is the log for what comes with every message while something is
	// wrong.
	trouble zerolog.Logger
}

func (w worker) handle(ctx context.Context, m *nats.Msg) {
	defer w.hand.leave(m)
	r, err := w.record(ctx, m)
	if err == nil {
		err = w.dispatch(ctx, r)
	}
	if err != nil {
		w.trouble.Warn().Err(err).Str("stream", string(w.stream)).Uint64("seq", r.Seq).Str("subject", m.Subject).Msg("handling; trying again")
	}
	if err := settle(m, err); err != nil {
		w.trouble.Warn().Err(err).Str("stream", string(w.stream)).Uint64("seq", r.Seq).Msg("answering the broker")
	}
}

// dispatch calls the handler, and lets a panic cost only the message on which it
// happened.
func (w worker) dispatch(ctx context.Context, r schemas.Record) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			w.log.Conn.log.Error().Interface("panic", cause).Bytes("stack", debug.Stack()).
				Str("stream", string(w.stream)).Uint64("seq", r.Seq).Msg("handling panicked; refusing the message")
			err = w.refuse(ctx, r, cause)
		}
	}()
	return w.handler.Handle(ctx, r)
}

// refuse ends a message on which handling panicked. If that panics too the message
// stays, and comes again.
func (w worker) refuse(ctx context.Context, r schemas.Record, cause any) (err error) {
	defer func() {
		if again := recover(); again != nil {
			err = fmt.Errorf("refusing the message panicked: %w: %v", schemas.ErrUnavailable, again)
		}
	}()
	return w.handler.Refuse(ctx, r, fmt.Sprint(cause))
}

// record returns m as a record, with the headers that its copy has.
func (w worker) record(ctx context.Context, m *nats.Msg) (schemas.Record, error) {
	meta, err := m.Metadata()
	if err != nil {
		return schemas.Record{}, translate("reading a message of "+string(w.stream), err)
	}
	header := deliveredHeader(m)
	if deliveredOtherwise(w.stream, header, headerSize(m)) {
		return w.log.getFromLeader(ctx, "$JS.API", w.stream, getRequest{Seq: meta.Sequence.Stream})
	}
	return schemas.Record{
		Stream:  w.stream,
		Seq:     meta.Sequence.Stream,
		Subject: text(m.Subject),
		Time:    meta.Timestamp,
		Header:  header,
		Body:    m.Data,
	}, nil
}

// settle tells the server what becomes of m, now that its handler returned err:
//
//	nil, ErrClosed         done: acknowledge (everything is idempotent, so no double ack)
//	ErrInvalid, ErrDenied  never again: what there is to say is on record by now
//	ErrStale               lost a race: again at once
//	any other              trouble: again after a while
func settle(m *nats.Msg, err error) error {
	switch {
	case err == nil, errors.Is(err, schemas.ErrClosed):
		return translate("acknowledging", m.Ack())
	case errors.Is(err, schemas.ErrInvalid), errors.Is(err, schemas.ErrDenied):
		return translate("ending", m.Respond([]byte("+TERM "+err.Error())))
	case errors.Is(err, schemas.ErrStale):
		return translate("returning", m.Nak())
	default:
		return translate("postponing", m.NakWithDelay(retryAfter(m)))
	}
}

// retryAfter doubles with every delivery of m.
func retryAfter(m *nats.Msg) time.Duration {
	meta, err := m.Metadata()
	if err != nil || meta.NumDelivered > 7 {
		return lastRetry
	}
	return min(lastRetry, firstRetry<<(meta.NumDelivered-1))
}
