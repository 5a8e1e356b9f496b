package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// Operator runs a gate: a policy-admin activates bundles, freezes and thaws, an
// identity-admin adds and removes identities.
type Operator struct{ *Conn }

// freezePatience is for how long an operator waits to see a freeze in effect.
const freezePatience = 10 * time.Second

// Freeze stops releases and claims in a scope, and returns when the gate says so.
// Where several processes run the execute stage, the others stop as soon as they
// read the record, which takes milliseconds.
func (o Operator) Freeze(ctx context.Context, s schemas.Scope, reason string) error {
	return o.freeze(ctx, "freezing "+s.String(), schemas.Freeze{By: o.Name(), Scope: s, Reason: reason, At: time.Now().UTC()}, s, true)
}

// Thaw ends the freeze of exactly that scope, and returns when the gate says so.
// What waited is evaluated again.
func (o Operator) Thaw(ctx context.Context, s schemas.Scope, reason string) error {
	return o.freeze(ctx, "thawing "+s.String(), schemas.Thaw{By: o.Name(), Scope: s, Reason: reason, At: time.Now().UTC()}, s, false)
}

// freeze sends a freeze or a thaw and waits until the gate says whether the scope
// is frozen.
func (o Operator) freeze(ctx context.Context, op string, c schemas.Content, s schemas.Scope, frozen bool) error {
	ctx, stop := context.WithTimeout(ctx, freezePatience)
	defer stop()
	if _, err := o.control(ctx, c); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	for {
		status, err := o.Gate(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w: %w", op, errNotSeen, err)
		}
		if slices.ContainsFunc(status.Freezes, func(f schemas.Freeze) bool { return f.Scope == s }) == frozen {
			return nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("%s: %w: %w", op, errNotSeen, err)
		}
	}
}

// errNotSeen says of what an operator did that its effect was not seen.
var errNotSeen = errors.New("recorded, but not known whether it took effect")

// Activate stores a bundle and makes it the active one on all stages, or votes for
// that, where the bundle before asks for several policy-admins. The bundle that
// follows on it needs quorum of them; 0 means one. It returns what came of it, as
// soon as a gate has read it.
func (o Operator) Activate(ctx context.Context, digest schemas.Digest, archive []byte, quorum int, reason string) (schemas.Activated, error) {
	op := "activating bundle " + digest.Short()
	if err := o.broker.PutBundle(ctx, digest, archive); err != nil {
		return schemas.Activated{}, err
	}
	sent, err := o.control(ctx, schemas.Activation{By: o.Name(), Bundle: digest, Quorum: quorum, Reason: reason, At: time.Now().UTC()})
	if err != nil {
		return schemas.Activated{}, fmt.Errorf("%s: %w", op, err)
	}
	for {
		policies, err := o.Policies(ctx)
		if err != nil {
			return schemas.Activated{}, fmt.Errorf("%s: %w: %w", op, errNotSeen, err)
		}
		for _, a := range policies.Past {
			if a.Seq == sent.Seq {
				return a, nil
			}
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return schemas.Activated{}, fmt.Errorf("%s: %w: %w", op, errNotSeen, err)
		}
	}
}

// Shadow stores a bundle and lets it be evaluated beside the active one; with an
// empty digest it ends that. It returns when the gate says so.
func (o Operator) Shadow(ctx context.Context, digest schemas.Digest, archive []byte, reason string) error {
	if digest != "" {
		if err := o.broker.PutBundle(ctx, digest, archive); err != nil {
			return err
		}
	}
	ctx, stop := context.WithTimeout(ctx, freezePatience)
	defer stop()
	if _, err := o.control(ctx, schemas.Shadow{By: o.Name(), Bundle: digest, Reason: reason, At: time.Now().UTC()}); err != nil {
		return fmt.Errorf("changing the shadow: %w", err)
	}
	for {
		policies, err := o.Policies(ctx)
		if err != nil {
			return fmt.Errorf("changing the shadow: %w: %w", errNotSeen, err)
		}
		if policies.Shadow == digest {
			return nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("changing the shadow: %w: %w", errNotSeen, err)
		}
	}
}

// Policies returns which bundle is active, and how it came to that.
func (o Operator) Policies(ctx context.Context) (schemas.Policies, error) {
	answer, err := o.broker.Ask(ctx, o.Name(), schemas.AskPolicies, schemas.Question{})
	if err != nil {
		return schemas.Policies{}, err
	}
	if answer.Policies == nil {
		return schemas.Policies{}, fmt.Errorf("asking for the policies: %w: empty answer", schemas.ErrUnavailable)
	}
	return *answer.Policies, nil
}

// Add registers an identity, and returns when it may connect to a gate whose
// broker is embedded. It returns an ErrClosed if the name or the key is taken: a
// name is never used again.
func (o Operator) Add(ctx context.Context, id schemas.Identity) error {
	id.By, id.At = o.Name(), time.Now().UTC()
	op := "adding " + string(id.Name)
	if err := identity.Check(id); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := o.free(ctx, id); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if _, err := o.control(ctx, id); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return o.until(ctx, op, func(present []schemas.Identity, _ []schemas.Name) (bool, error) {
		if len(present) == 0 {
			return false, nil
		}
		if present[0].Key != id.Key {
			return false, fmt.Errorf("%w: somebody else took the name", schemas.ErrClosed)
		}
		return true, nil
	}, id.Name)
}

