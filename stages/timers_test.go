package stages

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// broken is a policy that panics on some intents.
type broken struct {
	Policy
	on func(rules.Checkpoint, rules.Facts) bool
}

func (p broken) Evaluate(ctx context.Context, at rules.Checkpoint, f rules.Facts) schemas.Opinion {
	if p.on(at, f) {
		panic("a policy that panics")
	}
	return p.Policy.Evaluate(ctx, at, f)
}

// hears is a bell that remembers what it was rung for.
type hears struct {
	mu     sync.Mutex
	heard  map[ring]int
	ringed chan struct{} // closed and replaced with every ring
}

type ring struct {
	schemas.Key
	what string
}

func newHears() *hears { return &hears{heard: map[ring]int{}, ringed: make(chan struct{})} }

func (h *hears) Intent(k schemas.Key, state schemas.State)       { h.ring(ring{k, string(state)}) }
func (h *hears) Hold(_ schemas.Name, k schemas.Key, what string) { h.ring(ring{k, what}) }

func (h *hears) ring(r ring) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard[r]++
	close(h.ringed)
	h.ringed = make(chan struct{})
}

// count returns how often the bell was rung for something, and a channel that is
// closed when it rings next.
func (h *hears) count(k schemas.Key, what string) (int, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.heard[ring{k, what}], h.ringed
}

// until waits until the bell was rung for an intent that is in that state.
func (h *hears) until(t *testing.T, k schemas.Key, state schemas.State) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		n, next := h.count(k, string(state))
		if n > 0 {
			return
		}
		select {
		case <-next:
		case <-ctx.Done():
			t.Fatalf("waiting for %s to be %s: %v", k, state, ctx.Err())
		}
	}
}

// TestRunTimers: time does its work in a running process, also while it panics on
// one intent; that one is looked at again.
func TestRunTimers(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	s.freezeBot()
	bad, good := s.propose("bot", "sys.small"), s.propose("bot", "sys.small")
	for _, p := range s.replicas {
		s.follow(p, true)
	}
	e := s.replicas[0].execute
	bell := newHears()
	e.Bell = bell
	var mu sync.Mutex
	panics := 0
	breaks := true
	e.Control.Load(broken{s.bundle["bundle"], func(at rules.Checkpoint, f rules.Facts) bool {
		mu.Lock()
		defer mu.Unlock()
		if f.Intent.Key() == bad && breaks {
			panics++
		}
		return f.Intent.Key() == bad && breaks
	}})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { e.RunTimers(ctx, zerolog.Nop()) })
	s.thaw()
	bell.until(t, good, schemas.Released)
	lapses := s.propose("bit", "sys.small")
	s.follow(s.replicas[0], true)
	s.pass(time.Hour)
	e.Index.PostponeWork(lapses, s.now())
	bell.until(t, lapses, schemas.Lapsed)
	s.want(bad, schemas.Parked, "")
	mu.Lock()
	breaks = false
	mu.Unlock()
	wake(e.Control.thawed)
	bell.until(t, bad, schemas.Released)
	stop()
	running.Wait()
	if panics == 0 {
		t.Error("it never panicked")
	}
}

// TestReminder: reviewers are reminded once, when it is time.
func TestReminder(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	bell := newHears()
	for _, p := range s.replicas {
		p.execute.Bell = bell
	}
	k := s.propose("bot", "sys.two") // remind after 1 h
	for _, p := range s.replicas {
		s.follow(p, true)
		p.execute.Index.LookAt("bot") // an early look costs no reminder
	}
	for _, c := range []struct {
		wait time.Duration
		want int
	}{{59 * time.Minute, 0}, {2 * time.Minute, 1}, {time.Hour, 1}} {
		s.later(c.wait)
		if n, _ := bell.count(k, "reminder"); n != c.want {
			t.Errorf("reminded %d times, want %d", n, c.want)
		}
	}
	s.vote(k, "ann", schemas.Approve)
	s.drain()
	s.later(time.Minute)
	if n, _ := bell.count(k, "reminder"); n != 1 {
		t.Errorf("reminded %d times after a vote, want 1", n)
	}
}
