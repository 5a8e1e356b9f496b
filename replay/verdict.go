package replay

import (
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

// Verdict is what would have become of a call, or did.
type Verdict struct {
	Outcome schemas.Outcome

	// Code and Detail say why a call is refused.
	Code   schemas.Code
	Detail string

	// By is what decided: the rules that want the outcome, those that could not be
	// evaluated, or that no rule releases the call.
	By []By

	// Applied are the rules whose condition holds, also those that were outweighed.
	// More says that there are more of them than an opinion names.
	Applied []string
	More    bool

	// Stuck are the rules because of which no executor would be granted what is
	// released: when it is claimed, its own result counts as given.
	Stuck []By

	// Queue and Needs say of a parked call who would be asked.
	Queue schemas.Name
	Needs []schemas.Approval
}

// noRule is what decides where nothing else does.
func noRule() By { return By{Reason: "no rule releases it"} }

// By is one reason for an outcome.
type By struct {
	Rule   string `json:"rule,omitzero"` // empty if the reason is that there is none
	Reason string `json:"reason,omitzero"`

	// Failed says that the rule could not be evaluated; Reason says why.
	Failed bool `json:"failed,omitzero"`
}

// verdictOf returns what j says. Of the matches of an opinion, rules are those that
// have one of the ids.
func verdictOf(j stages.Judgement, rules map[string]bool) Verdict {
	v := Verdict{Outcome: j.Outcome, More: j.Opinion.More > 0}
	if j.Fault != nil {
		v.Code, v.Detail = j.Fault.Code, j.Fault.Detail
		return v
	}
	for _, m := range j.Opinion.Matched {
		if rules[m.Rule] {
			v.Applied = append(v.Applied, m.Rule)
		}
		// What adds to the risk is there as a release; thresholds are there when
		// they park or refuse.
		if m.Outcome == j.Outcome && (rules[m.Rule] || m.Outcome != schemas.Release) {
			v.By = append(v.By, By{Rule: m.Rule, Reason: m.Reason})
		}
	}
	switch j.Outcome {
	case schemas.Release:
		for _, m := range j.Stuck {
			v.Stuck = append(v.Stuck, By{Rule: m.Rule, Reason: m.Reason})
		}
	case schemas.Refuse:
		v.Code = schemas.CodePolicy
	case schemas.Park:
		for _, m := range j.Opinion.Failed {
			v.By = append(v.By, By{Rule: m.Rule, Reason: m.Reason, Failed: true})
		}
		if len(v.By) == 0 {
			v.By = []By{noRule()}
		}
		v.Queue, v.Needs = j.Queue, j.Opinion.Requirements()
	}
	return v
}

// Why returns what decided in words that are names: rules, or the code of a
// refusal that no rule is behind.
func (v Verdict) Why() []string {
	if len(v.By) == 0 && v.Code != "" {
		return []string{string(v.Code)}
	}
	var names []string
	for _, b := range v.By {
		if b.Rule != "" {
			names = append(names, b.Rule)
		}
	}
	return slices.Compact(names)
}
