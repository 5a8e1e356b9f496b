package rules

import (
	"fmt"
	"testing"
	"testing/fstest"

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
