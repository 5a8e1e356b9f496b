package rules

import (
	"context"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// tracer runs expressions once more to learn the values of their parts. It serves
// one goroutine.
type tracer struct {
	options  cel.EvalOption
	programs map[*program]cel.Program
}

// values returns the values of the parts of p over vars, by their ids. Parts that
// did not run have none.
func (t *tracer) values(p *program, vars cel.Activation) func(id int64) (ref.Val, bool) {
	none := func(int64) (ref.Val, bool) { return nil, false }
	traced, ok := t.programs[p]
	if !ok {
		var err error
		if traced, err = p.env.plan(p.checked, cel.EvalOptions(t.options)); err != nil {
			return none
		}
		if t.programs == nil {
			t.programs = map[*program]cel.Program{}
		}
		t.programs[p] = traced
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, details, _ := traced.ContextEval(ctx, vars)
	if details == nil || details.State() == nil {
		return none
	}
	return details.State().Value
}

// atoms returns the parts of an expression that are true or false and not made of
// others that are, but the whole, in the order in which they stand.
func atoms(a *ast.AST) []ast.Expr {
	var found []ast.Expr
	var walk func(ast.Expr)
	walk = func(x ast.Expr) {
		if !isTruth(a, x) || callOf(x, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional) != nil {
			if x.Kind() != ast.ComprehensionKind {
				for _, part := range children(x) {
					walk(part)
				}
			}
			return
		}
		if x.Kind() != ast.LiteralKind {
			found = append(found, x)
		}
	}
	walk(a.Expr())
	return found
}

func isTruth(a *ast.AST, x ast.Expr) bool {
	t := a.GetType(x.ID())
	return t != nil && t.IsExactType(types.BoolType)
}

// write returns an expression as it could be written.
func (p *program) write(x ast.Expr) string {
	text, err := cel.ExprToString(x, p.checked.NativeRep().SourceInfo())
	if err != nil {
		return "?"
	}
	return oneLine(text)
}
