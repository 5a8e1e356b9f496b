package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// advice is what observe or recommend says of an intent.
type advice struct {
	at       schemas.Pointer
	digest   schemas.Digest
	refused  bool // whatever the rules say, or by them
	outcome  schemas.Outcome
	needs    []schemas.Approval
	proposed time.Time
	written  time.Time
	trail    []schemas.Pointer
}

func (v *Verifier) takeObservation(at place, r schemas.Record) {
	var o schemas.Observation
	if !v.read(at, r, &o) {
		return
	}
	proposal := uint64(0) // there is none of that sequence
	if len(o.Trail) > 0 {
		proposal = o.Trail[0].Seq
	}
	t := v.takeAdvice(at, o.Intent, o.Opinion, advice{at: r.Pointer(), refused: o.Fault != nil, written: o.At, trail: o.Trail})
	switch {
	case t == nil:
		delete(v.proposals, proposal) // observed once more, after a crash
	case !slices.Contains(t.proposals, proposal):
		t.proposals = append(t.proposals, proposal)
	}
}

func (v *Verifier) takeRecommendation(at place, r schemas.Record) {
	var rec schemas.Recommendation
	if v.read(at, r, &rec) {
		v.takeAdvice(at, rec.Intent, rec.Opinion, advice{at: r.Pointer(), refused: rec.Fault != nil, written: rec.At, trail: rec.Trail})
	}
}

// takeAdvice adds to the trail of an intent, and returns it, unless the intent is
// over.
func (v *Verifier) takeAdvice(at place, in schemas.Intent, o schemas.Opinion, a advice) *trail {
	at.key = in.Key()
	v.verify(at, in)
	t := v.trail(at.key)
	if t == nil {
		return nil
	}
	a.digest, a.proposed = in.Digest, in.Proposed
	a.outcome, a.needs, a.refused = o.Outcome, o.Approvals, a.refused || o.Outcome == schemas.Refuse
	t.advice = append(t.advice, a)
	return t
}

// requirements returns the approvals that a release needs on this advice.
func (a *advice) requirements() []schemas.Approval {
	return schemas.Opinion{Outcome: a.outcome, Approvals: a.needs}.Requirements()
}

// advice returns what observe or recommend says in the record that p names.
func (v *Verifier) advice(t *trail, p schemas.Pointer) (*advice, error) {
	if err := v.reached(p); err != nil {
		return nil, err
	}
	for i := range t.advice {
		if t.advice[i].at == p {
			return &t.advice[i], nil
		}
	}
	return nil, fmt.Errorf("names %s, which says something else or is about something else", p)
}

// recommended returns the recommendation that a release names, if it and what it
// comes from are about the intent that is released, and let it pass.
func (v *Verifier) recommended(t *trail, s *verdict) (*advice, error) {
	if len(s.Trail) < 3 || s.Trail[0].Stream != schemas.Intents || s.Trail[1].Stream != schemas.Observed || s.Trail[2].Stream != schemas.Recommended {
		return nil, fmt.Errorf("releases without naming the intent, an observation and a recommendation")
	}
	obs, err := v.advice(t, s.Trail[1])
	if err != nil {
		return nil, err
	}
	rec, err := v.advice(t, s.Trail[2])
	if err != nil {
		return nil, err
	}
	if err := v.proposed(s, obs.proposed); err != nil {
		return nil, err
	}
	return rec, obs.leadsTo(rec, s)
}

// leadsTo says why an observation and the recommendation made of it do not lead
// to a release, or nil.
func (obs *advice) leadsTo(rec *advice, s *verdict) error {
	switch {
	case obs.digest != s.Intent.Digest || rec.digest != s.Intent.Digest:
		return fmt.Errorf("releases something else than %s and %s are about", obs.at, rec.at)
	case !slices.Equal(obs.trail, s.Trail[:1]) || !slices.Equal(rec.trail, s.Trail[:2]):
		return fmt.Errorf("does not follow the trail of %s", rec.at)
	case obs.refused:
		return fmt.Errorf("releases what %s refuses", obs.at)
	case rec.refused:
		return fmt.Errorf("releases what %s refuses", rec.at)
	case schemas.Strictest(obs.outcome, rec.outcome) != rec.outcome || !includes(rec.needs, obs.needs):
		return fmt.Errorf("releases on %s, which asks for less than %s", rec.at, obs.at)
	case !s.Intent.Proposed.Equal(obs.proposed) || s.At.Add(slack).Before(rec.written):
		return fmt.Errorf("is older than %s, on which it is made", rec.at)
	}
	return nil
}

// includes reports whether every approval of some is one of all.
func includes(all, some []schemas.Approval) bool {
	return !slices.ContainsFunc(some, func(a schemas.Approval) bool { return !slices.Contains(all, a) })
}
