package rules

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/holdpoint/holdpoint/schemas"
)

// Flip is a change of one parameter that leads to another outcome.
type Flip struct {
	// Outcome is what it leads to.
	Outcome schemas.Outcome `json:"outcome"`

	// Param is the path of the parameter, Value what it would be, as JSON, and Was
	// what it is, or nothing if it is missing.
	Param string `json:"param"`
	Value string `json:"value"`
	Was   string `json:"was,omitzero"`

	// Text says it in a sentence: "released if params.amount ≤ 10000". A bound was
	// tried at every constant beyond it.
	Text string `json:"text"`
}

// flipper looks for the smallest change of one parameter.
type flipper struct {
	asked  []Question // about one intent
	params any
}

// maxTries is how many changes are tried.
const maxTries = 400

// trial is one changed parameter and what it led to.
type trial struct {
	path     []string
	value    any
	was      any
	distance float64
	outcome  schemas.Outcome
}

// flips returns the smallest change for each outcome other than the one it was.
func (f *flipper) flips(ctx context.Context, was schemas.Outcome) []Flip {
	if len(f.asked) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(f.asked[0].Facts.Intent.Params))
	d.UseNumber()
	if d.Decode(&f.params) != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	trials := f.trials(ctx)
	var flips []Flip
	for _, to := range []schemas.Outcome{schemas.Release, schemas.Park, schemas.Refuse} {
		if to == was {
			continue
		}
		led := slices.DeleteFunc(slices.Clone(trials), func(t trial) bool { return t.outcome != to })
		if len(led) == 0 {
			continue
		}
		best := slices.MinFunc(led, func(a, b trial) int {
			return cmp.Or(cmp.Compare(a.distance, b.distance), slices.Compare(a.path, b.path), cmp.Compare(jsonText(a.value), jsonText(b.value)))
		})
		flips = append(flips, best.flip(trials))
	}
	return flips
}

// trials tries every constant that a parameter is compared with, and its
// neighbours.
func (f *flipper) trials(ctx context.Context) []trial {
	var trials []trial
	seen := map[string]bool{}
	for _, c := range f.comparisons() {
		was, _ := lookIn(f.params, c.path)
		for _, value := range c.values() {
			key := fmt.Sprint(strings.Join(c.path, "/"), "=", jsonText(value))
			if seen[key] || jsonText(value) == jsonText(was) || len(trials) == maxTries || ctx.Err() != nil {
				continue
			}
			seen[key] = true
			if outcome, ok := f.try(ctx, c.path, value); ok {
				trials = append(trials, trial{path: c.path, value: value, was: was, distance: distance(was, value), outcome: outcome})
			}
		}
	}
	return trials
}

// try returns the outcome with another value, unless the schema does not allow it.
func (f *flipper) try(ctx context.Context, path []string, value any) (schemas.Outcome, bool) {
	changed, ok := putInto(f.params, path, value)
	if !ok {
		return 0, false
	}
	canonical, err := schemas.Canonical([]byte(jsonText(changed)))
	if err != nil {
		return 0, false
	}
	outcome := schemas.Release
	for _, q := range f.asked {
		if q.Bundle.CheckParams(q.Facts.Intent.Action, canonical) != nil {
			return 0, false
		}
		q.Facts.Intent.Params = canonical
		outcome = schemas.Strictest(outcome, q.Bundle.Evaluate(ctx, q.At, q.Facts).Outcome)
	}
	return outcome, ctx.Err() == nil // what was cut off says nothing
}

// compared is a parameter and a constant that it is compared with.
type compared struct {
	path     []string
	constant ref.Val
	shape    *shape
}

// comparisons returns those in all expressions that the outcome depends on.
func (f *flipper) comparisons() []compared {
	var programs []*program
	var found []compared
	for _, q := range f.asked {
		plan, known := q.Bundle.plans[q.Facts.Intent.Action]
		if !known {
			continue
		}
		for _, r := range plan.at(q.At) {
			programs = append(programs, r.when, r.raise)
		}
		for _, r := range plan.risks {
			programs = append(programs, r.when, r.add, r.raise)
		}
		if q.At == Execute {
			found = append(found, roomLeft(plan, q.Facts)...)
		}
	}
	for _, p := range programs {
		if p == nil {
			continue
		}
		ast.PreOrderVisit(p.checked.NativeRep().Expr(), ast.NewExprVisitor(func(x ast.Expr) {
			found = append(found, comparedIn(p, x)...)
		}))
	}
	return found
}

// comparedIn returns the comparisons that x is.
func comparedIn(p *program, x ast.Expr) []compared {
	path, _, constant, ok := claim{program: p, expr: x}.comparison()
	if !ok {
		path, constant, ok = p.defaulted(x)
	}
	if !ok {
		return nil
	}
	names := paramPath(path)
	if names == nil {
		return nil
	}
	sh := p.env.shapeOf(path)
	if l, isList := constant.(traits.Lister); isList {
		var all []compared
		for it := l.Iterator(); it.HasNext() == types.True; {
			all = append(all, compared{names, it.Next(), sh})
		}
		return all
	}
	return []compared{{names, constant, sh}}
}

