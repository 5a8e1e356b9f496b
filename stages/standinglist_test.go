package stages

import (
	"slices"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestStandingList: reviewers see the standing approvals of their queues, the latest
// first, and what became of each, until its time is over.
func TestStandingList(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	used := s.giveStanding(s.standing("ann", "bot", "sys.big"))
	for range used.Uses {
		s.want(s.propose("bot", "sys.big"), schemas.Released, "")
	}
	s.pass(time.Second)
	revoked := s.giveStanding(s.standing("ann", "bit", "sys.big"))
	s.revoke("ben", revoked)
	s.pass(time.Second)
	open := s.giveStanding(s.standing("ben", "bot", "sys.two"))
	want := []schemas.StandingLine{
		{Standing: open}, {Standing: revoked, Revoked: true, By: "ben", Over: true}, {Standing: used, Used: used.Uses, Over: true},
	}
	lists := func(reviewer schemas.Name, q schemas.Question, want ...schemas.StandingLine) {
		t.Helper()
		got := s.ask(reviewer, schemas.AskStanding, q).Standing
		if !slices.EqualFunc(got, want, func(a, b schemas.StandingLine) bool {
			return a.Key() == b.Key() && a.Used == b.Used && a.Revoked == b.Revoked && a.By == b.By && a.Over == b.Over
		}) {
			t.Errorf("%s asks for %+v: got %+v, want %+v", reviewer, q, got, want)
		}
	}
	lists("ann", schemas.Question{}, want...)
	lists("ann", schemas.Question{Limit: 2}, want[:2]...)
	lists("ben", schemas.Question{Agent: "bot"}, want[0], want[2])
	lists("ben", schemas.Question{Intent: revoked.ID}, want[1])
	lists("ben", schemas.Question{Agent: "bit", Intent: revoked.ID}, want[1])
	lists("ben", schemas.Question{Agent: "bot", Intent: revoked.ID})
	lists("far", schemas.Question{})
	s.refuses("bot", schemas.AskStanding, schemas.Question{}, schemas.ErrDenied)
	s.pass(2 * time.Hour)
	lists("ann", schemas.Question{})
}

// TestShowNamesStandingVotes: the story of an intent has the standing approval that
// voted on it, once, and none that did not.
func TestShowNamesStandingVotes(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	g := s.giveStanding(s.standing("ann", "bot", "sys.big"))
	s.giveStanding(s.standing("ben", "bot", "sys.two"))
	k := s.propose("bot", "sys.big")
	s.want(k, schemas.Released, "")
	var given []schemas.Record
	for _, c := range s.ask("ben", schemas.AskShow, schemas.Question{Agent: k.Agent, Intent: k.ID}).Records {
		if c.Stream == schemas.Standings {
			given = append(given, c.Record())
		}
	}
	var shown schemas.Standing
	if len(given) != 1 || schemas.Read(given[0], &shown) != nil || shown.Key() != g.Key() {
		t.Errorf("shown are %v, want %s alone", given, g.Key())
	}
	for _, c := range s.ask("bot", schemas.AskShow, schemas.Question{Agent: k.Agent, Intent: k.ID}).Records {
		if c.Stream != schemas.Intents && c.Stream != schemas.Settled {
			t.Errorf("the agent is shown %s/%d", c.Stream, c.Seq)
		}
	}
}
