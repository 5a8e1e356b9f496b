package rules

import (
	"math"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// claim is that an expression of a program is true, or that it is not.
type claim struct {
	program *program
	expr    ast.Expr
	truth   bool

	// never is a claim that cannot be true. With a key it is about what is written
	// so, wherever that is.
	never bool
	key   string

	// stale says that what it knows of the exposure may be out of date, and so
	// says nothing.
	stale bool
}

// claimOf returns the claim that a whole program gives truth. Without a program
// it is none.
func claimOf(p *program, truth bool) []claim {
	if p == nil {
		return nil
	}
	return []claim{{program: p, expr: p.checked.NativeRep().Expr(), truth: truth}}
}

// negation claims that a rule without raise does not apply. One without condition
// always does.
func negation(r *rule) []claim {
	if r.when == nil {
		return []claim{{never: true}}
	}
	return claimOf(r.when, false)
}

// exposedTo claims that the agent has been given something with the label.
func exposedTo(label string) []claim {
	return []claim{{key: strconv.Quote(label) + " in exposure.labels", truth: true}}
}

// question asks whether claims can hold together. It understands and, or, not and
// the choice between two; comparisons of a path with constants; and of everything
// else, that it is what it is. Where it does not understand, they can.
type question struct {
	steps int
}

// maxSteps is how far a question is thought through.
const maxSteps = 20_000

// possible reports whether the claims can hold together. It does not report false
// unless that is certain.
func possible(claims ...[]claim) bool {
	var all []claim
	for _, c := range claims {
		all = append(all, c...)
	}
	q := &question{}
	return q.holds(all, nil)
}

// known is what was claimed of one thing before: a chain, so that going back is
// to forget.
type known struct {
	key    string
	truth  bool
	domain domain
	before *known
}

func (q *question) holds(claims []claim, k *known) bool {
	if q.steps++; q.steps > maxSteps || len(claims) == 0 {
		return true
	}
	c, rest := claims[0], claims[1:]
	if c.never {
		return false
	}
	if c.key != "" {
		next, ok := c.learnAs(c.key, k)
		return ok && q.holds(rest, next)
	}
	if args := callOf(c.expr, operators.LogicalNot); args != nil {
		return q.holds(prepend(rest, c.of(args[0], !c.truth)), k)
	}
	if args := callOf(c.expr, operators.LogicalAnd); args != nil {
		return q.both(c, args, c.truth, rest, k)
	}
	if args := callOf(c.expr, operators.LogicalOr); args != nil {
		return q.both(c, args, !c.truth, rest, k)
	}
	if args := callOf(c.expr, operators.Conditional); args != nil {
		return q.holds(prepend(rest, c.of(args[0], true), c.of(args[1], c.truth)), k) ||
			q.holds(prepend(rest, c.of(args[0], false), c.of(args[2], c.truth)), k)
	}
	if b, ok := literalTruth(c.expr); ok {
		return b == c.truth && q.holds(rest, k)
	}
	next, ok := c.learn(k)
	return ok && q.holds(rest, next)
}

// both follows both sides if all must hold, or else either.
func (q *question) both(c claim, args []ast.Expr, all bool, rest []claim, k *known) bool {
	a, b := c.of(args[0], c.truth), c.of(args[1], c.truth)
	if all {
		return q.holds(prepend(rest, a, b), k)
	}
	return q.holds(prepend(rest, a), k) || q.holds(prepend(rest, b), k)
}

func prepend(rest []claim, first ...claim) []claim { return append(first, rest...) }

func (c claim) of(x ast.Expr, truth bool) claim {
	c.expr, c.truth = x, truth
	return c
}

func literalTruth(x ast.Expr) (truth, ok bool) {
	if x.Kind() != ast.LiteralKind {
		return false, false
	}
	b, ok := x.AsLiteral().(types.Bool)
	return bool(b), ok
}

// learn adds the claim to what is known, or reports that it cannot be.
func (c claim) learn(k *known) (*known, bool) {
	key := c.program.write(c.expr)
	if c.stale && strings.Contains(key, "exposure") {
		return k, true
	}
	path, d, ok := c.domain()
	if !ok {
		return c.learnAs(key, k)
	}
	for b := k; b != nil; b = b.before {
		if b.key == path+" is" {
			d = d.and(b.domain)
			break
		}
	}
	return &known{key: path + " is", domain: d, before: k}, !d.empty()
}

func (c claim) learnAs(key string, k *known) (*known, bool) {
	for b := k; b != nil; b = b.before {
		if b.key == key && b.truth != c.truth {
			return k, false
		}
	}
	return &known{key: key, truth: c.truth, before: k}, true
}

// domain returns the values that a path can have where the claim holds.
func (c claim) domain() (string, domain, bool) {
	path, operator, constant, ok := c.comparison()
	if !ok {
		return "", domain{}, false
	}
	sh := c.program.env.shapeOf(path)
	d := domainOf(sh)
	name := pathOf(path)
	if operator == operators.In {
		return name, d.and(membersOf(constant, c.truth)), true
	}
	if !c.truth {
		operator = opposite[operator]
	}
	return name, d.and(comparedWith(operator, constant, sh != nil && sh.form == intForm)), true
}

// opposite are the operators that hold where another does not.
var opposite = map[string]string{
	operators.Equals: operators.NotEquals, operators.NotEquals: operators.Equals,
	operators.Less: operators.GreaterEquals, operators.GreaterEquals: operators.Less,
	operators.Greater: operators.LessEquals, operators.LessEquals: operators.Greater,
}

// mirrored are the operators that say the same with their sides exchanged.
var mirrored = map[string]string{
	operators.Equals: operators.Equals, operators.NotEquals: operators.NotEquals,
	operators.Less: operators.Greater, operators.Greater: operators.Less,
	operators.LessEquals: operators.GreaterEquals, operators.GreaterEquals: operators.LessEquals,
}

// comparison returns the parts of a comparison of a path with a constant: a
// literal or part of a document. A path that is true or false is compared with
// true.
func (c claim) comparison() (path ast.Expr, operator string, constant ref.Val, ok bool) {
	e := c.program.env
	if isVariable(c.expr) && isTruth(c.program.checked.NativeRep(), c.expr) {
		return c.expr, operators.Equals, types.True, true
	}
	if c.expr.Kind() != ast.CallKind || len(c.expr.AsCall().Args()) != 2 {
		return nil, "", nil, false
	}
	operator = c.expr.AsCall().FunctionName()
	left, right := c.expr.AsCall().Args()[0], c.expr.AsCall().Args()[1]
	if operator == operators.In {
		constant, ok = e.constantList(right)
		return left, operator, constant, ok && isVariable(left)
	}
	if opposite[operator] == "" {
		return nil, "", nil, false
	}
	if constant, ok = e.constant(right); ok && isVariable(left) {
		return left, operator, constant, true
	}
	if constant, ok = e.constant(left); ok && isVariable(right) {
		return right, mirrored[operator], constant, true
	}
	return nil, "", nil, false
}

// isVariable reports whether x is a path of fields of something that is not known
// when a bundle loads.
func isVariable(x ast.Expr) bool {
	path := pathOf(x)
	test := x.Kind() == ast.SelectKind && x.AsSelect().IsTestOnly()
	return path != "" && !test && path != "data" && !strings.HasPrefix(path, "data.")
}

// constantList returns the elements of a list of literals, or of a document.
func (e *environment) constantList(x ast.Expr) (ref.Val, bool) {
	if x.Kind() != ast.ListKind {
		v, ok := e.constant(x)
		l, isList := v.(traits.Lister)
		return v, ok && isList && l.Size().(types.Int) <= maxListed
	}
	var items []ref.Val
	for _, item := range x.AsList().Elements() {
		v, ok := e.constant(item)
		if !ok {
			return nil, false
		}
		items = append(items, v)
	}
	return list(items), true
}

// maxListed is how many members of a list are thought about.
const maxListed = 200

// shapeOf returns what is known of the values of a path, or nil.
func (e *environment) shapeOf(x ast.Expr) *shape {
	operand, name := operandOf(x), ""
	switch {
	case x.Kind() == ast.SelectKind:
		name = x.AsSelect().FieldName()
	case operand != nil:
		name, _ = textOf(x.AsCall().Args()[1])
	}
	if operand == nil {
		if t := e.typeOf(x); t != nil && t.IsExactType(types.IntType) {
			return &shape{form: intForm, low: 0, high: math.Inf(1)} // rate and risk
		}
		return nil
	}
	t := e.typeOf(operand)
	if t == nil {
		return nil
	}
	r, ok := e.record(t.TypeName())
	if !ok {
		return nil
	}
	return r.field(name)
}
