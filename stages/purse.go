package stages

import (
	"context"
	"maps"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// Purse is what released intents took of budgets where there are no streams. It
// serves one goroutine.
type Purse struct {
	budgets map[string]schemas.Budget
	most    int // budgets after which those that are over are forgotten
}

// NewPurse returns one of which nothing was taken.
func NewPurse() *Purse { return &Purse{budgets: map[string]schemas.Budget{}, most: 1000} }

// budget implements takings. Without a purse, nothing was taken of anything.
func (p *Purse) budget(_ context.Context, subject string) (schemas.Budget, schemas.Pointer, error) {
	if p == nil {
		return schemas.Budget{}, schemas.Pointer{}, nil
	}
	return p.budgets[subject], schemas.Pointer{}, nil
}

// verdict implements takings: only what was released is in a purse.
func (p *Purse) verdict(context.Context, schemas.Reservation) (schemas.Outcome, bool, error) {
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
		next, err := a.budget.Reserve(reservation(in, &v, &a), a.Forget)
		if err != nil {
			return err
		}
		next.At = v.at
		p.budgets[next.Subject()] = next
	}
	if len(p.budgets) > p.most {
		p.forget(v.at.Add(-schemas.MaxWindow))
	}
	return nil
}

// forget forgets the budgets of which nothing was taken since a moment, so that a
// purse keeps no more than what one window needs.
func (p *Purse) forget(since time.Time) {
	maps.DeleteFunc(p.budgets, func(_ string, b schemas.Budget) bool { return b.At.Before(since) })
	p.most = max(p.most, 2*len(p.budgets))
}
