package rules

import (
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"github.com/holdpoint/holdpoint/schemas"
)

// Facts are what an opinion is about. Of the prose in Intent, only what can raise
// takes notice.
type Facts struct {
	Intent   schemas.Intent
	Agent    schemas.AgentFacts
	Exposure schemas.ExposureFacts

	// Rate counts the intents of the agent in the minute before.
	Rate int

	// Taken is what others have taken of the budgets of the action. Of one that is
	// not there, nothing is taken.
	Taken []schemas.Taken

	// Unread names the budgets of which nobody could find out what the intent takes,
	// with why: an opinion parks for each.
	Unread []schemas.Match

	// Now is the time of the decision.
	Now time.Time
}

// agentValue is an agent as expressions see it.
type agentValue struct {
	Name   string   `cel:"name"`
	Owner  string   `cel:"owner"`
	Groups []string `cel:"groups"`
}

// actionValue is an action as rules see it.
type actionValue struct {
	Name       string   `cel:"name"`
	System     string   `cel:"system"`
	Operation  string   `cel:"operation"`
	Effect     string   `cel:"effect"`
	Reversible bool     `cel:"reversible"`
	Idempotent bool     `cel:"idempotent"`
	Labels     []string `cel:"labels"`
}

// actionName is an action as eligible sees it: an expression in a record
// outlives the catalog.
type actionName struct {
	Name      string `cel:"name"`
	System    string `cel:"system"`
	Operation string `cel:"operation"`
}

// exposureValue is an exposure as rules see it.
type exposureValue struct {
	Labels  []string `cel:"labels"`
	Actions []string `cel:"actions"`
}

// reviewerValue is a reviewer as eligible sees it.
type reviewerValue struct {
	Name    string   `cel:"name"`
	Person  string   `cel:"person"`
	Groups  []string `cel:"groups"`
	Service bool     `cel:"service"`
}

// activation are the variables of rules. Each is made when an expression first asks
// for it, and then serves all expressions of one evaluation.
type activation struct {
	Facts
	env    *environment
	action any
	data   any
	shape  *shape

	risk   any
	budget any

	params, agent, exposure any
}

// ResolveName implements cel.Activation.
func (f *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "params":
		return once(&f.params, f.readParams), true
	case "agent":
		return once(&f.agent, func() any { return f.env.value(newAgent(f.Agent)) }), true
	case "action":
		return f.action, true
	case "session":
		return types.String(f.Intent.Session), true
	case "exposure":
		return once(&f.exposure, func() any { return f.env.value(newExposure(f.Exposure)) }), true
	case "risk":
		return f.risk, true
	case "budget":
		return f.budget, true
	case "goal":
		return types.String(f.Intent.Goal), true
	case "reason":
		return types.String(f.Intent.Reason), true
	case "rate":
		return types.Int(f.Rate), true
	case "data":
		return f.data, true
	case "now":
		return types.Timestamp{Time: f.Now.UTC()}, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (f *activation) Parent() cel.Activation { return nil }

// once returns what is at place, and makes it if it is not there yet.
func once(place *any, make func() any) any {
	if *place == nil {
		*place = make()
	}
	return *place
}

// readParams returns the parameters, or an error as a value: every expression
// that asks for them fails.
func (f *activation) readParams() any {
	v, err := decodeJSON(f.Intent.Params, f.shape)
	if err != nil {
		return types.NewErr("params cannot be read: %v", err)
	}
	if _, ok := v.(*ordered); !ok {
		return types.NewErr("params are no object")
	}
	return v
}

func newAgent(a schemas.AgentFacts) *agentValue {
	return &agentValue{Name: string(a.Name), Owner: a.Owner, Groups: a.Groups}
}

func newExposure(e schemas.ExposureFacts) *exposureValue {
	v := &exposureValue{Labels: e.Labels}
	for _, a := range e.Actions {
		v.Actions = append(v.Actions, string(a))
	}
	return v
}

func newAction(a Action) *actionValue {
	return &actionValue{
		Name:       string(a.Name),
		System:     a.Name.System(),
		Operation:  a.Name.Operation(),
		Effect:     string(a.Effect),
		Reversible: a.Reversible,
		Idempotent: a.Idempotent,
		Labels:     a.Labels,
	}
}
