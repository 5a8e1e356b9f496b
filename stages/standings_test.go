package stages

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// standing is what a reviewer approves in advance who does everything right.
func (s *sim) standing(reviewer, agent schemas.Name, a schemas.Action) schemas.Standing {
	return schemas.Standing{
		ID: schemas.NewIntentID(time.Now()), Reviewer: reviewer, Queue: "desk", Agent: agent, Action: a, When: "params.n > 0",
		Uses: 2, Until: s.now().Add(time.Hour), Reason: "sim", At: s.now(),
	}
}

// giveStanding signs a standing approval, sends it, and lets all processes know.
func (s *sim) giveStanding(g schemas.Standing) schemas.Standing {
	s.t.Helper()
	g, err := g.Sign(s.keys[g.Reviewer])
	must(s.t, err)
	s.tell(g.Reviewer, g)
	return g
}

// revoke lets a reviewer revoke a standing approval.
func (s *sim) revoke(reviewer schemas.Name, g schemas.Standing) {
	s.t.Helper()
	r, err := schemas.Revocation{ID: g.ID, Reviewer: reviewer, Queue: g.Queue, Agent: g.Agent, Reason: "sim", At: s.now()}.Sign(s.keys[reviewer])
	must(s.t, err)
	s.tell(reviewer, r)
}

func (s *sim) tell(reviewer schemas.Name, c schemas.Content) {
	s.t.Helper()
	s.send(reviewer, schemas.Write(c, "/sim", s.now(), ""))
	for _, r := range s.replicas {
		if r != nil {
			s.follow(r, true)
		}
	}
}

// giveSomeStanding lets a reviewer approve in advance, or revoke.
func (s *sim) giveSomeStanding() {
	reviewer := []schemas.Name{"ann", "ann-too", "ben", "cat", "olga"}[s.random.IntN(5)]
	if all := s.copies[schemas.Standings].records; len(all) > 0 && s.random.IntN(3) == 0 {
		var g schemas.Standing
		if schemas.Read(all[s.random.IntN(len(all))], &g) == nil {
			s.revoke(reviewer, g)
		}
		return
	}
	g := s.standing(reviewer, []schemas.Name{"bot", "bit"}[s.random.IntN(2)], []schemas.Action{"sys.big", "sys.two"}[s.random.IntN(2)])
	g.Uses = 1 + s.random.IntN(3)
	s.giveStanding(g)
}

// TestStanding: what a standing approval covers is released without asking anybody,
// as often as it says, and each release names it.
func TestStanding(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	g := s.giveStanding(s.standing("ann", "bot", "sys.big"))
	for range g.Uses {
		k := s.propose("bot", "sys.big")
		s.want(k, schemas.Released, "")
		h, _ := s.held(k)
		if len(h.Votes) != 1 || h.Votes[0].Reviewer != "ann" || !h.Votes[0].InAdvance() {
			t.Errorf("votes on %s: %+v", k, h.Votes)
		}
		must(t, s.claim("run", k))
	}
	s.want(s.propose("bot", "sys.big"), schemas.Parked, "")
	again := s.standing("ann", "bot", "sys.big")
	s.giveStanding(again)
	s.want(s.propose("bot", "sys.big"), schemas.Released, "")
}

