package rules

import (
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// find returns the expression with the id in x, or nil.
func find(x ast.Expr, id int64) ast.Expr {
	var found ast.Expr
	ast.PreOrderVisit(x, ast.NewExprVisitor(func(e ast.Expr) {
		if e.ID() == id && found == nil {
			found = e
		}
	}))
	return found
}

// operandOf returns what a field is selected from, or nil.
func operandOf(x ast.Expr) ast.Expr {
	switch {
	case x == nil:
		return nil
	case x.Kind() == ast.SelectKind:
		return x.AsSelect().Operand()
	case x.Kind() == ast.CallKind && x.AsCall().FunctionName() == operators.OptSelect:
		return x.AsCall().Args()[0]
	}
	return nil
}

// pathOf returns a path of fields as text, or "" if x is something else.
func pathOf(x ast.Expr) string {
	switch x.Kind() {
	case ast.IdentKind:
		return strings.TrimPrefix(x.AsIdent(), ".")
	case ast.SelectKind:
		of := pathOf(x.AsSelect().Operand())
		if of == "" {
			return ""
		}
		return of + "." + fieldName(x.AsSelect().FieldName())
	}
	return ""
}

// fieldName returns a field as it is written behind a dot.
func fieldName(name string) string {
	plain := name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
	if !plain || '0' <= name[0] && name[0] <= '9' {
		return "`" + name + "`"
	}
	return name
}

// nameAt returns where the name stands in text from offset on, or offset.
func nameAt(text string, offset int, name string) int {
	rest := []rune(text)
	if offset >= len(rest) {
		return offset
	}
	before, _, ok := strings.Cut(string(rest[offset:]), name)
	if !ok {
		return offset
	}
	return offset + utf8.RuneCountInString(before)
}

// textOf returns the text that a literal is.
func textOf(x ast.Expr) (string, bool) {
	if x.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := x.AsLiteral().(types.String)
	return string(text), ok
}

// callOf returns the arguments of a call of the function, its target first.
func callOf(x ast.Expr, functions ...string) []ast.Expr {
	if x.Kind() != ast.CallKind {
		return nil
	}
	call := x.AsCall()
	for _, f := range functions {
		if call.FunctionName() != f {
			continue
		}
		if call.IsMemberFunction() {
			return append([]ast.Expr{call.Target()}, call.Args()...)
		}
		return call.Args()
	}
	return nil
}

// children returns the parts of an expression.
func children(x ast.Expr) []ast.Expr {
	switch x.Kind() {
	case ast.SelectKind:
		return []ast.Expr{x.AsSelect().Operand()}
	case ast.CallKind:
		return callOf(x, x.AsCall().FunctionName())
	case ast.ListKind:
		return x.AsList().Elements()
	case ast.MapKind:
		var parts []ast.Expr
		for _, entry := range x.AsMap().Entries() {
			parts = append(parts, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
		return parts
	case ast.ComprehensionKind:
		c := x.AsComprehension()
		return []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()}
	}
	return nil
}
