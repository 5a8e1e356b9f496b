package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// issues returns what CEL says against an expression, in our words. Of several
// syntax errors only the first means anything.
func (e *environment) issues(source common.Source, parsed *cel.Ast, problems *cel.Issues) []issue {
	errs := slices.Clone(problems.Errors())
	slices.SortStableFunc(errs, func(a, b *cel.Error) int {
		return cmp.Or(cmp.Compare(a.Location.Line(), b.Location.Line()), cmp.Compare(a.Location.Column(), b.Location.Column()))
	})
	var found []issue
	for _, err := range errs[:min(len(errs), maxIssues)] {
		offset, ok := source.LocationOffset(err.Location)
		if !ok || offset < 0 {
			offset = 0
		}
		r := rewording{environment: e, message: err.Message, text: source.Content(), offset: int(offset)}
		if parsed != nil {
			r.at = find(parsed.NativeRep().Expr(), err.ExprID)
		}
		found = append(found, r.issue())
		if strings.HasPrefix(err.Message, syntaxPrefix) {
			break
		}
	}
	if len(found) == 0 {
		// Never nothing: an entry without its condition would always apply.
		found = append(found, issue{text: problems.Err().Error()})
	}
	return found
}

const syntaxPrefix = "Syntax error: "

// rewording says what CEL means, and what to write instead if that is known.
type rewording struct {
	*environment
	message, text string
	offset        int
	at            ast.Expr // what it is about, or nil
}

func (r rewording) issue() issue {
	if rest, ok := strings.CutPrefix(r.message, syntaxPrefix); ok {
		return issue{offset: r.offset, text: "syntax error: " + rewordSyntax(rest)}
	}
	name := quoted(r.message)
	if variable, _, _ := strings.Cut(name, "."); strings.HasPrefix(r.message, "undeclared reference to ") && r.absent[variable] != "" {
		return issue{offset: back(r.text, r.offset, variable), text: fmt.Sprintf("undeclared reference to '%s': %s", variable, r.absent[variable])}
	}
	switch {
	case strings.HasPrefix(r.message, "undefined field "):
		return r.undeclaredField(name)
	case strings.HasPrefix(r.message, "found no matching overload for "):
		return r.noOverload()
	}
	return issue{offset: r.offset, text: r.message}
}

// undeclaredField says of what the field is none.
func (r rewording) undeclaredField(name string) issue {
	what, of, names := "field", "", r.allFields()
	if operand := operandOf(r.at); operand != nil {
		if t := r.typeOf(operand); t != nil && t.Kind() == types.StructKind {
			of = " of " + displayType(t)
			names, _ = r.env.CELTypeProvider().FindStructFieldNames(t.TypeName())
		}
	}
	if of == " of data" {
		what = "document"
	}
	slices.Sort(names)
	return issue{offset: nameAt(r.text, r.offset, name), text: fmt.Sprintf("undeclared %s '%s'%s%s", what, name, of, suggest(name, names))}
}

// allFields returns the fields of everything, for suggestions about a value of
// which it is not known what it is.
func (r rewording) allFields() []string {
	var names []string
	for e := r.environment; e != nil && len(names) <= maxCandidates; e = e.outer {
		for _, rec := range e.records {
			names = append(names, rec.names()...)
		}
	}
	return names
}

// noOverload says of what an operator or a function is not defined.
func (r rewording) noOverload() issue {
	_, rest, _ := strings.Cut(r.message, "'")
	function, rest, _ := strings.Cut(rest, "'")
	_, rest, _ = strings.Cut(rest, "'")
	arguments := strings.TrimSuffix(rest, "'")
	if text := r.ofRecord(function); text != "" {
		return issue{offset: r.offset, text: text}
	}
	text := fmt.Sprintf("'%s' is not defined for %s", displayName(function), arguments)
	if strings.Contains(arguments, "int") && strings.Contains(arguments, "double") {
		text += ": write 1.0 for a double that is whole, or double(…)"
	}
	return issue{offset: r.offset, text: text}
}

// ofRecord says how to ask for a field that is asked for as if of a map.
func (r rewording) ofRecord(function string) string {
	if r.at == nil || r.at.Kind() != ast.CallKind || len(r.at.AsCall().Args()) != 2 {
		return ""
	}
	of, key := r.at.AsCall().Args()[0], r.at.AsCall().Args()[1]
	write := "%s.%s"
	switch function {
	case operators.In:
		of, key, write = key, of, "has(%s.%s)"
	case operators.OptIndex:
		write = "%s.?%s"
	case operators.Index:
	default:
		return ""
	}
	t, path := r.typeOf(of), pathOf(of)
	if t == nil || t.Kind() != types.StructKind || path == "" {
		return ""
	}
	name := "name"
	if key.Kind() == ast.LiteralKind {
		name = fmt.Sprint(key.AsLiteral().Value())
	}
	return fmt.Sprintf("%s has fields: write "+write+", or dyn(%s) for a name that is found out later", displayType(t), path, fieldName(name), path)
}

// typeOf returns the type of a path of fields, or nil if e is something else.
func (e *environment) typeOf(x ast.Expr) *types.Type {
	switch x.Kind() {
	case ast.IdentKind:
		for _, v := range slices.Backward(e.env.Variables()) {
			if v.Name() == x.AsIdent() {
				return v.Type()
			}
		}
	case ast.SelectKind:
		t := e.typeOf(x.AsSelect().Operand())
		if t == nil || t.Kind() != types.StructKind {
			return nil
		}
		if field, ok := e.env.CELTypeProvider().FindStructFieldType(t.TypeName(), x.AsSelect().FieldName()); ok {
			return field.Type
		}
	}
	return nil
}

// displayType returns the name of a type as people know it.
func displayType(t *types.Type) string {
	if name, ok := strings.CutPrefix(t.TypeName(), recordPrefix); ok {
		return name
	}
	return strings.ToLower(t.TypeName())
}

// back returns where the word stands last in text before offset: CEL points at
// the end of a qualified name.
func back(text string, offset int, word string) int {
	before := []rune(text)
	before = before[:min(len(before), offset+utf8.RuneCountInString(word))]
	i := strings.LastIndex(string(before), word)
	if i < 0 {
		return offset
	}
	return utf8.RuneCountInString(string(before)[:i])
}

func rewordSyntax(text string) string {
	text, _, _ = strings.Cut(text, " expecting ")
	text = strings.ReplaceAll(text, "mismatched input '<EOF>'", "the expression ends too early")
	switch strings.Trim(quoted(text), " ") {
	case "and":
		return text + " (did you mean '&&'?)"
	case "or":
		return text + " (did you mean '||'?)"
	case "not":
		return text + " (did you mean '!'?)"
	case "=":
		return text + " (did you mean '=='?)"
	}
	return text
}

// quoted returns what stands between the first two single quotes.
func quoted(text string) string {
	_, rest, _ := strings.Cut(text, "'")
	inside, _, ok := strings.Cut(rest, "'")
	if !ok {
		return ""
	}
	return inside
}
