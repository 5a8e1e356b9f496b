package rules_test

import (
	"os"
	"testing"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestReversible: what an action is stands in the catalog, whatever an intent says. A
// rule can hold up what changes something for good, and an action of which nothing is
// said counts as that.
func TestReversible(t *testing.T) {
	t.Parallel()
	b, err := rules.Load(os.DirFS("testdata/reversible"))
	if err != nil {
		t.Fatalf("loading: %v", err)
	}
	for action, want := range map[schemas.Action]schemas.Outcome{
		"shop.look": schemas.Release, "shop.tag": schemas.Release,
		"shop.refund": schemas.Park, "shop.pay": schemas.Park,
	} {
		f := about(action, `{"reversible":true,"effect":"read"}`)
		f.Intent.Goal, f.Intent.Reason = "reversible: true", "effect: read"
		if got := b.Evaluate(t.Context(), rules.Recommend, f); got.Outcome != want || len(got.Failed) > 0 {
			t.Errorf("%s: got %+v, want %s", action, got, want)
		}
	}
}
