package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// handlerFunc handles records, and refuses nothing.
type handlerFunc func(ctx context.Context, r schemas.Record) error

func (f handlerFunc) Handle(ctx context.Context, r schemas.Record) error   { return f(ctx, r) }
func (f handlerFunc) Refuse(context.Context, schemas.Record, string) error { return nil }

// working is a stage at work on INTENTS.
type working struct {
	w    *world
	stop context.CancelFunc
	done chan error
}

// work lets observe work on INTENTS until the test is over.
func (w *world) work(width int, h broker.Handler) *working {
	return w.workOn(w.log(schemas.RoleObserve), width, h)
}

func (w *world) workOn(log *broker.Log, width int, h broker.Handler) *working {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	at := &working{w: w, stop: stop, done: make(chan error, 1)}
	go func() { at.done <- log.Work(ctx, schemas.Intents, width, h) }()
	w.t.Cleanup(stop)
	return at
}

// ended waits until the stage has stopped, and returns what it stopped with.
func (at *working) ended() error {
	at.w.t.Helper()
	select {
	case err := <-at.done:
		return err
	case <-at.w.ctx().Done():
		at.w.t.Fatal("the stage does not stop")
		return nil
	}
}

// propose stores intents with the given bodies, and returns the sequence of the
// last.
func (w *world) propose(bodies ...string) (last uint64) {
	w.t.Helper()
	bot := w.conn("bot")
	for _, body := range bodies {
		sent, err := bot.Send(w.ctx(), draft(anIntent, body))
		check(w.t, err)
		last = sent.Seq
	}
	return last
}

// acks hears what observe tells the broker about the intents it was handed.
func (w *world) acks() func() *nats.Msg {
	w.t.Helper()
	nc, _ := w.root(broker.Gate)
	sub, err := nc.SubscribeSync("$JS.ACK.INTENTS.observe.>")
	check(w.t, err)
	check(w.t, nc.Flush())
	return func() *nats.Msg {
		w.t.Helper()
		m, err := sub.NextMsg(patience)
		check(w.t, err)
		return m
	}
}

// fates are the errors of a handler, and what the broker is told of a message,
// delivery by delivery.
var fates = []struct {
	err  error
	told []string
}{
	{nil, []string{"+ACK"}},
	{schemas.ErrClosed, []string{"+ACK"}},
	{schemas.ErrInvalid, []string{"+TERM parking: invalid"}},
	{&schemas.Fault{Code: schemas.CodeInvalid, Detail: "too deep"}, []string{"+TERM parking: invalid: too deep"}},
	{schemas.ErrDenied, []string{"+TERM parking: not permitted"}},
	{schemas.ErrStale, []string{"-NAK", "-NAK", "-NAK", "+ACK"}},
	{schemas.ErrUnavailable, []string{`-NAK {"delay": 50000000}`, `-NAK {"delay": 100000000}`, `-NAK {"delay": 200000000}`, "+ACK"}},
	{schemas.ErrNotFound, []string{`-NAK {"delay": 50000000}`, "+ACK"}},
	{errors.New("trouble"), []string{`-NAK {"delay": 50000000}`, "+ACK"}},
}

// TestFates: the error of its handler decides what becomes of a message: it is
// done, it never comes again, it comes at once, or later each time.
func TestFates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	heard := w.acks()
	deliveries := make([]int, len(fates))
	w.work(1, handlerFunc(func(_ context.Context, r schemas.Record) error {
		fate := fates[r.Seq-1]
		deliveries[r.Seq-1]++ // one at a time
		if last := deliveries[r.Seq-1] == len(fate.told); fate.err == nil || last && len(fate.told) > 1 {
			return nil
		}
		return fmt.Errorf("parking: %w", fate.err)
	}))
	for _, fate := range fates {
		w.propose("{}")
		for i, want := range fate.told {
			if got := string(heard().Data); got != want {
				t.Errorf("%v, delivery %d: the broker is told %q, want %q", fate.err, i+1, got, want)
			}
		}
	}
}

// panicky panics on some records, and on refusing one of them.
type panicky struct {
	mu      sync.Mutex
	refused []string
	handled []string
}

