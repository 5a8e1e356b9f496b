package replay

import "github.com/holdpoint/holdpoint/schemas"

// Report is what a replay counted.
type Report struct {
	Bundle schemas.Digest `json:"bundle,omitzero"`
	Totals

	// BadLines are lines that are no calls. They are in no other count.
	BadLines int `json:"bad_lines"`

	Sessions Sessions `json:"sessions"`

	// Below, what there is most of comes first.

	Actions []ActionTally `json:"actions"`

	// Rules are those that decided. A call counts for each rule that decided on
	// it.
	Rules []RuleTally `json:"rules"`

	// Stuck are rules because of which no executor would be granted calls that are
	// released: when they are claimed, their own result counts as given. Such a rule
	// belongs to recommend.
	Stuck []RuleTally `json:"stuck"`

	// Quiet are rules that applied to no call. It is empty if that cannot be said,
	// because more rules applied to a call than an opinion names.
	Quiet []string `json:"quiet_rules"`

	// Needs is who would be asked.
	Needs []NeedTally `json:"needs"`

	// Days are those on which calls were made, in their order, UTC. Calls without a
	// time are on none.
	Days []DayTally `json:"days,omitempty"`

	// Refusals are those that no rule is behind, and not about actions that the
	// catalog does not have.
	Refusals []RefusalTally `json:"refusals"`
}

// Totals count calls by what would become of them.
type Totals struct {
	Calls    int `json:"calls"`
	Released int `json:"released"`
	Parked   int `json:"parked"`
	Refused  int `json:"refused"`
}

func (t *Totals) add(o schemas.Outcome) {
	t.Calls++
	switch o {
	case schemas.Release:
		t.Released++
	case schemas.Refuse:
		t.Refused++
	default:
		t.Parked++
	}
}

// Sessions count sessions.
type Sessions struct {
	Sessions int `json:"sessions"`

	// Free are those in which every call is released, Parked those in which
	// somebody is asked, Refused the others: something is refused and nobody is
	// asked.
	Free    int `json:"without_human"`
	Parked  int `json:"with_parked"`
	Refused int `json:"with_refused_only"`

	// Cut are those of which the log does not have the beginning. What they were
	// given before is known as far as the log says what the agent had observed.
	Cut int `json:"cut"`

	// Busiest are those with the most parked calls.
	Busiest []SessionTally `json:"busiest"`
}

// SessionTally counts the calls of one session.
type SessionTally struct {
	Agent   schemas.Name `json:"agent"`
	Session string       `json:"session"`
	Totals
	Cut bool `json:"cut,omitzero"`
}

// ActionTally counts the calls of one action. The action *.* stands for more
// unknown ones than are told apart.
type ActionTally struct {
	Action schemas.Action `json:"action"`
	Totals

	// Unknown says that the catalog does not have it.
	Unknown bool `json:"unknown,omitzero"`
}

// RuleTally counts the calls that a rule decided on. Without a rule, they are
// parked because none releases them.
type RuleTally struct {
	Rule    string          `json:"rule,omitzero"`
	Outcome schemas.Outcome `json:"outcome"`
	Calls   int             `json:"calls"`
	Reason  string          `json:"reason,omitzero"`

	// Failed says that the rule could not be evaluated. Reason is the first
	// failure.
	Failed bool `json:"failed,omitzero"`
}

// NeedTally counts the parked calls that need one approval, and the votes that they
// need of it.
type NeedTally struct {
	Queue    schemas.Name `json:"queue"`
	Approval string       `json:"approval"`
	Quorum   int          `json:"quorum"`
	Calls    int          `json:"calls"`
	Votes    int          `json:"votes"`
}

// DayTally counts the calls of one day, those of them that are parked, and the votes
// that these need.
type DayTally struct {
	Day    string `json:"day"`
	Calls  int    `json:"calls"`
	Parked int    `json:"parked"`
	Votes  int    `json:"votes"`
}

// RefusalTally counts the calls of an action that are refused because of a code.
// Line and Detail are of the first.
type RefusalTally struct {
	Code   schemas.Code   `json:"code"`
	Action schemas.Action `json:"action"`
	Calls  int            `json:"calls"`
	Line   string         `json:"line"`
	Detail string         `json:"detail,omitzero"`
}
