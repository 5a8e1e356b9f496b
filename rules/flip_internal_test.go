package rules

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/holdpoint/holdpoint/schemas"
	"pgregory.net/rapid"
)

// comparisonsOf draws a condition of nothing but comparisons of one parameter with
// a constant, as flips promise to understand.
func comparisonsOf(t *rapid.T, depth int) string {
	if depth == 0 {
		return rapid.SampledFrom([]string{
			fmt.Sprintf("params.a %s %d", rapid.SampledFrom([]string{"<", "<=", ">", ">=", "==", "!="}).Draw(t, "op"), rapid.IntRange(0, 4).Draw(t, "n")),
			"params.a in [1, 3]", "params.a in data.list", "params.b", "params.c == 'x'", "params.d == 1", "data.limit > params.a",
			"params.?e.orValue(0) > 2", "params.?e.orValue(7) == 7",
		}).Draw(t, "atom")
	}
	connective := rapid.SampledFrom([]string{"%s && %s", "%s || %s", "!(%s) && %s"}).Draw(t, "connective")
	return "(" + fmt.Sprintf(connective, comparisonsOf(t, depth-1), comparisonsOf(t, depth-1)) + ")"
}

func flipPolicy(t *rapid.T) fstest.MapFS {
	policy := "version: 1\nrisk:\n"
	policy += fmt.Sprintf("  - {id: risk, actions: [s.o], add: 50, when: %q}\n", comparisonsOf(t, 1))
	policy += "thresholds:\n  - {park_from: 40, refuse_from: 100}\nrules:\n"
	for i, outcome := range []string{"release", "release", "park", "refuse"} {
		policy += fmt.Sprintf("  - {id: r%d, at: recommend, actions: [s.o], outcome: %s, when: %q}\n", i, outcome, comparisonsOf(t, rapid.IntRange(0, 1).Draw(t, "depth")))
	}
	return fstest.MapFS{
		"catalog.yaml":    {Data: []byte(smallCatalog + "            e: {type: integer, minimum: 0, maximum: 9}\n")},
		"policy.yaml":     {Data: []byte(policy)},
		"data/list.yaml":  {Data: []byte("[0, 2]")},
		"data/limit.yaml": {Data: []byte("3")},
	}
}

// TestFlips compares with trying every value of every parameter: a flip does what
// it says, also as far as it says ≤ or ≥, and where there is none, no change of
// one parameter leads to another outcome. What they look like, TestExplain says.
func TestFlips(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, err := Limits{Time: time.Minute}.Load(flipPolicy(t))
		if err != nil {
			t.Fatalf("loading: %v", err)
		}
		params := map[string]any{}
		if err := json.Unmarshal([]byte(rapid.SampledFrom(everything()).Draw(t, "params")), &params); err != nil {
			t.Fatal(err)
		}
		if e := rapid.IntRange(-1, 9).Draw(t, "e"); e >= 0 {
			params["e"] = float64(e)
		}
		outcome := func(params map[string]any) schemas.Outcome {
			text, _ := json.Marshal(params)
			canonical, _ := schemas.Canonical(text)
			return b.Evaluate(t.Context(), Recommend, Facts{Intent: schemas.Intent{Action: "s.o", Params: canonical}}).Outcome
		}
		text, _ := json.Marshal(params)
		e := b.Explain(t.Context(), Facts{Intent: schemas.Intent{Action: "s.o", Params: jsontext.Value(text)}}, Recommend)
		reached := map[schemas.Outcome]bool{}
		for name, values := range domains {
			for _, value := range values {
				changed := maps.Clone(params)
				changed[name] = value
				reached[outcome(changed)] = true
			}
		}
		delete(reached, e.Opinion.Outcome)
		for _, flip := range e.Flips {
			checkFlip(t, flip, params, outcome)
			if !reached[flip.Outcome] {
				t.Errorf("%s: no change of one parameter does", flip.Text)
			}
			delete(reached, flip.Outcome)
		}
		if len(reached) > 0 {
			t.Errorf("a change of one parameter leads to %v, and there is no flip for it: %+v, params %s", reached, e.Flips, text)
		}
	})
}

// domains are all values of the parameters.
var domains = map[string][]any{
	"a": {0.0, 1.0, 2.0, 3.0, 4.0}, "b": {true, false}, "c": {"x", "y"}, "d": {0.0, 1.0},
	"e": {0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0},
}

// checkFlip makes the change, and every larger one if the flip is a bound.
func checkFlip(t *rapid.T, f Flip, params map[string]any, outcome func(map[string]any) schemas.Outcome) {
	name := f.Param[len("params."):]
	var value any
	if err := json.Unmarshal([]byte(f.Value), &value); err != nil {
		t.Fatalf("%+v: %v", f, err)
	}
	for _, v := range domains[name] {
		applies := v == value
		n, isNumber := v.(float64)
		bound, _ := value.(float64)
		switch {
		case isNumber && f.Text == fmt.Sprintf("%s if %s ≤ %s", participle(f.Outcome), f.Param, f.Value):
			applies = n <= bound
		case isNumber && f.Text == fmt.Sprintf("%s if %s ≥ %s", participle(f.Outcome), f.Param, f.Value):
			applies = n >= bound
		}
		changed := maps.Clone(params)
		changed[name] = v
		if applies && outcome(changed) != f.Outcome {
			t.Errorf("%s: with %v it is %s", f.Text, v, outcome(changed))
		}
	}
}
