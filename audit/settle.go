package audit

import (
	"fmt"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// verdict is the settlement of an intent.
type verdict struct {
	schemas.Settlement
	matter
	moment
	at       schemas.Pointer
	readable bool

	// unfulfilled is why a withdrawal may not be released.
	unfulfilled error

	// needs are the approvals that the recommendation asks for. Until judged they
	// are not known.
	needs  []schemas.Approval
	judged bool
}

// takeSettlement takes in the one verdict on an intent.
func (v *Verifier) takeSettlement(at place, r schemas.Record) {
	s := &verdict{at: r.Pointer()}
	if !v.read(at, r, &s.Settlement) {
		return
	}
	v.verify(at, s.Intent)
	t := v.trail(s.Intent.Key())
	if t == nil || t.verdict != nil {
		v.find(at, "settles what was settled before")
		return
	}
	s.readable, s.matter, s.moment = len(s.Intent.Params) > 0, matterOf(s.Intent), moment{s.At, at.copied}
	switch {
	case s.Outcome != schemas.Release:
		v.counts.Refused++
	case s.Intent.Action == schemas.Withdraw:
		v.counts.Released++
		s.unfulfilled = v.fulfilled(s.Intent)
	default:
		v.counts.Released++
		v.dated(at, s.At)
	}
	s.Intent, s.Detail, s.Tell = lean(s.Intent), "", ""
	t.verdict = s
	v.poseThen(at, t, func() error { return v.settled(t) }, func() { v.forgetDuplicate(s) })
}

// settled says why an intent may not be settled as it is.
func (v *Verifier) settled(t *trail) error {
	s := t.verdict
	switch {
	case s.Outcome == schemas.Release && !s.readable:
		return fmt.Errorf("releases what cannot be read")
	case s.Outcome == schemas.Release:
		return v.released(t, s)
	case s.Outcome != schemas.Refuse:
		return fmt.Errorf("neither releases nor refuses")
	case s.Code == schemas.CodeDenied:
		return v.denied(t, s)
	case s.Code == schemas.CodeWithdrawn:
		return v.withdrawn(s)
	}
	return nil
}

// forgetDuplicate drops what was said of an intent under an id that its agent had
// used for another: it is refused under its own sequence, and nothing can come of
// it under that id, unless it was held under it by then.
func (v *Verifier) forgetDuplicate(s *verdict) {
	if s.Code != schemas.CodeDuplicateID || len(s.Trail) == 0 {
		return
	}
	seq := s.Trail[0].Seq
	p := v.proposals[seq]
	if p == nil || p.at.key == s.Intent.Key() {
		return
	}
	t := v.trails[p.at.key]
	if t == nil || slices.ContainsFunc(t.holds, func(h *hold) bool { return h.digest == p.digest }) {
		return
	}
	delete(v.proposals, seq)
	t.proposals = slices.DeleteFunc(t.proposals, func(other uint64) bool { return other == seq })
	t.advice = slices.DeleteFunc(t.advice, func(a advice) bool { return slices.Contains(s.Trail, a.at) })
}

// released says why an intent may not be released.
func (v *Verifier) released(t *trail, s *verdict) error {
	rec, err := v.recommended(t, s)
	if err != nil {
		return err
	}
	s.needs, s.judged = rec.requirements(), true
	h, err := v.named(t, s)
	if err != nil {
		return err
	}
	if h == nil && rec.outcome != schemas.Release {
		return fmt.Errorf("releases what %s parks, and names no hold", rec.at)
	}
	if err := v.traced(t, s, h); err != nil {
		return err
	}
	if s.Intent.Action == schemas.Withdraw {
		return s.unfulfilled // neither time nor rule nor freeze stands in the way of doing less
	}
	return worst(s.intime(h), v.approved(t, s, h), v.allowed(s, s.moment), v.informed(t, s))
}

// intime says why an intent may not be released any more, or not for so long.
func (s *verdict) intime(h *hold) error {
	expires := s.Intent.Expires()
	switch {
	case s.At.After(expires.Add(slack)):
		return fmt.Errorf("releases an intent that expired before")
	case h != nil && s.At.After(h.deadline.Add(slack)):
		return fmt.Errorf("releases after the deadline of %s", h.at)
	case s.ExecuteBy.After(expires):
		return fmt.Errorf("may be claimed until %s, and expires %s", clock(s.ExecuteBy), clock(expires))
	}
	return nil
}

// allowed says why CONTROL does not let an intent be released or granted at a
// moment.
func (v *Verifier) allowed(s *verdict, at moment) error {
	agent, err := v.registered(s.Intent.Agent, schemas.RoleAgent, at)
	if err != nil {
		return err
	}
	if !agent.MayPropose(s.Intent.Action) {
		return fmt.Errorf("goes on with an action for which %s is not registered", agent.Name)
	}
	return v.thawed(s.Intent.Agent, s.Intent.Action, at)
}

// named returns the hold that a settlement names, or nil if it names none. What
// the votes of the hold say must be named too.
func (v *Verifier) named(t *trail, s *verdict) (*hold, error) {
	i := slices.IndexFunc(s.Trail, func(p schemas.Pointer) bool { return p.Stream == schemas.ParkedHolds })
	if i < 0 {
		return nil, nil
	}
	if err := v.reached(s.Trail[i]); err != nil {
		return nil, err
	}
	for _, h := range t.holds {
		if h.at == s.Trail[i] {
			return h, h.leadsTo(s)
		}
	}
	return nil, fmt.Errorf("names %s, which says something else or is about something else", s.Trail[i])
}

// leadsTo says why a hold does not lead to a settlement, or nil.
func (h *hold) leadsTo(s *verdict) error {
	switch {
	case h.matter != s.matter:
		return fmt.Errorf("settles something else than %s is about", h.at)
	case h.state != schemas.Parked:
		return fmt.Errorf("settles on %s, which is %s", h.at, h.state)
	case len(s.Trail) < len(h.trail) || !slices.Equal(h.trail, s.Trail[:len(h.trail)]):
		return fmt.Errorf("does not follow the trail of %s", h.at)
	case s.At.Add(slack).Before(h.written):
		return fmt.Errorf("is older than %s, on which it is made", h.at)
	}
	for _, vote := range h.votes {
		if !slices.Contains(s.Trail, vote.Decision) {
			return fmt.Errorf("does not name %s, which counts on %s", vote.Decision, h.at)
		}
	}
	return nil
}

// traced says why a release may not name what it names beside its recommendation,
// or why it may not do without a hold: only the hold, the decisions that count
// on it, what the agent was exposed to and what it takes of budgets have a part in it.
func (v *Verifier) traced(t *trail, s *verdict, h *hold) error {
	if over := t.heldBefore(s); h == nil && over != nil {
		return fmt.Errorf("passes over %s", over.at)
	}
	rest := s.Trail[3:]
	if h != nil {
		rest = slices.DeleteFunc(slices.Clone(rest), func(p schemas.Pointer) bool {
			return p == h.at || slices.ContainsFunc(h.votes, func(vote schemas.Vote) bool { return vote.Decision == p })
		})
	}
	for _, p := range rest {
		var err error
		if p.Stream == schemas.Budgets {
			err = v.charged(s.Intent, p, h != nil)
		} else {
			err = v.exposed(s.Intent.Agent, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// heldBefore returns the hold on what s settles, if there was one by then.
func (t *trail) heldBefore(s *verdict) *hold {
	i := slices.IndexFunc(t.holds, func(h *hold) bool {
		return h.state == schemas.Parked && h.digest == s.digest && h.written.Add(slack).Before(s.At)
	})
	if i < 0 {
		return nil
	}
	return t.holds[i]
}