// defaulted returns the parts of a comparison of an optional parameter, with
// orValue, and a constant.
func (p *program) defaulted(x ast.Expr) (path ast.Expr, constant ref.Val, ok bool) {
	if x.Kind() != ast.CallKind || len(x.AsCall().Args()) != 2 || opposite[x.AsCall().FunctionName()] == "" {
		return nil, nil, false
	}
	args := callOf(x.AsCall().Args()[0], "orValue")
	constant, ok = p.env.constant(x.AsCall().Args()[1])
	if args == nil || !ok || callOf(args[0], operators.OptSelect) == nil {
		return nil, nil, false
	}
	return args[0], constant, true
}

// paramPath returns the fields of a path into params, or nil if x is none.
func paramPath(x ast.Expr) []string {
	var names []string
	for {
		if args := callOf(x, operators.OptSelect); args != nil {
			name, _ := textOf(args[1])
			x, names = args[0], append(names, name)
			continue
		}
		if x.Kind() != ast.SelectKind || x.AsSelect().IsTestOnly() {
			break
		}
		x, names = x.AsSelect().Operand(), append(names, x.AsSelect().FieldName())
	}
	if x.Kind() != ast.IdentKind || x.AsIdent() != "params" {
		return nil
	}
	slices.Reverse(names)
	return names
}

// values returns what the parameter could be instead, on either side of the
// constant.
func (c compared) values() []any {
	var values []any
	if n, ok := number(c.constant); ok {
		for _, step := range []float64{0, -1, 1, -0.01, 0.01} {
			if c.shape == nil || c.shape.form != intForm || step == math.Trunc(step) {
				values = append(values, json.Number(numberText(n+step)))
			}
		}
	} else if v, ok := scalar(c.constant); ok {
		values = append(values, v)
	}
	if c.constant.Type() == types.BoolType {
		values = append(values, true, false)
	}
	if c.shape != nil {
		for _, v := range c.shape.values {
			if v, ok := scalar(v); ok {
				values = append(values, v)
			}
		}
	}
	return values
}

// numberText writes a number without the noise of binary fractions.
func numberText(n float64) string {
	if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprint(math.Round(n*1e6) / 1e6)
}

// scalar returns a value as JSON knows it.
func scalar(v ref.Val) (any, bool) {
	switch v := v.(type) {
	case types.String:
		return string(v), true
	case types.Bool:
		return bool(v), true
	case types.Null:
		return nil, true
	case types.Int, types.Double:
		n, _ := number(v)
		return json.Number(numberText(n)), true
	}
	return nil, false
}

// distance is how large a change is: of numbers, as a share of what it was.
func distance(was, value any) float64 {
	a, isNumber := numberOfJSON(was)
	b, isToo := numberOfJSON(value)
	if !isNumber || !isToo {
		return 1
	}
	return math.Abs(a-b) / math.Max(1, math.Abs(a))
}

func numberOfJSON(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

// flip returns the trial in words. It is a bound if everything that was tried
// beyond it leads to the same.
func (t trial) flip(trials []trial) Flip {
	path := "params"
	for _, name := range t.path {
		path += "." + fieldName(name)
	}
	f := Flip{Outcome: t.outcome, Param: path, Value: jsonText(t.value)}
	if t.was != nil {
		f.Was = jsonText(t.was)
	}
	f.Text = fmt.Sprintf("%s if %s %s %s", participle(t.outcome), path, t.relation(trials), f.Value)
	return f
}

func (t trial) relation(trials []trial) string {
	was, isNumber := numberOfJSON(t.was)
	value, isToo := numberOfJSON(t.value)
	if !isNumber || !isToo {
		return "is"
	}
	for _, other := range trials {
		n, ok := numberOfJSON(other.value)
		beyond := ok && slices.Equal(other.path, t.path) && (n < value) == (value < was) && n != value
		if beyond && other.outcome != t.outcome {
			return "="
		}
	}
	if value < was {
		return "≤"
	}
	return "≥"
}

func participle(o schemas.Outcome) string {
	switch o {
	case schemas.Release:
		return "released"
	case schemas.Refuse:
		return "refused"
	default:
		return "parked"
	}
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(b)
}

// lookIn returns what is at a path of objects, or nothing.
func lookIn(v any, path []string) (any, bool) {
	for _, name := range path {
		object, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = object[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// putInto returns v with another value at a path. It makes no objects on the way.
func putInto(v any, path []string, value any) (any, bool) {
	if len(path) == 0 {
		return value, true
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	inner, ok := putInto(object[path[0]], path[1:], value)
	if !ok {
		return nil, false
	}
	changed := make(map[string]any, len(object)+1)
	for key, old := range object {
		changed[key] = old
	}
	changed[path[0]] = inner
	return changed, true
}
