package schemas

import (
	"slices"
	"time"
)

// Limits of an opinion, so that a record made of the largest intent still fits
// its stream. A bundle that could exceed them for an action does not load.
const (
	MaxMatches   = 6
	MaxApprovals = 4
	MaxVotes     = 12
)

// Opinion is what the rules of one checkpoint, or of several joined, say about
// an intent. The zero value parks.
type Opinion struct {
	Outcome Outcome `json:"outcome"`

	// Risk is the sum of what the risk rules added; never negative.
	Risk int `json:"risk"`

	// Matched are the rules that had a say, the strictest first; More counts
	// those beyond MaxMatches. Failed are the rules that could not be evaluated.
	Matched []Match `json:"matched,omitempty"`
	Failed  []Match `json:"failed,omitempty"`
	More    int     `json:"more,omitzero"`

	// Approvals are what a release needs; all of them must be satisfied.
	Approvals []Approval `json:"approvals,omitempty"`

	// Tell is what the policy's author wrote for the agent.
	Tell string `json:"tell,omitzero"`
}

// Match is one rule that had a say, and why.
type Match struct {
	Rule    string  `json:"rule"`
	Outcome Outcome `json:"outcome"`
	Add     int     `json:"add,omitzero"` // what it added to the risk
	Reason  string  `json:"reason,omitzero"`
}

// Approval is one requirement on who must agree before a release.
type Approval struct {
	ID string `json:"id"`

	// Eligible is a CEL expression over reviewer, agent and action. If empty,
	// every reviewer of the queue is eligible.
	Eligible string `json:"eligible,omitzero"`

	// Quorum is how many persons must agree.
	Quorum int `json:"quorum"`

	// Deadline is how long they have; then the intent is refused. Remind is when
	// they are reminded; zero means never.
	Deadline Seconds `json:"deadline,omitzero"`
	Remind   Seconds `json:"remind,omitzero"`
}

// AnyReviewer is the requirement on what parks for no reason of its own: one
// reviewer of the queue.
func AnyReviewer() Approval { return Approval{ID: "any-reviewer", Quorum: 1} }

// Join returns the opinion of both: the strictest outcome, the higher risk, the
// rules and the approvals of each. The text of the stricter one is what the
// agent is told. A park that names no approvals needs [AnyReviewer].
func (o Opinion) Join(p Opinion) Opinion {
	joined := Opinion{
		Outcome:   Strictest(o.Outcome, p.Outcome),
		Risk:      max(o.Risk, p.Risk),
		Matched:   joinMatches(o.Matched, p.Matched),
		Failed:    joinMatches(o.Failed, p.Failed),
		Approvals: joinApprovals(o.Approvals, p.Approvals),
		More:      o.More + p.More,
		Tell:      o.Tell,
	}
	if o.Outcome != joined.Outcome || o.Tell == "" {
		joined.Tell = p.Tell
	}
	if p.Outcome != joined.Outcome {
		joined.Tell = o.Tell
	}
	return joined.bounded()
}

// bounded orders the matches and cuts what exceeds the limits.
func (o Opinion) bounded() Opinion {
	slices.SortStableFunc(o.Matched, func(a, b Match) int { return strictness(b.Outcome) - strictness(a.Outcome) })
	if n := len(o.Matched) - MaxMatches; n > 0 {
		o.Matched, o.More = o.Matched[:MaxMatches], o.More+n
	}
	if n := len(o.Failed) - MaxMatches; n > 0 {
		o.Failed, o.More = o.Failed[:MaxMatches], o.More+n
	}
	return o
}

func strictness(o Outcome) int {
	switch o {
	case Release:
		return 0
	case Refuse:
		return 2
	default:
		return 1
	}
}

func joinMatches(a, b []Match) []Match {
	joined := slices.Clone(a)
	for _, m := range b {
		if !slices.Contains(joined, m) {
			joined = append(joined, m)
		}
	}
	return joined
}

// joinApprovals keeps both of two requirements that differ in anything.
func joinApprovals(a, b []Approval) []Approval {
	joined := slices.Clone(a)
	for _, r := range b {
		if !slices.Contains(joined, r) {
			joined = append(joined, r)
		}
	}
	return joined
}

// Requirements returns the approvals that a release needs under this opinion:
// none if it releases, and [AnyReviewer] if it parks and names none.
func (o Opinion) Requirements() []Approval {
	switch {
	case o.Outcome == Release:
		return nil
	case len(o.Approvals) == 0:
		return []Approval{AnyReviewer()}
	default:
		return o.Approvals
	}
}

// Deadline returns when a hold under this opinion, opened at from, ends at the
// latest, and when its reviewers are reminded (zero if never).
func (o Opinion) Deadline(from, expires time.Time) (deadline, remind time.Time) {
	deadline = expires
	for _, a := range o.Approvals {
		if d := from.Add(a.Deadline.Duration()); a.Deadline > 0 && d.Before(deadline) {
			deadline = d
		}
		if r := from.Add(a.Remind.Duration()); a.Remind > 0 && (remind.IsZero() || r.Before(remind)) {
			remind = r
		}
	}
	return deadline, remind
}
