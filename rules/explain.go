package rules

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/holdpoint/holdpoint/schemas"
)

// Explanation says why an opinion is what it is. It is for authors, reviewers and
// auditors: an agent that reads it learns what to ask for instead.
type Explanation struct {
	// Bundle is the one that was asked last.
	Bundle  schemas.Digest  `json:"bundle"`
	Action  schemas.Action  `json:"action"`
	Opinion schemas.Opinion `json:"opinion"`

	// Checkpoints are those that were asked, in their order.
	Checkpoints []CheckpointExplanation `json:"checkpoints"`

	// Flips are the smallest changes of one parameter that would have led to
	// another outcome, the least strict first: at most one for each outcome. They
	// are found among the constants that the policy compares parameters with.
	Flips []Flip `json:"flips"`
}

// CheckpointExplanation is what was considered at one checkpoint.
type CheckpointExplanation struct {
	At         string          `json:"at"`
	Bundle     schemas.Digest  `json:"bundle"`
	Opinion    schemas.Opinion `json:"opinion"`
	Considered []Considered    `json:"considered"`
}

// Considered is one entry of the policy that is about the action.
type Considered struct {
	// Kind is budget, rule, risk, threshold or approval.
	Kind string `json:"kind"`
	ID   string `json:"id"`

	// Outcome is what a rule or a threshold asks for.
	Outcome string `json:"outcome,omitzero"`

	// Applies says that it had a say, Failed why that could not be found out.
	Applies bool   `json:"applies"`
	Failed  string `json:"failed,omitzero"`

	// Add is what a risk added.
	Add    int    `json:"add,omitzero"`
	Reason string `json:"reason,omitzero"`

	// Parts are its expressions and what they are made of, with their values.
	Parts []Part `json:"parts,omitempty"`
}

// Part is an expression and its value.
type Part struct {
	Expression string `json:"expression"`
	Value      string `json:"value"`
	Depth      int    `json:"depth"`
}

// Question is a checkpoint, the facts that it is asked about, and the bundle that it
// is asked by: a gateway knows more at the later ones, and may have another bundle.
type Question struct {
	Bundle *Bundle
	At     Checkpoint
	Facts  Facts
}

// Explain forms the opinion of the checkpoints, of all if none is named, and says
// what led to it. It takes its time: where a gateway was too busy to find out what
// a rule says, Explain finds it out.
func (b *Bundle) Explain(ctx context.Context, f Facts, at ...Checkpoint) Explanation {
	if len(at) == 0 {
		at = checkpointsOf(0)
	}
	questions := make([]Question, len(at))
	for i, c := range at {
		questions[i] = Question{Bundle: b, At: c, Facts: f}
	}
	return Explain(ctx, questions...)
}

// Explain forms the opinion of all the questions, which are about one intent, and
// says what led to it. It needs at least one.
func Explain(ctx context.Context, asked ...Question) Explanation {
	e := Explanation{Flips: []Flip{}, Checkpoints: []CheckpointExplanation{}}
	asked = slices.Clone(asked)
	for i, q := range asked {
		asked[i].Bundle = q.Bundle.Patient()
		one := asked[i].Bundle.explainAt(ctx, q.At, q.Facts)
		e.Bundle, e.Action = q.Bundle.digest, q.Facts.Intent.Action
		if e.Checkpoints = append(e.Checkpoints, one); i == 0 {
			e.Opinion = one.Opinion
		} else {
			e.Opinion = e.Opinion.Join(one.Opinion)
		}
	}
	e.Flips = append(e.Flips, (&flipper{asked: asked}).flips(ctx, e.Opinion.Outcome)...)
	return e
}

// patience is the time that an evaluation has where nobody waits for it: what
// explains and tests must not depend on how busy the machine is.
const patience = 10 * time.Second

// Patient returns b for those who can wait: where a gateway was too busy to find out
// what a rule says, it finds it out.
func (b *Bundle) Patient() *Bundle {
	patient := *b
	patient.limits.Time = patience
	return &patient
}

// reporter remembers what ran and who had a say.
type reporter struct {
	tracer tracer
	ranAs  map[*program]run
	said   map[string]bool
}

// run is one evaluation of a program.
type run struct {
	value  ref.Val
	err    error
	values func(int64) (ref.Val, bool)
}

// ran implements witness.
func (r *reporter) ran(_ context.Context, p *program, vars cel.Activation, v ref.Val, err error) {
	r.ranAs[p] = run{value: v, err: err, values: r.tracer.values(p, vars)}
}

// applied implements witness.
func (r *reporter) applied(id string) { r.said[id] = true }

