package schemas

import "strings"

// Stream is the name of a stream: one for each transition, with one writing role.
type Stream string

// The streams. AUDIT has no writer: the broker copies the others into it.
const (
	Intents     Stream = "INTENTS"
	Observed    Stream = "OBSERVED"
	Recommended Stream = "RECOMMENDED"
	ParkedHolds Stream = "PARKED"
	Decisions   Stream = "DECISIONS"
	Standings   Stream = "STANDING"
	Settled     Stream = "SETTLED"
	Grants      Stream = "GRANTED"
	Outcomes    Stream = "OUTCOMES"
	Rejected    Stream = "REJECTED"
	Exposed     Stream = "EXPOSED"
	Budgets     Stream = "BUDGETS"
	Control     Stream = "CONTROL"
	Audit       Stream = "AUDIT"
)

// Streams lists the streams that AUDIT is copied from, in the order in which an
// intent passes them.
func Streams() []Stream {
	return []Stream{Intents, Observed, Recommended, ParkedHolds, Decisions, Standings, Settled, Grants, Outcomes, Rejected, Exposed, Budgets, Control}
}

// A token is one part of a subject after the first.
type token uint8

const (
	tokenAgent token = iota
	tokenIntent
	tokenSystem
	tokenOperation
	tokenQueue
	tokenOutcome
	tokenWriter // who published it: a reviewer, an executor, an operator
	tokenRecord // what a control record is about
	tokenKind
	tokenBudget
	tokenKey
)

// form is the grammar of one kind of subject: its first token, the stream that
// it belongs to, and the tokens that follow.
type form struct {
	kind   string
	stream Stream
	tokens []token
}

// forms is the grammar of all subjects that a stream stores. The intent stands
// before the agent in SETTLED and GRANTED, because the cost of the broker's
// wildcard lookup grows with the number of distinct tokens before the one that
// is given.
var forms = []form{
	{"intents", Intents, []token{tokenAgent, tokenSystem, tokenOperation}},
	{"observed", Observed, []token{tokenAgent, tokenSystem, tokenOperation}},
	{"recommended", Recommended, []token{tokenOutcome, tokenAgent, tokenSystem, tokenOperation}},
	{"parked", ParkedHolds, []token{tokenIntent, tokenAgent, tokenQueue}},
	{"decisions", Decisions, []token{tokenWriter, tokenQueue, tokenAgent, tokenIntent}},
	{"standing", Standings, []token{tokenWriter, tokenQueue, tokenAgent, tokenIntent}},
	{"revoked", Standings, []token{tokenWriter, tokenQueue, tokenAgent, tokenIntent}},
	{"released", Settled, []token{tokenIntent, tokenAgent, tokenSystem, tokenOperation}},
	{"refused", Settled, []token{tokenIntent, tokenAgent, tokenSystem, tokenOperation}},
	{"granted", Grants, []token{tokenIntent, tokenAgent, tokenWriter}},
	{"lapsed", Grants, []token{tokenIntent, tokenAgent, tokenWriter}},
	{"outcomes", Outcomes, []token{tokenWriter, tokenAgent, tokenIntent}},
	{"rejected", Rejected, []token{tokenWriter, tokenAgent, tokenIntent}},
	{"exposed", Exposed, []token{tokenAgent}},
	{"budgets", Budgets, []token{tokenBudget, tokenKey}},
	{"control", Control, []token{tokenWriter, tokenKind, tokenRecord}},
}

// Subject is a stored subject, taken apart. Fields that its kind does not have
// are empty.
type Subject struct {
	Kind    string // the first token
	Stream  Stream
	Agent   Name
	Intent  IntentID // or the id of a standing approval
	Action  Action
	Queue   Name
	Outcome string
	Writer  Name   // the reviewer, executor or operator who published it
	About   string // of a control record: what it is about, such as "identity"
	Record  Name   // of a control record: which one
	Budget  string // the id of a budget
	Key     string // 32 hexadecimal digits that stand for the key of a budget
}

