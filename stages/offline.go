package stages

import (
	"context"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// Offline judges intents as the three stages would one after the other, by the
// same code and without streams: nothing is recorded, and what an agent has been
// given it is told. It may be used concurrently.
//
// It knows nothing of what only a running gate knows: freezes, the health of the
// audit, how many intents wait already, or that an id was used before.
type Offline struct {
	gateway schemas.Name
	names   Directory
	control *ControlState
	limits  Limits
}

// NewOffline returns an Offline for the agents that names knows.
func NewOffline(gateway schemas.Name, p Policy, names Directory) *Offline {
	control := NewControlState(names)
	control.bundles.Add(1, schemas.Activation{Bundle: p.Digest()}, "")
	control.policy = p
	return &Offline{gateway: gateway, names: names, control: control, limits: DefaultLimits()}
}

// Past is what an agent did and got before it proposes something.
type Past struct {
	// Exposure is what it has been given.
	Exposure schemas.Exposure

	// Rate counts its intents in the minute before, this one included.
	Rate int

	// Purse is what was taken of budgets. An intent that would be released takes its
	// share. If nil, nothing was taken, and nobody remembers what this one takes.
	Purse *Purse
}

// Judgement is what would become of an intent.
type Judgement struct {
	Intent  schemas.Intent
	Outcome schemas.Outcome

	// Fault is why the intent is refused whatever the rules say; nil if there is
	// nothing.
	Fault *schemas.Fault

	// Opinion is what the rules of all checkpoints say together.
	Opinion schemas.Opinion

	// Queue is where reviewers would find it.
	Queue schemas.Name

	// Seen is what its result would expose the agent to. Without labels, that is
	// nothing.
	Seen schemas.Seen

	// Stuck are the rules because of which no executor would be granted what is
	// released: at the claim, they take the agent for exposed to its result.
	Stuck []schemas.Match
}

// Judge says what would become of the intent that r, a record as INTENTS has
// them, proposes at the time that it was accepted. An error means that this cannot
// be said: ctx ended, or the subject of r names no agent.
func (o *Offline) Judge(ctx context.Context, r schemas.Record, past Past) (Judgement, error) {
	c := Common{Gateway: o.gateway, Control: o.control, Names: o.names, Now: func() time.Time { return r.Time }}
	in, unreadable := schemas.ReadIntent(o.gateway, r)
	if in.Agent == "" {
		return Judgement{}, unreadable
	}
	obs, err := observing{c, given(past.Exposure), past.Rate}.observe(ctx, in, unreadable)
	if err != nil {
		return Judgement{}, err
	}
	rec, err := (&Recommend{c}).recommend(ctx, obs)
	if err != nil {
		return Judgement{}, err
	}
	j := Judgement{Intent: in, Outcome: schemas.Refuse, Fault: rec.Fault, Opinion: rec.Opinion, Queue: rec.Queue}
	if j.Fault != nil {
		return j, nil
	}
	if in.Action == schemas.Withdraw {
		j.Outcome = schemas.Release
		return j, nil
	}
	v, err := judging{c, given(past.Exposure).last, past.Purse}.judge(ctx, in, said{opinion: rec.Opinion, binding: rec.Opinion, bundle: rec.Bundle})
	if err != nil {
		return Judgement{}, err
	}
	agent, _ := o.names.ByName(in.Agent)
	j.Outcome, j.Fault, j.Opinion, j.Seen = v.outcome(), v.fault, v.opinion, o.limits.seen(agent, in, v)
	if j.Outcome == schemas.Release {
		if err := past.Purse.pay(in, v); err != nil {
			return Judgement{}, err
		}
	}
	if j.Outcome == schemas.Release && len(j.Seen.Labels) > 0 && v.action.ReadsExposure {
		if j.Stuck, err = stuck(ctx, c, j, past); err != nil {
			return Judgement{}, err
		}
	}
	return j, ctx.Err()
}

// JudgeObserved says what would become of an intent that a gate observed, by what it
// observed then. An execute stage that judges it a moment later sees the same, but
// for the rate, which only the stages before it are told.
//
// If the intent takes of budgets, what execute says is left to Charge, which is told
// the charges.
//
// Of an intent that the catalog of that time refused, it was not observed what its
// agent had been given. It is judged as one that had been given nothing.
func (o *Offline) JudgeObserved(ctx context.Context, obs schemas.Observation) (j Judgement, charges []rules.Charge, err error) {
	policy, err := o.control.Policy(ctx)
	if err != nil {
		return Judgement{}, nil, err
	}
	j = Judgement{Intent: obs.Intent, Outcome: schemas.Refuse}
	if j.Fault = catalogFault(policy, obs.Intent); j.Fault != nil {
		return j, nil, nil
	}
	obs.Fault, obs.Opinion = nil, policy.Evaluate(ctx, rules.Observe, factsFor(obs))
	rec, err := (&Recommend{o.common(obs)}).recommend(ctx, obs)
	if err != nil {
		return Judgement{}, nil, err
	}
	j.Queue, j.Opinion = rec.Queue, rec.Opinion
	facts := executeFacts(obs)
	if charges, facts.Unread = policy.Charges(ctx, facts); len(charges) == 0 {
		j.Opinion = j.Opinion.Join(policy.Evaluate(ctx, rules.Execute, facts))
	}
	j.Outcome = j.Opinion.Outcome
	return j, charges, ctx.Err()
}

// Charge completes what JudgeObserved said of an intent that takes of budgets, with what
// others took. If it would be released, it takes its share.
func (o *Offline) Charge(ctx context.Context, obs schemas.Observation, j Judgement, charges []rules.Charge, purse *Purse) (Judgement, error) {
	policy, err := o.control.Policy(ctx)
	if err != nil {
		return Judgement{}, err
	}
	v, facts := verdict{at: obs.At}, executeFacts(obs)
	if err := (judging{Common: o.common(obs), takings: purse}).readBudgets(ctx, priced{policy, charges}, nil, &v, &facts); err != nil {
		return Judgement{}, err
	}
	j.Opinion = j.Opinion.Join(policy.Evaluate(ctx, rules.Execute, facts))
	if j.Outcome = j.Opinion.Outcome; j.Outcome == schemas.Release {
		err = purse.pay(obs.Intent, v)
	}
	if err != nil {
		return Judgement{}, err
	}
	return j, ctx.Err()
}

// priced is a policy of which it is known what the intent at hand takes.
type priced struct {
	Policy
	charges []rules.Charge
}

func (p priced) Charges(context.Context, rules.Facts) ([]rules.Charge, []schemas.Match) {
	return p.charges, nil
}

func (o *Offline) common(obs schemas.Observation) Common {
	return Common{Gateway: o.gateway, Control: o.control, Names: o.names, Now: func() time.Time { return obs.At }}
}

// executeFacts returns what the rules of execute judge by.
func executeFacts(obs schemas.Observation) rules.Facts {
	facts := factsFor(obs)
	facts.Rate = 0
	return facts
}

// stuck returns what the rules have against a claim of what they have released.
func stuck(ctx context.Context, c Common, j Judgement, past Past) ([]schemas.Match, error) {
	exposure, err := past.Exposure.Add(j.Seen, c.now())
	if err != nil {
		return nil, err
	}
	released := claim{settlement: schemas.Settlement{Intent: j.Intent, Bundle: c.Control.Active()}}
	v, err := judging{c, given(exposure).last, past.Purse}.judge(ctx, j.Intent, released.said())
	if err != nil || v.outcome() == schemas.Release {
		return nil, err
	}
	releases := func(m schemas.Match) bool { return m.Outcome == schemas.Release }
	return slices.DeleteFunc(slices.Concat(v.opinion.Matched, v.opinion.Failed), releases), nil
}

// given is an exposure that is known without asking.
type given schemas.Exposure

func (g given) Exposure(schemas.Name) schemas.Exposure { return schemas.Exposure(g) }

func (g given) last(context.Context, schemas.Name) (schemas.Exposure, schemas.Record, error) {
	return schemas.Exposure(g), schemas.Record{}, nil
}
