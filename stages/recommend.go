package stages

import (
	"context"
	"slices"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// Recommend is the second stage: it says how risky an intent is, and who must
// agree.
type Recommend struct{ Common }

// Handle makes a recommendation on one record of OBSERVED.
func (s *Recommend) Handle(ctx context.Context, r schemas.Record) error {
	var obs schemas.Observation
	if err := take(r, &obs); err != nil {
		return err
	}
	rec, err := s.recommend(ctx, obs)
	if err != nil {
		return err
	}
	return s.write(ctx, rec, obs, r)
}

// Refuse records that r could not be handled.
func (s *Recommend) Refuse(ctx context.Context, r schemas.Record, _ string) error {
	var obs schemas.Observation
	if err := take(r, &obs); err != nil {
		return err
	}
	return s.write(ctx, schemas.Recommendation{
		Fault:   &schemas.Fault{Code: schemas.CodeInternal},
		Opinion: schemas.Opinion{Outcome: schemas.Refuse},
	}, obs, r)
}

func (s *Recommend) write(ctx context.Context, rec schemas.Recommendation, obs schemas.Observation, r schemas.Record) error {
	rec.Intent, rec.At = obs.Intent, s.now()
	rec.Trail = append(slices.Clone(obs.Trail), r.Pointer())
	_, err := s.Log.Append(ctx, schemas.Write(rec, s.source(schemas.RoleRecommend), rec.At, traceOf(r)), schemas.Expect{})
	return err
}

// recommend judges by the observation alone, so that the same observation and
// the same bundle always give the same recommendation.
func (s *Recommend) recommend(ctx context.Context, obs schemas.Observation) (schemas.Recommendation, error) {
	rec := schemas.Recommendation{Fault: obs.Fault, Opinion: obs.Opinion}
	if obs.Fault != nil || obs.Intent.Action == schemas.Withdraw {
		return rec, nil
	}
	policy, err := s.Control.Policy(ctx)
	if err != nil {
		return rec, err
	}
	rec.Bundle = policy.Digest()
	action, known := policy.Action(obs.Intent.Action)
	if !known {
		rec.Fault = &schemas.Fault{Code: schemas.CodeUnknownAction, Detail: string(obs.Intent.Action)}
		rec.Opinion = schemas.Opinion{Outcome: schemas.Refuse}
		return rec, nil
	}
	rec.Queue = action.Queue
	rec.Opinion = obs.Opinion.Join(policy.Evaluate(ctx, rules.Recommend, factsFor(obs)))
	rec.Shadow = s.overshadow(ctx, obs, rec.Opinion)
	return rec, nil
}

// mostShadowRules is how many rules of a shadow are named.
const mostShadowRules = 5

// overshadow returns what the shadow bundle says of an intent, if there is one and
// the outcome is another. Nothing follows from it.
func (s *Recommend) overshadow(ctx context.Context, obs schemas.Observation, active schemas.Opinion) *schemas.ShadowOpinion {
	shadow := s.Control.Shadow()
	if shadow == nil {
		return nil
	}
	said := &schemas.ShadowOpinion{Bundle: shadow.Digest(), Outcome: schemas.Refuse}
	if catalogFault(shadow, obs.Intent) == nil {
		facts := factsFor(obs)
		opinion := shadow.Evaluate(ctx, rules.Observe, facts).Join(shadow.Evaluate(ctx, rules.Recommend, facts))
		said.Outcome = opinion.Outcome
		for _, m := range append(slices.Clone(opinion.Failed), opinion.Matched...) {
			if len(said.Rules) < mostShadowRules {
				said.Rules = append(said.Rules, m.Rule)
			}
		}
	}
	if said.Outcome == active.Outcome {
		return nil
	}
	return said
}