// ParseSubject takes a stored subject apart. It returns a [Fault] that names the
// token that is not what the grammar wants; Agent is set even then, if the
// subject has a valid one.
func ParseSubject(subject string) (Subject, error) {
	parts := strings.Split(subject, ".")
	for _, f := range forms {
		if f.kind == parts[0] && len(parts) == 1+len(f.tokens) {
			return f.parse(parts[1:])
		}
	}
	return Subject{}, invalid("subject %q: of no kind that is known", clip(subject))
}

func (f form) parse(parts []string) (Subject, error) {
	s := Subject{Kind: f.kind, Stream: f.stream}
	var first error
	for i, t := range f.tokens {
		if err := s.set(t, parts[i]); err != nil && first == nil {
			first = err
		}
	}
	return s, first
}

// set takes one token in. The system of an action comes before its operation.
func (s *Subject) set(t token, text string) (err error) {
	switch t {
	case tokenAgent:
		s.Agent, err = ParseName(text)
	case tokenWriter:
		s.Writer, err = ParseName(text)
	case tokenQueue:
		s.Queue, err = ParseName(text)
	case tokenRecord:
		s.Record, err = ParseName(text)
	case tokenIntent:
		s.Intent, err = ParseIntentID(text)
	case tokenSystem:
		s.Action = Action(text)
	case tokenOperation:
		s.Action, err = ParseAction(string(s.Action) + "." + text)
	case tokenOutcome:
		s.Outcome, err = parseWord(text)
	case tokenKind:
		s.About, err = parseWord(text)
	case tokenBudget:
		s.Budget, err = text, checkEntryID(text)
	case tokenKey:
		if s.Key = text; !only(text, 32, 32, hexByte) {
			err = invalid("key %q: want 32 hexadecimal digits", clip(text))
		}
	}
	return err
}

// checkEntryID refuses what no entry of a policy has as id.
func checkEntryID(text string) error {
	if !only(text, 1, 64, nameByte) {
		return invalid("id %q: want 1 to 64 of a-z, 0-9 and -", clip(text))
	}
	return nil
}

// parseWord returns a word of this package that stands in a subject.
func parseWord(text string) (string, error) {
	name, err := ParseName(text)
	return string(name), err
}

func (s Subject) token(t token) string {
	switch t {
	case tokenAgent:
		return string(s.Agent)
	case tokenWriter:
		return string(s.Writer)
	case tokenQueue:
		return string(s.Queue)
	case tokenRecord:
		return string(s.Record)
	case tokenIntent:
		return string(s.Intent)
	case tokenSystem:
		return s.Action.System()
	case tokenOperation:
		return s.Action.Operation()
	case tokenOutcome:
		return s.Outcome
	case tokenBudget:
		return s.Budget
	case tokenKey:
		return s.Key
	default:
		return s.About
	}
}

// String puts the subject together. A field that is empty becomes "*", so that
// the same grammar gives subjects, filters and permissions.
func (s Subject) String() string {
	var b strings.Builder
	b.WriteString(s.Kind)
	for _, f := range forms {
		if f.kind != s.Kind {
			continue
		}
		for _, t := range f.tokens {
			text := s.token(t)
			if text == "" {
				text = "*"
			}
			b.WriteByte('.')
			b.WriteString(text)
		}
	}
	return b.String()
}

// Subjects returns the subjects of a stream, every token but the first a
// wildcard.
func (stream Stream) Subjects() []string {
	var subjects []string
	for _, f := range forms {
		if f.stream == stream {
			subjects = append(subjects, Subject{Kind: f.kind}.String())
		}
	}
	return subjects
}

// SettlementFilter matches every settlement of an intent, released or refused.
// Whoever settles expects sequence 0 on it, so that the two exclude each other.
// All writers must use the same bytes: on a replicated stream different filters
// do not exclude each other.
func SettlementFilter(k Key) string { return "*." + string(k.ID) + "." + string(k.Agent) + ".*.*" }

// GrantFilter matches every grant and the lapse of an intent, in the same way.
func GrantFilter(k Key) string { return "*." + string(k.ID) + "." + string(k.Agent) + ".*" }

// HoldFilter matches every state of the hold on an intent.
func HoldFilter(k Key) string { return "parked." + string(k.ID) + "." + string(k.Agent) + ".*" }
