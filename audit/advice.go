package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// matter is what a record says that an intent is: what its digest covers, and the
// words of its agent, which reviewers read and the digest does not cover.
type matter struct {
	digest schemas.Digest
	words  mark
}

func matterOf(in schemas.Intent) matter {
	return matter{in.Digest, markOf(in.Reason, in.Goal)}
}

// advice is what observe or recommend says of an intent.
type advice struct {
	at schemas.Pointer
	matter
	refused  bool // whatever the rules say, or by them
	outcome  schemas.Outcome
	risk     int
	needs    []schemas.Approval
	queue    schemas.Name // of a recommendation
	agent    mark         // of an observation: who it takes the agent for
	bundle   schemas.Digest
	proposed time.Time
	written  time.Time
	trail    []schemas.Pointer
}

func (v *Verifier) takeObservation(at place, r schemas.Record) {
	var o schemas.Observation
	if !v.read(at, r, &o) {
		return
	}
	t, kept := v.takeAdvice(at, o.Intent, o.Opinion, advice{
		at: r.Pointer(), refused: o.Fault != nil, agent: markOfFacts(o.Agent.Owner, o.Agent.Groups),
		bundle: o.Bundle, written: o.At, trail: o.Trail,
	})
	if len(o.Trail) == 0 {
		return
	}
	proposal := o.Trail[0].Seq
	switch {
	case t != nil && slices.Contains(t.proposals, proposal):
	case kept:
		t.proposals = append(t.proposals, proposal)
	default:
		delete(v.proposals, proposal) // nobody asks for it any more
	}
}

func markOfFacts(owner string, groups []string) mark {
	return markOf(append([]string{owner}, groups...)...)
}

func (v *Verifier) takeRecommendation(at place, r schemas.Record) {
	var rec schemas.Recommendation
	if v.read(at, r, &rec) {
		v.takeAdvice(at, rec.Intent, rec.Opinion, advice{
			at: r.Pointer(), refused: rec.Fault != nil, queue: rec.Queue,
			bundle: rec.Bundle, written: rec.At, trail: rec.Trail,
		})
	}
}

// takeAdvice returns the trail of an intent, nil if that is over, and whether the
// advice was added to it: not if nothing can come of that any more.
func (v *Verifier) takeAdvice(at place, in schemas.Intent, o schemas.Opinion, a advice) (t *trail, kept bool) {
	at.key = in.Key()
	v.verify(at, in)
	a.matter, a.proposed = matterOf(in), in.Proposed
	a.outcome, a.risk, a.needs, a.refused = o.Outcome, o.Risk, o.Approvals, a.refused || o.Outcome == schemas.Refuse
	t = v.trail(at.key)
	if t == nil || !t.wants(a) {
		return t, false
	}
	t.advice = append(t.advice, a)
	return t, true
}

// wants reports whether anything can come of advice: the intent has no verdict
// yet, and no hold that came of other advice on the same.
func (t *trail) wants(a advice) bool {
	return !t.advised && (t.held == nil || t.held.digest != a.digest || slices.Contains(t.held.trail, a.at))
}

// keepTo drops what nothing can come of, now that it is known of which advice a
// hold came. An agent may send the same as often as it likes.
func (v *Verifier) keepTo(t *trail, h *hold) {
	t.held = h
	t.advice = slices.DeleteFunc(t.advice, func(a advice) bool { return !t.wants(a) })
	t.proposals = slices.DeleteFunc(t.proposals, func(seq uint64) bool {
		if p := v.proposals[seq]; p == nil || !t.repeats(p) {
			return false
		}
		delete(v.proposals, seq)
		return true
	})
}

// repeats reports whether a proposal says again what is held on another.
func (t *trail) repeats(p *proposal) bool {
	return t.held != nil && t.held.digest == p.digest && !slices.ContainsFunc(t.held.trail, func(named schemas.Pointer) bool {
		return named.Stream == schemas.Intents && named.Seq == p.at.seq
	})
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
	case obs.matter != s.matter || rec.matter != s.matter:
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

// informed says why the advice that a release names may not lead to it: it takes
// the agent for somebody else, or goes by rules that nobody activated.
func (v *Verifier) informed(t *trail, s *verdict) error {
	for _, p := range s.Trail[1:3] {
		a, err := v.advice(t, p)
		if err != nil {
			return err
		}
		if err := v.activated("names "+p.String()+", which goes by", a.bundle, moment{said: a.written}); err != nil {
			return err
		}
		agent, err := v.member(s.Intent.Agent)
		if err != nil {
			return err
		}
		if p.Stream == schemas.Observed && a.agent != markOfFacts(agent.Owner, agent.Groups) {
			return fmt.Errorf("names %s, which takes %s for somebody else", p, agent.Name)
		}
	}
	return v.activated("goes by", s.Bundle, s.moment)
}

// includes reports whether every approval of some is one of all.
func includes(all, some []schemas.Approval) bool {
	return !slices.ContainsFunc(some, func(a schemas.Approval) bool { return !slices.Contains(all, a) })
}
