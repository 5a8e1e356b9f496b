package stages

import (
	"context"
	"slices"
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
	writes []schemas.Stream        // where act writes, in this order: the record before what follows from it
	want   schemas.State
	check  func(*testing.T, *sim, schemas.Key, ledger)
}

// scenarios cover every write of the stages, on every way that leads to it.
func scenarios() []scenario {
	all := append(paths(), decisions()...)
	all = append(all, endings()...)
	all = append(all, duplicates()...)
	return append(all, refusedMessages()...)
}

func arrive(s *sim, _ schemas.Key)  { s.drainOnce() }
func arrived(s *sim, _ schemas.Key) { s.drain() }
func due(s *sim, _ schemas.Key)     { s.tick() }

// says lets a reviewer decide on what is parked by then.
func says(reviewer schemas.Name, v schemas.Verdict, then ...func(*sim)) func(*sim, schemas.Key) {
	return func(s *sim, k schemas.Key) {
		s.drain()
		s.vote(k, reviewer, v)
		for _, do := range then {
			do(s)
		}
	}
}

func taken(s *sim, k schemas.Key) { s.drain(); s.tryClaim(0, "run", k, "nonce") }

// over lets somebody have claimed, and his lease end.
func over(s *sim, k schemas.Key) { taken(s, k); s.pass(2 * time.Minute) }

func doubtful(s *sim, k schemas.Key) { over(s, k); s.tick() }

// retrying lets a reviewer say that what is in doubt is to be tried again.
func retrying(s *sim, k schemas.Key) { doubtful(s, k); s.vote(k, "ann", schemas.Retry); s.drain() }

