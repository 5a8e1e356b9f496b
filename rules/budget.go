package rules

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/holdpoint/holdpoint/schemas"
	"go.yaml.in/yaml/v3"
)

// Charges returns what an intent takes of the budgets of its action at the time
// in f. Those whose expressions fail are left out and named as unread: [Bundle.Evaluate],
// which may have more luck with them, is told so and parks.
func (b *Bundle) Charges(ctx context.Context, f Facts) (charges []Charge, unread []schemas.Match) {
	p, ok := b.plans[f.Intent.Action]
	if !ok || len(p.budgets) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.limits.time())
	defer cancel()
	e := evaluation{vars: b.activation(p, f)}
	for _, one := range p.budgets {
		switch c, applies, err := e.charge(ctx, one); {
		case err != nil:
			unread = append(unread, failure(one.ID, err))
		case applies:
			charges = append(charges, c)
		}
	}
	return charges, unread
}

// budget is a budget as it is about one action.
type budget struct {
	Budget
	when, key, amount *program
	reason, tell      string
}

// budgetText is a budget as it is written.
type budgetText struct {
	entry
	Budget
	when, key, amount *yaml.Node
	tell              string
}

func (p *policy) readBudget(d *document, n *yaml.Node) {
	e, ok := p.entry(d, n, "budget", "when", "key", "amount", "limit", "window", "calendar", "beyond", "reason", "tell")
	if !ok {
		return
	}
	e.must("limit", "beyond")
	b := budgetText{
		entry: e, when: e.expression("when"), key: e.expression("key"), amount: e.expression("amount"),
		Budget: Budget{ID: e.id, Limit: int64(e.integer("limit", 0, schemas.MaxAmount-1, 0))}, tell: e.text("tell", maxTell),
	}
	b.window.span = e.duration("window", schemas.MaxWindow, 0)
	b.window.calendar = e.word("calendar", "hour", "day", "week", "month")
	if (e.child("window") == nil) == (e.child("calendar") == nil) {
		e.mistake(n, "want one of 'window', a time span such as 24h, and 'calendar': hour, day, week or month")
	}
	_ = b.Beyond.UnmarshalText([]byte(e.word("beyond", "park", "refuse")))
	p.budgets = append(p.budgets, b)
}

// limits returns the budgets of the policy, in order.
func (p *policy) limits() (all []Budget) {
	for _, b := range p.budgets {
		all = append(all, b.Budget)
	}
	return all
}

// idsOf returns what budgets are called.
func idsOf(budgets []Budget) (ids []string) {
	for _, b := range budgets {
		ids = append(ids, b.ID)
	}
	return ids
}

// budgetField is what the budget with an id is called in expressions:
// budget.refunds_a_day.
func budgetField(id string) string { return strings.ReplaceAll(id, "-", "_") }

func (c *compiler) budget(t budgetText) {
	plans := c.match(t.entry)
	when := c.program(t.entry, t.when, use{weights, truth, nil}, plans)
	key := c.program(t.entry, t.key, use{weights, textOrInt, when}, plans)
	amount := c.program(t.entry, t.amount, use{weights, quantity, when}, plans)
	for _, p := range plans {
		p.budgets = append(p.budgets, &budget{
			Budget: t.Budget, reason: t.reason, tell: t.tell, when: when.of(p), key: key.of(p), amount: amount.of(p),
		})
		if len(p.budgets) == schemas.MaxBudgets+1 {
			t.mistake(t.node, "more than %d budgets are about %s", schemas.MaxBudgets, p.Name)
		}
	}
}

// budgetShape is what expressions know of the budgets of a policy.
func budgetShape(budgets []budgetText) *shape {
	sh := newShape()
	sh.form, sh.closed = objectForm, true
	for _, b := range budgets {
		one := newShape()
		one.form, one.closed = objectForm, true
		for _, field := range []string{"taken", "limit", "left"} {
			one.fields[field], one.required[field] = &shape{form: intForm}, true
		}
		field := budgetField(b.id)
		sh.fields[field], sh.required[field] = one, b.when == nil
	}
	return sh
}

// checkBudgets notes a rule that asks for a budget which is not about one of its actions.
func (c *compiler) checkBudgets(e entry, n *yaml.Node, ps programs, plans []*plan) {
	for _, p := range plans {
		program := ps.of(p)
		if program == nil {
			continue
		}
		a := program.checked.NativeRep()
		ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
			if x.Kind() != ast.SelectKind || pathOf(x.AsSelect().Operand()) != "budget" {
				return
			}
			field := x.AsSelect().FieldName()
			about := slices.ContainsFunc(p.budgets, func(b *budget) bool { return budgetField(b.ID) == field })
			if !about && !e.notes.full() {
				line, column := e.locate(n, offsetOf(a, x))
				e.mistakeAt(line, column, fmt.Sprintf("%s: no budget '%s' is about %s", e.about, field, p.Name))
			}
		}))
	}
}

