package stages

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// mostKeys is how many keys one answer looks at: agents may choose them.
const mostKeys = 20_000

// touched is a budget of which something was taken for a key, as its last record says.
// What was given back since is not in that.
type touched struct {
	rules.Budget
	key   string
	taken int64
	last  schemas.Reservation
}

// full reports whether something is taken of a limit, and so many percent of it.
func full(taken, limit int64, percent int) bool {
	return taken > 0 && 100*taken >= int64(percent)*limit
}

// share is how full it is; a limit of 0 is over at once.
func (t touched) share() float64 { return float64(t.taken) / float64(t.Limit) }

// byShare puts the fullest first.
func byShare(a, b touched) int {
	return cmp.Or(cmp.Compare(b.share(), a.share()), cmp.Compare(a.ID, b.ID), cmp.Compare(a.key, b.key))
}

// budgets answers an operator what is taken of the budgets of the active bundle, or of
// one. The last records of BUDGETS say which there are and how full they are at most;
// what a page says of each is what the gate judges by.
func (a *Answer) budgets(ctx context.Context, q schemas.Question, most int) (schemas.Answer, error) {
	policy, err := a.Execute.Control.Policy(ctx)
	if err != nil {
		return schemas.Answer{}, err
	}
	budgets, place, err := askedFor(policy, q)
	if err != nil {
		return schemas.Answer{}, err
	}
	before, err := a.balancing.enter()
	if err != nil {
		return schemas.Answer{}, err
	}
	defer a.balancing.leave()
	now := a.Execute.now()
	found, unread, err := a.balancing.look(ctx, string(policy.Digest())+" "+q.Budget, before, func() ([]touched, int, error) {
		return a.touched(ctx, budgets, now, most)
	})
	if err != nil {
		return schemas.Answer{}, err
	}
	found = slices.DeleteFunc(found, func(t touched) bool { return !full(t.taken, t.Limit, q.From) })
	slices.SortFunc(found, byShare)
	page := schemas.BudgetPage{Bundle: policy.Digest(), Budgets: []schemas.BudgetLine{}, Total: len(found), Unread: unread}
	if place != nil {
		found = slices.DeleteFunc(found, func(t touched) bool { return byShare(t, *place) <= 0 })
	}
	if size := pageSize(q); len(found) > size {
		found = found[:size]
		page.After = found[size-1].cursor()
	}
	for _, t := range found {
		line, err := a.Execute.budgetLine(ctx, t, now)
		if err != nil {
			return schemas.Answer{}, fmt.Errorf("reading budget %s: %w", t.ID, err)
		}
		if !full(line.Taken, line.Limit, q.From) { // it was given back
			page.Total--
			continue
		}
		page.Budgets = append(page.Budgets, line)
	}
	return schemas.Answer{Budgets: &page}, nil
}

// askedFor returns the budgets that a question is about, and the place in the order
// behind which the page begins: nil for the first page.
func askedFor(policy Policy, q schemas.Question) ([]rules.Budget, *touched, error) {
	if q.From < 0 || q.From > 100 {
		return nil, nil, fmt.Errorf("%w: from %d percent on; want 0 to 100", schemas.ErrInvalid, q.From)
	}
	place, err := parseTouched(q.After)
	if err != nil {
		return nil, nil, err
	}
	budgets := policy.Budgets()
	if q.Budget != "" {
		budgets = slices.DeleteFunc(budgets, func(b rules.Budget) bool { return b.ID != q.Budget })
		if len(budgets) == 0 {
			return nil, nil, fmt.Errorf("budget %q: %w in bundle %s", q.Budget, schemas.ErrNotFound, policy.Digest().Short())
		}
	}
	return budgets, place, nil
}

// touched returns of which budgets something counts that was taken, for which keys, and
// how many keys were not looked at. Of too many, it looks at those of which was taken
// most often.
func (a *Answer) touched(ctx context.Context, budgets []rules.Budget, now time.Time, most int) (found []touched, unread int, err error) {
	for _, budget := range budgets {
		records, err := a.Streams.Subjects(ctx, schemas.Budgets, schemas.Subject{Kind: "budgets", Budget: budget.ID}.String())
		if err != nil {
			return nil, 0, err
		}
		subjects := slices.SortedFunc(maps.Keys(records), func(a, b string) int {
			return cmp.Or(cmp.Compare(records[b], records[a]), cmp.Compare(a, b))
		})
		unread += max(0, len(subjects)-most)
		subjects = subjects[:min(len(subjects), most)]
		most -= len(subjects)
		err = a.Streams.LastOf(ctx, schemas.Budgets, subjects, func(r schemas.Record) error {
			var b schemas.Budget
			if err := read(r, &b); err != nil {
				return err
			}
			t := touched{Budget: budget, key: b.Key, taken: b.Taken(budget.Charge(b.Key, 0, now).Since, schemas.Intent{})}
			if n := len(b.Reserved); n > 0 {
				t.last = b.Reserved[n-1]
			}
			found = append(found, t)
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	return found, unread, nil
}

// budgetLine says what is taken, by what an intent would be judged that needs more than
// there is: for it is asked what was given back.
func (e *Execute) budgetLine(ctx context.Context, t touched, now time.Time) (schemas.BudgetLine, error) {
	c := t.Charge(t.key, schemas.MaxAmount, now)
	a, err := e.judging().account(ctx, c, schemas.Intent{}, nil)
	if err != nil {
		return schemas.BudgetLine{}, err
	}
	line := schemas.BudgetLine{
		Budget: t.ID, Key: t.key, Window: t.Window(), Limit: t.Limit, Taken: a.taken, Left: max(0, t.Limit-a.taken),
		Beyond: t.Beyond, Agent: t.last.Agent, Intent: t.last.Intent,
	}
	// Longer than that ago everything is settled, whether or not SETTLED still says so.
	since := latest(c.Since, now.Add(-schemas.MaxLifetime))
	line.Reserved = schemas.Budget{Reserved: a.budget.Reserved}.Taken(since, schemas.Intent{})
	if oldest := a.budget.Oldest(c.Since); !oldest.IsZero() {
		line.BackAt = t.Over(oldest)
		line.Back = a.taken - a.budget.Taken(t.Charge(t.key, 0, line.BackAt.Add(1)).Since, schemas.Intent{})
	}
	return line, nil
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// cursor is the place in the order, as text.
func (t touched) cursor() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %d %s %s", t.taken, t.Limit, t.ID, t.key))
}

func parseTouched(s string) (*touched, error) {
	if s == "" {
		return nil, nil
	}
	wrong := fmt.Errorf("%w: cursor %q is not one that was given", schemas.ErrInvalid, s)
	text, err := base64.RawURLEncoding.DecodeString(s)
	parts := strings.SplitN(string(text), " ", 4)
	if err != nil || len(parts) != 4 {
		return nil, wrong
	}
	t := touched{Budget: rules.Budget{ID: parts[2]}, key: parts[3]}
	var taken, limit error
	t.taken, taken = strconv.ParseInt(parts[0], 10, 64)
	t.Limit, limit = strconv.ParseInt(parts[1], 10, 64)
	if taken != nil || limit != nil || math.IsNaN(t.share()) {
		return nil, wrong
	}
	return &t, nil
}
