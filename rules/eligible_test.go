package rules_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

func TestEligible(t *testing.T) {
	t.Parallel()
	var e rules.Eligibility
	ann := rules.Reviewer{Name: "ann-review", Person: "ann", Groups: []string{"finance", "desk"}}
	agent := schemas.AgentFacts{Name: "bot", Owner: "ann", Groups: []string{"night"}}
	for expr, want := range map[string]bool{
		"":                                            true,
		"true":                                        true,
		"'finance' in reviewer.groups":                true,
		"'board' in reviewer.groups":                  false,
		"reviewer.person != agent.owner":              false,
		"!reviewer.service":                           true,
		"reviewer.name == 'ann-review'":               true,
		"action.name == 'shop.refund'":                true,
		"action.system == 'mail'":                     false,
		"action.operation == 'refund'":                true,
		"'night' in agent.groups":                     true,
		"agent.name == 'bot'":                         true,
		"['finance'].exists(g, g in reviewer.groups)": true,
	} {
		for range 2 { // compiled, then remembered
			got, err := e.Eligible(t.Context(), expr, ann, agent, "shop.refund")
			if got != want || err != nil {
				t.Errorf("%q: got %v, %v, want %v", expr, got, err, want)
			}
		}
	}
}

// TestPersonsAlone: an approval can ask for persons, or for programs, and neither
// a name nor a group makes a person of a program.
func TestPersonsAlone(t *testing.T) {
	t.Parallel()
	var e rules.Eligibility
	program := rules.Reviewer{Name: "person", Groups: []string{"persons"}, Service: true}
	person := rules.Reviewer{Name: "ann", Person: "ann"}
	for _, c := range []struct {
		expr            string
		person, program bool
	}{
		{"!reviewer.service", true, false},
		{"reviewer.service", false, true},
		{"", true, true},
	} {
		got, err := e.Eligible(t.Context(), c.expr, person, schemas.AgentFacts{}, "shop.refund")
		if got != c.person || err != nil {
			t.Errorf("%q: a person: got %v, %v, want %v", c.expr, got, err, c.person)
		}
		got, err = e.Eligible(t.Context(), c.expr, program, schemas.AgentFacts{}, "shop.refund")
		if got != c.program || err != nil {
			t.Errorf("%q: a program: got %v, %v, want %v", c.expr, got, err, c.program)
		}
	}
}

// TestNotEligible makes sure that whatever goes wrong makes nobody eligible.
func TestNotEligible(t *testing.T) {
	t.Parallel()
	e := rules.Eligibility{Limits: rules.Limits{Cost: 1000}}
	loop := "[1,2,3,4,5,6,7,8,9,10]"
	for _, expr := range []string{
		" ", "reviewer", "params.x == 1", "exposure.labels == []", "reviewer.name", "goal == ''",
		"reviewer.groups[5] == 'x'", "1 / 0 == 1", "reviewer.", "dyn(1)",
		fmt.Sprintf("%s.all(a, %s.all(b, %s.all(c, a + b + c > 0)))", loop, loop, loop),
		strings.Repeat("(", 3000), strings.Repeat(" ", 1<<20),
	} {
		for range 2 {
			got, err := e.Eligible(t.Context(), expr, rules.Reviewer{Name: "ann"}, schemas.AgentFacts{}, "shop.refund")
			if got || err == nil || len(err.Error()) > 300 {
				t.Errorf("%.60q: got %v, %v, want a short error", expr, got, err)
			}
		}
	}
	if _, err := e.Eligible(t.Context(), "nothing", rules.Reviewer{}, schemas.AgentFacts{}, "a.b"); !errors.Is(err, schemas.ErrInvalid) {
		t.Errorf("an expression that is none: got %v, want ErrInvalid", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := e.Eligible(ctx, "true", rules.Reviewer{}, schemas.AgentFacts{}, "a.b"); got || err == nil {
		t.Errorf("without time: got %v, %v, want an error", got, err)
	}
}

// TestManyEligibilities asks for more expressions than are kept.
func TestManyEligibilities(t *testing.T) {
	t.Parallel()
	e := rules.Eligibility{Limits: rules.Limits{Time: time.Minute}}
	for i := range 1200 {
		expr := fmt.Sprintf("reviewer.name == 'r%d'", i)
		got, err := e.Eligible(t.Context(), expr, rules.Reviewer{Name: schemas.Name(fmt.Sprintf("r%d", i))}, schemas.AgentFacts{}, "a.b")
		if !got || err != nil {
			t.Fatalf("%s: got %v, %v, want true", expr, got, err)
		}
	}
}

// TestLoadedEligible makes sure that what loads as eligible can be evaluated.
func TestLoadedEligible(t *testing.T) {
	t.Parallel()
	b := load(t, `
approvals:
  - {id: a, actions: [shop.refund], quorum: 2, deadline: 4h, remind: 1h, eligible: "
      'finance' in reviewer.groups

      && action.name == 'shop.refund'"}
  - {id: b, actions: [shop.refund], eligible: true}
  - {id: c, actions: [shop.cancel]}
`)
	got := b.Evaluate(t.Context(), rules.Recommend, refund(`{}`)).Approvals
	if len(got) != 2 || got[0].Quorum != 2 || got[0].Deadline != 4*3600 || got[0].Remind != 3600 || got[1].Quorum != 1 {
		t.Fatalf("approvals: got %+v, want a and b", got)
	}
	var e rules.Eligibility
	for _, a := range got {
		yes, err := e.Eligible(t.Context(), a.Eligible, rules.Reviewer{Groups: []string{"finance"}}, schemas.AgentFacts{}, "shop.refund")
		if !yes || err != nil {
			t.Errorf("%s: got %v, %v, want true", a.ID, yes, err)
		}
	}
}
