package rules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// program is an expression that can be evaluated, concurrently.
type program struct {
	program cel.Program
	limits  Limits

	// loops says that only a loop makes it take long, and that there is one.
	loops bool

	// exposure says that it asks for the agent's exposure.
	exposure bool

	// fields are the parameters that it names, and documents the data, each with
	// its place.
	fields, documents []mention
}

// mention is a name in an expression and its place.
type mention struct {
	name   string
	offset int
}

// issue is what is wrong with an expression, and the place as a number of
// characters.
type issue struct {
	offset int
	text   string
}

// compile returns the program of an expression that gives one of the kinds, or
// what is wrong with it.
func (e *environment) compile(text string, want gives) (*program, []issue) {
	source := common.NewStringSource(text, "")
	checked, problems := e.env.CompileSource(source)
	if problems.Err() != nil {
		return nil, e.issues(source, problems)
	}
	p := &program{limits: e.limits}
	s := survey{program: p, info: checked.NativeRep().SourceInfo(), text: text}
	s.visit(checked.NativeRep().Expr())
	if !want.fits(checked.OutputType()) {
		s.problem(checked.NativeRep().Expr(), "want "+want.String()+", this is "+cel.FormatCELType(checked.OutputType()))
	}
	if len(s.issues) > 0 {
		return nil, s.issues
	}
	var err error
	p.program, err = e.env.Program(checked,
		cel.EvalOptions(cel.OptOptimize),
		cel.CostLimit(e.limits.cost()),
		cel.InterruptCheckFrequency(checkEvery),
		cel.CustomDecoratorV2(e.calls.bound),
	)
	if err != nil {
		return nil, []issue{{text: err.Error()}}
	}
	return p, nil
}

// gives says what an expression must give.
type gives uint8

const (
	truth   gives = iota // true or false
	integer              // an int
)

func (g gives) String() string {
	if g == integer {
		return "an int"
	}
	return "true or false"
}

// fits reports whether an expression of the type can give it. What comes
// from JSON is known only when it runs.
func (g gives) fits(t *cel.Type) bool {
	if g == integer {
		return t.IsExactType(cel.IntType) || t.IsExactType(cel.DynType)
	}
	return t.IsExactType(cel.BoolType) || t.IsExactType(cel.DynType)
}

// run evaluates the program. Without a loop it takes no more than some calls,
// each of bounded work; so only loops look at ctx meanwhile.
func (p *program) run(ctx context.Context, vars cel.Activation) (ref.Val, error) {
	if err := ctx.Err(); err != nil {
		return nil, p.explain(err)
	}
	var v ref.Val
	var err error
	if p.loops {
		v, _, err = p.program.ContextEval(ctx, vars)
	} else {
		v, _, err = p.program.Eval(vars)
	}
	if err != nil {
		return nil, p.explain(err)
	}
	return v, nil
}

// explain puts the ways in which an evaluation is cut off into words.
func (p *program) explain(err error) error {
	var cancelled interpreter.EvalCancelledError
	switch {
	case errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded:
		return fmt.Errorf("costs more than %d", p.limits.cost())
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("takes too long: all rules together have %s", p.limits.time())
	case errors.Is(err, context.Canceled), errors.Is(err, interpreter.InterruptError{}):
		return errors.New("interrupted")
	}
	return err
}

// survey walks a checked expression. It finds out what the evaluation must know,
// and refuses what makes the outcome depend on chance.
type survey struct {
	program *program
	info    *ast.SourceInfo
	text    string
	issues  []issue
}

func (s *survey) visit(root ast.Expr) {
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			if name := strings.TrimPrefix(e.AsIdent(), "."); name == "exposure" {
				s.program.exposure = true
			}
		case ast.SelectKind:
			s.mention(e, e.AsSelect().Operand(), e.AsSelect().FieldName())
		case ast.CallKind:
			s.call(e, e.AsCall())
		case ast.StructKind:
			s.problem(e, "messages cannot be made in rules")
		case ast.ComprehensionKind:
			s.program.loops = true
			s.loop(e)
		}
	}))
}

// call looks for the other ways to name a field: params["x"], params.?x and
// "x" in params.
func (s *survey) call(e ast.Expr, call ast.CallExpr) {
	var of, name ast.Expr
	switch call.FunctionName() {
	case operators.Index, operators.OptIndex, operators.OptSelect:
		of, name = call.Args()[0], call.Args()[1]
	case operators.In:
		name, of = call.Args()[0], call.Args()[1]
	default:
		return
	}
	if name.Kind() == ast.LiteralKind {
		if text, ok := name.AsLiteral().(types.String); ok {
			s.mention(e, of, string(text))
		}
	}
}

func (s *survey) mention(at, of ast.Expr, name string) {
	if of.Kind() != ast.IdentKind {
		return
	}
	m := mention{name: name, offset: s.offset(at)}
	if rest := []rune(s.text); m.offset < len(rest) {
		if before, _, ok := strings.Cut(string(rest[m.offset:]), name); ok {
			m.offset += utf8.RuneCountInString(before)
		}
	}
	switch of.AsIdent() {
	case "params":
		s.program.fields = append(s.program.fields, m)
	case "data":
		s.program.documents = append(s.program.documents, m)
	}
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

func (s *survey) offset(e ast.Expr) int {
	r, ok := s.info.GetOffsetRange(e.ID())
	if !ok {
		return 0
	}
	return int(r.Start)
}
