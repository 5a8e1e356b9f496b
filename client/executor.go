package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// pullWait is how long one pull waits, and how often an executor asks for
	// work that no pull brought.
	pullWait = 5 * time.Second

	// laterWait is when a release is handed out again that cannot be claimed now.
	laterWait = 2 * time.Second

	// holdEvery is how often the broker is told that a delivery is worked on.
	holdEvery = 10 * time.Second

	// reportPatience is for how long a report is tried.
	reportPatience = 5 * time.Minute
)

// ErrUnknown is what a handler returns when it cannot say whether the action was
// performed. Nothing is reported then: when the lease ends, another executor may
// try an idempotent action, and any other is put before a person.
var ErrUnknown = errors.New("not known whether it was performed")

// Task is one action to perform, with the exclusive right to do so until Until.
type Task struct {
	Intent schemas.Intent
	Grant  schemas.Grant

	// Key is the same over all attempts at one intent, and of no other: what a
	// system behind needs to recognise a repetition.
	Key string

	Until time.Time

	grantAt schemas.Pointer
}

// Handler performs one action and returns its result, to be encoded as JSON of
// at most [schemas.MaxResultSize] bytes, or why it failed. Its context ends with
// the lease. An error before that means that the action was not performed; if that
// is not certain it must be [ErrUnknown].
type Handler func(ctx context.Context, t Task) (result any, err error)

// Executor performs released actions.
type Executor struct{ *Conn }

// Run performs the released actions of the systems, at most width at a time,
// until ctx ends; then it finishes what it began. Each release is claimed before
// its handler is called, and reported after. It returns an error only if it
// cannot go on at all.
func (x Executor) Run(ctx context.Context, systems []string, width int, h Handler) error {
	r := &run{
		Executor: x,
		handler:  h,
		places:   make(chan struct{}, max(1, width)),
		working:  map[schemas.Key]bool{},
		nonces:   map[schemas.Key]string{},
	}
	failed, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var sources sync.WaitGroup
	for _, system := range systems {
		sources.Go(func() { fail(r.pull(failed, system)) })
	}
	sources.Go(func() { r.seek(failed) })
	sources.Wait()
	r.tasks.Wait()
	if err := context.Cause(failed); !errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return nil
}

// run is one call of Run.
type run struct {
	Executor
	handler Handler
	places  chan struct{}
	tasks   sync.WaitGroup

	// mu guards what follows, for the time of one look: the intents that are being
	// worked on here, and the nonces of claims whose answer is not known. Such a
	// claim may have been granted, and only the same nonce gets that grant.
	mu      sync.Mutex
	working map[schemas.Key]bool
	nonces  map[schemas.Key]string
}

// pull takes what the broker hands out. It returns nil when ctx ended.
func (r *run) pull(ctx context.Context, system string) error {
	level := zerolog.WarnLevel // of the first trouble in a row
	for ctx.Err() == nil {
		err := r.broker.Pull(ctx, system, cap(r.places), pullWait, func(d broker.Delivery) {
			r.start(ctx, d.Key, &d)
		})
		switch {
		case err == nil, ctx.Err() != nil:
			level = zerolog.WarnLevel
		case errors.Is(err, schemas.ErrDenied), errors.Is(err, schemas.ErrInvalid):
			return err
		default:
			r.log.WithLevel(level).Err(err).Str("system", system).Msg("taking releases; trying again")
			level = zerolog.DebugLevel
			_ = pause(ctx, time.Second)
		}
	}
	return nil
}

// seek asks for work that no delivery brings any more: what another executor
// took and dropped, and what a reviewer said to try again.
func (r *run) seek(ctx context.Context) {
	for ctx.Err() == nil {
		answer, err := r.broker.Ask(ctx, r.Name(), schemas.AskWork, schemas.Question{})
		if err != nil {
			r.log.Debug().Err(err).Msg("asking for work")
		}
		for _, k := range answer.Work {
			r.start(ctx, k, nil)
		}
		_ = pause(ctx, pullWait)
	}
}

