package stages

import (
	"context"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// Exposures is what agents have been given, as observe sees it: a copy that may
// lag behind the stream.
type Exposures interface {
	Exposure(agent schemas.Name) schemas.Exposure
}

// Observe is the first stage: it establishes what an intent is, and who sent it.
type Observe struct {
	Common
	Exposures Exposures
	Rates     *Rates
}

// Handle observes one record of INTENTS.
func (o *Observe) Handle(ctx context.Context, r schemas.Record) error {
	in, fault := schemas.ReadIntent(o.Gateway, r)
	if in.Agent == "" {
		return fault
	}
	return o.handle(ctx, r, in, fault, o.Rates.Count(in.Agent, in.Proposed))
}

func (o *Observe) handle(ctx context.Context, r schemas.Record, in schemas.Intent, unreadable error, rate int) error {
	obs, err := observing{o.Common, o.Exposures, rate}.observe(ctx, in, unreadable)
	if err != nil {
		return err
	}
	return o.write(ctx, obs, r)
}

// Refuse records that r could not be handled.
func (o *Observe) Refuse(ctx context.Context, r schemas.Record, _ string) error {
	in, err := schemas.ReadIntent(o.Gateway, r)
	if in.Agent == "" {
		return err
	}
	return o.write(ctx, schemas.Observation{
		Intent:  in,
		Fault:   &schemas.Fault{Code: schemas.CodeInternal},
		Agent:   schemas.AgentFacts{Name: in.Agent},
		Opinion: schemas.Opinion{Outcome: schemas.Refuse},
		At:      o.now(),
	}, r)
}

func (o *Observe) write(ctx context.Context, obs schemas.Observation, r schemas.Record) error {
	obs.Trail = []schemas.Pointer{r.Pointer()}
	_, err := o.Log.Append(ctx, schemas.Write(obs, o.source(schemas.RoleObserve), obs.At, traceOf(r)), schemas.Expect{})
	return err
}

// observing is what it takes to observe an intent, with or without streams.
type observing struct {
	Common
	exposures Exposures
	rate      int // intents of the agent in the minute before
}

func (o observing) observe(ctx context.Context, in schemas.Intent, unreadable error) (schemas.Observation, error) {
	obs := schemas.Observation{
		Intent:  in,
		Agent:   schemas.AgentFacts{Name: in.Agent},
		Opinion: schemas.Opinion{Outcome: schemas.Refuse},
		Rate:    o.rate,
		At:      o.now(),
	}
	id, known := o.Names.ByName(in.Agent)
	if !known || id.Role != schemas.RoleAgent || unreadable == nil && !id.MayPropose(in.Action) {
		obs.Fault = &schemas.Fault{Code: schemas.CodeUnregistered}
		return obs, nil
	}
	obs.Agent = factsOf(id)
	if unreadable != nil {
		obs.Fault = faultOf(unreadable)
		return obs, nil
	}
	if in.Action == schemas.Withdraw {
		if _, err := withdrawalOf(in); err != nil {
			obs.Fault = faultOf(err)
			return obs, nil
		}
		obs.Opinion = schemas.Opinion{Outcome: schemas.Release}
		return obs, nil
	}
	policy, err := o.Control.Policy(ctx)
	if err != nil {
		return schemas.Observation{}, err
	}
	obs.Bundle = policy.Digest()
	if obs.Fault = catalogFault(policy, in); obs.Fault != nil {
		return obs, nil
	}
	obs.Exposure = o.exposures.Exposure(in.Agent).Facts(sessionOf(id, in), obs.At)
	obs.Opinion = policy.Evaluate(ctx, rules.Observe, factsFor(obs))
	return obs, nil
}
