package stages

import (
	"errors"
	"slices"
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestCatalogOfAnAgent: an agent is told of the actions that it may propose, and of no
// others; everybody else of all.
func TestCatalogOfAnAgent(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	a := Answer{Execute: s.look}
	asked := func(asker schemas.Identity, one schemas.Action) ([]schemas.Action, error) {
		answer, err := a.catalog(t.Context(), asker, schemas.Question{Action: one})
		if err != nil {
			return nil, err
		}
		var names []schemas.Action
		for _, e := range answer.Catalog.Actions {
			names = append(names, e.Action)
		}
		return names, nil
	}
	all, err := asked(schemas.Identity{Role: schemas.RoleReviewer}, "")
	must(t, err)
	narrow := schemas.Identity{Role: schemas.RoleAgent, Actions: []string{"sys.small"}}
	got, err := asked(narrow, "")
	must(t, err)
	if !slices.Equal(got, []schemas.Action{"sys.small"}) || len(all) < 3 {
		t.Errorf("the agent is told of %v, everybody else of %v", got, all)
	}
	if got, err := asked(narrow, "sys.small"); err != nil || len(got) != 1 {
		t.Errorf("asked for its own: %v, %v", got, err)
	}
	if got, err := asked(narrow, "sys.big"); !errors.Is(err, schemas.ErrNotFound) {
		t.Errorf("asked for another: %v, %v, want an ErrNotFound", got, err)
	}
	if got, err := asked(schemas.Identity{Role: schemas.RoleAgent}, ""); err != nil || !slices.Equal(got, all) {
		t.Errorf("an agent without bounds is told of %v, %v, want %v", got, err, all)
	}
}
