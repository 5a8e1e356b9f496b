package stages

import (
	"context"

	"github.com/holdpoint/holdpoint/schemas"
)

// Purse is what released intents took of budgets where there are no streams. It
// serves one goroutine.
type Purse struct {
	budgets map[string]schemas.Budget
}

// NewPurse returns one of which nothing was taken.
func NewPurse() *Purse { return &Purse{budgets: map[string]schemas.Budget{}} }

// Budget implements [Ledger]. Without a purse, nothing was taken of anything.
func (p *Purse) Budget(_ context.Context, subject string) (schemas.Budget, schemas.Record, error) {
	if p == nil {
		return schemas.Budget{}, schemas.Record{}, nil
	}
	return p.budgets[subject], schemas.Record{}, nil
}

// Verdict implements [Ledger]: only what was released is in a purse.
func (p *Purse) Verdict(context.Context, schemas.Reservation) (schemas.Outcome, bool, error) {
	return schemas.Release, true, nil
}

// pay takes what an intent takes.
func (p *Purse) pay(in schemas.Intent, v verdict) error {
	if p == nil {
		return nil
	}
	for _, a := range v.accounts {
		if a.reserved {
			continue
		}
		next, err := a.budget.Reserve(reservation(in, &v, &a))
		if err != nil {
			return err
		}
		p.budgets[next.Subject()] = next
	}
	return nil
}