func paths() []scenario {
	observed, recommended, parked, settled := schemas.Observed, schemas.Recommended, schemas.ParkedHolds, schemas.Settled
	type streams = []schemas.Stream
	frozen := func(s *sim, _ schemas.Key) { s.freezeBot() }
	thawed := func(s *sim, _ schemas.Key) { s.freezeBot(); s.drain(); s.thaw() }
	return []scenario{
		{name: "release by the rules", action: "sys.small", act: arrive, writes: streams{observed, recommended, settled}, want: schemas.Released},
		{name: "release that exposes", action: "sys.read", before: func(s *sim, _ schemas.Key) { s.forgetExposure("bot") }, act: arrive,
			writes: streams{observed, recommended, schemas.Exposed, settled}, want: schemas.Released, check: exposedOnce},
		{name: "release that takes of a budget", action: "sys.paid", act: arrive,
			writes: streams{observed, recommended, schemas.Budgets, settled}, want: schemas.Released, check: reservedOnce("purse", "")},
		{name: "end of a hold that a process had settled when it ended", action: "sys.big",
			before: says("ann", schemas.Approve, func(s *sim) { s.replicas[0].faults.set(2, crashed); s.drainOnce(); s.revive() }),
			act:    arrive, writes: streams{parked}, want: schemas.Released},
		{name: "release of what goes beyond a budget", action: "sys.over", before: says("ann", schemas.Approve), act: arrive,
			writes: streams{parked, schemas.Budgets, settled, parked}, want: schemas.Released, check: reservedOnce("nothing", "bot")},
		{name: "release by a standing approval", action: "sys.big", before: givenBy("ann"), act: arrive,
			writes: streams{observed, recommended, parked, schemas.Budgets, parked, settled, parked}, want: schemas.Released, check: usedOnce},
		{name: "release by a standing approval, begun by a process that ended", action: "sys.big", before: func(s *sim, k schemas.Key) {
			givenBy("ann")(s, k)
			s.replicas[0].faults.set(3, crashed)
			s.drainOnce()
			s.revive()
		}, act: arrive, writes: streams{schemas.Budgets, parked, settled, parked}, want: schemas.Released, check: usedOnce},
		{name: "half of what is needed by a standing approval", action: "sys.two", before: givenBy("ben"), act: arrive,
			writes: streams{observed, recommended, parked, schemas.Budgets, parked}, want: schemas.Parked},
		{name: "grant under a budget that is new", action: "sys.small", before: func(s *sim, _ schemas.Key) { s.drain(); s.activate("budgeted") },
			act: func(s *sim, k schemas.Key) { s.claimOnce(k) }, writes: streams{schemas.Budgets, schemas.Grants}, want: schemas.Granted, check: reservedOnce("small", "")},
		{name: "refusal by the rules", action: "sys.never", act: arrive, writes: streams{observed, recommended, settled}, want: schemas.Refused},
		{name: "unknown action", action: "sys.unknown", act: arrive, writes: streams{observed, recommended, settled}, want: schemas.Refused},
		{name: "expired on the way", action: "sys.small", before: func(s *sim, _ schemas.Key) { s.pass(80 * time.Hour) }, act: arrive,
			writes: streams{observed, recommended, settled}, want: schemas.Refused},
		{name: "too many open", action: "sys.big", before: func(s *sim, _ schemas.Key) { s.limit(0) }, act: arrive,
			writes: streams{observed, recommended, settled}, want: schemas.Refused},
		{name: "a hold that can never be written", action: "sys.big", before: func(s *sim, _ schemas.Key) { s.never = "parked." }, act: arrive,
			writes: streams{observed, recommended, settled}, want: schemas.Refused},
		{name: "park", action: "sys.big", act: arrive, writes: streams{observed, recommended, parked}, want: schemas.Parked},
		{name: "withdrawal", action: "sys.big", before: func(s *sim, k schemas.Key) { s.drain(); s.withdraw(k) }, act: arrive,
			writes: streams{observed, recommended, settled, parked, settled}, want: schemas.Refused},
		{name: "withdrawal, too late", action: "sys.small", before: func(s *sim, k schemas.Key) { s.drain(); s.withdraw(k) }, act: arrive,
			writes: streams{observed, recommended, settled}, want: schemas.Released},
		{name: "withdrawal of nonsense", action: "sys.small", before: func(s *sim, k schemas.Key) {
			s.drain()
			s.submit(schemas.Key{Agent: k.Agent, ID: schemas.NewIntentID(time.Now())}, schemas.Withdraw, `{"id":"nonsense"}`)
		}, act: arrive, writes: streams{observed, recommended, settled}, want: schemas.Released},
		{name: "withdrawal of nonsense that observe let pass", action: "sys.small", before: func(s *sim, k schemas.Key) {
			s.drain()
			s.submit(schemas.Key{Agent: k.Agent, ID: schemas.NewIntentID(time.Now())}, schemas.Withdraw, `{"id":"nonsense"}`)
			s.recommendAnyway(s.recommended())
		}, act: arrive, writes: streams{settled}, want: schemas.Released},
		{name: "wait for a thaw", action: "sys.small", before: frozen, act: arrive, writes: streams{observed, recommended, parked}, want: schemas.Parked},
		{name: "thaw", action: "sys.small", before: thawed, act: due, writes: streams{settled, parked}, want: schemas.Released},
		{name: "thaw, and its release exposes", action: "sys.read", before: func(s *sim, k schemas.Key) { s.forgetExposure("bot"); thawed(s, k) }, act: due,
			writes: streams{schemas.Exposed, settled, parked}, want: schemas.Released, check: exposedOnce},
		{name: "expiry", action: "sys.big", before: func(s *sim, _ schemas.Key) { s.drain(); s.pass(80 * time.Hour) }, act: due,
			writes: streams{settled, parked}, want: schemas.Refused},
	}
}

