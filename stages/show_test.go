package stages

import (
	"slices"
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestShowIsWhole: what others say of an intent hides nothing of what the gate has
// on record.
func TestShowIsWhole(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	parked, refused := s.propose("bot", "sys.big"), s.propose("bot", "sys.never")
	d := s.decision(parked, "ann", schemas.Approve)
	d.Intent = refused.ID
	s.say(d) // about what was never on hold
	s.drain()
	a := Answer{Execute: s.look}
	answer, err := a.show(t.Context(), schemas.Identity{Role: schemas.RolePolicyAdmin}, schemas.Question{Agent: refused.Agent, Intent: refused.ID})
	must(t, err)
	var got []schemas.Stream
	for _, r := range answer.Records {
		got = append(got, r.Stream)
	}
	want := []schemas.Stream{schemas.Intents, schemas.Observed, schemas.Recommended, schemas.Decisions, schemas.Settled, schemas.Rejected}
	if !slices.Equal(got, want) {
		t.Errorf("shown are records of %v, want of %v", got, want)
	}
}