// TestStandingCovers: everything that must be so for a standing approval to count.
func TestStandingCovers(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	for name, c := range map[string]struct {
		reviewer schemas.Name
		change   func(*schemas.Standing)
		after    func(*sim, schemas.Standing)
		want     schemas.State
	}{
		"everything right":            {want: schemas.Released},
		"of another reviewer":         {reviewer: "cat", want: schemas.Released},
		"another agent":               {change: func(g *schemas.Standing) { g.Agent = "bit" }, want: schemas.Parked},
		"another action":              {change: func(g *schemas.Standing) { g.Action = "sys.two" }, want: schemas.Parked},
		"its condition does not hold": {change: func(g *schemas.Standing) { g.When = "params.n > 1" }, want: schemas.Parked},
		"its condition fails":         {change: func(g *schemas.Standing) { g.When = "params.m > 1" }, want: schemas.Parked},
		"its condition is none":       {change: func(g *schemas.Standing) { g.When = "params.n" }, want: schemas.Parked},
		"without a condition":         {change: func(g *schemas.Standing) { g.When = "" }, want: schemas.Released},
		"for longer than allowed":     {change: func(g *schemas.Standing) { g.Until = g.At.Add(48 * time.Hour) }, want: schemas.Parked},
		"said to be given later":      {change: func(g *schemas.Standing) { g.At = g.At.Add(90 * time.Hour); g.Until = g.At.Add(time.Hour) }, want: schemas.Parked},
		"more uses than allowed":      {change: func(g *schemas.Standing) { g.Uses = 1000 }, want: schemas.Released},
		"over":                        {after: func(s *sim, _ schemas.Standing) { s.pass(2 * time.Hour) }, want: schemas.Parked},
		"revoked":                     {after: func(s *sim, g schemas.Standing) { s.revoke("ann", g) }, want: schemas.Parked},
		"revoked by another":          {after: func(s *sim, g schemas.Standing) { s.revoke("ben", g) }, want: schemas.Parked},
		"revoked, and given again":    {after: func(s *sim, g schemas.Standing) { s.revoke("ben", g); s.tell("ann", g) }, want: schemas.Parked},
		"its reviewer is gone":        {after: func(s *sim, _ schemas.Standing) { s.remove("ann", true) }, want: schemas.Parked},
		"given before there was the agent": {after: func(s *sim, _ schemas.Standing) {
			s.since = map[schemas.Name]time.Time{"bot": s.now().Add(2 * clockSlack)}
		}, want: schemas.Parked},
		"of whom the agent belongs to":    {reviewer: "olga", want: schemas.Parked},
		"of somebody of another queue":    {reviewer: "far", change: func(g *schemas.Standing) { g.Queue = "attic" }, want: schemas.Parked},
		"under a policy that allows none": {after: func(s *sim, _ schemas.Standing) { s.activate("looser") }, want: schemas.Parked},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			reviewer := c.reviewer
			if reviewer == "" {
				reviewer = "ann"
			}
			g := s.standing(reviewer, "bot", "sys.big")
			if c.change != nil {
				c.change(&g)
			}
			g = s.giveStanding(g)
			if c.after != nil {
				c.after(s, g)
			}
			s.want(s.propose("bot", "sys.big"), c.want, "")
		})
	}
}

// TestStandingIsSigned: one that its reviewer did not sign as it is counts nothing.
func TestStandingIsSigned(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	g, err := s.standing("ann", "bot", "sys.big").Sign(s.keys["ann"])
	must(t, err)
	g.When = ""
	s.tell("ann", g)
	other, err := s.standing("ann", "bot", "sys.big").Sign(s.keys["ben"])
	must(t, err)
	s.tell("ann", other)
	s.want(s.propose("bot", "sys.big"), schemas.Parked, "")
}

// TestStandingQuorum: a standing approval is one vote of one person, for what that
// person is eligible for.
func TestStandingQuorum(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	for name, c := range map[string]struct {
		given []schemas.Name
		then  schemas.Name
		want  schemas.State
	}{
		"two persons":             {[]schemas.Name{"ann", "ben"}, "", schemas.Released},
		"one person":              {[]schemas.Name{"ann"}, "", schemas.Parked},
		"one person twice":        {[]schemas.Name{"ann", "ann-too", "ann"}, "", schemas.Parked},
		"one who is not eligible": {[]schemas.Name{"ann", "cat"}, "", schemas.Parked},
		"one, and one who looked": {[]schemas.Name{"ann"}, "ben", schemas.Released},
		"one who looks again":     {[]schemas.Name{"ann"}, "ann", schemas.Parked},
		"one's other self":        {[]schemas.Name{"ann"}, "ann-too", schemas.Parked},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			for _, reviewer := range c.given {
				s.giveStanding(s.standing(reviewer, "bot", "sys.two"))
			}
			k := s.propose("bot", "sys.two")
			if c.then != "" {
				s.vote(k, c.then, schemas.Approve)
				s.drain()
			}
			s.want(k, c.want, "")
		})
	}
}

// TestStandingAndDeny: who approved in advance may still deny what he sees.
func TestStandingAndDeny(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	s.giveStanding(s.standing("ann", "bot", "sys.two"))
	k := s.propose("bot", "sys.two")
	s.vote(k, "ann", schemas.Deny)
	s.drain()
	s.want(k, schemas.Refused, schemas.CodeDenied)
}