// free returns an ErrClosed if the name or the key of id is taken. The gate passes
// over an identity whose name or key is, and says so to nobody.
func (o Operator) free(ctx context.Context, id schemas.Identity) error {
	answer, err := o.broker.Ask(ctx, o.Name(), schemas.AskIdentities, schemas.Question{Name: id.Name, Key: id.Key})
	present, removed := answer.Identities, answer.Removed
	if errors.Is(err, schemas.ErrInvalid) { // a gate that does not know yet who has a key
		present, removed, err = o.Identities(ctx, "")
	}
	if err != nil {
		return err
	}
	for _, other := range present {
		if other.Name != id.Name && other.Key == id.Key {
			return fmt.Errorf("%w: the key is that of %s", schemas.ErrClosed, other.Name)
		}
	}
	named := func(other schemas.Identity) bool { return other.Name == id.Name }
	if slices.ContainsFunc(present, named) || slices.Contains(removed, id.Name) {
		return fmt.Errorf("%w: the name is taken, or was", schemas.ErrClosed)
	}
	return nil
}

// Remove takes an identity away for ever, and returns when the gate knows.
func (o Operator) Remove(ctx context.Context, name schemas.Name, reason string) error {
	op := "removing " + string(name)
	present, _, err := o.Identities(ctx, name)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if len(present) == 0 {
		return fmt.Errorf("%s: %w", op, schemas.ErrNotFound)
	}
	if _, err := o.control(ctx, schemas.Removal{By: o.Name(), Name: name, Reason: reason, At: time.Now().UTC()}); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return o.until(ctx, op, func(_ []schemas.Identity, removed []schemas.Name) (bool, error) {
		return len(removed) > 0, nil
	}, name)
}

// Identities returns who is registered and which names were removed; all of them,
// or those of one name.
func (o Operator) Identities(ctx context.Context, name schemas.Name) ([]schemas.Identity, []schemas.Name, error) {
	answer, err := o.broker.Ask(ctx, o.Name(), schemas.AskIdentities, schemas.Question{Name: name})
	return answer.Identities, answer.Removed, err
}

// Gate returns what the gate is in.
func (o Operator) Gate(ctx context.Context) (schemas.GateStatus, error) {
	answer, err := o.broker.Ask(ctx, o.Name(), schemas.AskGate, schemas.Question{})
	if err != nil {
		return schemas.GateStatus{}, err
	}
	if answer.Gate == nil {
		return schemas.GateStatus{}, fmt.Errorf("asking how the gate is: %w: empty answer", schemas.ErrUnavailable)
	}
	return *answer.Gate, nil
}

// Budgets returns a page of what is taken of the budgets of the active bundle, or of
// one, the fullest first: those of which at least so many percent are taken.
func (o Operator) Budgets(ctx context.Context, budget string, from, limit int, after string) (schemas.BudgetPage, error) {
	answer, err := o.broker.Ask(ctx, o.Name(), schemas.AskBudgets, schemas.Question{Budget: budget, From: from, Limit: limit, After: after})
	if err != nil {
		return schemas.BudgetPage{}, err
	}
	if answer.Budgets == nil {
		return schemas.BudgetPage{}, fmt.Errorf("asking for the budgets: %w: empty answer", schemas.ErrUnavailable)
	}
	return *answer.Budgets, nil
}

func (o Operator) control(ctx context.Context, c schemas.Content) (broker.Sent, error) {
	return o.broker.Send(ctx, schemas.Write(c, o.source(), time.Now(), ""))
}

// until asks for an identity again and again until seen says that it is as it
// should be.
func (o Operator) until(ctx context.Context, op string, seen func([]schemas.Identity, []schemas.Name) (bool, error), name schemas.Name) error {
	for {
		present, removed, err := o.Identities(ctx, name)
		if err != nil {
			return fmt.Errorf("%s: %w: %w", op, errNotSeen, err)
		}
		if done, err := seen(present, removed); done || err != nil {
			return err
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("%s: %w: %w", op, errNotSeen, err)
		}
	}
}

// Auditor reads the audit.
type Auditor struct{ *Conn }

// Tail returns a reading of AUDIT from sequence from on: everything, or one
// agent's records if agent is not empty.
func (a Auditor) Tail(agent schemas.Name, from uint64) *broker.Tail {
	filter := ""
	if agent != "" {
		filter = "audit.*." + string(agent)
	}
	return a.broker.AuditTail(filter, from)
}

// Last returns the sequence of the last record of AUDIT, or an ErrNotFound if
// there is none.
func (a Auditor) Last(ctx context.Context) (uint64, error) { return a.broker.AuditLast(ctx) }

// Since returns the sequence of the first record of AUDIT at or after a moment, or
// an ErrNotFound if there is none.
func (a Auditor) Since(ctx context.Context, at time.Time) (uint64, error) {
	return a.broker.AuditSince(ctx, at)
}

// Kinds hands the records of several kinds, from sequence from on, to apply, in the
// order in which AUDIT has them.
func (a Auditor) Kinds(ctx context.Context, from uint64, apply func(schemas.Record) error, kinds ...string) error {
	tails := make([]*broker.Tail, len(kinds))
	for i, kind := range kinds {
		tails[i] = a.Kind(kind, from)
	}
	return broker.ReadMerged(ctx, tails, apply)
}

// Kind returns a reading of the records of one kind, such as "released", from
// sequence from on.
func (a Auditor) Kind(kind string, from uint64) *broker.Tail {
	return a.broker.AuditTail("audit."+kind+".*", from)
}