func (b *Bundle) explainAt(ctx context.Context, at Checkpoint, f Facts) CheckpointExplanation {
	r := &reporter{tracer: tracer{options: cel.OptExhaustiveEval}, ranAs: map[*program]run{}, said: map[string]bool{}}
	x := CheckpointExplanation{At: at.String(), Bundle: b.digest, Considered: []Considered{}}
	x.Opinion = b.evaluate(ctx, at, f, r)
	p, ok := b.plans[f.Intent.Action]
	if !ok {
		return x
	}
	if at == Execute {
		for _, e := range p.budgets {
			x.Considered = append(x.Considered, r.budget(e, f.taken(e.ID)))
		}
	}
	for _, e := range p.at(at) {
		x.Considered = append(x.Considered, r.entry(Considered{Kind: "rule", ID: e.id, Outcome: e.outcome.String(), Reason: e.reason}, e.when, e.raise))
	}
	if at == Recommend || p.asksRisk {
		for _, e := range p.risks {
			if at == Recommend || e.raise == nil {
				x.Considered = append(x.Considered, r.risk(e))
			}
		}
	}
	if at == Recommend {
		for _, t := range p.thresholds {
			x.Considered = append(x.Considered, r.threshold(t, x.Opinion.Risk))
		}
	}
	if x.Opinion.Outcome == schemas.Park {
		for _, a := range p.approvals {
			x.Considered = append(x.Considered, r.entry(Considered{Kind: "approval", ID: a.ID}, a.when))
		}
	}
	return x
}

// entry completes what is said about an entry with these expressions.
func (r *reporter) entry(c Considered, programs ...*program) Considered {
	c.Applies = r.said[c.ID]
	for _, p := range programs {
		ran, ok := r.ranAs[p]
		if p == nil || !ok {
			continue
		}
		if ran.err != nil {
			c.Failed = clip(oneLine(ran.err.Error()), maxFailure)
		}
		c.Parts = append(c.Parts, partsOf(p, ran)...)
	}
	return c
}

func (r *reporter) risk(e *risk) Considered {
	c := r.entry(Considered{Kind: "risk", ID: e.id, Reason: e.reason}, e.when, e.add, e.raise)
	if !c.Applies {
		return c
	}
	c.Add = e.points
	for _, p := range []*program{e.add, e.raise} {
		if n, ok := r.ranAs[p].value.(types.Int); ok && p != nil {
			c.Add = int(min(max(n, 0), maxRisk))
		}
	}
	return c
}

func (r *reporter) threshold(t *threshold, risk int) Considered {
	c := Considered{Kind: "threshold", ID: t.name, Applies: r.said[t.name], Reason: t.reason, Outcome: schemas.Park.String()}
	if risk >= t.refuseFrom || t.parkFrom == never {
		c.Outcome = schemas.Refuse.String()
	}
	for _, level := range []struct {
		name string
		from int
	}{{"park_from", t.parkFrom}, {"refuse_from", t.refuseFrom}} {
		if level.from != never {
			c.Parts = append(c.Parts, Part{Expression: fmt.Sprintf("risk >= %s", level.name), Value: fmt.Sprintf("%t: %d and %d", risk >= level.from, risk, level.from)})
		}
	}
	return c
}

// partsOf returns an expression and its parts with their values, each once, in
// the order in which they stand. Literals are what they are, and the inside of a
// loop has another value each time.
func partsOf(p *program, ran run) []Part {
	a := p.checked.NativeRep()
	var parts []Part
	var walk func(x ast.Expr, depth int)
	walk = func(x ast.Expr, depth int) {
		text := clip(p.write(x), maxPart)
		known := slices.ContainsFunc(parts, func(part Part) bool { return part.Expression == text })
		if x.Kind() == ast.LiteralKind || x.Kind() == ast.IdentKind || known {
			return
		}
		if value, ok := ran.values(x.ID()); ok {
			parts = append(parts, Part{Expression: text, Value: display(value), Depth: depth})
		}
		if x.Kind() == ast.ComprehensionKind {
			walk(x.AsComprehension().IterRange(), depth+1)
			return
		}
		if x.Kind() == ast.SelectKind && pathOf(x) != "" {
			return // what it is selected from is the whole of the parameters
		}
		for _, part := range children(x) {
			walk(part, depth+1)
		}
	}
	walk(a.Expr(), 0)
	return parts
}

// maxPart is how much is shown of an expression or a value.
const maxPart = 120

// display returns a value for people. Of what is large it says how large it is.
func display(v ref.Val) string {
	switch v := v.(type) {
	case *types.Err:
		return clip("fails: "+oneLine(v.Error()), maxPart)
	case types.String:
		return clip(fmt.Sprintf("%q", oneLine(string(v))), maxPart)
	case types.Null:
		return "null"
	case types.Timestamp:
		return v.Time.UTC().Format("2006-01-02T15:04:05Z")
	case *types.Optional:
		if v.HasValue() {
			return display(v.GetValue())
		}
		return "nothing"
	case traits.Mapper:
		return fmt.Sprintf("an object of %d", v.Size().(types.Int))
	case traits.Lister:
		return displayList(v)
	}
	return clip(oneLine(fmt.Sprint(v.Value())), maxPart)
}

func displayList(l traits.Lister) string {
	n := int(l.Size().(types.Int))
	if n > 5 {
		return fmt.Sprintf("a list of %d", n)
	}
	text := "["
	for i := range n {
		if i > 0 {
			text += ", "
		}
		text += display(l.Get(types.Int(i)))
	}
	return clip(text+"]", maxPart)
}
