package rules

import (
	"fmt"
	"testing"
	"testing/fstest"

	"cel.dev/cel-go/common/types"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/holdpoint/holdpoint/schemas"
	"pgregory.net/rapid"
)

const smallCatalog = `version: 1
systems:
  s:
    queue: q
    operations:
      o:
        effect: write
        params:
          type: object
          additionalProperties: false
          required: [a, b, c, d]
          properties:
            a: {type: integer, minimum: 0, maximum: 4}
            b: {type: boolean}
            c: {enum: [x, y]}
            d: {type: integer, minimum: 0, maximum: 1}
`

// conditionOf draws a condition over parameters of which there are few.
func conditionOf(t *rapid.T, depth int) string {
	if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
		return rapid.SampledFrom([]string{
			fmt.Sprintf("params.a %s %d", rapid.SampledFrom([]string{"<", "<=", ">", ">=", "==", "!="}).Draw(t, "op"), rapid.IntRange(-1, 5).Draw(t, "n")),
			fmt.Sprintf("%d.5 < params.a", rapid.IntRange(-1, 4).Draw(t, "n")),
			"params.a in [1, 3]", "params.a in data.list", "params.b", "params.b == false", "params.c == 'x'", "params.c != 'z'",
			"params.c in ['x']", "params.a == params.d", "params.a + params.d > 3", "data.limit > params.a", "true", "false",
		}).Draw(t, "atom")
	}
	a, b := conditionOf(t, depth-1), conditionOf(t, depth-1)
	switch rapid.IntRange(0, 3).Draw(t, "connective") {
	case 0:
		return "(" + a + " && " + b + ")"
	case 1:
		return "(" + a + " || " + b + ")"
	case 2:
		return "!(" + a + ")"
	default:
		return "(" + a + " ? " + b + " : " + conditionOf(t, depth-1) + ")"
	}
}

// programsOf compiles conditions.
func programsOf(t interface{ Fatalf(string, ...any) }, conditions ...string) (*Bundle, []*program) {
	policy := "version: 1\nrules:\n"
	for i, when := range conditions {
		policy += fmt.Sprintf("  - {id: r%d, at: recommend, actions: [s.o], outcome: release, when: %q}\n", i, when)
	}
	b, err := Load(fstest.MapFS{
		"catalog.yaml":    {Data: []byte(smallCatalog)},
		"policy.yaml":     {Data: []byte(policy)},
		"data/list.yaml":  {Data: []byte("[0, 2]")},
		"data/limit.yaml": {Data: []byte("3")},
	})
	if err != nil {
		t.Fatalf("loading %q: %v", conditions, err)
	}
	var programs []*program
	for _, r := range b.plans["s.o"].recommend {
		programs = append(programs, r.when)
	}
	return b, programs
}

// TestPossible compares with trying all parameters: what is said not to be
// possible never is. What must be found not to be, TestImpossible lists.
func TestPossible(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, programs := programsOf(t, conditionOf(t, 3), conditionOf(t, 2))
		first, second := rapid.Bool().Draw(t, "first"), rapid.Bool().Draw(t, "second")
		if possible(claimOf(programs[0], first), claimOf(programs[1], second)) {
			return
		}
		for _, params := range everything() {
			if truthOf(t, b, programs[0], params) == first && truthOf(t, b, programs[1], params) == second {
				t.Fatalf("said to be impossible, and holds for %s", params)
			}
		}
	})
}

func everything() []string {
	var all []string
	for a := range 5 {
		for i := range 8 {
			all = append(all, fmt.Sprintf(`{"a":%d,"b":%t,"c":%q,"d":%d}`, a, i&1 == 0, "xy"[i>>1&1:][:1], i>>2))
		}
	}
	return all
}

func truthOf(t *rapid.T, b *Bundle, p *program, params string) bool {
	f := Facts{Intent: schemas.Intent{Action: "s.o", Params: jsontext.Value(params)}}
	plan := b.plans["s.o"]
	v, err := p.run(t.Context(), &activation{Facts: f, env: b.env, action: plan.value, data: b.data, shape: plan.variant.shape})
	if err != nil {
		t.Fatalf("running: %v", err)
	}
	return v == types.True
}

// TestImpossible lists what must be found out.
func TestImpossible(t *testing.T) {
	t.Parallel()
	for _, when := range []string{
		"params.a > 4", "params.a < 0", "params.a > 1 && params.a < 2", "params.a == 1 && params.a == 2", "params.a in [1, 3] && params.a in data.list",
		"params.b && !params.b", "params.b == false && params.b", "params.c == 'z'", "params.c != 'x' && params.c != 'y'",
		"!(params.a >= 0 || params.b)", "(params.b ? params.a > 3 : params.a > 2) && params.a < 2", "params.a > data.limit && data.limit > params.a",
		"size(session) > 3 && !(size(session) > 3)", "params.a == 2 && !(params.a in data.list)", "risk < 0", "2 < params.a && 3 > params.a",
	} {
		_, programs := programsOf(t, when)
		if possible(claimOf(programs[0], true)) {
			t.Errorf("%s: said to be possible", when)
		}
	}
}