func (p *panicky) Handle(_ context.Context, r schemas.Record) error {
	if strings.HasPrefix(string(r.Body), "panic") {
		panic("on " + string(r.Body))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handled = append(p.handled, string(r.Body))
	return nil
}

func (p *panicky) Refuse(_ context.Context, r schemas.Record, cause string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = append(p.refused, cause)
	if string(r.Body) == "panic twice" && len(p.refused) == 1 {
		panic("while refusing")
	}
	return nil
}

// TestPanicCostsOneMessage: a record on which its handler panics is refused, with
// what it panicked on. If refusing it panics too it comes again later. Nothing
// else is lost.
func TestPanicCostsOneMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	heard := w.acks()
	p := &panicky{}
	w.work(1, p)
	w.propose("panic twice", "first", "panic", "second")
	told := map[string]int{}
	for range 5 {
		told[string(heard().Data)]++
	}
	if told["+ACK"] != 4 || told[`-NAK {"delay": 50000000}`] != 1 {
		t.Errorf("the broker was told %v, want each acknowledged, and one postponed before", told)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if want := []string{"first", "second"}; !slices.Equal(p.handled, want) {
		t.Errorf("handled %q, want %q", p.handled, want)
	}
	if want := []string{"on panic twice", "on panic", "on panic twice"}; !slices.Equal(p.refused, want) {
		t.Errorf("refused because of %q, want %q", p.refused, want)
	}
}

// TestDrain: a stage that stops takes no more, finishes what it was handed, and
// tells the broker, before it returns.
func TestDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	heard := w.acks()
	began, finish := make(chan struct{}, 10), make(chan struct{})
	at := w.work(2, handlerFunc(func(ctx context.Context, _ schemas.Record) error {
		began <- struct{}{}
		<-finish
		return ctx.Err()
	}))
	w.propose("1", "2")
	<-began
	<-began
	at.stop()
	select {
	case err := <-at.done:
		t.Fatalf("stopped with %v while it was at work", err)
	default:
	}
	close(finish)
	if err := at.ended(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	for range 2 {
		if got := string(heard().Data); got != "+ACK" {
			t.Errorf("the broker is told %q of what was under way", got)
		}
	}
	last := w.propose("3")
	next := make(chan uint64, 1)
	w.work(1, handlerFunc(func(_ context.Context, r schemas.Record) error {
		next <- r.Seq
		return nil
	}))
	if got := <-next; got != last {
		t.Errorf("the next stage is handed %d, want %d", got, last)
	}
}

// TestStagesShareTheWork: two processes of a stage are handed every message once
// between them, and what one of them leaves the other finishes.
func TestStagesShareTheWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 200
	var mu sync.Mutex
	times, by := map[uint64]int{}, [2]int{}
	all := make(chan struct{})
	handler := func(i int) broker.Handler {
		return handlerFunc(func(_ context.Context, r schemas.Record) error {
			mu.Lock()
			defer mu.Unlock()
			times[r.Seq]++
			by[i]++
			if len(times) == n {
				close(all)
			}
			return nil
		})
	}
	w.work(4, handler(0))
	w.work(4, handler(1))
	w.propose(slices.Repeat([]string{"{}"}, n)...)
	select {
	case <-all:
	case <-w.ctx().Done():
	}
	mu.Lock()
	defer mu.Unlock()
	for seq := uint64(1); seq <= n; seq++ {
		if times[seq] != 1 {
			t.Errorf("%d was handed out %d times", seq, times[seq])
		}
	}
	if by[0] == 0 || by[1] == 0 {
		t.Errorf("handed out to each: %v", by)
	}
}

// TestWorkEndsWhereThereIsNothingToWorkOn: a stage whose consumer is gone, or
// whose connection was closed, says so: it must not seem to be at work.
func TestWorkEndsWhereThereIsNothingToWorkOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	began := make(chan struct{}, 10)
	handler := handlerFunc(func(context.Context, schemas.Record) error {
		began <- struct{}{}
		return nil
	})
	conn := w.conn("observe")
	log, err := broker.OpenLog(w.ctx(), conn, schemas.Control)
	check(t, err)
	at := w.workOn(log, 1, handler)
	w.propose("{}")
	<-began
	conn.Close()
	if err := at.ended(); !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("with its connection closed it ends with %v, want ErrUnavailable", err)
	}
	at = w.work(1, handler)
	w.propose("{}")
	<-began
	_, js := w.root(broker.Gate)
	check(t, js.DeleteConsumer(w.ctx(), "INTENTS", "observe"))
	for i, at := range []*working{at, w.work(1, handler)} {
		if err := at.ended(); !errors.Is(err, schemas.ErrUnavailable) {
			t.Errorf("%d: without its consumer it ends with %v, want ErrUnavailable", i, err)
		}
	}
}

// TestWorkIsNotFooledByHeaders: a message without a body whose headers look like
// the broker's own word about a request is a message.
func TestWorkIsNotFooledByHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	handled := make(chan schemas.Record, 10)
	at := w.work(1, handlerFunc(func(_ context.Context, r schemas.Record) error {
		handled <- r
		return nil
	}))
	for _, status := range []string{"100", "404", "408", "409", "503"} {
		d := draft(anIntent, "")
		d.Header = schemas.Header{"Status": {status}, "Description": {"Consumer Deleted"}, "Nats-Pending-Messages": {"9"}}
		sent, err := w.conn("eve").Send(w.ctx(), schemas.Draft{Subject: "intents.eve.shop.refund", Header: d.Header})
		check(t, err)
		select {
		case r := <-handled:
			if r.Seq != sent.Seq || r.Subject != "intents.eve.shop.refund" || r.Header["Status"][0] != status {
				t.Errorf("status %s: handed %+v", status, r)
			}
		case err := <-at.done:
			t.Fatalf("status %s: stopped with %v", status, err)
		}
	}
}
