package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// exposedTo is a subject of an agent of that number.
func exposedTo(i int) schemas.Subject {
	return schemas.Subject{Kind: "exposed", Agent: schemas.Name(fmt.Sprintf("a%d", i))}
}

// seqs reads a tail to its end.
func seqs(t testing.TB, ctx context.Context, tail *broker.Tail) (all []uint64) {
	t.Helper()
	check(t, tail.Read(ctx, func(r schemas.Record) error {
		all = append(all, r.Seq)
		return nil
	}))
	return all
}

// TestTailReadsEverythingOnce: a tail reads in order, more than one request brings,
// from where it stands on; with a filter, what matches it.
func TestTailReadsEverythingOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, js := w.root(broker.Gate)
	const n = 2500
	for i := range n {
		_, err := js.PublishAsync(exposedTo(i%2).String(), nil)
		check(t, err)
	}
	<-js.PublishAsyncComplete()
	log := w.log(schemas.RoleExecute)
	all := seqs(t, w.ctx(), log.Tail(schemas.Exposed, "", 0))
	if len(all) != n || !slices.IsSorted(all) || all[0] != 1 || all[n-1] != n {
		t.Errorf("read %d of %d", len(all), n)
	}
	tail := log.Tail(schemas.Exposed, exposedTo(1).String(), 1001)
	some := seqs(t, w.ctx(), tail)
	if len(some) != 750 || some[0] != 1002 || some[749] != n || tail.Next() != n+1 {
		t.Errorf("read %d of 750 on one subject from 1001, next %d", len(some), tail.Next())
	}
	if more := seqs(t, w.ctx(), tail); len(more) > 0 {
		t.Errorf("read %v again", more)
	}
	w.store(draft(exposedTo(1), ""))
	if more := seqs(t, w.ctx(), tail); !slices.Equal(more, []uint64{n + 1}) {
		t.Errorf("read %v, want what is new", more)
	}
	if none := seqs(t, w.ctx(), log.Tail(schemas.Exposed, exposedTo(7).String(), 1)); len(none) > 0 {
		t.Errorf("read %v on a subject that has nothing", none)
	}
}

// TestTailStopsWhereItsReaderFails: what was not taken in is read again.
func TestTailStopsWhereItsReaderFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(5, anExposure)
	tail := w.log(schemas.RoleExecute).Tail(schemas.Exposed, "", 1)
	trouble := errors.New("trouble")
	err := tail.Read(w.ctx(), func(r schemas.Record) error {
		if r.Seq == 3 {
			return trouble
		}
		return nil
	})
	if !errors.Is(err, trouble) || tail.Next() != 3 {
		t.Errorf("stopped before %d with %v, want 3 with its reader's error", tail.Next(), err)
	}
	if rest := seqs(t, w.ctx(), tail); !slices.Equal(rest, []uint64{3, 4, 5}) {
		t.Errorf("then read %v", rest)
	}
	over, cancel := context.WithCancel(w.ctx())
	cancel()
	if err := tail.ReadTo(over, 6, func(schemas.Record) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("read in a context that is over: %v", err)
	}
}

// TestLargeRecordsInBatches: records of the largest size come whole, many in one
// request.
func TestLargeRecordsInBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root, log := w.rootConn(), w.log(schemas.RoleExecute)
	const n = 100
	for i := range n {
		w.storeAs(root, draft(exposedTo(i), strings.Repeat("x", 47<<10)))
	}
	read := 0
	check(t, log.Tail(schemas.Exposed, "", 1).Read(w.ctx(), func(r schemas.Record) error {
		if len(r.Body) != 47<<10 {
			t.Errorf("%d has %d bytes", r.Seq, len(r.Body))
		}
		read++
		return nil
	}))
	if read != n {
		t.Errorf("read %d of %d", read, n)
	}
}

// TestReadToEndsWhenRecordsAreTrimmed: what was trimmed while it was being read is
// not waited for.
func TestReadToEndsWhenRecordsAreTrimmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 6 {
		w.store(draft(exposedTo(i/5), "")) // the last is somebody else's
	}
	_, js := w.root(broker.Gate)
	s, err := js.Stream(w.ctx(), "EXPOSED")
	check(t, err)
	check(t, s.Purge(w.ctx(), jetstream.WithPurgeSequence(3)))
	log := w.log(schemas.RoleExecute)
	read := func(filter string, from, last uint64) (all []uint64) {
		t.Helper()
		check(t, log.Tail(schemas.Exposed, filter, from).ReadTo(w.ctx(), last, func(r schemas.Record) error {
			all = append(all, r.Seq)
			return nil
		}))
		return all
	}
	if got := read(exposedTo(0).String(), 1, 5); !slices.Equal(got, []uint64{3, 4, 5}) {
		t.Errorf("read %v, want what is left", got)
	}
	check(t, s.Purge(w.ctx(), jetstream.WithPurgeSequence(6)))
	if got := read(exposedTo(0).String(), 1, 5); len(got) > 0 {
		t.Errorf("read %v of what is gone", got)
	}
	if got := read("", 1, 0); len(got) > 0 {
		t.Errorf("read %v up to nothing", got)
	}
}