// TestStandingRevokedMeanwhile: revoked at the last moment, it counts no more: not
// for the release, and not for the claim of what was released.
func TestStandingRevokedMeanwhile(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	for name, before := range map[string]string{"before the use is taken": "budgets.", "before the vote is cast": "parked."} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			g := s.giveStanding(s.standing("ann", "bot", "sys.big"))
			k := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
			s.submit(k, "sys.big", `{"n":1}`)
			r := s.recommended()
			s.replicas[0].faults.meanwhile = func(d schemas.Draft) func() {
				_, at, _ := s.look.hold(t.Context(), k)
				if !strings.HasPrefix(d.Subject, before) || at.Seq == 0 {
					return nil // the hold itself comes first
				}
				return func() { s.revoke("ben", g) }
			}
			s.deliver(0, r)
			s.drain()
			s.want(k, schemas.Parked, "")
			s.vote(k, "cat", schemas.Approve)
			s.drain()
			s.want(k, schemas.Released, "")
		})
	}
	t.Run("before the claim", func(t *testing.T) {
		s := newSim(t, a, 1)
		g := s.giveStanding(s.standing("ann", "bot", "sys.big"))
		k := s.propose("bot", "sys.big")
		s.want(k, schemas.Released, "")
		s.revoke("ben", g)
		s.wantErr(s.claim("run", k), schemas.ErrDenied)
		s.later(time.Hour)
		s.want(k, schemas.Lapsed, "")
	})
}

// TestStandingRace races intents for the uses of one standing approval, in two
// processes, with faults and crashes: as many are released as it has uses.
func TestStandingRace(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), rand.Uint64())
	g := s.standing("ann", "bot", "sys.big")
	g.Uses = 20
	s.giveStanding(g)
	var keys []schemas.Key
	p := purse{sim: s}
	for range 60 {
		k := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
		s.submit(k, "sys.big", `{"n":1}`)
		keys = append(keys, k)
		p.work()
	}
	for _, r := range s.replicas {
		r.faults.set(0, none)
	}
	for len(s.inbox) > 0 {
		p.work()
	}
	s.drain()
	released := 0
	for _, k := range keys {
		if now, err := s.look.progress(t.Context(), k); err == nil && now.state() == schemas.Released {
			released++
		}
	}
	if released != g.Uses {
		t.Errorf("%d were released, want %d", released, g.Uses)
	}
}

// standingVoters returns the standing approvals in the trail of a release that were
// not revoked by then. Each must be of an eligible reviewer who signed it, about this.
func (s *sim) standingVoters(v schemas.Settlement) (all []schemas.Standing) {
	s.t.Helper()
	key := v.Intent.Key()
	for _, p := range v.Trail {
		if p.Stream != schemas.Standings {
			continue
		}
		g, err := s.look.standing(s.t.Context(), p)
		must(s.t, err)
		reviewer := s.people[g.Reviewer]
		switch {
		case g.Agent != key.Agent || g.Action != v.Intent.Action || g.VerifySignature(reviewer.Key) != nil:
			s.t.Errorf("%s: released by a standing approval of %s about something else", key, g.Reviewer)
		case reviewer.Principal() == s.people[key.Agent].Principal():
			s.t.Errorf("%s: approved in advance by %s, who owns the agent", key, g.Reviewer)
		case v.Intent.Action == "sys.two" && !slices.Contains(reviewer.Groups, "chiefs"):
			s.t.Errorf("%s: approved in advance by %s, who is not eligible", key, g.Reviewer)
		case s.revokedAt(g.Standing).Before(v.At): // it is in the trail, and counts no more
		case !s.was("without "+string(g.Reviewer), v.At):
			all = append(all, g.Standing)
		}
	}
	return all
}

// revokedAt returns when a standing approval was revoked, or a time that never comes.
func (s *sim) revokedAt(g schemas.Standing) time.Time {
	for _, r := range s.copies[schemas.Standings].records {
		var revoked schemas.Revocation
		if schemas.Read(r, &revoked) == nil && revoked.Key() == g.Key() {
			return revoked.At
		}
	}
	return s.now().Add(1000 * time.Hour)
}

// checkUses: no standing approval releases more than it says.
func (s *sim) checkUses(l ledger) {
	s.t.Helper()
	uses := map[schemas.Key]int{}
	for _, all := range l.settled {
		for _, v := range all {
			if v.Outcome != schemas.Release {
				continue
			}
			for _, g := range s.standingVoters(v) {
				if uses[g.Key()]++; uses[g.Key()] > g.Uses {
					s.t.Errorf("%s released more than its %d uses", g.Key(), g.Uses)
				}
			}
		}
	}
}