// charge finds out what the intent takes of a budget.
func (e *evaluation) charge(ctx context.Context, b *budget) (c Charge, applies bool, err error) {
	if applies, err = e.truth(ctx, b.when); !applies || err != nil {
		return c, false, err
	}
	key, amount := "", int64(1)
	if b.key != nil {
		v, err := e.run(ctx, b.key)
		if err != nil {
			return c, false, fmt.Errorf("key: %w", err)
		}
		if key, err = keyText(v); err != nil {
			return c, false, fmt.Errorf("key: %w", err)
		}
	}
	if b.amount != nil {
		v, err := e.run(ctx, b.amount)
		if err != nil {
			return c, false, fmt.Errorf("amount: %w", err)
		}
		if amount, err = amountOf(v); err != nil {
			return c, false, fmt.Errorf("amount: %w", err)
		}
	}
	return b.Charge(key, amount, e.vars.Now), true, nil
}

// keyText returns a key as records have it.
func keyText(v ref.Val) (string, error) {
	var text string
	switch v := v.(type) {
	case types.String:
		text = string(v)
	case types.Int:
		text = fmt.Sprint(int64(v))
	default:
		return "", wrongType(v, "text or an int")
	}
	if encodedSize(text) > schemas.MaxBudgetKey {
		return "", fmt.Errorf("longer than %d bytes", schemas.MaxBudgetKey)
	}
	return text, nil
}

// amountOf returns an amount in whole units: what is in between takes the next.
func amountOf(v ref.Val) (int64, error) {
	n := 0.0
	switch v := v.(type) {
	case types.Int:
		if v >= 0 && v < schemas.MaxAmount {
			return int64(v), nil
		}
		n = float64(v)
	case types.Double:
		n = float64(v)
	default:
		return 0, wrongType(v, "a number")
	}
	if !(n >= 0) { // NaN, too
		return 0, fmt.Errorf("want 0 or more, got %v", n)
	}
	if n = math.Ceil(n); n >= schemas.MaxAmount {
		return 0, fmt.Errorf("%v is more than can be counted", n)
	}
	return int64(n), nil
}

// budgets finds out what is taken of the budgets, for the rules that ask, and
// lets those rule that the intent goes beyond.
func (e *evaluation) budgets(ctx context.Context, budgets []*budget) {
	var fields []string
	values := map[string]ref.Val{}
	for _, b := range budgets {
		c, applies, err := e.charge(ctx, b)
		if err != nil {
			e.fail(b.ID, err)
		} else if m, is := e.vars.unread(b.ID); is {
			e.opinion.Failed = append(e.opinion.Failed, m)
			continue
		}
		if !applies || err != nil {
			continue
		}
		taken := e.vars.taken(b.ID)
		field := budgetField(b.ID)
		fields = append(fields, field)
		values[field] = budgetValue(taken.Amount, b.Limit)
		if !taken.Reserved && schemas.AddAmounts(taken.Amount, c.Amount) > b.Limit {
			e.applied(b.ID)
			e.rulings = append(e.rulings, b.ruling(taken.Amount, c.Amount))
		}
	}
	e.vars.budget = newOrdered(fields, values)
}

// budgetValue is a budget as expressions see it.
func budgetValue(taken, limit int64) ref.Val {
	return newOrdered([]string{"taken", "limit", "left"}, map[string]ref.Val{
		"taken": types.Int(taken), "limit": types.Int(limit), "left": types.Int(max(0, limit-taken)),
	})
}

// ruling is what a budget says of an intent that goes beyond it.
func (b *budget) ruling(taken, amount int64) *rule {
	reason := fmt.Sprintf("%d of %d are taken in %s, and this takes %d", taken, b.Limit, b.window, amount)
	if b.reason != "" {
		reason += ": " + b.reason
	}
	return &rule{id: b.ID, outcome: b.Beyond, reason: clip(oneLine(reason), maxReason), tell: b.tell}
}

// budget explains a budget.
func (r *reporter) budget(b *budget, taken schemas.Taken) Considered {
	c := r.entry(Considered{Kind: "budget", ID: b.ID, Outcome: b.Beyond.String(), Reason: b.reason}, b.when, b.key, b.amount)
	value := fmt.Sprintf("%d of %d in %s", taken.Amount, b.Limit, b.window)
	if taken.Reserved {
		value += " by others, and this has its share"
	}
	c.Parts = append(c.Parts, Part{Expression: "taken", Value: value})
	return c
}

// roomLeft returns what the parameters that are amounts are compared with.
func roomLeft(p *plan, f Facts) []compared {
	var found []compared
	for _, b := range p.budgets {
		if b.amount == nil {
			continue
		}
		x := b.amount.checked.NativeRep().Expr()
		if path := paramPath(x); path != nil {
			left := types.Int(max(0, b.Limit-f.taken(b.ID).Amount))
			found = append(found, compared{path, left, b.amount.env.shapeOf(x)})
		}
	}
	return found
}

// taken returns what others have taken of a budget, by the facts.
func (f Facts) taken(id string) schemas.Taken {
	for _, t := range f.Taken {
		if t.Budget == id {
			return t
		}
	}
	return schemas.Taken{Budget: id}
}

// unread returns why it is not known what was taken of a budget, if it is not.
func (f Facts) unread(id string) (schemas.Match, bool) {
	for _, m := range f.Unread {
		if m.Rule == id {
			return m, true
		}
	}
	return schemas.Match{}, false
}
