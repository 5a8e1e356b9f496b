package replay

import (
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// BacktestReport is what a backtest counted. Of Was and Would, the first is what the
// gate did, the second what it would have done with the bundle.
type BacktestReport struct {
	Bundle schemas.Digest `json:"bundle"`

	// Records were read, from the first to the last that is about an intent.
	Records int       `json:"records"`
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`

	// BadLines are no records of the audit. Repeated came before, or behind one that
	// is later. They are in no other count.
	BadLines int `json:"bad_lines"`
	Repeated int `json:"repeated"`

	// Intents were compared, Otherwise are those of them that would have ended
	// otherwise, Guessed those judged as if their agent had been given nothing,
	// because the gate refused them before it looked.
	Intents   int    `json:"intents"`
	Otherwise int    `json:"otherwise"`
	Guessed   int    `json:"guessed"`
	Was       Fates  `json:"was"`
	Would     Fates  `json:"would"`
	Changes   []Move `json:"changes"`

	// Apart are intents that were not compared, by why.
	Apart []Apart `json:"apart"`

	// Below, what changes most comes first.

	Actions []ActionChange `json:"actions"`

	// Rules are those of the bundle that decided, OldRules those that did then. An
	// intent counts for each rule that decided on it.
	Rules    []RuleChange `json:"rules"`
	OldRules []RuleChange `json:"old_rules"`

	// Days are those on which something was proposed, in their order, UTC. Load is
	// who is asked, and how often.
	Days []Day   `json:"days"`
	Load []Asked `json:"load"`
}

// Fates count intents by what is first done with them.
type Fates struct {
	Released int `json:"released"`
	Parked   int `json:"parked"`
	Refused  int `json:"refused"`
}

func (f *Fates) add(o schemas.Outcome) {
	switch o {
	case schemas.Release:
		f.Released++
	case schemas.Refuse:
		f.Refused++
	default:
		f.Parked++
	}
}

// Move counts the intents for which one outcome takes the place of another.
type Move struct {
	Was      schemas.Outcome `json:"was"`
	Would    schemas.Outcome `json:"would"`
	Intents  int             `json:"intents"`
	Examples []Case          `json:"examples,omitempty"` // the first of them

	// Then is how those that were parked ended: released, or the code of their
	// refusal, or open.
	Then []Apart `json:"then,omitempty"`
}

// Looser reports whether less stands in the way than before.
func (m Move) Looser() bool {
	return m.Was != m.Would && schemas.Strictest(m.Was, m.Would) == m.Was
}

// Apart counts intents that were not compared, or ended in one way.
type Apart struct {
	Why     string `json:"why"`
	Intents int    `json:"intents"`
}

// Shift counts intents, and those of them that would have ended otherwise: with less
// in their way than before, or with more.
type Shift struct {
	Intents  int `json:"intents"`
	Looser   int `json:"looser"`
	Stricter int `json:"stricter"`
}

func (s *Shift) add(c *Case) {
	s.Intents++
	switch m := (Move{Was: c.Old.Outcome, Would: c.New.Outcome}); {
	case m.Was == m.Would:
	case m.Looser():
		s.Looser++
	default:
		s.Stricter++
	}
}

// ActionChange says what changes for one action. The action *.* stands for more
// unknown ones than are told apart.
type ActionChange struct {
	Action schemas.Action `json:"action"`
	Shift
	Was   Fates `json:"was"`
	Would Fates `json:"would"`
}

// RuleChange counts the intents that a rule decided on. Without a rule, none
// releases them, the catalog refuses them, or it is not on record.
type RuleChange struct {
	Rule    string          `json:"rule,omitzero"`
	Outcome schemas.Outcome `json:"outcome"`
	Shift
	Reason string `json:"reason,omitzero"`

	// Failed says that the rule could not be evaluated.
	Failed bool `json:"failed,omitzero"`
}

// Pair is a number as it was and as it would have been.
type Pair struct {
	Was   int `json:"was"`
	Would int `json:"would"`
}

// Day is what reviewers had to do on one day.
type Day struct {
	Day     string `json:"day"`
	Intents int    `json:"intents"`
	Parked  Pair   `json:"parked"`

	// Votes is how many approvals the parked intents of the day needed.
	Votes Pair `json:"votes"`
}

// Asked is how often one approval of one queue is asked for.
type Asked struct {
	Queue    schemas.Name `json:"queue"`
	Approval string       `json:"approval"`
	Quorum   int          `json:"quorum"`

	// Parked are intents that need it, Votes how many votes that takes in all, and
	// Most on the busiest day.
	Parked Pair `json:"parked"`
	Votes  Pair `json:"votes"`
	Most   Pair `json:"votes_on_busiest_day"`
}
