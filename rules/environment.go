package rules

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
	"github.com/holdpoint/holdpoint/schemas"
)

// environment compiles the expressions of one kind: it knows their variables.
type environment struct {
	env    *cel.Env
	limits Limits
	calls  calls

	// data are the documents that expressions read, or nil.
	data *ordered

	// records are the types of the last variable that was added, and outer is the
	// environment without it.
	records records
	outer   *environment

	// absent says of names that people expect why they are not there.
	absent map[string]string
}

// native declares a Go struct as a CEL type.
func native[T any](name string) cel.EnvOption {
	return cel.Types(types.NativeTypeFor[T](types.NativeTypeAlias(name), types.ParseStructTags(true)))
}

// dialectOptions are what all expressions share. Versions and prices are pinned,
// so that a new CEL does not decide otherwise.
func dialectOptions() []cel.EnvOption {
	return []cel.EnvOption{
		cel.OptionalTypes(cel.OptionalTypesVersion(2)),
		ext.Strings(ext.StringsVersion(5)),
		ext.Math(ext.MathVersion(2)),
		ext.Lists(ext.ListsVersion(3), ext.ListsMaxRangeSize(maxRange)),
		ext.Sets(ext.SetsVersion(0)),
		cel.CrossTypeNumericComparisons(true),
		cel.EnableIdentifierEscapeSyntax(),
		cel.EnableMacroCallTracking(),
		cel.DefaultUTCTimeZone(true),
		cel.EagerlyValidateDeclarations(true),
		cel.CostModelVersion(1),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxParens),
		cel.ParserErrorRecoveryLimit(1),
		cel.ExpressionNodeLimit(maxNodes),
		cel.RegexProgramSizeLimit(maxRegex),
		cel.ASTValidators(
			cel.ValidateRegexLiterals(),
			cel.ValidateDurationLiterals(),
			cel.ValidateTimestampLiterals(),
			cel.ValidateComprehensionNestingLimit(maxLoops),
		),
	}
}

// newEnvironment completes e with these options beside those of all.
func newEnvironment(e environment, options ...cel.EnvOption) (*environment, error) {
	var err error
	if e.env, err = cel.NewEnv(append(dialectOptions(), options...)...); err != nil {
		return nil, fmt.Errorf("making an environment for expressions: %w", err)
	}
	if e.calls, err = newCalls(e.env); err != nil {
		return nil, fmt.Errorf("making an environment for expressions: %w", err)
	}
	return &e, nil
}

const noProse = "the agent's own prose can only raise: write raise, in a risk or in a rule that parks or refuses"

// purpose is what an expression is for.
type purpose uint8

const (
	conditions     purpose = iota // when, of rules and approvals
	lateConditions                // when, of rules at execute
	weights                       // when and add, of risks, and all of budgets
	prose                         // raise
	purposes
)

// ruleEnvironments know what the expressions with each purpose may ask about these
// documents. Params come with [environment.of].
func ruleEnvironments(l Limits, d *documents, budgets *shape) (made [purposes]*environment, err error) {
	base, err := newEnvironment(environment{
		limits: l,
		data:   d.values,
		absent: map[string]string{
			"goal":     noProse,
			"reason":   noProse,
			"risk":     "the risk is the sum of what these expressions give",
			"reviewer": "only eligible, of an approval, is about a reviewer",
			"budget":   "budgets are counted at execute: when of a rule there can ask for them",
			"intent":   "write params, agent, action or session",
		},
	},
		native[agentValue]("Agent"), native[actionValue]("Action"), native[exposureValue]("Exposure"),
		cel.Variable("agent", cel.ObjectType("Agent")),
		cel.Variable("action", cel.ObjectType("Action")),
		cel.Variable("session", cel.StringType),
		cel.Variable("exposure", cel.ObjectType("Exposure")),
		cel.Variable("rate", cel.IntType),
		cel.Variable("now", cel.TimestampType),
		cel.Function(sawFunction, cel.MemberOverload("exposure_saw_string",
			[]*cel.Type{cel.ObjectType("Exposure"), cel.StringType}, cel.BoolType, cel.BinaryBinding(saw))),
	)
	if err != nil {
		return made, err
	}
	if made[weights], err = base.extend("data", d.shape, "data"); err != nil {
		return made, err
	}
	whole := &shape{form: intForm}
	text := &shape{form: textForm}
	if made[conditions], err = made[weights].extend("risk", whole, "risk"); err != nil {
		return made, err
	}
	if made[lateConditions], err = made[conditions].extend("budget", budgets, "budget"); err != nil {
		return made, err
	}
	if made[prose], err = made[weights].extend("goal", text, "goal"); err != nil {
		return made, err
	}
	made[prose], err = made[prose].extend("reason", text, "reason")
	return made, err
}

const sawFunction = "saw"

// saw reports whether the agent was given the result of an action, or of one that
// a pattern matches.
func saw(exposure, pattern ref.Val) ref.Val {
	e, ok := exposure.Value().(*exposureValue)
	if !ok {
		return types.MaybeNoSuchOverloadErr(exposure)
	}
	return types.Bool(slices.ContainsFunc(e.Actions, func(action string) bool {
		return schemas.MatchAction(string(pattern.(types.String)), schemas.Action(action))
	}))
}

// of returns the environment of expressions about an action with these
// parameters.
func (e *environment) of(name string, params *shape) (*environment, error) {
	return e.extend("params", params, name)
}

// extend adds a variable of a shape, whose records are named after name.
func (e *environment) extend(variable string, sh *shape, name string) (*environment, error) {
	more := *e
	more.records, more.outer = records{}, e
	t := more.records.typeOf(sh, name)
	var err error
	more.env, err = e.env.Extend(cel.CustomTypeProvider(provider{e.env.CELTypeProvider(), more.records}), cel.Variable(variable, t))
	if err != nil {
		return nil, fmt.Errorf("making an environment for expressions: %w", err)
	}
	return &more, nil
}

const onlyReviewer = "eligible knows reviewer, agent and action: put other conditions into when"

// eligibleEnvironment knows what the eligibility of a reviewer may depend on.
func eligibleEnvironment(l Limits) (*environment, error) {
	e := environment{
		limits: l,
		absent: map[string]string{
			"goal": noProse, "reason": noProse,
			"params": onlyReviewer, "session": onlyReviewer, "exposure": onlyReviewer,
			"rate": onlyReviewer, "data": onlyReviewer, "now": onlyReviewer,
		},
	}
	return newEnvironment(e,
		native[reviewerValue]("Reviewer"), native[agentValue]("Agent"), native[actionName]("Action"),
		cel.Variable("reviewer", cel.ObjectType("Reviewer")),
		cel.Variable("agent", cel.ObjectType("Agent")),
		cel.Variable("action", cel.ObjectType("Action")),
	)
}

// record returns a record by the name of its type.
func (e *environment) record(name string) (record, bool) {
	for ; e != nil; e = e.outer {
		if r, ok := e.records[name]; ok {
			return r, true
		}
	}
	return record{}, false
}

// value returns a Go struct as a value that expressions share.
func (e *environment) value(v any) any { return e.env.CELTypeAdapter().NativeToValue(v) }
