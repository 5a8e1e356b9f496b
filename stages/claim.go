package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// defaultLease is how long an executor has if the catalog does not say.
const defaultLease = 60 * time.Second

// Claim grants a released intent to an executor, if everything that was true at
// the release is still true. An ErrUnavailable means later, an ErrClosed or an
// ErrDenied never; their text says why. A repeated claim with the same nonce gets
// the same grant.
func (e *Execute) Claim(ctx context.Context, executor schemas.Name, k schemas.Key, nonce string) (schemas.Claim, error) {
	c, err := e.claimOf(ctx, executor, k)
	if err != nil {
		return schemas.Claim{}, fmt.Errorf("claiming %s: %w", k, err)
	}
	grant, err := e.grant(ctx, c, nonce)
	if err != nil {
		return schemas.Claim{}, fmt.Errorf("claiming %s: %w", k, err)
	}
	return schemas.Claim{Settlement: schemas.CopyOf(c.at), Grant: schemas.CopyOf(grant)}, nil
}

// claim is a release that an executor asks for, as far as it was looked at.
type claim struct {
	executor   schemas.Identity
	settlement schemas.Settlement
	at         schemas.Record

	// hold is the hold on the intent, if it has one, and held the sequence of its
	// record. Retried says that it was in doubt, and a reviewer said to try it
	// again.
	hold    *schemas.Hold
	held    uint64
	retried bool
}

func (c claim) key() schemas.Key { return c.settlement.Intent.Key() }

// retries reports whether the grant whose record is at is the one that a reviewer
// said to try again after.
func (c claim) retries(at schemas.Record) bool {
	return c.retried && c.hold.Doubt.Grant == at.Pointer()
}

// claimOf looks up what the executor asks for, and whether it may.
func (e *Execute) claimOf(ctx context.Context, executor schemas.Name, k schemas.Key) (claim, error) {
	id, known := e.Names.ByName(executor)
	if !known || id.Role != schemas.RoleExecutor {
		return claim{}, schemas.ErrDenied
	}
	c, err := e.released(ctx, k)
	if err != nil {
		return c, err
	}
	if system := c.settlement.Intent.Action.System(); !slices.Contains(id.Systems, system) {
		return c, fmt.Errorf("%w: not an executor of %s", schemas.ErrDenied, system)
	}
	if c.hold != nil && c.hold.State == schemas.InDoubt {
		return c, fmt.Errorf("%w: %s", schemas.ErrClosed, schemas.InDoubt)
	}
	c.executor = id
	return c, nil
}

// released looks up the release of an intent. It returns an ErrNotFound if there
// is no verdict, and an ErrClosed if there is another.
func (e *Execute) released(ctx context.Context, k schemas.Key) (claim, error) {
	s, at, err := e.settlement(ctx, k)
	if err != nil {
		return claim{}, err
	}
	c := claim{settlement: s, at: at}
	if s.Outcome != schemas.Release {
		return c, fmt.Errorf("%w: %s (%s)", schemas.ErrClosed, s.State(), s.Code)
	}
	hold, held, err := e.hold(ctx, k)
	switch {
	case errors.Is(err, schemas.ErrNotFound), err == nil && hold.Intent.Digest != s.Intent.Digest:
		return c, nil
	case err != nil:
		return c, err
	}
	c.hold, c.held, c.retried = &hold, held.Seq, stateOf(hold) == retried
	return c, nil
}

// grant writes the grant, or finds the one that was given to the same claim
// before.
func (e *Execute) grant(ctx context.Context, c claim, nonce string) (schemas.Record, error) {
	before, at, err := e.lastGrant(ctx, c.key())
	switch {
	case errors.Is(err, schemas.ErrNotFound):
		return e.writeGrant(ctx, c, nil, at, nonce)
	case err != nil:
		return at, err
	case before == nil:
		return at, fmt.Errorf("%w: %s", schemas.ErrClosed, schemas.Lapsed)
	case nonce != "" && before.Nonce == nonce && before.Executor == c.executor.Name:
		return at, nil
	}
	if err := e.mayGrantAgain(ctx, c, *before, at); err != nil {
		return at, err
	}
	return e.writeGrant(ctx, c, before, at, nonce)
}

// lastGrant returns the latest grant of an intent and its record. The grant is
// nil if the release has lapsed; the error is an ErrNotFound if there is neither.
func (e *Execute) lastGrant(ctx context.Context, k schemas.Key) (*schemas.Grant, schemas.Record, error) {
	r, err := e.Log.Last(ctx, schemas.Grants, schemas.GrantFilter(k))
	if err != nil {
		return nil, r, err
	}
	if s, err := schemas.ParseSubject(r.Subject); err == nil && s.Kind == "lapsed" {
		return nil, r, nil
	}
	var g schemas.Grant
	return &g, r, read(r, &g)
}

// mayGrantAgain says why an intent that was granted before may not be granted to
// another, or nil. By itself that happens only to an idempotent action whose
// executor said nothing in time; to any other only if a reviewer said so.
func (e *Execute) mayGrantAgain(ctx context.Context, c claim, g schemas.Grant, at schemas.Record) error {
	reported, err := e.reported(ctx, g, at)
	switch {
	case err != nil:
		return err
	case reported != nil:
		return fmt.Errorf("%w: %s", schemas.ErrClosed, reported.State)
	case c.retries(at):
		return nil
	case e.now().Before(g.LeaseUntil):
		return fmt.Errorf("%w: granted to %s until %s", schemas.ErrUnavailable, g.Executor, g.LeaseUntil.Format(time.RFC3339))
	case !g.Idempotent:
		return fmt.Errorf("%w: %s", schemas.ErrClosed, schemas.InDoubt)
	}
	return nil
}

