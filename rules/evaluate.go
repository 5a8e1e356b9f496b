package rules

import (
	"context"
	"fmt"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/holdpoint/holdpoint/schemas"
)

// Evaluate returns what the rules of a checkpoint say about an intent. It cannot
// fail: what goes wrong is in the opinion, which then parks at least.
//
// Of an action that is not in the catalog, and at no checkpoint, it returns the
// zero opinion. If ctx ends meanwhile, the opinion is about that: whoever ends it
// must not record the opinion.
func (b *Bundle) Evaluate(ctx context.Context, at Checkpoint, f Facts) schemas.Opinion {
	p, ok := b.plans[f.Intent.Action]
	if !ok || at != Observe && at != Recommend && at != Execute {
		return schemas.Opinion{}
	}
	if len(p.at(at)) == 0 && at != Recommend {
		return schemas.Opinion{Outcome: schemas.Release}
	}
	if p.silent(at) {
		return schemas.Opinion{} // parks: nothing says release
	}
	ctx, cancel := context.WithTimeout(ctx, b.limits.time())
	defer cancel()
	e := evaluation{vars: &activation{Facts: f, env: b.env, action: p.value, data: b.data, shape: p.shape}}
	e.rules(ctx, p.at(at))
	if at == Recommend {
		e.risks(ctx, p.risks)
		e.thresholds(p.thresholds)
	}
	e.decide(at)
	e.approvals(ctx, p.approvals)
	return e.result()
}

// evaluation forms one opinion.
type evaluation struct {
	vars *activation

	opinion  schemas.Opinion
	released bool // a rule said so
	rulings  []*rule
	limits   []schemas.Match // thresholds that were reached
	added    []schemas.Match // contributions to the risk
}

// holds reports whether a condition holds. If that cannot be said it notes the
// failure of the one who asks.
func (e *evaluation) holds(ctx context.Context, id string, when *program) (yes, ok bool) {
	if when == nil {
		return true, true
	}
	v, err := when.run(ctx, e.vars)
	if err != nil {
		e.fail(id, err)
		return false, false
	}
	truth, ok := v.(types.Bool)
	if !ok {
		e.fail(id, wrongType(v, "true or false"))
	}
	return bool(truth), ok
}

func wrongType(v ref.Val, want string) error {
	return fmt.Errorf("want %s, got %s", want, v.Type().TypeName())
}

// fail notes that an entry could not be evaluated. The opinion parks at least.
func (e *evaluation) fail(id string, err error) {
	e.opinion.Failed = append(e.opinion.Failed, schemas.Match{
		Rule:    id,
		Outcome: schemas.Park,
		Reason:  clip(oneLine(err.Error()), maxFailure),
	})
}

func (e *evaluation) rules(ctx context.Context, rules []*rule) {
	for _, r := range rules {
		if yes, _ := e.holds(ctx, r.id, r.when); yes {
			e.rulings = append(e.rulings, r)
			e.released = e.released || r.outcome == schemas.Release
		}
	}
}

func (e *evaluation) risks(ctx context.Context, risks []*risk) {
	for _, r := range risks {
		yes, _ := e.holds(ctx, r.id, r.when)
		if !yes {
			continue
		}
		points, ok := e.points(ctx, r)
		if !ok {
			continue
		}
		e.opinion.Risk += points
		e.added = append(e.added, schemas.Match{Rule: r.id, Outcome: schemas.Release, Add: points, Reason: r.reason})
	}
}

// points returns what a risk adds, never less than nothing.
func (e *evaluation) points(ctx context.Context, r *risk) (int, bool) {
	if r.add == nil {
		return r.points, true
	}
	v, err := r.add.run(ctx, e.vars)
	if err != nil {
		e.fail(r.id, err)
		return 0, false
	}
	points, ok := v.(types.Int)
	if !ok {
		e.fail(r.id, wrongType(v, "an int"))
	}
	return int(min(max(points, 0), maxRisk)), ok
}

func (e *evaluation) thresholds(thresholds []*threshold) {
	for _, t := range thresholds {
		m := schemas.Match{Rule: t.name, Reason: t.reason}
		switch {
		case e.opinion.Risk >= t.refuseFrom:
			m.Outcome = schemas.Refuse
		case e.opinion.Risk >= t.parkFrom:
			m.Outcome = schemas.Park
		default:
			continue
		}
		e.limits = append(e.limits, m)
	}
}

// decide finds the outcome. At recommend it starts from a park, which only a rule
// that releases lifts; elsewhere from no objection. From there, everything that
// applies can only tighten it.
func (e *evaluation) decide(at Checkpoint) {
	outcome := schemas.Park
	if at != Recommend || e.released {
		outcome = schemas.Release
	}
	for _, r := range e.rulings {
		outcome = schemas.Strictest(outcome, r.outcome)
	}
	for _, m := range e.limits {
		outcome = schemas.Strictest(outcome, m.Outcome)
	}
	if len(e.opinion.Failed) > 0 {
		outcome = schemas.Strictest(outcome, schemas.Park)
	}
	e.opinion.Outcome = outcome
}

// approvals names who must agree, if somebody must. One whose condition cannot
// be evaluated is asked for.
func (e *evaluation) approvals(ctx context.Context, approvals []*approval) {
	if e.opinion.Outcome != schemas.Park {
		return
	}
	for _, a := range approvals {
		if yes, ok := e.holds(ctx, a.ID, a.when); yes || !ok {
			e.opinion.Approvals = append(e.opinion.Approvals, a.Approval)
		}
	}
}

// result returns the opinion with its matches: the strictest first, rules before
// what they weighed, as many as a record takes.
func (e *evaluation) result() schemas.Opinion {
	o := e.opinion
	for _, r := range e.rulings {
		if o.Tell == "" && r.outcome == o.Outcome {
			o.Tell = r.tell
		}
		o.Matched = append(o.Matched, schemas.Match{Rule: r.id, Outcome: r.outcome, Reason: r.reason})
	}
	o.Matched = slices.Concat(o.Matched, e.limits, e.added)
	slices.SortStableFunc(o.Matched, func(a, b schemas.Match) int {
		switch {
		case a.Outcome == b.Outcome:
			return 0
		case schemas.Strictest(a.Outcome, b.Outcome) == a.Outcome:
			return -1
		default:
			return 1
		}
	})
	o.More = over(&o.Matched) + over(&o.Failed)
	return o
}

// over cuts the matches that a record does not take, and counts them.
func over(matches *[]schemas.Match) int {
	more := max(0, len(*matches)-schemas.MaxMatches)
	*matches = (*matches)[:len(*matches)-more]
	return more
}
