package rules

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// environment compiles the expressions of one kind: it knows their variables.
type environment struct {
	env    *cel.Env
	limits Limits
	calls  calls

	// absent says of names that people expect why they are not there.
	absent map[string]string

	// fields are those that variables have, for suggestions.
	fields []string
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

const noProse = "the agent's own prose is no input of any rule: judge params, agent, exposure or rate"

// ruleEnvironment knows what rules, risks and approvals may ask.
func ruleEnvironment(l Limits) (*environment, error) {
	e := environment{
		limits: l,
		absent: map[string]string{
			"goal":     noProse,
			"reason":   noProse,
			"risk":     "thresholds judge the risk",
			"reviewer": "only eligible, of an approval, is about a reviewer",
			"intent":   "write params, agent, action or session",
		},
		fields: []string{
			"name", "owner", "groups", "system", "operation", "effect", "reversible", "idempotent", "labels", "actions",
		},
	}
	return newEnvironment(e,
		native[agentValue]("Agent"), native[actionValue]("Action"), native[exposureValue]("Exposure"),
		cel.Variable("params", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("agent", cel.ObjectType("Agent")),
		cel.Variable("action", cel.ObjectType("Action")),
		cel.Variable("session", cel.StringType),
		cel.Variable("exposure", cel.ObjectType("Exposure")),
		cel.Variable("rate", cel.IntType),
		cel.Variable("data", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("now", cel.TimestampType),
	)
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
		fields: []string{"name", "person", "owner", "groups", "service", "system", "operation"},
	}
	return newEnvironment(e,
		native[reviewerValue]("Reviewer"), native[agentValue]("Agent"), native[actionName]("Action"),
		cel.Variable("reviewer", cel.ObjectType("Reviewer")),
		cel.Variable("agent", cel.ObjectType("Agent")),
		cel.Variable("action", cel.ObjectType("Action")),
	)
}

// value returns a Go struct as a value that expressions share.
func (e *environment) value(v any) any { return e.env.CELTypeAdapter().NativeToValue(v) }