func (e *Execute) writeGrant(ctx context.Context, c claim, before *schemas.Grant, at schemas.Record, nonce string) (schemas.Record, error) {
	v, err := e.judgeClaim(ctx, c, before)
	if err != nil {
		return schemas.Record{}, err
	}
	if err := e.reserveClaim(ctx, c, &v); err != nil {
		return schemas.Record{}, err
	}
	in := c.settlement.Intent
	g := schemas.Grant{
		Agent:      in.Agent,
		Intent:     in.ID,
		Executor:   c.executor.Name,
		Action:     in.Action,
		Digest:     in.Digest,
		Attempt:    1,
		Idempotent: v.action.Idempotent,
		LeaseUntil: v.at.Add(leaseOf(v)),
		Nonce:      nonce,
		Bundle:     v.bundle,
		At:         v.at,
		Trail:      append([]schemas.Pointer{c.at.Pointer()}, v.inputs()...),
	}
	if before != nil {
		g.Attempt = before.Attempt + 1
		g.Trail = append(g.Trail, at.Pointer())
	}
	if c.retried {
		g.Trail = append(g.Trail, c.hold.Doubt.Decision)
	}
	r, err := e.append(ctx, g, g.At, traceOf(c.at), schemas.Expect{Filter: schemas.GrantFilter(in.Key()), Last: at.Seq})
	if errors.Is(err, schemas.ErrStale) {
		return r, fmt.Errorf("%w: somebody else claims it at this moment", schemas.ErrUnavailable)
	}
	if err != nil {
		return r, err
	}
	e.Index.Granted(g, r.Pointer())
	e.Bell.Intent(in.Key(), schemas.Granted)
	return r, nil
}

// reserveClaim takes of budgets that the policy has only since the release. A claim
// that failed after that, and that is tried again when its share is folded, takes
// twice: too much rather than too little.
func (e *Execute) reserveClaim(ctx context.Context, c claim, v *verdict) error {
	m := matter{intent: c.settlement.Intent, trail: c.settlement.Trail, trace: traceOf(c.at)}
	for i := range v.accounts {
		a := &v.accounts[i]
		if a.reserved {
			continue
		}
		if err := e.take(ctx, m, v, a); errors.Is(err, schemas.ErrStale) {
			return fmt.Errorf("%w: %v", schemas.ErrUnavailable, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func leaseOf(v verdict) time.Duration {
	if v.action.Timeout > 0 {
		return v.action.Timeout
	}
	return defaultLease
}

// judgeClaim evaluates everything once more at the claim. What has become
// stricter since the release stops it here, and it lapses.
func (e *Execute) judgeClaim(ctx context.Context, c claim, before *schemas.Grant) (verdict, error) {
	said, named := c.said(), c.settlement.Trail
	if before != nil {
		named = slices.Concat(named, before.Trail)
	}
	var err error
	if said.paid, err = e.paid(ctx, c.settlement.Intent, named); err != nil {
		return verdict{}, err
	}
	v, err := e.judge(ctx, c.settlement.Intent, said)
	switch {
	case err != nil:
		return v, err
	case v.fault != nil:
		return v, fmt.Errorf("%w: %s", schemas.ErrClosed, v.fault.Code)
	case !v.at.Before(c.executeBy()):
		return v, fmt.Errorf("%w: %s", schemas.ErrClosed, schemas.Lapsed)
	case v.waiting != "":
		return v, fmt.Errorf("%w: %s", schemas.ErrUnavailable, v.waiting)
	case v.opinion.Outcome == schemas.Refuse:
		return v, fmt.Errorf("%w: the rules of this moment refuse it", schemas.ErrDenied)
	}
	if err := e.stillApproved(ctx, c, v); err != nil {
		return v, err
	}
	return v, e.Health.Check()
}

// said is what was said of the intent at its release: a hold's opinion, or that
// the rules let it pass.
func (c claim) said() said {
	s := said{opinion: schemas.Opinion{Outcome: schemas.Release}, bundle: c.settlement.Bundle}
	if c.hold != nil {
		s.opinion = c.hold.Opinion
	}
	s.binding = s.opinion
	if c.hold != nil {
		s.binding = c.hold.Binding()
	}
	return s
}

// executeBy is when the release lapses. A retry has its own time, in the hold.
func (c claim) executeBy() time.Time {
	if c.retried {
		return c.hold.Deadline
	}
	return c.settlement.ExecuteBy
}

// stillApproved makes sure that the approvals needed now are met by votes that
// count now, and that the executor is not one of those who approved.
func (e *Execute) stillApproved(ctx context.Context, c claim, v verdict) error {
	hold := schemas.Hold{Intent: c.settlement.Intent, Opinion: v.opinion}
	if c.hold != nil {
		hold = *c.hold
		hold.Opinion = v.opinion
	}
	enough, err := e.satisfied(ctx, hold, hold.Requirements())
	if err != nil {
		return err
	}
	if !enough {
		return fmt.Errorf("%w: it does not have the approvals that are needed now", schemas.ErrDenied)
	}
	for _, vote := range hold.Votes {
		if vote.Verdict == schemas.Approve && vote.Person == c.executor.Principal() {
			return fmt.Errorf("%w: %s approved it and answers for %s", schemas.ErrDenied, vote.Person, c.executor.Name)
		}
	}
	return nil
}