// TestGatherTellsGoneFromThere: what was trimmed is not found, and what lies
// behind it is, also if its headers cannot be read and all are asked for at once.
func TestGatherTellsGoneFromThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 4 {
		w.raw("bot", anIntent.String(), "nonsense", "{}")
	}
	w.holds(schemas.Intents, 4)
	_, js := w.root(broker.Gate)
	s, err := js.Stream(w.ctx(), "INTENTS")
	check(t, err)
	check(t, s.Purge(w.ctx(), jetstream.WithPurgeSequence(3)))
	log := w.log(schemas.RoleExecute)
	type answer struct {
		asked uint64
		r     schemas.Record
		err   error
	}
	answers, ctx := make(chan answer), w.ctx()
	const rounds = 20
	for range rounds {
		for seq := range uint64(6) {
			go func() {
				r, err := log.At(ctx, schemas.Intents, seq+1)
				answers <- answer{seq + 1, r, err}
			}()
		}
	}
	for range 6 * rounds {
		a := <-answers
		there := a.asked == 3 || a.asked == 4
		if there && (a.err != nil || a.r.Seq != a.asked) || !there && !errors.Is(a.err, schemas.ErrNotFound) {
			t.Fatalf("%d of 3 and 4: %d, %v", a.asked, a.r.Seq, a.err)
		}
	}
}

// TestEachStopsWhenToldTo: and reads no more than the end that it found.
func TestEachStopsWhenToldTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(5, anExposure)
	log := w.log(schemas.RoleExecute)
	var read []uint64
	check(t, log.Each(w.ctx(), schemas.Exposed, anExposure.String(), func(r schemas.Record) bool {
		read = append(read, r.Seq)
		return len(read) < 2
	}))
	if !slices.Equal(read, []uint64{1, 2}) {
		t.Errorf("read %v, want the first two", read)
	}
	check(t, log.Each(w.ctx(), schemas.Exposed, exposedTo(1).String(), func(r schemas.Record) bool {
		t.Errorf("read %d of nothing", r.Seq)
		return true
	}))
}

// TestFollow: what comes is read as it comes, with a wake and without, until the
// reader fails.
func TestFollow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.log(schemas.RoleObserve)
	for _, woken := range []bool{true, false} {
		from, err := log.LastSeq(w.ctx(), schemas.Exposed)
		check(t, err)
		every := time.Millisecond
		tail := log.Tail(schemas.Exposed, "", from+1)
		if woken {
			every = time.Hour
			check(t, tail.Wake(w.ctx()))
		}
		read, done := make(chan uint64), make(chan error, 1)
		enough := errors.New("enough")
		go func() {
			done <- tail.Follow(w.ctx(), every, func(r schemas.Record) error {
				if read <- r.Seq; r.Seq == from+10 {
					return enough
				}
				return nil
			})
		}()
		for i := range uint64(10) {
			w.store(draft(anExposure, ""))
			if got := <-read; got != from+i+1 {
				t.Errorf("woken %t: read %d, want %d", woken, got, from+i+1)
			}
		}
		if err := <-done; !errors.Is(err, enough) {
			t.Errorf("woken %t: ended with %v", woken, err)
		}
	}
}

// TestReadMerged: several streams are read in the order in which the broker
// accepted their records; the error of the reader or of a stream ends it.
func TestReadMerged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root := w.rootConn()
	for i := range 100 {
		w.storeAs(root, draft([]schemas.Subject{anExposure, aRelease, anIntent}[i*i%3], fmt.Sprint(i)))
	}
	log := w.log(schemas.RoleExecute)
	tails := func() []*broker.Tail {
		return []*broker.Tail{log.Tail(schemas.Exposed, "", 1), log.Tail(schemas.Settled, "", 1), log.Tail(schemas.Intents, "", 1), log.Tail(schemas.Rejected, "", 1)}
	}
	var before time.Time
	read := 0
	check(t, broker.ReadMerged(w.ctx(), tails(), func(r schemas.Record) error {
		if r.Time.Before(before) {
			t.Errorf("%s comes after a later one", r.Pointer())
		}
		before = r.Time
		read++
		return nil
	}))
	if read != 100 {
		t.Errorf("read %d of 100", read)
	}
	trouble := errors.New("trouble")
	if err := broker.ReadMerged(w.ctx(), tails(), func(schemas.Record) error { return trouble }); !errors.Is(err, trouble) {
		t.Errorf("ended with %v, want its reader's error", err)
	}
	foreign := append(tails(), w.log(schemas.RoleObserve).Tail(schemas.Settled, "", 1))
	over, cancel := context.WithCancel(w.ctx())
	cancel()
	if err := broker.ReadMerged(over, foreign, func(schemas.Record) error { return nil }); err == nil {
		t.Error("a stream that could not be read passed for an empty one")
	}
}
