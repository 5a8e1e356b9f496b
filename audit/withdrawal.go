package audit

import (
	"fmt"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// withdrawal is a record of INTENTS by which an agent takes back an intent.
type withdrawal struct {
	seq  uint64
	hash mark
}

// enoughWithdrawals is how many withdrawals of one intent are told apart. Of one
// that its agent took back so often, nobody needs to know by which.
const enoughWithdrawals = 8

// takeWithdrawal remembers that an agent took an intent back, until that is over:
// it may be refused long after the withdrawal itself was answered.
func (v *Verifier) takeWithdrawal(in schemas.Intent, r schemas.Record) {
	target, err := targetOf(in)
	if err != nil || v.isOver(target) {
		return
	}
	at := markOfKey(target)
	if all := v.withdrawals[at]; len(all) < enoughWithdrawals {
		v.withdrawals[at] = append(all, withdrawal{r.Seq, markOf(string(r.Hash()))})
	}
}

// targetOf returns the intent that a withdrawal takes back.
func targetOf(in schemas.Intent) (schemas.Key, error) {
	var params struct {
		ID schemas.IntentID `json:"id"`
	}
	err := schemas.Unmarshal(in.Params, &params)
	return schemas.Key{Agent: in.Agent, ID: params.ID}, err
}

// withdrawn says why an intent may not be refused as withdrawn.
func (v *Verifier) withdrawn(s *verdict) error {
	for _, p := range s.Trail {
		if p.Stream != schemas.Intents {
			continue
		}
		if err := v.reached(p); err != nil {
			return err
		}
		all := v.withdrawals[markOfKey(s.Intent.Key())]
		if len(all) == enoughWithdrawals || slices.Contains(all, withdrawal{p.Seq, markOf(string(p.Hash))}) {
			return nil
		}
	}
	return fmt.Errorf("is refused as withdrawn, and names no withdrawal by its agent")
}

// fulfilled says why a withdrawal may not be released: what it takes back was not
// refused because of it. SETTLED is in order, so that refusal was read by now.
func (v *Verifier) fulfilled(in schemas.Intent) error {
	target, err := targetOf(in)
	if err != nil {
		return fmt.Errorf("releases a withdrawal of nothing")
	}
	t := v.trails[target]
	last, over := v.over[markOfKey(target)]
	known := t != nil && t.verdict != nil
	switch {
	case known && t.verdict.Code == schemas.CodeWithdrawn, last == wasWithdrawn:
		return nil
	case v.partial() && !known && !over:
		return errBefore
	}
	return fmt.Errorf("says that %s is withdrawn, and it is not", target)
}
