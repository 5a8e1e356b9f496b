package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// grant is the right of one executor to perform an intent.
type grant struct {
	schemas.Grant
	moment
	at     schemas.Pointer
	before *grant // the grant before this one, or nil
	lapsed bool   // the release had lapsed by then
}

// takeGrant takes in a grant or a lapse. GRANTED is in order, so what was granted
// before is known.
func (v *Verifier) takeGrant(at place, s schemas.Subject, r schemas.Record) {
	if s.Kind == "lapsed" {
		v.takeLapse(at, r)
		return
	}
	g := &grant{at: r.Pointer()}
	if !v.read(at, r, &g.Grant) {
		return
	}
	g.moment = moment{g.At, at.copied}
	v.counts.Granted++
	v.dated(at, g.At)
	v.repeatable(at, g)
	t := v.trail(g.Key())
	if t == nil {
		v.find(at, "grants what is over")
		return
	}
	g.before, g.lapsed = t.grant(), t.lapsed
	t.grants = append(t.grants, g)
	v.pose(at, t, func() error { return v.granted(t, g) })
}

// repeatable makes sure that grants agree on whether an action is idempotent, as
// long as the bundle is the same: an action that is may be granted twice.
func (v *Verifier) repeatable(at place, g *grant) {
	what := markOf(string(g.Bundle), string(g.Action))
	first, known := v.idempotent[what]
	if !known {
		v.idempotent[what] = idempotence{g.at, g.Idempotent}
	} else if first.is != g.Idempotent {
		v.find(at, fmt.Sprintf("says that it is %t that %s is idempotent, and %s, by the same bundle, %t", g.Idempotent, g.Action, first.at, first.is))
	}
}

// idempotence is what a grant says of its action.
type idempotence struct {
	at schemas.Pointer
	is bool
}

// grant returns the latest grant, or nil.
func (t *trail) grant() *grant {
	if len(t.grants) == 0 {
		return nil
	}
	return t.grants[len(t.grants)-1]
}

// granted says why an intent may not be granted.
func (v *Verifier) granted(t *trail, g *grant) error {
	s, err := v.release(t, g.Trail, g.Digest)
	if err != nil {
		return err
	}
	switch {
	case g.Action != s.Intent.Action:
		return fmt.Errorf("grants something else than %s releases", s.at)
	case g.At.Add(slack).Before(s.At):
		return fmt.Errorf("grants before %s releases", s.at)
	case g.lapsed:
		return fmt.Errorf("grants what has lapsed")
	}
	if err := v.attempt(t, g); err != nil {
		return err
	}
	switch {
	case g.At.After(t.executeBy(s, g.Trail).Add(slack)):
		return fmt.Errorf("grants what should have lapsed before")
	case g.At.After(s.Intent.Expires().Add(slack)):
		return fmt.Errorf("grants an intent that expired before")
	}
	return worst(v.mayExecute(t, s, g), v.stillApproved(t, s, g), v.allowed(s, g.moment), v.activated("goes by", g.Bundle, g.moment), v.takes(t, s, g))
}

// takes says why a grant may not name the budgets that it names.
func (v *Verifier) takes(t *trail, s *verdict, g *grant) error {
	for _, p := range g.Trail {
		if p.Stream != schemas.Budgets {
			continue
		}
		if err := v.charged(s.Intent, p, t.hold() != nil); err != nil {
			return err
		}
	}
	return nil
}

// release returns the release that a grant or a lapse names first, if it is one of
// the same digest.
func (v *Verifier) release(t *trail, named []schemas.Pointer, digest schemas.Digest) (*verdict, error) {
	if len(named) == 0 || named[0].Stream != schemas.Settled {
		return nil, fmt.Errorf("names no release")
	}
	if err := v.reached(named[0]); err != nil {
		return nil, err
	}
	s := t.verdict
	switch {
	case s == nil || s.at != named[0] || s.Outcome != schemas.Release || s.Intent.Action == schemas.Withdraw:
		return nil, fmt.Errorf("names %s, which releases nothing of the kind", named[0])
	case s.Intent.Digest != digest:
		return nil, fmt.Errorf("is about something else than %s releases", s.at)
	}
	return s, nil
}

