package stages

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestPurseForgets: a purse keeps what counts in a window, and no more for a history
// without end of keys that come once.
func TestPurseForgets(t *testing.T) {
	t.Parallel()
	p := NewPurse()
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	const perDay, days = 100, 400
	for day := range days {
		for i := range perDay {
			b := schemas.Budget{Budget: "a-day", Key: fmt.Sprintf("%d-%d", day, i), Since: at.Add(-time.Hour)}
			a := account{Charge: rules.Charge{Budget: b.Budget, Key: b.Key, Amount: 1, Limit: 10}, budget: b}
			if err := p.pay(schemas.Intent{Agent: "bot"}, verdict{at: at, accounts: []account{a}}); err != nil {
				t.Fatal(err)
			}
		}
		at = at.Add(24 * time.Hour)
	}
	window := int(schemas.MaxWindow/(24*time.Hour)) * perDay
	if n := len(p.budgets); n < window || n > 3*window {
		t.Errorf("got %d budgets of %d, want about the %d of a window", n, perDay*days, window)
	}
	last := schemas.Budget{Budget: "a-day", Key: fmt.Sprintf("%d-0", days-schemas.MaxWindow/(24*time.Hour))}
	if b, _, _ := p.budget(t.Context(), last.Subject()); len(b.Reserved) != 1 {
		t.Errorf("the budget of a month ago is forgotten")
	}
}
