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
	s.submit(key, c.action, `{"n":1}`)
	if c.before != nil {
		c.before(s, key)
	}
	s.replicas[0].faults.set(nth, what)
	process := s.replicas[0]
	c.act(s, key)
	hit = process.faults.hit()
	process.faults.set(0, none)
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

// submit publishes an intent.
func (s *sim) submit(k schemas.Key, a schemas.Action, params string) {
	s.t.Helper()
	d, err := schemas.Propose(k, a, schemas.Proposal{Params: []byte(params)}, time.Now())
	must(s.t, err)
	s.send(k.Agent, d)
}

func (s *sim) withdraw(k schemas.Key) {
	s.submit(schemas.Key{Agent: k.Agent, ID: schemas.NewIntentID(time.Now())}, schemas.Withdraw, `{"id":"`+string(k.ID)+`"}`)
}

// drainOnce delivers what there is to the first replica, each once, as far as it
// lives. What is not done with stays.
func (s *sim) drainOnce() {
	for range 3 { // the stages that an intent passes
		s.collect()
		todo := s.inbox
		s.inbox = nil
		for _, r := range todo {
			if s.replicas[0] == nil || !s.deliver(0, r) {
				s.inbox = append(s.inbox, r)
			}
		}
	}
}

// tick lets the first replica know everything, and do what is due.
func (s *sim) tick() {
	if p := s.replicas[0]; p != nil {
		s.follow(p, true)
	}
	s.timers(0)
}

// vote lets a reviewer decide as a reviewer should.
func (s *sim) vote(k schemas.Key, reviewer schemas.Name, verdict schemas.Verdict) {
	s.t.Helper()
	h, at, err := s.look.hold(s.t.Context(), k)
	must(s.t, err)
	d, err := schemas.Decision{
		Reviewer: reviewer, Queue: h.Queue, Agent: k.Agent, Intent: k.ID, Digest: h.Intent.Digest,
		Verdict: verdict, Reason: "sim", Shown: at.Hash(),
	}.Sign(s.keys[reviewer])
	must(s.t, err)
	s.send(reviewer, schemas.Write(d, "/sim", s.now(), ""))
}

func (s *sim) freezeBot() {
	s.frozen = true
	s.everywhere(schemas.Freeze{By: "boss", Scope: schemas.Scope{Agent: "bot"}, Reason: "sim", At: s.now()})
}

func (s *sim) claimOnce(k schemas.Key) {
	if s.replicas[0] == nil {
		return
	}
	s.guarded(0, func(p *replica) error {
		_, err := p.execute.Claim(s.t.Context(), "run", k, "the same nonce")
		return err
	})
}

func (s *sim) reportOn(k schemas.Key) {
	s.t.Helper()
	g, at, err := s.look.lastGrant(s.t.Context(), k)
	must(s.t, err)
	s.sendReport(schemas.Report{Executor: g.Executor, Agent: k.Agent, Intent: k.ID, Digest: g.Digest, Grant: at.Pointer(), State: schemas.Done})
}

func (s *sim) reportFalsely(k schemas.Key) {
	s.t.Helper()
	settled, at, err := s.look.settlement(s.t.Context(), k)
	must(s.t, err)
	s.sendReport(schemas.Report{Executor: "run", Agent: k.Agent, Intent: k.ID, Digest: settled.Intent.Digest, Grant: at.Pointer(), State: schemas.Done})
}

func (s *sim) sendReport(r schemas.Report) {
	s.t.Helper()
	s.send(r.Executor, schemas.Write(r, "/sim", s.now(), ""))
}
