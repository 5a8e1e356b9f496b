package stages

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// takings is what was taken of budgets.
type takings interface {
	// budget returns the budget that stands under a subject of BUDGETS, and what
	// names its record, which is nothing if nothing was taken yet.
	budget(ctx context.Context, subject string) (schemas.Budget, schemas.Pointer, error)

	// verdict returns how the intent of a reservation was settled, and false if it
	// is not settled.
	verdict(ctx context.Context, r schemas.Reservation) (schemas.Outcome, bool, error)
}

// account is a budget, and what an intent takes of it.
type account struct {
	rules.Charge
	budget schemas.Budget
	at     schemas.Pointer // what says so; nothing if the budget was not touched yet

	// taken is what others have taken. If reserved, the intent has its share.
	taken    int64
	reserved bool
}

// beyond reports whether the intent takes more than there is.
func (a account) beyond() bool { return schemas.AddAmounts(a.taken, a.Amount) > a.Limit }

// readBudgets reads what was taken of the budgets that the intent takes of.
func (j judging) readBudgets(ctx context.Context, policy Policy, paid []schemas.Budget, v *verdict, facts *rules.Facts) error {
	charges, unread := policy.Charges(ctx, *facts)
	facts.Unread = unread
	for _, c := range charges {
		a, err := j.account(ctx, c, facts.Intent, paid)
		if err != nil {
			return fmt.Errorf("reading budget %s: %w", c.Budget, err)
		}
		v.accounts = append(v.accounts, a)
		facts.Taken = append(facts.Taken, schemas.Taken{Budget: c.Budget, Amount: a.taken, Reserved: a.reserved})
	}
	v.taken = facts.Taken
	return nil
}

// account returns the account of a charge. What was paid before a release stays so.
func (j judging) account(ctx context.Context, c rules.Charge, in schemas.Intent, paid []schemas.Budget) (account, error) {
	for _, b := range paid {
		if b.Budget == c.Budget && b.Key == c.Key {
			return account{Charge: c, budget: b, taken: b.Taken(c.Since, in), reserved: true}, nil
		}
	}
	b, r, err := j.takings.budget(ctx, schemas.Budget{Budget: c.Budget, Key: c.Key}.Subject())
	if err != nil {
		return account{}, err
	}
	b.Budget, b.Key, b.Limit, b.Since = c.Budget, c.Key, c.Limit, c.Since
	a := account{Charge: c, budget: b.Settle(c.Grain, unsettled), at: r, taken: b.Taken(c.Since, in)}
	own, has := b.Reservation(in)
	// A share of before the window counts nothing, and is taken anew.
	if a.reserved = has && own.Amount >= c.Amount && !own.At.Before(c.Since); a.reserved {
		return a, nil
	}
	if a.beyond() || len(b.Reserved) > schemas.FoldFrom {
		if a.budget, err = j.settled(ctx, b, c, in); err != nil {
			return account{}, err
		}
		a.taken = a.budget.Taken(c.Since, in)
	}
	return a, nil
}

func unsettled(schemas.Reservation) (schemas.Outcome, bool) { return schemas.Park, false }

// settled returns b with what became of the intents that took of it. So what was
// reserved for an intent that was refused goes back, whatever ended before it
// could be said.
func (j judging) settled(ctx context.Context, b schemas.Budget, c rules.Charge, in schemas.Intent) (schemas.Budget, error) {
	verdicts := map[schemas.Reservation]schemas.Outcome{}
	for _, r := range b.Reserved {
		if r.Of(in) {
			continue
		}
		outcome, settled, err := j.takings.verdict(ctx, r)
		if err != nil {
			return b, err
		}
		if settled {
			verdicts[r] = outcome
		}
	}
	return b.Settle(c.Grain, func(r schemas.Reservation) (schemas.Outcome, bool) {
		outcome, settled := verdicts[r]
		return outcome, settled
	}), nil
}

// budget implements takings.
func (e *Execute) budget(ctx context.Context, subject string) (schemas.Budget, schemas.Pointer, error) {
	var b schemas.Budget
	r, err := e.last(ctx, schemas.Budgets, subject, &b)
	if errors.Is(err, schemas.ErrNotFound) {
		return b, schemas.Pointer{}, nil
	}
	return b, r.Pointer(), err
}

// verdict implements takings. An intent whose id was settled for another was refused.
func (e *Execute) verdict(ctx context.Context, r schemas.Reservation) (schemas.Outcome, bool, error) {
	s, _, err := e.settlement(ctx, r.Key())
	switch {
	case errors.Is(err, schemas.ErrNotFound):
		return schemas.Park, false, nil
	case err != nil:
		return schemas.Park, false, err
	case s.Intent.Digest != r.Digest:
		return schemas.Refuse, true, nil
	}
	return s.Outcome, true, nil
}

// reserve takes of the budgets, before the release of an intent, what it takes. An
// ErrStale means that others took of them since v: then there may not be enough.
//
// A crash after that leaves a reservation that is found when the intent is judged
// again. It counts until the intent is settled as refused, so that no release is
// ever without its share. Whether the intent is settled is asked after the budget
// was read: so a share that was folded meanwhile is not taken again.
func (e *Execute) reserve(ctx context.Context, m matter, v *verdict) error {
	for i := range v.accounts {
		a := &v.accounts[i]
		if a.reserved {
			continue
		}
		if _, settled, err := e.verdict(ctx, reservation(m.intent, v, a)); err != nil || settled {
			return err
		}
		if err := e.take(ctx, m, v, a); err != nil {
			return err
		}
	}
	return nil
}

func reservation(in schemas.Intent, v *verdict, a *account) schemas.Reservation {
	return schemas.Reservation{Agent: in.Agent, Intent: in.ID, Digest: in.Digest, Amount: a.Amount, At: v.at, Beyond: a.beyond()}
}

// take writes the budget with the share of the intent, if it is as it was read.
func (e *Execute) take(ctx context.Context, m matter, v *verdict, a *account) error {
	next, err := a.budget.Reserve(reservation(m.intent, v, a), a.Forget)
	if err != nil {
		return fmt.Errorf("%w: %v", schemas.ErrUnavailable, err) // it waits until some are settled
	}
	next.At, next.Nonce, next.Trail = v.at, rand.Text(), m.origin()
	r, err := e.append(ctx, next, v.at, m.trace, schemas.Expect{Filter: next.Subject(), Last: a.at.Seq})
	if errors.Is(err, schemas.ErrStale) {
		return &takenError{next.Subject()}
	}
	if err != nil {
		return err
	}
	a.at, a.budget, a.reserved = r.Pointer(), next, true
	return nil
}

// inputs names the records that had a part in the verdict.
func (v verdict) inputs() []schemas.Pointer {
	named := append([]schemas.Pointer(nil), v.exposed...)
	for _, a := range v.accounts {
		if a.at.Seq > 0 {
			named = append(named, a.at)
		}
	}
	return named
}

// paid returns the budgets of which an intent took, as the records that are named say.
func (e *Execute) paid(ctx context.Context, in schemas.Intent, named []schemas.Pointer) ([]schemas.Budget, error) {
	var paid []schemas.Budget
	for _, p := range named {
		if p.Stream != schemas.Budgets {
			continue
		}
		r, err := e.Log.At(ctx, p.Stream, p.Seq)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w: %v", p, schemas.ErrUnavailable, err)
		}
		var b schemas.Budget
		if err := read(r, &b); err != nil {
			return nil, err
		}
		if _, has := b.Reservation(in); has {
			paid = append(paid, b)
		}
	}
	return paid, nil
}
