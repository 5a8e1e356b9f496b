package stages

import (
	"errors"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// askRuling asks as a reviewer whether a decision counts. Every look takes a second, so
// that patience ends soon; after the first one, meanwhile is called.
func (s *sim) askRuling(reviewer schemas.Name, p schemas.Pointer, meanwhile func()) (schemas.Ruling, error) {
	s.t.Helper()
	e, times := *s.look, 0
	e.Now = func() time.Time {
		s.pass(time.Second)
		if times++; times == 2 {
			meanwhile()
		}
		return s.now()
	}
	a := Answer{Execute: &e}
	answer, err := a.ruling(s.t.Context(), s.people[reviewer], schemas.Decisions, schemas.Question{Seq: p.Seq})
	if err != nil {
		return schemas.Ruling{}, err
	}
	return *answer.Ruling, nil
}

// TestRulingAsked: a reviewer who asks at once is told what came of the decision, not
// what stood a moment before, and if nothing comes of it now, why.
func TestRulingAsked(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("not handled", func(t *testing.T) {
		s := newSim(t, a, 1)
		p := s.vote(s.propose("bot", "sys.big"), "ann", schemas.Approve)
		if _, err := s.askRuling("ann", p, func() {}); !errors.Is(err, schemas.ErrUnavailable) {
			t.Errorf("got %v, want that it is not known yet", err)
		}
	})
	t.Run("released while it was asked", func(t *testing.T) {
		s := newSim(t, a, 1)
		s.ill = true
		p := s.vote(s.propose("bot", "sys.big"), "ann", schemas.Approve)
		s.drainOnce() // the vote is written, the release is not
		ruling, err := s.askRuling("ann", p, func() {
			s.ill = false
			s.drainOnce()
		})
		if err != nil || !ruling.Counts || ruling.State != schemas.Released {
			t.Errorf("got %+v, %v, want that it counts and releases", ruling, err)
		}
	})
	t.Run("nothing can be released", func(t *testing.T) {
		s := newSim(t, a, 1)
		s.ill = true
		p := s.vote(s.propose("bot", "sys.big"), "ann", schemas.Approve)
		s.drainOnce()
		ruling, err := s.askRuling("ann", p, func() {})
		if err != nil || !ruling.Counts || ruling.State != schemas.Parked || ruling.Waiting != itsRelease {
			t.Errorf("got %+v, %v, want that it counts and that %s is missing", ruling, err, itsRelease)
		}
	})
	t.Run("another approval is missing", func(t *testing.T) {
		s := newSim(t, a, 1)
		p := s.vote(s.propose("bot", "sys.two"), "ann", schemas.Approve)
		s.drain()
		ruling, err := s.askRuling("ann", p, func() {})
		if err != nil || !ruling.Counts || ruling.State != schemas.Parked || ruling.Waiting == "" || ruling.Waiting == itsRelease {
			t.Errorf("got %+v, %v, want that it counts and who else is needed", ruling, err)
		}
	})
}
