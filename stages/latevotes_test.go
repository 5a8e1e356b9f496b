package stages

import (
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestLateVotes: a denial that comes between the release and the closing of its hold
// is too late, and its reviewer is told so.
func TestLateVotes(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("before it is looked at", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.big")
		approval := s.vote(k, "ann", schemas.Approve)
		s.replicas[0].faults.set(1, died) // the settlement, after the vote
		s.drainOnce()
		if h, _ := s.held(k); h.State != schemas.Parked {
			t.Fatalf("the hold is %s already", h.State)
		}
		denial := s.vote(k, "ben", schemas.Deny)
		s.collect()
		for _, r := range s.inbox {
			if r.Pointer() == denial {
				s.deliver(1, r)
			}
		}
		s.wantRuling(denial, schemas.CodeSettled)
		s.revive()
		s.drain()
		s.wantRuling(denial, schemas.CodeSettled)
		s.wantRuling(approval, "")
		s.want(k, schemas.Released, "")
		if h, _ := s.held(k); h.State != schemas.Released || len(h.Votes) != 1 {
			t.Errorf("the hold is %s with %d votes, want it released with one", h.State, len(h.Votes))
		}
	})
	t.Run("while it is written", func(t *testing.T) {
		s := newSim(t, a, 1)
		s.ill = true
		k := s.propose("bot", "sys.big")
		approval := s.vote(k, "ann", schemas.Approve)
		s.drainOnce() // the vote is written, the release is not
		denial := s.vote(k, "ben", schemas.Deny)
		s.meanwhile("parked.", func() {
			s.ill = false
			s.replicas[1].faults.set(0, died) // the settlement
			h, at := s.held(k)
			s.guarded(1, func(p *replica) error { return p.execute.carryOn(t.Context(), h, at) })
		})
		s.collect()
		for _, r := range s.inbox {
			if r.Pointer() == denial {
				s.deliver(0, r)
			}
		}
		s.revive()
		s.drain()
		s.want(k, schemas.Released, "")
		for p, want := range map[schemas.Pointer]schemas.Code{approval: "", denial: schemas.CodeSettled} {
			ruling, err := s.askRuling(map[bool]schemas.Name{true: "ann", false: "ben"}[p == approval], p, func() {})
			if err != nil || ruling.Counts != (want == "") || ruling.Code != want {
				t.Errorf("told %+v, %v, want %q", ruling, err, want)
			}
		}
	})
}

// TestSettledStands: what was settled before its process ended is closed as that when
// the vote comes again, though the vote would not do any more.
func TestSettledStands(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bot", "sys.big")
	s.vote(k, "ann", schemas.Approve)
	s.replicas[0].faults.set(2, crashed) // the vote and the verdict are written, the end of the hold is not
	s.drainOnce()
	if s.replicas[0] != nil {
		t.Fatal("there was no third write")
	}
	s.revive()
	s.remove("ann", true)
	s.drainOnce()
	if h, _ := s.held(k); h.State != schemas.Released {
		t.Errorf("the hold is %s, want released", h.State)
	}
}
