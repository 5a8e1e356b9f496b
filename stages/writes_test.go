package stages

import (
	"slices"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestEveryWrite: wherever a write is lost, or lands unseen, or the process ends
// before or after it, doing it again ends as if nothing had happened. Without a
// fault the record is written before what follows from it is, and nobody is told of
// what is not on record.
func TestEveryWrite(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	for _, c := range scenarios() {
		t.Run(c.name, func(t *testing.T) {
			for what := lost; what <= died; what++ {
				nth := 0
				for c.run(t, a, nth, what) {
					nth++
				}
				if nth < len(c.writes) {
					t.Fatalf("fault %d: there was no write %d", what, nth)
				}
			}
			c.run(t, a, 0, none)
		})
	}
	for _, at := range a.sites.missed(t) {
		t.Errorf("%s: nothing goes wrong at what is written from here", at)
	}
}

// run plays the scenario with a fault at the nth write, then again, and reports
// whether there was such a write.
func (c scenario) run(t *testing.T, a *arena, nth int, what fault) (hit bool) {
	t.Helper()
	s := newSim(t, a, uint64(nth))
	s.witness = true
	key := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
	hit = c.play(s, key, nth, what)
	if what == none && !slices.Equal(s.trace, c.writes) {
		t.Errorf("written were %v, want %v", s.trace, c.writes)
	}
	s.revive()
	s.pass(lookSoon)
	c.act(s, key)
	s.tick()
	s.drain()
	now, err := s.look.progress(t.Context(), key)
	if err != nil || now.state() != c.want {
		t.Fatalf("write %d, fault %d: got %s, %v, want %s", nth, what, now.state(), err, c.want)
	}
	if c.check != nil {
		c.check(t, s, key, s.read())
	}
	return hit
}

// play lets the scenario happen once, and reports whether the fault did.
func (c scenario) play(s *sim, k schemas.Key, nth int, what fault) (hit bool) {
	s.submit(k, c.action, `{"n":1}`)
	if c.before != nil {
		c.before(s, k)
	}
	process := s.replicas[0]
	process.faults.set(nth, what)
	s.trace = nil
	c.act(s, k)
	hit = process.faults.hit()
	process.faults.set(0, none)
	return hit
}
