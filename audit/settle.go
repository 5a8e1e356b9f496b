package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// verdict is the settlement of an intent.
type verdict struct {
	schemas.Settlement
	at       schemas.Pointer
	readable bool
}

// takeSettlement takes in the one verdict on an intent.
func (v *Verifier) takeSettlement(at place, r schemas.Record) {
	s := &verdict{}
	if !v.read(at, r, &s.Settlement) {
		return
	}
	v.verify(at, s.Intent)
	t := v.trail(s.Intent.Key())
	if t == nil || t.verdict != nil {
		v.find(at, "settles what was settled before")
		return
	}
	s.at, s.readable = r.Pointer(), len(s.Intent.Params) > 0
	s.Intent, s.Detail, s.Tell = lean(s.Intent), "", ""
	t.verdict = s
	if s.Outcome == schemas.Release {
		v.counts.Released++
	} else {
		v.counts.Refused++
	}
	v.pose(at, t, func() error { return v.settled(t) })
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

// released says why an intent may not be released.
func (v *Verifier) released(t *trail, s *verdict) error {
	rec, err := v.recommended(t, s)
	if err != nil {
		return err
	}
	h, err := v.named(t, s)
	if err != nil {
		return err
	}
	switch {
	case h == nil && rec.outcome != schemas.Release:
		return fmt.Errorf("releases what %s parks, and names no hold", rec.at)
	case s.Intent.Action == schemas.Withdraw:
		return nil // neither time nor rule nor freeze stands in the way of doing less
	case s.At.After(s.Intent.Expires().Add(slack)):
		return fmt.Errorf("releases an intent that expired before")
	case h != nil:
		if err := v.approved(t, s, h, union(rec.requirements(), h.needs)); err != nil {
			return err
		}
	}
	return v.allowed(s, s.At)
}

// allowed says why CONTROL does not let an intent be released or granted at a
// moment.
func (v *Verifier) allowed(s *verdict, at time.Time) error {
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
	case h.digest != s.Intent.Digest:
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

// withdrawn says why an intent may not be refused as withdrawn.
func (v *Verifier) withdrawn(s *verdict) error {
	for _, p := range s.Trail {
		if p.Stream != schemas.Intents {
			continue
		}
		if err := v.reached(p); err != nil {
			return err
		}
		if v.withdrawals[p.Seq] == withdrawalMark(p.Hash, s.Intent.Key()) {
			return nil
		}
	}
	return fmt.Errorf("is refused as withdrawn, and names no withdrawal by its agent")
}