func decisions() []scenario {
	parked, settled := schemas.ParkedHolds, schemas.Settled
	type streams = []schemas.Stream
	activate := func(bundle string) func(*sim) { return func(s *sim) { s.activate(bundle) } }
	return []scenario{
		{name: "approval", action: "sys.big", before: says("ann", schemas.Approve), act: arrive, writes: streams{parked, settled, parked}, want: schemas.Released},
		{name: "approval, whose vote was written before", action: "sys.big", before: func(s *sim, k schemas.Key) {
			says("ann", schemas.Approve)(s, k)
			s.replicas[0].faults.set(1, lost)
			s.drainAt(0)
			s.inbox = append(s.inbox, s.last(schemas.Decisions))
		}, act: arrive, writes: streams{settled, parked}, want: schemas.Released},
		{name: "first of two approvals", action: "sys.two", before: says("ann", schemas.Approve), act: arrive, writes: streams{parked}, want: schemas.Parked},
		{name: "denial", action: "sys.big", before: says("ann", schemas.Deny), act: arrive, writes: streams{parked, settled, parked}, want: schemas.Refused},
		{name: "approval, and the rules refuse now", action: "sys.two", before: func(s *sim, k schemas.Key) {
			s.activate("looser")
			says("ann", schemas.Approve, activate("refusing"))(s, k)
		}, act: arrive, writes: streams{parked, settled, parked}, want: schemas.Refused},
		{name: "approval, and the action is gone", action: "sys.big", before: says("ann", schemas.Approve, activate("narrow")), act: arrive,
			writes: streams{parked, settled, parked}, want: schemas.Refused},
		{name: "approval, and more are needed now", action: "sys.two", before: func(s *sim, k schemas.Key) {
			s.activate("looser")
			says("ann", schemas.Approve, activate("bundle"))(s, k)
		}, act: arrive, writes: streams{parked, parked}, want: schemas.Parked},
		{name: "approval, and it is frozen", action: "sys.big", before: says("ann", schemas.Approve, (*sim).freezeBot), act: arrive,
			writes: streams{parked, parked}, want: schemas.Parked},
		{name: "approval, and the agent was removed", action: "sys.big", before: says("ann", schemas.Approve, func(s *sim) { s.remove("bot", true) }), act: arrive,
			writes: streams{settled, parked, schemas.Rejected}, want: schemas.Refused, check: rejectedOnce},
		{name: "approval, too late", action: "sys.big", before: says("ann", schemas.Approve, func(s *sim) { s.pass(80 * time.Hour) }), act: arrive,
			writes: streams{settled, parked, schemas.Rejected}, want: schemas.Refused, check: rejectedOnce},
		{name: "approval that does not count", action: "sys.big", before: says("olga", schemas.Approve), act: arrive,
			writes: streams{schemas.Rejected}, want: schemas.Parked, check: rejectedOnce},
		{name: "decision on nothing", action: "sys.big", before: func(s *sim, _ schemas.Key) {
			s.drain()
			s.send("ann", schemas.Draft{Subject: "decisions.ann.desk.bot.nothing", Body: []byte(`{}`)})
		}, act: arrive, writes: streams{schemas.Rejected}, want: schemas.Parked, check: rejectedOnce},
	}
}

func endings() []scenario {
	parked, grants := schemas.ParkedHolds, schemas.Grants
	type streams = []schemas.Stream
	return []scenario{
		{name: "claim", action: "sys.small", before: arrived, act: (*sim).claimOnce, writes: streams{grants}, want: schemas.Granted, check: grantedOnce},
		{name: "claim again", action: "sys.again", before: over, act: (*sim).claimOnce, writes: streams{grants}, want: schemas.Granted},
		{name: "claim to try again", action: "sys.small", before: retrying, act: (*sim).claimOnce, writes: streams{grants}, want: schemas.Granted},
		{name: "lapse", action: "sys.small", before: func(s *sim, _ schemas.Key) { s.drain(); s.pass(time.Hour) }, act: due, writes: streams{grants}, want: schemas.Lapsed},
		{name: "lapse of a retry", action: "sys.small", before: func(s *sim, k schemas.Key) { retrying(s, k); s.pass(time.Hour) }, act: due, writes: streams{grants}, want: schemas.Lapsed},
		{name: "no lapse of a retry that was reported", action: "sys.small", before: func(s *sim, k schemas.Key) {
			retrying(s, k)
			s.reportOn(k)
			s.pass(time.Hour)
		}, act: due, writes: streams{parked}, want: schemas.Done},
		{name: "doubt", action: "sys.small", before: over, act: due, writes: streams{parked}, want: schemas.InDoubt},
		{name: "doubt after an approval", action: "sys.big", before: func(s *sim, k schemas.Key) { says("ann", schemas.Approve)(s, k); over(s, k) }, act: due,
			writes: streams{parked}, want: schemas.InDoubt},
		{name: "doubt that a report came just before", action: "sys.small", before: func(s *sim, k schemas.Key) {
			over(s, k)
			s.meanwhile("parked.", func() { s.reportOn(k); s.drainAt(1) })
			s.tick()
			s.pass(lookSoon)
		}, act: due, writes: streams{parked}, want: schemas.Done},
		{name: "word that it was done", action: "sys.small", before: func(s *sim, k schemas.Key) { doubtful(s, k); s.vote(k, "ann", schemas.WasDone) }, act: arrive,
			writes: streams{parked}, want: schemas.Done},
		{name: "word to retry", action: "sys.small", before: func(s *sim, k schemas.Key) { doubtful(s, k); s.vote(k, "ann", schemas.Retry) }, act: arrive,
			writes: streams{parked}, want: schemas.Released},
		{name: "report", action: "sys.small", before: func(s *sim, k schemas.Key) { taken(s, k); s.reportOn(k) }, act: arrive, want: schemas.Done},
		{name: "late report", action: "sys.small", before: func(s *sim, k schemas.Key) { doubtful(s, k); s.reportOn(k) }, act: arrive,
			writes: streams{parked}, want: schemas.Done},
		{name: "report without a grant", action: "sys.small", before: func(s *sim, k schemas.Key) { s.drain(); s.reportFalsely(k) }, act: arrive,
			writes: streams{schemas.Rejected}, want: schemas.Released, check: rejectedOnce},
		{name: "report on nothing", action: "sys.small", before: func(s *sim, _ schemas.Key) {
			s.drain()
			s.send("run", schemas.Draft{Subject: "outcomes.run.bot.nothing", Body: []byte(`{}`)})
		}, act: arrive, writes: streams{schemas.Rejected}, want: schemas.Released, check: rejectedOnce},
	}
}

