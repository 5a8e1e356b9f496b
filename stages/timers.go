package stages

import (
	"container/heap"
	"context"
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

// Due takes out the timers whose time has come, and returns their intents, and
// when the next timer fires. A timer that was taken out does not fire again
// unless it is postponed.
func (x *Index) Due() (keys []schemas.Key, next time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := x.now()
	for len(x.timers) > 0 {
		if first := x.timers[0]; first.at.After(now) {
			return keys, first.at
		}
		e := heap.Pop(&x.timers).(*entry)
		keys = append(keys, e.key)
	}
	return keys, time.Time{}
}

// Line returns what the index knows of an intent, and when its reviewers are to
// be reminded. The line is empty if nothing waits for the intent.
func (x *Index) Line(k schemas.Key) (line schemas.HoldLine, remind time.Time) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if e := x.entries[k]; e != nil {
		return e.line, e.remind
	}
	return schemas.HoldLine{}, time.Time{}
}

// Reminded notes that the reviewers of a hold were reminded.
func (x *Index) Reminded(k schemas.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.entries[k]; e != nil {
		x.unschedule(e)
		e.remind, e.at = time.Time{}, e.line.Deadline
		x.schedule(e)
	}
}

// Postpone makes the timer of an intent fire at the given time.
func (x *Index) Postpone(k schemas.Key, until time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.entries[k]; e != nil {
		x.unschedule(e)
		e.at = until
		x.schedule(e)
	}
}

const (
	// timerWidth is how many timers are handled at once.
	timerWidth = 32

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
	var busy sync.WaitGroup
	defer busy.Wait()
	places := make(chan struct{}, timerWidth)
	fire := func(k schemas.Key, why string, handle func(context.Context, schemas.Key) error) {
		places <- struct{}{}
		busy.Go(func() {
			defer func() { <-places }()
			if err := handle(context.WithoutCancel(ctx), k); err != nil {
				log.Warn().Err(err).Stringer("intent", k).Str("timer", why).Msg("a timer; trying again")
				e.Index.Postpone(k, e.now().Add(timerRetry))
			}
		})
	}
	forget := time.NewTicker(forgetEvery)
	defer forget.Stop()
	for {
		keys, next := e.Index.Due()
		for _, k := range keys {
			fire(k, "due", e.look)
		}
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
			for _, k := range e.Index.Waiting() {
				fire(k, "thaw", e.lookAtHold)
			}
		}
		alarm.Stop()
	}
}

func until(next, now time.Time) time.Duration {
	if next.IsZero() {
		return forgetEvery
	}
	return next.Sub(now)
}

// look does what is due for an intent, whatever that is.
func (e *Execute) look(ctx context.Context, k schemas.Key) error {
	line, remind := e.Index.Line(k)
	switch line.State {
	case schemas.Parked:
		if now := e.now(); !remind.IsZero() && !now.Before(remind) && now.Before(line.Deadline) {
			e.Bell.Hold(line.Queue, k, "reminder")
			e.Index.Reminded(k)
			return nil
		}
		return e.lookAtHold(ctx, k)
	case schemas.Released:
		return e.lapse(ctx, k)
	case schemas.Granted:
		return e.endLease(ctx, k)
	default:
		return nil
	}
}
