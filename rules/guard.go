package rules

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
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
	if paths, gives, ok := missing(x); ok && !gives {
		return paths
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
	if paths, gives, ok := missing(x); ok && gives {
		return paths
	}
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

// missing returns what x gives where the last of some paths is missing, if x asks
// for that: has(p.x), p.?x.hasValue(), or p.?x.orValue(1) > 5.
func missing(x ast.Expr) (paths []string, gives, ok bool) {
	if x.Kind() == ast.SelectKind && x.AsSelect().IsTestOnly() {
		return []string{pathOf(x.AsSelect().Operand()) + "." + fieldName(x.AsSelect().FieldName())}, false, true
	}
	if args := callOf(x, "hasValue"); len(args) == 1 {
		paths = optionalPaths(args[0])
		return paths, false, paths != nil
	}
	if x.Kind() != ast.CallKind || len(x.AsCall().Args()) != 2 {
		return nil, false, false
	}
	args := callOf(x.AsCall().Args()[0], "orValue")
	if len(args) != 2 || args[1].Kind() != ast.LiteralKind || x.AsCall().Args()[1].Kind() != ast.LiteralKind {
		return nil, false, false
	}
	gives, ok = holdsOf(x.AsCall().FunctionName(), args[1].AsLiteral(), x.AsCall().Args()[1].AsLiteral())
	paths = optionalPaths(args[0])
	return paths, gives, ok && paths != nil
}

// optionalPaths returns the paths that are there if p.?x has a value.
func optionalPaths(x ast.Expr) []string {
	args := callOf(x, operators.OptSelect)
	if args == nil {
		return nil
	}
	name, _ := textOf(args[1])
	if path := pathOf(args[0]); path != "" {
		return []string{path + "." + fieldName(name)}
	}
	before := optionalPaths(args[0])
	if before == nil {
		return nil
	}
	return append(before, before[len(before)-1]+"."+fieldName(name))
}

// holdsOf reports whether an operator holds of two values.
func holdsOf(operator string, a, b ref.Val) (holds, ok bool) {
	switch operator {
	case operators.Equals:
		return types.Equal(a, b) == types.True, true
	case operators.NotEquals:
		return types.Equal(a, b) != types.True, true
	}
	comparer, ok := a.(traits.Comparer)
	if !ok {
		return false, false
	}
	order, ok := comparer.Compare(b).(types.Int)
	if !ok {
		return false, false
	}
	switch operator {
	case operators.Less:
		return order < 0, true
	case operators.LessEquals:
		return order <= 0, true
	case operators.Greater:
		return order > 0, true
	case operators.GreaterEquals:
		return order >= 0, true
	}
	return false, false
}

func shared(a, b []string) []string {
	return slices.DeleteFunc(a, func(path string) bool { return !slices.Contains(b, path) })
}