// duplicates are what becomes of an id that its agent uses twice.
func duplicates() []scenario {
	observed, recommended, parked, settled := schemas.Observed, schemas.Recommended, schemas.ParkedHolds, schemas.Settled
	type streams = []schemas.Stream
	second := func(a schemas.Action) func(*sim, schemas.Key) {
		return func(s *sim, k schemas.Key) { s.drain(); s.submit(k, a, `{"n":2}`) }
	}
	// raced parks one while the other is released.
	raced := func(s *sim, k schemas.Key) {
		big := s.recommended()
		s.submit(k, "sys.small", `{"n":2}`)
		small := s.recommended()
		s.meanwhile("parked.", func() { s.deliver(1, small) })
		s.deliver(0, big)
	}
	return []scenario{
		{name: "one released, one to release", action: "sys.small", before: second("sys.small"), act: arrive,
			writes: streams{observed, recommended, settled}, want: schemas.Released, check: duplicateOnce},
		{name: "one released, one to park", action: "sys.small", before: second("sys.big"), act: arrive,
			writes: streams{observed, recommended, settled}, want: schemas.Released, check: duplicateOnce},
		{name: "one parked, one to release", action: "sys.big", before: second("sys.small"), act: arrive,
			writes: streams{observed, recommended, settled}, want: schemas.Parked, check: duplicateOnce},
		{name: "one parked, one to park", action: "sys.big", before: second("sys.big"), act: arrive,
			writes: streams{observed, recommended, settled}, want: schemas.Parked, check: duplicateOnce},
		{name: "both at once", action: "sys.big", before: func(s *sim, k schemas.Key) { raced(s, k); s.tick(); s.pass(lookSoon) }, act: due,
			writes: streams{settled, parked}, want: schemas.Released, check: duplicateOnce},
		{name: "both at once, and one is approved", action: "sys.big", before: func(s *sim, k schemas.Key) { raced(s, k); s.vote(k, "ann", schemas.Approve) }, act: arrive,
			writes: streams{settled, parked, schemas.Rejected}, want: schemas.Released, check: duplicateOnce},
		{name: "both at once, and one is in doubt", action: "sys.big", before: func(s *sim, k schemas.Key) { raced(s, k); over(s, k) },
			act: func(s *sim, k schemas.Key) {
				s.asked(0, func(p *replica) error {
					s.follow(p, true)
					return p.execute.lookAtWork(context.Background(), k)
				})
			},
			writes: streams{settled, parked, parked}, want: schemas.InDoubt, check: duplicateOnce},
	}
}