// start works on an intent, unless that is being done already, as soon as there
// is a place. The delivery is nil if the broker did not hand the intent out. What
// comes when ctx has ended is for another executor.
func (r *run) start(ctx context.Context, k schemas.Key, d *broker.Delivery) {
	if !r.place(ctx) {
		r.answer(k, d, func(d broker.Delivery) error { return d.Later(0) })
		return
	}
	if !r.begin(k) {
		<-r.places
		return
	}
	r.tasks.Go(func() {
		defer func() { <-r.places }()
		defer r.end(k)
		// What was begun is finished even while the executor stops.
		r.work(context.WithoutCancel(ctx), k, d)
	})
}

// place waits for a place, and reports whether it has one before ctx ends.
func (r *run) place(ctx context.Context) bool {
	select {
	case r.places <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	if ctx.Err() != nil {
		<-r.places
		return false
	}
	return true
}

func (r *run) begin(k schemas.Key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.working[k] {
		return false
	}
	r.working[k] = true
	return true
}

func (r *run) end(k schemas.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.working, k)
}

// work claims, performs and reports one intent.
func (r *run) work(ctx context.Context, k schemas.Key, d *broker.Delivery) {
	task, err := r.claim(ctx, k)
	switch {
	case errors.Is(err, schemas.ErrClosed), errors.Is(err, schemas.ErrDenied), errors.Is(err, schemas.ErrNotFound):
		r.log.Debug().Err(err).Stringer("intent", k).Msg("nothing to do")
		r.answer(k, d, broker.Delivery.Done)
		return
	case err != nil:
		r.log.Debug().Err(err).Stringer("intent", k).Msg("not now")
		r.answer(k, d, func(d broker.Delivery) error { return d.Later(laterWait) })
		return
	}
	result, err := r.perform(ctx, task, d)
	if errors.Is(err, ErrUnknown) {
		r.log.Warn().Err(err).Stringer("intent", k).Msg("reporting nothing")
		r.answer(k, d, func(d broker.Delivery) error { return d.Later(time.Until(task.Until)) })
		return
	}
	if err := r.report(ctx, task, result, err); err != nil {
		r.log.Error().Err(err).Stringer("intent", k).Msg("reporting")
		return
	}
	r.answer(k, d, broker.Delivery.Done)
}

// answer tells the broker what becomes of a delivery. It only spares time: who
// may act is decided by the grant.
func (r *run) answer(k schemas.Key, d *broker.Delivery, say func(broker.Delivery) error) {
	if d == nil {
		return
	}
	if err := say(*d); err != nil {
		r.log.Debug().Err(err).Stringer("intent", k).Msg("answering the broker")
	}
}

// hold keeps a delivery from being handed out again until it is stopped.
func (r *run) hold(k schemas.Key, d *broker.Delivery) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var beating sync.WaitGroup
	beating.Go(func() {
		for pause(ctx, holdEvery) == nil {
			r.answer(k, d, broker.Delivery.Working)
		}
	})
	return func() {
		cancel()
		beating.Wait()
	}
}

// claim asks for the grant and checks it: the release, the grant and the digest
// must be about the same intent, and the grant must be this executor's.
func (r *run) claim(ctx context.Context, k schemas.Key) (Task, error) {
	nonce := r.nonce(k)
	answer, err := r.broker.Claim(ctx, r.Name(), k, schemas.Question{Nonce: nonce})
	if err == nil && answer.Claim == nil {
		err = fmt.Errorf("claiming %s: %w: empty answer", k, schemas.ErrUnavailable)
	}
	if errors.Is(err, schemas.ErrUnavailable) {
		return Task{}, err
	}
	r.forget(k)
	if err != nil {
		return Task{}, err
	}
	t, err := taskOf(*answer.Claim)
	if err == nil && (t.Intent.Key() != k || t.Grant.Executor != r.Name() || t.Grant.Nonce != nonce) {
		err = fmt.Errorf("%w: granted to somebody else", schemas.ErrDenied)
	}
	if err != nil {
		return Task{}, fmt.Errorf("claiming %s: %w", k, err)
	}
	return t, nil
}

