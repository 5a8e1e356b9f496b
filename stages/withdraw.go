package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// withdrawalWait is how long a withdrawal waits for the intent that it is about:
// the two may overtake each other on the way.
const withdrawalWait = 10 * time.Second

// withdrawalOf returns the intent that a withdrawal is about, or a Fault.
func withdrawalOf(in schemas.Intent) (schemas.Key, error) {
	var params struct {
		ID schemas.IntentID `json:"id"`
	}
	if err := schemas.Unmarshal(in.Params, &params); err != nil {
		return schemas.Key{}, fmt.Errorf("params of %s: %w", schemas.Withdraw, err)
	}
	id, err := schemas.ParseIntentID(string(params.ID))
	if err != nil {
		return schemas.Key{}, fmt.Errorf("params of %s: %w", schemas.Withdraw, err)
	}
	return schemas.Key{Agent: in.Agent, ID: id}, nil
}

// withdraw refuses another intent of the same agent, then settles the withdrawal
// itself. No rule, freeze or bound stands in the way of doing less. A crash
// between the two leaves an intent that is withdrawn and a withdrawal that comes
// again, finds that, and ends.
func (e *Execute) withdraw(ctx context.Context, m matter) error {
	target, err := withdrawalOf(m.intent)
	if err != nil {
		return e.refuseFirst(ctx, m, *faultOf(err))
	}
	code, err := e.takeBack(ctx, m, target)
	if err != nil {
		return err
	}
	if code != "" {
		return e.refuseFirst(ctx, m, schemas.Fault{Code: code, Detail: target.String()})
	}
	return e.settleFirst(ctx, m, schemas.Settlement{Intent: m.intent, Outcome: schemas.Release, At: e.now()})
}

// takeBack refuses target as withdrawn, or returns why that cannot be.
func (e *Execute) takeBack(ctx context.Context, m matter, target schemas.Key) (schemas.Code, error) {
	settled, _, err := e.settlement(ctx, target)
	if err == nil {
		return withdrawnAlready(settled), nil
	}
	if !errors.Is(err, schemas.ErrNotFound) {
		return "", err
	}
	h, at, err := e.hold(ctx, target)
	if errors.Is(err, schemas.ErrNotFound) {
		if e.now().Sub(m.intent.Proposed) < withdrawalWait {
			return "", fmt.Errorf("withdrawing %s: %w: it is not there yet", target, schemas.ErrUnavailable)
		}
		return schemas.CodeNotFound, nil
	}
	if err != nil {
		return "", err
	}
	if h.State == schemas.Parked { // or else it got its verdict since we looked
		s := refusal(h.Intent, verdict{at: e.now()}, schemas.Fault{Code: schemas.CodeWithdrawn})
		s.Trail = slices.Clone(m.origin())
		if err := e.settleHold(ctx, h, at, s); err != nil {
			return "", err
		}
	}
	settled, _, err = e.settlement(ctx, target)
	return withdrawnAlready(settled), err
}

// withdrawnAlready returns "" for an intent that is withdrawn, and too_late for
// any other verdict.
func withdrawnAlready(s schemas.Settlement) schemas.Code {
	if s.Outcome == schemas.Refuse && s.Code == schemas.CodeWithdrawn {
		return ""
	}
	return schemas.CodeTooLate
}
