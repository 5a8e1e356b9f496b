package stages

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// longAfter lets all processes believe that so much time lies between any two standing
// approvals.
func (s *sim) longAfter(d time.Duration) {
	s.t.Helper()
	for _, p := range s.replicas {
		p.execute.Standings = NewStandings(s.now)
		for i, r := range s.copies[schemas.Standings].records {
			r.Time = r.Time.Add(time.Duration(i) * d)
			must(s.t, p.execute.Standings.Apply(r))
		}
	}
}

// TestStandingUsesAreItsOwn: neither its reviewer, who sends it again, nor another, who
// gives the same id to something else, makes a standing approval have more uses than
// were signed, or fewer.
func TestStandingUsesAreItsOwn(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	for name, again := range map[string]func(*sim, schemas.Standing){
		"sent again": func(s *sim, g schemas.Standing) { s.tell("ann", g) },
		"given again": func(s *sim, g schemas.Standing) {
			g.At = s.now()
			s.giveStanding(g)
		},
		"the same id for another agent": func(s *sim, g schemas.Standing) {
			other := s.standing("cat", "bit", "sys.big")
			other.ID, other.Uses = g.ID, 1
			s.giveStanding(other)
			s.want(s.propose("bit", "sys.big"), schemas.Released, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			g := s.standing("ann", "bot", "sys.big")
			g.Uses = 2
			g = s.giveStanding(g)
			s.want(s.propose("bot", "sys.big"), schemas.Released, "")
			again(s, g)
			s.longAfter(time.Hour)
			s.want(s.propose("bot", "sys.big"), schemas.Released, "")
			s.want(s.propose("bot", "sys.big"), schemas.Parked, "")
		})
	}
}

// TestStandingFlood: whoever writes very many standing approvals takes nobody else's
// away, nor ever more memory.
func TestStandingFlood(t *testing.T) {
	t.Parallel()
	s := NewStandings(time.Now)
	now, seq := time.Now(), uint64(0)
	apply := func(reviewer, agent schemas.Name, life time.Duration, late time.Duration) {
		g := schemas.Standing{
			ID: schemas.NewIntentID(now), Reviewer: reviewer, Queue: "desk", Agent: agent, Action: "sys.big",
			Uses: 1, At: now.Add(late), Until: now.Add(late + life), Reason: "sim",
		}
		seq++
		d := schemas.Write(g, "/sim", now, "")
		must(t, s.Apply(schemas.Record{Stream: schemas.Standings, Seq: seq, Time: now, Subject: d.Subject, Header: d.Header, Body: d.Body}))
	}
	apply("ann", "bot", time.Hour, 0)
	for i := range 3 * mostOfReviewer {
		apply("mal", schemas.Name(fmt.Sprintf("bot-%d", i%2*i)), time.Hour, 0)
		apply("mal", "bot", 24*time.Hour, 1000*time.Hour)
	}
	kept := 0
	for _, all := range s.byReviewer {
		kept += len(all)
	}
	if kept > mostOfReviewer+1 {
		t.Errorf("%d are kept, want at most %d of each reviewer", kept, mostOfReviewer)
	}
	found := s.about(schemas.Intent{Agent: "bot", Action: "sys.big"}, "desk", now)
	if len(found) != 1 || found[0].Reviewer != "ann" {
		t.Errorf("about bot: got %d, want the one of ann", len(found))
	}
	if none := (*Standings)(nil).about(schemas.Intent{}, "desk", now); none != nil {
		t.Errorf("without any: got %v", none)
	}
}
