package stages

import (
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// scenario is one thing that a gate does, from what must be there before to what
// must be there after.
type scenario struct {
	name   string
	action schemas.Action
	before func(*sim, schemas.Key) // without faults
	act    func(*sim, schemas.Key) // may be cut short at any write, and is repeated
	want   schemas.State
	silent bool // nothing is written: the report itself is the record
	check  func(*testing.T, *sim, schemas.Key, ledger)
}

// scenarios cover every write of the stages.
func scenarios() []scenario {
	arrive := func(s *sim, _ schemas.Key) { s.drainOnce() }
	arrived := func(s *sim, _ schemas.Key) { s.drain() }
	approve := func(s *sim, k schemas.Key) { s.drain(); s.vote(k, "ann", schemas.Approve) }
	claimed := func(s *sim, k schemas.Key) { s.drain(); s.tryClaim(0, "run", k, "nonce") }
	doubtful := func(s *sim, k schemas.Key) { claimed(s, k); s.pass(2 * time.Minute); s.tick() }
	return []scenario{
		{name: "release by the rules", action: "sys.small", act: arrive, want: schemas.Released},
		{name: "release that exposes", action: "sys.read", act: arrive, want: schemas.Released, check: exposedOnce},
		{name: "refusal by the rules", action: "sys.never", act: arrive, want: schemas.Refused},
		{name: "unknown action", action: "sys.unknown", act: arrive, want: schemas.Refused},
		{name: "park", action: "sys.big", act: arrive, want: schemas.Parked},
		{name: "approval", action: "sys.big", before: approve, act: arrive, want: schemas.Released},
		{name: "first of two approvals", action: "sys.two", before: approve, act: arrive, want: schemas.Parked},
		{name: "denial", action: "sys.big", before: func(s *sim, k schemas.Key) { s.drain(); s.vote(k, "ann", schemas.Deny) }, act: arrive, want: schemas.Refused},
		{name: "decision that does not count", action: "sys.big", before: func(s *sim, k schemas.Key) { s.drain(); s.vote(k, "olga", schemas.Approve) }, act: arrive, want: schemas.Parked, check: rejectedOnce},
		{name: "expiry", action: "sys.big", before: func(s *sim, k schemas.Key) { s.drain(); s.pass(80 * time.Hour) }, act: func(s *sim, _ schemas.Key) { s.tick() }, want: schemas.Refused},
		{name: "withdrawal", action: "sys.big", before: func(s *sim, k schemas.Key) { s.drain(); s.withdraw(k) }, act: arrive, want: schemas.Refused},
		{name: "wait for a thaw", action: "sys.small", before: func(s *sim, _ schemas.Key) { s.freezeBot() }, act: arrive, want: schemas.Parked},
		{name: "thaw", action: "sys.small", before: func(s *sim, _ schemas.Key) { s.freezeBot(); s.drain(); s.thaw() }, act: func(s *sim, _ schemas.Key) { s.tick() }, want: schemas.Released},
		{name: "claim", action: "sys.small", before: arrived, act: func(s *sim, k schemas.Key) { s.claimOnce(k) }, want: schemas.Granted, check: grantedOnce},
		{name: "lapse", action: "sys.small", before: func(s *sim, _ schemas.Key) { s.drain(); s.pass(time.Hour) }, act: func(s *sim, _ schemas.Key) { s.tick() }, want: schemas.Lapsed},
		{name: "doubt", action: "sys.small", before: func(s *sim, k schemas.Key) { claimed(s, k); s.pass(2 * time.Minute) }, act: func(s *sim, _ schemas.Key) { s.tick() }, want: schemas.InDoubt},
		{name: "claim again", action: "sys.again", before: func(s *sim, k schemas.Key) { claimed(s, k); s.pass(2 * time.Minute) }, act: func(s *sim, k schemas.Key) { s.claimOnce(k) }, want: schemas.Granted},
		{name: "word that it was done", action: "sys.small", before: func(s *sim, k schemas.Key) { doubtful(s, k); s.vote(k, "ann", schemas.WasDone) }, act: arrive, want: schemas.Done},
		{name: "retry", action: "sys.small", before: func(s *sim, k schemas.Key) { doubtful(s, k); s.vote(k, "ann", schemas.Retry) }, act: arrive, want: schemas.Released},
		{name: "report", action: "sys.small", before: func(s *sim, k schemas.Key) { claimed(s, k); s.reportOn(k) }, act: arrive, want: schemas.Done, silent: true},
		{name: "late report", action: "sys.small", before: func(s *sim, k schemas.Key) { doubtful(s, k); s.reportOn(k) }, act: arrive, want: schemas.Done},
		{name: "report of somebody else", action: "sys.small", before: func(s *sim, k schemas.Key) { s.drain(); s.reportFalsely(k) }, act: arrive, want: schemas.Released, check: rejectedOnce},
	}
}

// TestEveryWrite: wherever a write is lost, or lands unseen, or the process ends
// before or after it, doing it again ends as if nothing had happened.
func TestEveryWrite(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	for _, c := range scenarios() {
		t.Run(c.name, func(t *testing.T) {
			for what := lost; what <= died; what++ {
				for nth := 0; ; nth++ {
					if hit := c.run(t, a, nth, what); !hit {
						if nth == 0 && !c.silent {
							t.Fatalf("fault %d: nothing was written", what)
						}
						break
					}
				}
			}
		})
	}
}

// run plays the scenario with a fault at the nth write, and reports whether there
// was such a write.
func (c scenario) run(t *testing.T, a *arena, nth int, what fault) (hit bool) {
	t.Helper()
	s := newSim(t, a, uint64(nth))
	key := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
	hit = c.play(s, key, nth, what)
	s.revive()
	s.pass(closeWait)
	c.act(s, key)
	s.tick()
	s.drain()
	now, err := s.look.standing(t.Context(), key)
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
	c.act(s, k)
	hit = process.faults.hit()
	process.faults.set(0, none)
	return hit
}

func grantedOnce(t *testing.T, _ *sim, k schemas.Key, l ledger) {
	t.Helper()
	if n := len(l.grants[k]); n != 1 {
		t.Errorf("%d grants, want 1", n)
	}
}

func rejectedOnce(t *testing.T, _ *sim, _ schemas.Key, l ledger) {
	t.Helper()
	if n := len(l.rejected); n != 1 {
		t.Errorf("%d rejections, want 1", n)
	}
}

func exposedOnce(t *testing.T, s *sim, _ schemas.Key, _ ledger) {
	t.Helper()
	e, _, err := s.look.exposure(t.Context(), "bot")
	must(t, err)
	if len(e.Seen) != 1 {
		t.Errorf("exposed to %d actions, want 1", len(e.Seen))
	}
}
