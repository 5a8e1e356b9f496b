package rules

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestStandingConditionsAreBounded keeps no more conditions than maxCompiled,
// mistaken ones included.
func TestStandingConditionsAreBounded(t *testing.T) {
	t.Parallel()
	b, err := Load(fstest.MapFS{
		"catalog.yaml": {Data: []byte("version: 1\nsystems: {a: {queue: q, operations: {b: {effect: write, reversible: true}}}}\n")},
		"policy.yaml":  {Data: []byte("version: 1\nstanding:\n  - {id: s, actions: [a.b], uses: 1, for: 1h}\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxCompiled + 100 {
		f := Facts{Intent: schemas.Intent{Action: "a.b", Params: []byte("{}")}}
		if _, yes, err := b.Standing(t.Context(), f, fmt.Sprintf("x%d", i)); yes || err == nil {
			t.Fatalf("%d: got %v, %v, want an error", i, yes, err)
		}
	}
	if n := len(b.conditions.compiled); n > maxCompiled {
		t.Errorf("kept: got %d, want at most %d", n, maxCompiled)
	}
}

// TestStandingConditionsAreShallow refuses, soon, what would take long to check: lists
// in lists, whatever brings their brackets in order.
func TestStandingConditionsAreShallow(t *testing.T) {
	t.Parallel()
	b, err := Load(fstest.MapFS{
		"catalog.yaml": {Data: []byte("version: 1\nsystems: {a: {queue: q, operations: {b: {effect: write, reversible: true, params: {type: object, properties: {n: {type: integer}}}}}}}\n")},
		"policy.yaml":  {Data: []byte("version: 1\nstanding:\n  - {id: s, actions: [a.b], uses: 1, for: 1h}\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	nested := func(open, within, shut string, n int) string {
		return strings.Repeat(open, n) + within + strings.Repeat(shut, n)
	}
	for text, want := range map[string]bool{
		nested("[", "1", "]", 200) + " == []":                   false,
		nested("{1:", "1", "}", 200) + " == {}":                 false,
		nested("[']]]' == '', [", "1", "]]", 30) + " == []":     false,
		nested("type(", "1", ")", 150) + " == type":             false,
		nested("(", "params.n == 1", ")", 100):                  true,
		nested("params.n == 1 || ", "params.n == 2", "", 50):    true,
		"[1, 2].exists(x, [x, 3].all(y, [y].exists(z, z > 2)))": true,
	} {
		_, err := b.CheckStanding("a.b", text, 1, time.Hour)
		if (err == nil) != want || !want && !strings.Contains(err.Error(), "nested more than 40 deep") {
			t.Errorf("%.40s: got %v, want that it is taken: %t", text, err, want)
		}
	}
}
