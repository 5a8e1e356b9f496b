package stages

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/schemas"
)

// timers is a heap of the entries that have a time, the earliest first.
type timers []*entry

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].pos, t[j].pos = i, j
}
func (t *timers) Push(v any) {
	e := v.(*entry)
	e.pos = len(*t)
	*t = append(*t, e)
}
func (t *timers) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return last
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (x *Index) schedule(e *entry) {
	if e.at.IsZero() {
		return
	}
	heap.Push(&x.timers, e)
	if e.pos == 0 {
		select {
		case x.wake <- struct{}{}:
		default:
		}
	}
}

func (x *Index) unschedule(e *entry) {
	if e.pos < len(x.timers) && x.timers[e.pos] == e {
		heap.Remove(&x.timers, e.pos)
	}
}

// Due returns the intents whose time has come, those on hold and those with
// executors, and when the next timer fires. What is still there after a look, and
// was not postponed, is looked at again: whatever becomes of the look, nothing
// that waits is forgotten.
func (x *Index) Due() (held, work []schemas.Key, next time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := x.now()
	for len(x.timers) > 0 {
		if first := x.timers[0]; first.at.After(now) {
			return held, work, first.at
		}
		e := x.timers[0]
		if e.hold {
			held = append(held, e.Key)
		} else {
			work = append(work, e.Key)
		}
		e.at = now.Add(lookAgain)
		heap.Fix(&x.timers, 0)
	}
	return held, work, time.Time{}
}

// Line returns what the index knows of the hold on an intent, and when its
// reviewers are to be reminded. The line is empty if there is none.
func (x *Index) Line(k schemas.Key) (line schemas.HoldLine, remind time.Time) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if e := x.entries[place{k, true}]; e != nil {
		return e.line, e.remind
	}
	return schemas.HoldLine{}, time.Time{}
}

// working returns the state of an intent that waits for executors, or "".
func (x *Index) working(k schemas.Key) schemas.State {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if e := x.entries[place{k, false}]; e != nil {
		return e.line.State
	}
	return ""
}

// Reminded notes that the reviewers of a hold were reminded.
func (x *Index) Reminded(k schemas.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.entries[place{k, true}]; e != nil {
		e.remind, e.reminded = time.Time{}, e.remind
		x.reschedule(e, e.line.Deadline)
	}
}

// PostponeHold and PostponeWork make a timer of the intent fire at the given time.
func (x *Index) PostponeHold(k schemas.Key, until time.Time) { x.postpone(place{k, true}, until) }

// PostponeWork is PostponeHold for what waits for executors.
func (x *Index) PostponeWork(k schemas.Key, until time.Time) { x.postpone(place{k, false}, until) }

// LookAt makes every hold of an agent be looked at now, because something about
// the agent changed.
func (x *Index) LookAt(agent schemas.Name) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := x.now()
	for at, e := range x.entries {
		if at.hold && at.Agent == agent {
			x.reschedule(e, now)
		}
	}
}

func (x *Index) postpone(at place, until time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.entries[at]; e != nil {
		x.reschedule(e, until)
	}
}

func (x *Index) reschedule(e *entry, at time.Time) {
	x.unschedule(e)
	e.at = at
	x.schedule(e)
}

const (
	// timerWidth is how many timers are handled at once.
	timerWidth = 32

	// lookSoon is when a hold is looked at of which more may be true than its state
	// says: settled and never closed, in doubt and reported on, waiting and thawed.
	// Whoever is at it is done by then, unless it crashed.
	lookSoon = time.Second

	// lookAgain is when a timer fires again that brought nothing about.
	lookAgain = time.Minute

	// timerRetry is when a timer fires again that could not be handled.
	timerRetry = time.Second

	// forgetEvery is how often the index forgets. It is much longer than records
	// take to arrive.
	forgetEvery = 30 * time.Second
)

// RunTimers does what time alone brings about: reminders, expiry, lapse, the end
// of a lease, and what a thaw lets go on. It returns when ctx ends and what it
// began is done. Late is safe, because every one of these moments is looked at
// again when the intent is touched; twice is safe, because every write is
// conditional.
func (e *Execute) RunTimers(ctx context.Context, log zerolog.Logger) {
	r := timerRun{Execute: e, log: log, places: make(chan struct{}, timerWidth)}
	defer r.busy.Wait()
	forget := time.NewTicker(forgetEvery)
	defer forget.Stop()
	for {
		held, work, next := e.Index.Due()
		r.fire(ctx, held, e.lookAtHold, e.Index.PostponeHold)
		r.fire(ctx, work, e.lookAtWork, e.Index.PostponeWork)
		alarm := time.NewTimer(until(next, e.now()))
		select {
		case <-ctx.Done():
			alarm.Stop()
			return
		case <-alarm.C:
		case <-e.Index.wake:
		case <-forget.C:
			e.Index.Forget()
		case <-e.Control.Thawed():
			r.fire(ctx, e.thawed(), e.lookAtHold, e.Index.PostponeHold)
		}
		alarm.Stop()
	}
}

// thawed returns the intents that wait, and have nothing to wait for any more.
func (e *Execute) thawed() []schemas.Key {
	var keys []schemas.Key
	for _, line := range e.Index.Waiting() {
		if !e.waits(line) {
			keys = append(keys, schemas.Key{Agent: line.Agent, ID: line.Intent})
		}
	}
	return keys
}

// waits reports whether there is nothing to do about a hold before a thaw.
func (e *Execute) waits(line schemas.HoldLine) bool {
	_, frozen := e.Control.Frozen(line.Agent, line.Action)
	return frozen && line.Waiting != "" && e.registered(line.Agent) && e.now().Before(line.Deadline)
}

// timerRun is one run of the timers.
type timerRun struct {
	*Execute
	log    zerolog.Logger
	places chan struct{}
	busy   sync.WaitGroup
}

// fire handles intents whose time has come. One that cannot be handled is looked at
// again soon, one on which handling panics later; the others go on.
func (r *timerRun) fire(ctx context.Context, keys []schemas.Key, handle func(context.Context, schemas.Key) error, postpone func(schemas.Key, time.Time)) {
	for _, k := range keys {
		r.places <- struct{}{}
		r.busy.Go(func() {
			defer func() { <-r.places }()
			err := recovered(context.WithoutCancel(ctx), k, handle)
			switch {
			case errors.Is(err, errPanicked):
				r.log.Error().Err(err).Stringer("intent", k).Msg("a timer; trying again")
				postpone(k, r.now().Add(lookAgain))
			case err != nil:
				r.log.Warn().Err(err).Stringer("intent", k).Msg("a timer; trying again")
				postpone(k, r.now().Add(timerRetry))
			}
		})
	}
}

var errPanicked = errors.New("panicked")

// recovered calls handle and returns its panic as an errPanicked, with the stack.
func recovered(ctx context.Context, k schemas.Key, handle func(context.Context, schemas.Key) error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanicked, cause, debug.Stack())
		}
	}()
	return handle(ctx, k)
}

func until(next, now time.Time) time.Duration {
	if next.IsZero() {
		return forgetEvery
	}
	return next.Sub(now)
}
