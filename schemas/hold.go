package schemas

import (
	"slices"
	"time"
)

// maxStates is how many earlier states of itself a hold remembers.
const maxStates = 14

// Hold is a parked intent and its state, or an intent in doubt. Each change is a
// new record on the hold's own subject; the last one is what holds.
type Hold struct {
	Intent Intent `json:"intent"`

	// State is parked while the intent waits, in_doubt while a reviewer must say
	// whether it was executed, and otherwise what became of it.
	State State `json:"state"`

	// Waiting says why an intent that has all its approvals is not released yet,
	// such as "frozen". It is empty while approvals are missing.
	Waiting string `json:"waiting,omitzero"`

	Queue Name `json:"queue"`

	// Opinion is what the rules said when the hold was last evaluated.
	Opinion Opinion `json:"opinion"`

	// Taken is what others had taken of the budgets then.
	Taken []Taken `json:"taken,omitempty"`

	// Recommended are the approvals that the recommendation asked for. They stay
	// required whatever a later bundle says.
	Recommended []Approval `json:"recommended,omitempty"`

	// Votes are the decisions that count: one approval for each person, or a
	// denial that ends the hold.
	Votes []Vote `json:"votes,omitempty"`

	// Deadline is when the hold ends in a refusal.
	Deadline time.Time `json:"deadline,omitzero"`
	Remind   time.Time `json:"remind,omitzero"`

	// Doubt is set from the moment the intent was in doubt.
	Doubt *Doubt `json:"doubt,omitempty"`

	Bundle Digest    `json:"bundle,omitzero"`
	At     time.Time `json:"at"`
	Trail  []Pointer `json:"trail"`

	// Inputs name what else the opinion was formed by when the hold was last
	// evaluated: what its agent was exposed to, and budgets. Of a doubt, which no
	// opinion ends, they are left out.
	Inputs []Pointer `json:"inputs,omitempty"`

	// States are the hashes of the records of this hold before this one, the
	// latest last: what a reviewer may have been shown.
	States []Digest `json:"states,omitempty"`
}

// Vote is a decision, or a standing approval, that counts.
type Vote struct {
	Reviewer Name      `json:"reviewer"`
	Person   string    `json:"person"`
	Verdict  Verdict   `json:"verdict"`
	Decision Pointer   `json:"decision"`
	At       time.Time `json:"at"`
}

// InAdvance reports whether the vote is that of a standing approval.
func (v Vote) InAdvance() bool { return v.Decision.Stream == Standings }

// Doubt says that an executor claimed the intent and never reported.
type Doubt struct {
	Grant    Pointer   `json:"grant"`
	Executor Name      `json:"executor"`
	Since    time.Time `json:"since"`

	// Decision is the decision that ended the doubt, Verdict what it said.
	Decision Pointer `json:"decision,omitzero"`
	Verdict  Verdict `json:"verdict,omitzero"`
}

// Open reports whether the hold waits for somebody.
func (h Hold) Open() bool { return h.State == Parked || h.State == InDoubt }

// Next returns a copy of h to be changed into its next state, when the record
// that said h had this hash.
func (h Hold) Next(hash Digest, at time.Time) Hold {
	h.At = at
	h.Votes, h.Trail = slices.Clone(h.Votes), slices.Clone(h.Trail)
	if h.Doubt != nil {
		doubt := *h.Doubt
		h.Doubt = &doubt
	}
	h.States = append(slices.Clone(h.States), hash)
	if n := len(h.States) - maxStates; n > 0 {
		h.States = h.States[n:]
	}
	return h
}

// Counted reports whether the decision that p names counts on h already.
func (h Hold) Counted(p Pointer) bool {
	return h.Doubt != nil && h.Doubt.Decision == p ||
		slices.ContainsFunc(h.Votes, func(v Vote) bool { return v.Decision == p })
}

// Voted returns the last vote of a reviewer or of a person.
func (h Hold) Voted(reviewer Name, person string) (Vote, bool) {
	for _, v := range slices.Backward(h.Votes) {
		if v.Reviewer == reviewer || v.Person == person {
			return v, true
		}
	}
	return Vote{}, false
}

// Requirements returns every approval that a release of h needs: what was
// recommended and what the rules ask for now.
func (h Hold) Requirements() []Approval {
	return joinApprovals(h.Recommended, h.Opinion.Requirements())
}

// Binding returns what of the hold's opinion still binds when there is another
// bundle than the one it came from: the approvals that were recommended.
func (h Hold) Binding() Opinion {
	if len(h.Recommended) == 0 {
		return Opinion{Outcome: Release}
	}
	return Opinion{Outcome: Park, Approvals: h.Recommended}
}

func (h Hold) Subject() string {
	return Subject{Kind: "parked", Intent: h.Intent.ID, Agent: h.Intent.Agent, Queue: h.Queue}.String()
}

func (Hold) Type() string { return "intent.parked.v1" }
