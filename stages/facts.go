package stages

import (
	"errors"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// factsOf returns what rules may know about an agent.
func factsOf(id schemas.Identity) schemas.AgentFacts {
	return schemas.AgentFacts{Name: id.Name, Owner: id.Owner, Groups: id.Groups}
}

// sessionOf returns the session that an agent's exposure is narrowed to: its own
// word counts only if it is registered as one that declares its sessions.
func sessionOf(id schemas.Identity, in schemas.Intent) string {
	if id.Sessions == schemas.SessionsDeclared {
		return in.Session
	}
	return ""
}

// factsFor returns what the rules of observe and recommend judge by.
func factsFor(o schemas.Observation) rules.Facts {
	return rules.Facts{Intent: o.Intent, Agent: o.Agent, Exposure: o.Exposure, Rate: o.Rate, Now: o.At}
}

// catalogFault returns why the catalog does not know such an intent, or nil.
func catalogFault(p Policy, in schemas.Intent) *schemas.Fault {
	if _, known := p.Action(in.Action); !known {
		return &schemas.Fault{Code: schemas.CodeUnknownAction, Detail: string(in.Action)}
	}
	return faultOf(p.CheckParams(in.Action, in.Params))
}

// faultOf returns err as the fault that it is, or nil for nil.
func faultOf(err error) *schemas.Fault {
	if err == nil {
		return nil
	}
	var f *schemas.Fault
	if errors.As(err, &f) {
		return f
	}
	return &schemas.Fault{Code: schemas.CodeInvalid, Detail: err.Error()}
}

// traceOf returns the trace context that r carries, for what is made of it.
func traceOf(r schemas.Record) string {
	if v := r.Header["traceparent"]; len(v) == 1 && len(v[0]) <= 64 {
		return v[0]
	}
	return ""
}
