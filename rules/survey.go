package rules

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// survey walks a checked expression. It finds out what the evaluation must know,
// refuses what makes the outcome depend on chance, and notes what is likely
// meant otherwise.
type survey struct {
	program *program
	ast     *ast.AST
	text    string
	issues  []issue
}

// visit surveys an expression that runs where the fields of these paths are there.
func (s *survey) visit(root ast.Expr, given []string) {
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			s.ident(strings.TrimPrefix(e.AsIdent(), "."))
		case ast.SelectKind:
			s.field(e)
		case ast.CallKind:
			s.call(e)
		case ast.StructKind:
			s.problem(e, "messages cannot be made in rules")
		case ast.ComprehensionKind:
			s.program.loops = true
			s.loop(e)
		}
	}))
	g := guard{survey: s, seen: map[string]bool{}}
	g.walk(root, given)
}

func (s *survey) ident(name string) {
	switch name {
	case "exposure":
		s.program.exposure = true
	case "params":
		s.program.params = true
	case "risk":
		s.program.risk = true
	}
}

// record returns the record that an expression gives, if it gives one.
func (s *survey) record(e ast.Expr) (record, string, bool) {
	t := s.ast.GetType(e.ID())
	if t == nil || t.Kind() != types.StructKind {
		return record{}, "", false
	}
	r, ok := s.program.env.record(t.TypeName())
	return r, displayType(t), ok
}

// field looks for fields that a schema does not name, and keys that a document
// does not have.
func (s *survey) field(e ast.Expr) {
	operand, name := e.AsSelect().Operand(), e.AsSelect().FieldName()
	if r, of, ok := s.record(operand); ok && r.fields[name] == nil {
		s.warn(checkUnnamed, nameAt(s.text, s.offset(e), name),
			"'%s' is a field that %s allows and does not name, so nothing is known of it%s", name, of, suggest(name, r.names()))
	}
	if !e.AsSelect().IsTestOnly() {
		s.key(e, operand, name)
	}
}

// key refuses a key that a document does not have.
func (s *survey) key(e, operand ast.Expr, name string) {
	table, ok := s.constant(operand)
	if !ok {
		return
	}
	if o, ok := table.(*ordered); ok && o.values[name] == nil {
		s.issues = append(s.issues, issue{
			offset: nameAt(s.text, s.offset(e), name),
			text:   fmt.Sprintf("undeclared key '%s' of %s%s", name, pathOf(operand), suggest(name, o.keys)),
		})
	}
}

// constant returns the part of a document that an expression names.
func (s *survey) constant(e ast.Expr) (ref.Val, bool) { return s.program.env.constant(e) }

// constant returns the value of a literal, or the part of a document that an
// expression names.
func (e *environment) constant(x ast.Expr) (ref.Val, bool) {
	switch x.Kind() {
	case ast.LiteralKind:
		return x.AsLiteral(), true
	case ast.IdentKind:
		if x.AsIdent() == "data" && e.data != nil {
			return e.data, true
		}
	case ast.SelectKind:
		if v, ok := e.constant(x.AsSelect().Operand()); ok && !x.AsSelect().IsTestOnly() {
			if o, ok := v.(*ordered); ok && o.values[x.AsSelect().FieldName()] != nil {
				return o.values[x.AsSelect().FieldName()], true
			}
		}
	}
	return nil, false
}

func (s *survey) call(e ast.Expr) {
	if args := callOf(e, operators.Index); args != nil {
		if name, ok := textOf(args[1]); ok {
			s.key(e, args[0], name)
		}
	}
	if args := callOf(e, operators.Equals, operators.NotEquals); args != nil {
		s.compare(args[0], args[1])
		s.compare(args[1], args[0])
	}
	if args := callOf(e, operators.In); args != nil && args[1].Kind() == ast.ListKind {
		for _, item := range args[1].AsList().Elements() {
			s.compare(args[0], item)
		}
	}
}

// compare notes a constant that a field can never have.
func (s *survey) compare(field, constant ast.Expr) {
	if field.Kind() != ast.SelectKind || constant.Kind() != ast.LiteralKind || constant.AsLiteral() == types.NullValue {
		return
	}
	r, of, ok := s.record(field.AsSelect().Operand())
	name := field.AsSelect().FieldName()
	if !ok || r.fields[name] == nil || r.fields[name].values == nil {
		return
	}
	var words []string
	for _, v := range r.fields[name].values {
		if types.Equal(v, constant.AsLiteral()) == types.True {
			return
		}
		words = append(words, fmt.Sprint(v.Value()))
	}
	s.warn(checkValue, s.offset(constant), "'%s' of %s is never that: it is one of %s", name, of, clip(strings.Join(words, ", "), maxReason))
}

// loop refuses to walk over a map that is written in the expression: it has
// another order each time. Those of params and data have one.
func (s *survey) loop(e ast.Expr) {
	c := e.AsComprehension()
	for _, part := range []ast.Expr{c.IterRange(), c.AccuInit()} {
		ast.PreOrderVisit(part, ast.NewExprVisitor(func(inner ast.Expr) {
			if inner.Kind() == ast.MapKind {
				s.problem(inner, "a map that is written here has no order to walk in: use a list, or a document in data/")
			}
		}))
	}
}

func (s *survey) problem(at ast.Expr, text string) {
	s.issues = append(s.issues, issue{offset: s.offset(at), text: text})
}

func (s *survey) warn(c check, offset int, format string, args ...any) {
	s.issues = append(s.issues, issue{offset: offset, text: fmt.Sprintf(format, args...), check: c})
}

// mistaken reports whether the expression must not run.
func (s *survey) mistaken() bool {
	for _, i := range s.issues {
		if i.check == "" {
			return true
		}
	}
	return false
}

func (s *survey) offset(e ast.Expr) int {
	r, ok := s.ast.SourceInfo().GetOffsetRange(e.ID())
	if !ok {
		return 0
	}
	return int(r.Start)
}
