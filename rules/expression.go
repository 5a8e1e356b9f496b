package rules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
	"github.com/holdpoint/holdpoint/schemas"
)

// program is an expression that can be evaluated, concurrently.
type program struct {
	program cel.Program
	limits  Limits

	// loops says that only a loop makes it take long, and that there is one.
	loops bool

	// exposure says that it asks for the agent's exposure.
	exposure bool

	// params says that it asks for parameters, risk that it asks for the risk.
	params, risk bool

	// checked is what was compiled, by the types of env.
	checked *cel.Ast
	env     *environment
}

// issue is what is wrong with an expression, and the place as a number of
// characters. With a check, the expression can run and its author should know.
type issue struct {
	offset int
	text   string
	check  check
}

// compile returns the program of an expression that gives one of the kinds, or
// what is wrong with it. A program may come with issues that have a check. It runs
// only where the condition that is given holds.
func (e *environment) compile(text string, want gives, given *program) (*program, []issue) {
	source := common.NewStringSource(text, "")
	parsed, problems := e.env.ParseSource(source)
	if problems.Err() != nil {
		return nil, e.issues(source, nil, problems)
	}
	checked, problems := e.env.Check(parsed)
	if problems.Err() != nil {
		return nil, e.issues(source, parsed, problems)
	}
	p := &program{limits: e.limits, checked: checked, env: e}
	s := survey{program: p, ast: checked.NativeRep(), text: text}
	var known []string
	if given != nil {
		known = present(given.checked.NativeRep().Expr())
	}
	s.visit(s.ast.Expr(), known)
	if !want.fits(checked.OutputType()) {
		s.problem(s.ast.Expr(), "want "+want.String()+", this is "+cel.FormatCELType(checked.OutputType()))
	}
	if s.mistaken() {
		return nil, s.issues
	}
	var err error
	if p.program, err = e.plan(checked, cel.EvalOptions(cel.OptOptimize)); err != nil {
		return nil, []issue{{text: err.Error()}}
	}
	return p, s.issues
}

// plan returns the program of a checked expression, within the limits.
func (e *environment) plan(checked *cel.Ast, options ...cel.ProgramOption) (cel.Program, error) {
	return e.env.Program(checked, append(options,
		cel.CostLimit(e.limits.cost()),
		cel.CostTrackerOptions(cost.OverloadTracker(overloads.InList, priceOfMembership)),
		cel.InterruptCheckFrequency(checkEvery),
		cel.CustomDecoratorV2(e.calls.bound),
	)...)
}

// gives says what an expression must give.
type gives uint8

const (
	truth     gives = iota // true or false
	integer                // an int
	quantity               // an int or a double
	textOrInt              // what a budget counts apart for
)

func (g gives) String() string {
	return [...]string{truth: "true or false", integer: "an int", quantity: "a number", textOrInt: "text or an int"}[g]
}

// fits reports whether an expression of the type can give it. What comes
// from JSON is known only when it runs.
func (g gives) fits(t *cel.Type) bool {
	fitting := [...][]*cel.Type{truth: {cel.BoolType}, integer: {cel.IntType}, quantity: {cel.IntType, cel.DoubleType}, textOrInt: {cel.StringType, cel.IntType}}[g]
	return t.IsExactType(cel.DynType) || slices.ContainsFunc(fitting, t.IsExactType)
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

// tooLong begins what is said of a rule that was cut off by time.
const tooLong = "takes too long"

// TookTooLong reports whether m says of a rule that it was cut off by time: what it
// says is not known, and will be another time.
func TookTooLong(m schemas.Match) bool {
	reason := strings.TrimPrefix(strings.TrimPrefix(m.Reason, "key: "), "amount: ") // of a budget
	return strings.HasPrefix(reason, tooLong)
}

// explain puts the ways in which an evaluation is cut off into words.
func (p *program) explain(err error) error {
	var cancelled interpreter.EvalCancelledError
	switch {
	case errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded:
		return fmt.Errorf("costs more than %d", p.limits.cost())
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf(tooLong+": all rules together have %s", p.limits.time())
	case errors.Is(err, context.Canceled), errors.Is(err, interpreter.InterruptError{}):
		return errors.New("interrupted")
	}
	return err
}