// refusedMessages are what is written of a message on which a stage panicked.
func refusedMessages() []scenario {
	observed, recommended, settled := schemas.Observed, schemas.Recommended, schemas.Settled
	type streams = []schemas.Stream
	refuse := func(stream schemas.Stream) func(*sim, schemas.Key) {
		return func(s *sim, _ schemas.Key) { s.refuseOnce(stream) }
	}
	return []scenario{
		{name: "panic of observe", action: "sys.small", act: refuse(schemas.Intents), writes: streams{observed, recommended, settled}, want: schemas.Refused},
		{name: "panic of recommend", action: "sys.small", act: refuse(schemas.Observed), writes: streams{observed, recommended, settled}, want: schemas.Refused},
		{name: "panic of execute", action: "sys.small", act: refuse(schemas.Recommended), writes: streams{observed, recommended, settled}, want: schemas.Refused},
		{name: "panic on a decision", action: "sys.big", before: says("ann", schemas.Approve), act: refuse(schemas.Decisions),
			writes: streams{schemas.Rejected}, want: schemas.Parked, check: rejectedOnce},
		{name: "panic on a decision on nothing", action: "sys.small", before: func(s *sim, _ schemas.Key) {
			s.drain()
			s.send("ann", schemas.Draft{Subject: "decisions.ann.desk.bot.nothing", Body: []byte(`{}`)})
		}, act: refuse(schemas.Decisions), writes: streams{schemas.Rejected}, want: schemas.Released, check: rejectedOnce},
		{name: "panic on a report", action: "sys.small", before: func(s *sim, k schemas.Key) { s.drain(); s.reportFalsely(k) }, act: refuse(schemas.Outcomes),
			writes: streams{schemas.Rejected}, want: schemas.Released, check: rejectedOnce},
		{name: "panic on a report on nothing", action: "sys.small", before: func(s *sim, _ schemas.Key) {
			s.drain()
			s.send("run", schemas.Draft{Subject: "outcomes.run.bot.nothing", Body: []byte(`{}`)})
		}, act: refuse(schemas.Outcomes), writes: streams{schemas.Rejected}, want: schemas.Released, check: rejectedOnce},
	}
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

func duplicateOnce(t *testing.T, _ *sim, _ schemas.Key, l ledger) {
	t.Helper()
	n := 0
	for _, all := range l.settled {
		for _, v := range all {
			if v.Code == schemas.CodeDuplicateID {
				n++
			}
		}
	}
	if n != 1 {
		t.Errorf("%d refusals as a duplicate, want 1", n)
	}
}

// givenBy lets a reviewer approve in advance what bot asks for.
func givenBy(reviewer schemas.Name) func(*sim, schemas.Key) {
	return func(s *sim, k schemas.Key) {
		in, _ := schemas.ReadIntent(schemas.Name(simTenant), s.last(schemas.Intents))
		s.giveStanding(s.standing(reviewer, k.Agent, in.Action))
	}
}

// usedOnce makes sure that the release names the standing approval that the hold
// counts, and that it took one of its uses.
func usedOnce(t *testing.T, s *sim, k schemas.Key, l ledger) {
	t.Helper()
	h, _ := s.held(k)
	trail := l.settled[k][0].Trail
	if len(h.Votes) != 1 || !h.Votes[0].InAdvance() || !slices.Contains(trail, h.Votes[0].Decision) {
		t.Errorf("votes %v, and the release names %v", h.Votes, trail)
		return
	}
	g, err := s.look.standing(t.Context(), h.Votes[0].Decision)
	must(t, err)
	b, _, err := s.look.budget(t.Context(), g.Account().Subject())
	must(t, err)
	if len(b.Reserved) != 1 || b.Reserved[0].Key() != k {
		t.Errorf("uses: got %+v, want one of %s", b.Reserved, k)
	}
}

// reservedOnce makes sure that an intent has one share of a budget, which its
// release or its grant names.
func reservedOnce(budget, key string) func(*testing.T, *sim, schemas.Key, ledger) {
	return func(t *testing.T, s *sim, k schemas.Key, l ledger) {
		t.Helper()
		b, _, err := s.look.budget(t.Context(), schemas.Budget{Budget: budget, Key: key}.Subject())
		must(t, err)
		shares := 0
		for _, r := range b.Reserved {
			if r.Key() == k {
				shares++
			}
		}
		named := slices.Clone(l.settled[k][0].Trail)
		for _, g := range l.grants[k] {
			named = append(named, g.Trail...)
		}
		if shares != 1 || !slices.ContainsFunc(named, func(p schemas.Pointer) bool { return p.Stream == schemas.Budgets }) {
			t.Errorf("%s has %d shares of %s, want one that is named in %v", k, shares, budget, named)
		}
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
