package rules

import (
	"context"
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
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
	return b.evaluate(ctx, at, f, nil)
}

// evaluate is Evaluate, and tells the witness about every expression that runs.
func (b *Bundle) evaluate(ctx context.Context, at Checkpoint, f Facts, w witness) schemas.Opinion {
	p, ok := b.plans[f.Intent.Action]
	if !ok || at != Observe && at != Recommend && at != Execute {
		return schemas.Opinion{}
	}
	if len(p.at(at)) == 0 && at != Recommend && (at != Execute || len(p.budgets) == 0) {
		return schemas.Opinion{Outcome: schemas.Release}
	}
	if p.silent(at) {
		return schemas.Opinion{} // parks: nothing says release
	}
	ctx, cancel := context.WithTimeout(ctx, b.limits.time())
	defer cancel()
	e := evaluation{witness: w, vars: b.activation(p, f)}
	if p.asksRisk || at == Recommend {
		e.weigh(ctx, p.risks)
	}
	if at == Execute {
		e.budgets(ctx, p.budgets)
	}
	e.rules(ctx, p.at(at))
	if at == Recommend {
		e.raises(ctx, p.risks)
		e.risks()
		e.thresholds(p.thresholds)
	}
	e.decide(at)
	e.approvals(ctx, p.approvals)
	return e.result(at)
}

// activation returns the variables of expressions about an action.
func (b *Bundle) activation(p *plan, f Facts) *activation {
	return &activation{Facts: f, env: b.env, action: p.value, data: b.data, shape: p.variant.shape}
}

// evaluation forms one opinion.
type evaluation struct {
	vars    *activation
	witness witness // or nil

	opinion  schemas.Opinion
	released bool // a rule said so
	rulings  []*rule
	limits   []schemas.Match // thresholds that were reached

	added     []schemas.Match // contributions to the risk
	unweighed []schemas.Match // those that failed
}

// holds reports whether conditions hold. If that cannot be said it notes the
// failure of the one who asks.
func (e *evaluation) holds(ctx context.Context, id string, when ...*program) (yes, ok bool) {
	for _, p := range when {
		yes, err := e.truth(ctx, p)
		if err != nil {
			e.fail(id, err)
		}
		if err != nil || !yes {
			return false, err == nil
		}
	}
	return true, true
}

// truth runs a condition. Without one it holds.
func (e *evaluation) truth(ctx context.Context, p *program) (bool, error) {
	if p == nil {
		return true, nil
	}
	v, err := e.run(ctx, p)
	if err != nil {
		return false, err
	}
	truth, ok := v.(types.Bool)
	if !ok {
		return false, wrongType(v, "true or false")
	}
	return bool(truth), nil
}

func (e *evaluation) run(ctx context.Context, p *program) (ref.Val, error) {
	v, err := p.run(ctx, e.vars)
	if e.witness != nil {
		e.witness.ran(ctx, p, e.vars, v, err)
	}
	return v, err
}

// witness is told about the expressions that an evaluation runs.
type witness interface {
	// ran is called after p ran over vars and gave v or err.
	ran(ctx context.Context, p *program, vars cel.Activation, v ref.Val, err error)

	// applied is called when an entry has a say.
	applied(id string)
}

func (e *evaluation) applied(id string) {
	if e.witness != nil {
		e.witness.applied(id)
	}
}

func wrongType(v ref.Val, want string) error {
	return fmt.Errorf("want %s, got %s", want, v.Type().TypeName())
}

// fail notes that an entry could not be evaluated. The opinion parks at least.
func (e *evaluation) fail(id string, err error) {
	e.opinion.Failed = append(e.opinion.Failed, failure(id, err))
}

func failure(id string, err error) schemas.Match {
	return schemas.Match{Rule: id, Outcome: schemas.Park, Reason: clip(oneLine(err.Error()), maxFailure)}
}

// rules asks the rules, those that prose has a part in last: it must not use up
// the time of others, nor make fail what they ask.
func (e *evaluation) rules(ctx context.Context, rules []*rule) {
	for _, prose := range []bool{false, true} {
		for _, r := range rules {
			if (r.raise != nil) != prose {
				continue
			}
			if yes, _ := e.holds(ctx, r.id, r.when, r.raise); yes {
				e.applied(r.id)
				e.rulings = append(e.rulings, r)
				e.released = e.released || r.outcome == schemas.Release
			}
		}
	}
}

// weigh finds out what the risks add that prose has no part in. Rules and approvals
// may ask for that sum: with prose in it, a higher one could lower something.
func (e *evaluation) weigh(ctx context.Context, risks []*risk) {
	sum := 0
	for _, r := range risks {
		if r.raise == nil {
			sum += e.contribution(ctx, r)
		}
	}
	e.vars.risk = types.Int(sum)
	if len(e.unweighed) > 0 {
		e.vars.risk = types.NewErr("the risk is not known: %s failed", e.unweighed[0].Rule)
	}
}

// raises finds out what the others add.
func (e *evaluation) raises(ctx context.Context, risks []*risk) {
	for _, r := range risks {
		if r.raise != nil {
			e.contribution(ctx, r)
		}
	}
}

// contribution notes what a risk adds, or that it failed.
func (e *evaluation) contribution(ctx context.Context, r *risk) int {
	points, applies, err := e.points(ctx, r)
	if err != nil {
		e.unweighed = append(e.unweighed, failure(r.id, err))
		return 0
	}
	if applies {
		e.applied(r.id)
		e.added = append(e.added, schemas.Match{Rule: r.id, Outcome: schemas.Release, Add: points, Reason: r.reason})
	}
	return points
}

// points returns what a risk adds, never less than nothing, if it applies.
func (e *evaluation) points(ctx context.Context, r *risk) (points int, applies bool, err error) {
	if applies, err = e.truth(ctx, r.when); !applies || err != nil {
		return 0, false, err
	}
	p := r.add
	if r.raise != nil {
		p = r.raise
	}
	if p == nil {
		return r.points, true, nil
	}
	v, err := e.run(ctx, p)
	if err != nil {
		return 0, false, err
	}
	n, ok := v.(types.Int)
	if !ok {
		return 0, false, wrongType(v, "an int")
	}
	return int(min(max(n, 0), maxRisk)), true, nil
}

// risks counts what was weighed.
func (e *evaluation) risks() {
	for _, m := range e.added {
		e.opinion.Risk += m.Add
	}
	e.opinion.Failed = append(e.opinion.Failed, e.unweighed...)
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
		e.applied(t.name)
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
			e.applied(a.ID)
			e.opinion.Approvals = append(e.opinion.Approvals, a.Approval)
		}
	}
}

// result returns the opinion with its matches: the strictest first, rules before
// what they weighed, as many as a record takes.
func (e *evaluation) result(at Checkpoint) schemas.Opinion {
	o := e.opinion
	for _, r := range e.rulings {
		if o.Tell == "" && r.outcome == o.Outcome {
			o.Tell = r.tell
		}
		o.Matched = append(o.Matched, schemas.Match{Rule: r.id, Outcome: r.outcome, Reason: r.reason})
	}
	o.Matched = slices.Concat(o.Matched, e.limits)
	if at == Recommend {
		o.Matched = append(o.Matched, e.added...)
	}
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