// attempt says why an intent may not be granted once more, or that it may: by
// itself only if the action is idempotent and the executor before said nothing
// in time, and else by a reviewer's word.
func (v *Verifier) attempt(t *trail, g *grant) error {
	b := g.before
	switch {
	case b == nil:
		return v.firstAttempt(g)
	case g.Attempt != b.Attempt+1 || !slices.Contains(g.Trail, b.at):
		return fmt.Errorf("is attempt %d, and does not follow %s, attempt %d", g.Attempt, b.at, b.Attempt)
	}
	if err := t.ended(b, g.At.Add(-slack)); err != nil {
		return err
	}
	for _, h := range t.holds {
		if h.retries(b, g.Trail) {
			s, err := v.decision(h, h.doubt.Decision)
			if err == nil {
				_, err = v.signed(t, h, s)
			}
			return err
		}
	}
	switch {
	case t.inDoubt(b, g.At.Add(-slack)):
		return fmt.Errorf("grants again what is in doubt since %s", b.at)
	case b.Idempotent && !g.At.Before(b.LeaseUntil.Add(-slack)):
		return nil
	case slices.ContainsFunc(g.Trail, func(p schemas.Pointer) bool { return p.Stream == schemas.Decisions }):
		return missingf("grants again, and no hold says that a reviewer wants that after %s", b.at)
	case b.Idempotent:
		return fmt.Errorf("grants again before the lease of %s ends", b.at)
	}
	return fmt.Errorf("grants again what may be granted once, in %s", b.at)
}

// firstAttempt says why a grant cannot be the first that was read.
func (v *Verifier) firstAttempt(g *grant) error {
	if g.Attempt == 1 {
		return nil
	}
	for _, p := range g.Trail {
		if p.Stream != schemas.Grants {
			continue
		}
		if err := v.reached(p); err != nil {
			return err
		}
	}
	return fmt.Errorf("is attempt %d, and there was none before", g.Attempt)
}

// ended says why it was known at a moment what became of a grant, or nil.
func (t *trail) ended(g *grant, at time.Time) error {
	for _, s := range t.reports {
		if s.on(g) && s.at.copied.Before(at) {
			return fmt.Errorf("grants again what %s/%d reports on", s.at.stream, s.at.seq)
		}
	}
	for _, h := range t.holds {
		if h.resolved() && h.doubts(g) && h.written.Before(at) {
			return fmt.Errorf("grants again what is %s by %s", h.state, h.at)
		}
	}
	return nil
}

// inDoubt reports whether it was known at a moment that nobody can tell what became
// of a grant.
func (t *trail) inDoubt(g *grant, at time.Time) bool {
	return slices.ContainsFunc(t.holds, func(h *hold) bool {
		return h.state == schemas.InDoubt && h.doubts(g) && h.written.Before(at)
	})
}

// executeBy returns when a release lapses: a retry has a time of its own.
func (t *trail) executeBy(s *verdict, named []schemas.Pointer) time.Time {
	for _, h := range t.holds {
		if h.state == schemas.Released && h.doubt != nil && slices.Contains(named, h.doubt.Decision) {
			return h.deadline
		}
	}
	return s.ExecuteBy
}

// mayExecute says why an executor may not perform what was released.
func (v *Verifier) mayExecute(t *trail, s *verdict, g *grant) error {
	who, err := v.registered(g.Executor, schemas.RoleExecutor, g.moment)
	if err != nil {
		return err
	}
	if !slices.Contains(who.Systems, g.Action.System()) {
		return fmt.Errorf("grants to %s, who is not registered for %s", who.Name, g.Action.System())
	}
	h, err := v.named(t, s)
	if h == nil || unsure(err) {
		return onlyUnsure(err)
	}
	for _, vote := range h.votes {
		if vote.Verdict == schemas.Approve && vote.Person == who.Principal() {
			return fmt.Errorf("grants to %s, and %s approved it and answers for it", who.Name, vote.Person)
		}
	}
	return nil
}

// takeLapse takes in that nobody claimed a release in time.
func (v *Verifier) takeLapse(at place, r schemas.Record) {
	var l schemas.Lapse
	if !v.read(at, r, &l) {
		return
	}
	v.counts.Lapsed++
	t := v.trail(l.Key())
	if t == nil || t.lapsed {
		v.find(at, "lapses what is over")
		return
	}
	before := t.grant()
	t.lapsed = true
	v.pose(at, t, func() error { return v.mayLapse(t, l, before) })
}

// mayLapse says why a release may not lapse. After a grant it may only if a
// reviewer said to try again and nobody did; the lapse does not name the hold
// that says so, which may still come.
func (v *Verifier) mayLapse(t *trail, l schemas.Lapse, before *grant) error {
	s, err := v.release(t, l.Trail, l.Digest)
	if err != nil {
		return err
	}
	by := s.ExecuteBy
	if before != nil {
		h := t.retried(before)
		if h == nil {
			return missingf("lapses what is granted by %s", before.at)
		}
		by = h.deadline
	}
	if l.At.Before(by.Add(-slack)) {
		return fmt.Errorf("lapses before %s", clock(by))
	}
	return nil
}

// retried returns the hold that says that an intent is to be tried again after g,
// or nil.
func (t *trail) retried(g *grant) *hold {
	for _, h := range t.holds {
		if h.state == schemas.Released && h.doubts(g) && h.doubt.Verdict == schemas.Retry {
			return h
		}
	}
	return nil
}
