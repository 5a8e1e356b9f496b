package rules

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// guard finds the fields that may be missing where an expression reads them: the
// expression fails there, and the intent parks. It knows that && and || pass over
// a failing side if the other decides.
type guard struct {
	*survey
	seen map[string]bool
}

// walk visits x where the fields of these paths are there.
func (g *guard) walk(x ast.Expr, known []string) {
	switch {
	case callOf(x, operators.LogicalAnd) != nil:
		g.sides(x, known, present)
	case callOf(x, operators.LogicalOr) != nil:
		g.sides(x, known, absent)
	case callOf(x, operators.Conditional) != nil:
		args := x.AsCall().Args()
		g.walk(args[0], known)
		g.walk(args[1], slices.Concat(known, present(args[0])))
		g.walk(args[2], slices.Concat(known, absent(args[0])))
	case x.Kind() == ast.ComprehensionKind:
		inner := slices.DeleteFunc(slices.Clone(known), func(path string) bool {
			return strings.HasPrefix(path, x.AsComprehension().IterVar()+".")
		})
		for _, part := range children(x) {
			g.walk(part, inner)
		}
	default:
		for _, part := range children(x) {
			g.walk(part, known)
		}
		g.read(x, known)
	}
}

// sides visits both sides of an operator, each where the other does not decide.
func (g *guard) sides(x ast.Expr, known []string, other func(ast.Expr) []string) {
	args := x.AsCall().Args()
	g.walk(args[0], slices.Concat(known, other(args[1])))
	g.walk(args[1], slices.Concat(known, other(args[0])))
}

// read notes a field that may be missing.
func (g *guard) read(x ast.Expr, known []string) {
	if x.Kind() != ast.SelectKind || x.AsSelect().IsTestOnly() {
		return
	}
	operand, name := x.AsSelect().Operand(), x.AsSelect().FieldName()
	r, of, ok := g.record(operand)
	path := pathOf(x)
	if !ok || r.fields[name] == nil || r.required[name] || slices.Contains(known, path) || g.seen[path] {
		return
	}
	g.seen[path] = true
	before := pathOf(operand)
	if path == "" {
		path, before = "x."+fieldName(name), "x"
	}
	g.warn(checkOptional, nameAt(g.text, g.offset(x), name),
		"'%s' is optional in %s, and where it is missing this fails: write has(%s) && …, or %s.?%s.orValue(%s)",
		name, of, path, before, fieldName(name), r.fields[name].otherwise())
}

// otherwise returns a value that stands for a missing one.
func (sh *shape) otherwise() string {
	switch {
	case sh.null:
		return "null"
	case sh.form == boolForm:
		return "false"
	case sh.form == intForm:
		return "0"
	case sh.form == doubleForm:
		return "0.0"
	case sh.form == textForm:
		return "''"
	case sh.form == listForm:
		return "[]"
	case sh.form == objectForm && !sh.isRecord():
		return "{}"
	}
	return "…"
}

// present returns the paths that are there if x is true, absent those that are
// there if it is false.
func present(x ast.Expr) []string {
	if x.Kind() == ast.SelectKind && x.AsSelect().IsTestOnly() {
		return []string{fmt.Sprintf("%s.%s", pathOf(x.AsSelect().Operand()), fieldName(x.AsSelect().FieldName()))}
	}
	if args := callOf(x, operators.LogicalAnd); args != nil {
		return slices.Concat(present(args[0]), present(args[1]))
	}
	if args := callOf(x, operators.LogicalOr); args != nil {
		return shared(present(args[0]), present(args[1]))
	}
	if args := callOf(x, operators.LogicalNot); args != nil {
		return absent(args[0])
	}
	return nil
}

func absent(x ast.Expr) []string {
	if args := callOf(x, operators.LogicalOr); args != nil {
		return slices.Concat(absent(args[0]), absent(args[1]))
	}
	if args := callOf(x, operators.LogicalAnd); args != nil {
		return shared(absent(args[0]), absent(args[1]))
	}
	if args := callOf(x, operators.LogicalNot); args != nil {
		return present(args[0])
	}
	return nil
}

func shared(a, b []string) []string {
	return slices.DeleteFunc(a, func(path string) bool { return !slices.Contains(b, path) })
}
