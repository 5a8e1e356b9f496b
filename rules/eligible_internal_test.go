package rules

import (
	"fmt"
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestEligibilityIsBounded keeps no more expressions than maxCompiled, mistaken
// ones included.
func TestEligibilityIsBounded(t *testing.T) {
	t.Parallel()
	var e Eligibility
	for i := range maxCompiled + 100 {
		expr := fmt.Sprintf("x%d", i)
		if yes, err := e.Eligible(t.Context(), expr, Reviewer{}, schemas.AgentFacts{}, "a.b"); yes || err == nil {
			t.Fatalf("%s: got %v, %v, want an error", expr, yes, err)
		}
	}
	if n := len(e.compiled); n > maxCompiled {
		t.Errorf("kept: got %d, want at most %d", n, maxCompiled)
	}
}