// nonce returns the nonce of the claim on an intent.
func (r *run) nonce(k schemas.Key) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.nonces[k] == "" {
		r.nonces[k] = rand.Text()
	}
	return r.nonces[k]
}

func (r *run) forget(k schemas.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.nonces, k)
}

func taskOf(c schemas.Claim) (Task, error) {
	var settled schemas.Settlement
	if err := schemas.Read(c.Settlement.Record(), &settled); err != nil {
		return Task{}, err
	}
	var grant schemas.Grant
	if err := schemas.Read(c.Grant.Record(), &grant); err != nil {
		return Task{}, err
	}
	if err := settled.Intent.Verify(); err != nil {
		return Task{}, err
	}
	if settled.Outcome != schemas.Release || grant.Digest != settled.Intent.Digest || grant.Key() != settled.Intent.Key() {
		return Task{}, fmt.Errorf("%w: the grant is for something else than the release", schemas.ErrInvalid)
	}
	return Task{
		Intent:  settled.Intent,
		Grant:   grant,
		Key:     string(settled.Intent.Digest),
		Until:   grant.LeaseUntil,
		grantAt: c.Grant.Record().Pointer(),
	}, nil
}

// perform calls the handler. One that panics, or fails when its lease is over, has
// not said what it did: whoever is told to stop seldom knows how far it came. When
// the grant came so late that its lease is over, it is not called: somebody else may
// have been granted the action, or be deciding what became of it.
func (r *run) perform(ctx context.Context, t Task, d *broker.Delivery) (result any, err error) {
	if !time.Now().Before(t.Until) {
		return nil, fmt.Errorf("%w: the grant came when its lease was over", ErrUnknown)
	}
	ctx, cancel := context.WithDeadline(ctx, t.Until)
	defer cancel()
	defer r.hold(t.Intent.Key(), d)()
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: the handler panicked: %v", ErrUnknown, cause)
		} else if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: the lease is over: %w", ErrUnknown, err)
		}
	}()
	return r.handler(ctx, t)
}

// report sends what became of a task, until the gate says that it counts.
func (x Executor) report(ctx context.Context, t Task, result any, failure error) error {
	ctx, cancel := context.WithTimeout(ctx, reportPatience)
	defer cancel()
	draft := schemas.Write(x.reportOf(t, result, failure), x.source(), time.Now(), "")
	kept, err := x.send(ctx, draft)
	if err != nil {
		return err
	}
	ruling, err := x.ruling(ctx, schemas.AskReport, kept.Seq)
	if err == nil && !ruling.Counts {
		err = fmt.Errorf("%w: %s %s", schemas.ErrClosed, ruling.Code, ruling.Detail)
	}
	return err
}

// reportOf returns the report on a task. A result that cannot be sent does not
// undo that the action was performed: it is done, and the result is left out.
func (x Executor) reportOf(t Task, result any, failure error) schemas.Report {
	report := schemas.Report{
		Executor: x.Name(),
		Agent:    t.Intent.Agent,
		Intent:   t.Intent.ID,
		Digest:   t.Intent.Digest,
		Grant:    t.grantAt,
		State:    schemas.Done,
	}
	if failure != nil {
		report.State, report.Error = schemas.Failed, clip(failure.Error())
		return report
	}
	encoded, err := encode(result)
	switch {
	case err != nil:
		report.Error = clip("the result is left out: " + err.Error())
	case len(encoded) > schemas.MaxResultSize:
		report.Error = fmt.Sprintf("the result is left out: %d bytes, at most %d", len(encoded), schemas.MaxResultSize)
	default:
		report.Result = encoded
	}
	return report
}

// encode returns a result as JSON. Encoding it may run code of the caller's.
func encode(result any) (b []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("encoding it panicked: %v", cause)
		}
	}()
	return schemas.Marshal(result)
}

// clip keeps an error short enough for a report.
func clip(s string) string {
	const most = 4 << 10
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
