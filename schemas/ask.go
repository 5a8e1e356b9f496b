package schemas

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// What may be asked, as the last token of "ask.<name>.<what>". Which questions
// are answered, and how fully, depends on the role of the one who asks.
const (
	AskStatus     = "status"     // agents: what became of an intent; Question.Intent
	AskShow       = "show"       // everyone: the records of an intent; Question.Intent
	AskHolds      = "holds"      // reviewers: a page of open holds
	AskHold       = "hold"       // reviewers: one hold, as a record
	AskDecision   = "decision"   // reviewers: what became of a decision; Question.Seq
	AskWork       = "work"       // executors: released intents that wait for a claim
	AskReport     = "report"     // executors: what became of a report; Question.Seq
	AskStanding   = "standing"   // reviewers: the standing approvals of their queues, the latest first
	AskHistory    = "history"    // reviewers: their own decisions, the latest first
	AskList       = "list"       // everyone but auditors: a page of what waits
	AskCatalog    = "catalog"    // everyone but auditors: the actions, or one with its schema
	AskCheck      = "check"      // agents: whether an intent would be well formed
	AskPolicies   = "policies"   // admins: which bundles were active, and which is
	AskBundle     = "bundle"     // admins and reviewers: a piece of a bundle
	AskIdentities = "identities" // admins: who is registered
	AskGate       = "gate"       // admins: what the gate is in
	AskBudgets    = "budgets"    // admins: a page of what is taken of budgets
)

// Question is the body of a request on "ask.<name>.<what>", or of a claim on
// "claims.<executor>.<agent>.<intent>". Each question uses some of the fields.
type Question struct {
	// Agent and Intent name an intent. Agent may be empty if the intent's id is
	// unique among what the asker may see.
	Agent  Name     `json:"agent,omitzero"`
	Intent IntentID `json:"intent,omitzero"`

	// Action names one of the catalog, Params are what an agent would send.
	Action Action         `json:"action,omitzero"`
	Params jsontext.Value `json:"params,omitzero"`

	// Queue narrows a page of holds. Limit is the size of a page (at most 500, 50
	// if zero), After the cursor that the page before returned.
	Queue Name   `json:"queue,omitzero"`
	Limit int    `json:"limit,omitzero"`
	After string `json:"after,omitzero"`

	// Budget narrows a page of budgets to one, From to those of which so many percent
	// are taken.
	Budget string `json:"budget,omitzero"`
	From   int    `json:"from,omitzero"`

	// Seq is the sequence of a decision in DECISIONS or a report in OUTCOMES.
	Seq uint64 `json:"seq,omitzero"`

	// Name narrows the identities to one; with Key to those of that name or that
	// public key, who are the ones that stand in the way of another.
	Name Name   `json:"name,omitzero"`
	Key  string `json:"key,omitzero"`

	// Bundle is the digest of a bundle, Offset where the piece of its archive that
	// is asked for begins.
	Bundle Digest `json:"bundle,omitzero"`
	Offset int    `json:"offset,omitzero"`

	// Nonce makes a claim that may be repeated: up to 64 characters that nobody
	// else knows.
	Nonce string `json:"nonce,omitzero"`
}

// Answer is the body of the reply to a question or a claim. Problem is set or
// else the field that the question asks for.
type Answer struct {
	Problem *Problem `json:"problem,omitempty"`

	Status     *Status        `json:"status,omitempty"`
	Records    []Copy         `json:"records,omitempty"`
	Holds      *HoldPage      `json:"holds,omitempty"`
	Hold       *Copy          `json:"hold,omitempty"`
	Looking    []Name         `json:"looking,omitempty"` // other reviewers who were shown the hold lately
	Ruling     *Ruling        `json:"ruling,omitempty"`
	Decided    []Decided      `json:"decided,omitempty"`
	Standing   []StandingLine `json:"standing,omitempty"`
	Catalog    *Catalog       `json:"catalog,omitempty"`
	Check      *Check         `json:"check,omitzero"`
	Work       []Key          `json:"work,omitempty"`
	Claim      *Claim         `json:"claim,omitempty"`
	Policies   *Policies      `json:"policies,omitempty"`
	Bundle     *Piece         `json:"bundle,omitempty"`
	Identities []Identity     `json:"identities,omitempty"`
	Removed    []Name         `json:"removed,omitempty"`
	Gate       *GateStatus    `json:"gate,omitempty"`
	Budgets    *BudgetPage    `json:"budgets,omitempty"`
}

// Problem is an error as it travels: one of the six reasons, and text for a
// person.
type Problem struct {
	Reason string `json:"reason"`
	Text   string `json:"text"`
}

// Status is what an agent may know of its intent.
type Status struct {
	// Gateway is the tenant whose gate this is: the digest covers it.
	Gateway Name `json:"gateway"`

	Agent  Name     `json:"agent"`
	Intent IntentID `json:"intent"`
	Action Action   `json:"action"`
	Digest Digest   `json:"digest"`
	State  State    `json:"state"`
	Code   Code     `json:"code,omitzero"`
	Detail string   `json:"detail,omitzero"`
	Tell   string   `json:"tell,omitzero"`

	// Deadline is when the state ends by itself: the decision of a parked
	// intent, the claim of a released one, the report of a granted one.
	Deadline time.Time `json:"deadline,omitzero"`

	// Result and Error are what the executor reported.
	Result jsontext.Value `json:"result,omitzero"`
	Error  string         `json:"error,omitzero"`
}

// Copy is a record as it travels in an answer, whole, so that its reader can
// compute its hash.
type Copy struct {
	Stream  Stream    `json:"stream"`
	Seq     uint64    `json:"seq"`
	Subject string    `json:"subject"`
	Time    time.Time `json:"time"`
	Header  Header    `json:"header"`
	Body    []byte    `json:"body"` // base64: what an agent sent may be no text
}

// CopyOf returns r in the form in which it travels. What is not UTF-8 in its
// headers is replaced: no stage writes that, and an intent, a decision or a report
// that has it where the hash looks is refused.
func CopyOf(r Record) Copy {
	r.Header = r.Header.text()
	return Copy(r)
}

// text returns h with what is not UTF-8 replaced.
func (h Header) text() Header {
	clean := make(Header, len(h))
	for _, name := range h.names() {
		to := strings.ToValidUTF8(name, "\uFFFD")
		for _, v := range h[name] {
			clean[to] = append(clean[to], strings.ToValidUTF8(v, "\uFFFD"))
		}
	}
	return clean
}

// Record returns the record that c is a copy of.
func (c Copy) Record() Record { return Record(c) }

// HoldPage is a page of open holds, the riskiest first, and how many there are.
type HoldPage struct {
	Holds []HoldLine `json:"holds"`
	Total int        `json:"total"`

	// After is the cursor of the next page; empty on the last.
	After string `json:"after,omitzero"`
}

// HoldLine is an intent that waits, in a list. Those that wait for an executor
// have no queue, risk or votes.
type HoldLine struct {
	Agent    Name      `json:"agent"`
	Intent   IntentID  `json:"intent"`
	Action   Action    `json:"action"`
	Queue    Name      `json:"queue,omitzero"`
	State    State     `json:"state"`
	Waiting  string    `json:"waiting,omitzero"`
	Risk     int       `json:"risk"`
	Votes    int       `json:"votes"`
	Quorum   int       `json:"quorum"`
	Digest   Digest    `json:"digest,omitzero"`
	Since    time.Time `json:"since"`
	Deadline time.Time `json:"deadline,omitzero"`
}

// Ruling is what became of a decision or a report: it counts, with the state of
// the intent after it, or it does not, and why.
type Ruling struct {
	Counts bool   `json:"counts"`
	State  State  `json:"state,omitzero"`
	Code   Code   `json:"code,omitzero"`
	Detail string `json:"detail,omitzero"`

	// Waiting says what is still missing before a release.
	Waiting string `json:"waiting,omitzero"`
}

// Claim is the answer to an executor's claim: the release, and the grant to
// perform it.
type Claim struct {
	Settlement Copy `json:"settlement"`
	Grant      Copy `json:"grant"`
}

// Decided is a decision of the one who asks, and what became of it.
type Decided struct {
	Seq     uint64    `json:"seq"`
	At      time.Time `json:"at"`
	Agent   Name      `json:"agent"`
	Intent  IntentID  `json:"intent"`
	Queue   Name      `json:"queue"`
	Verdict Verdict   `json:"verdict,omitzero"` // empty if it cannot be read
	Reason  string    `json:"reason,omitzero"`
	Digest  Digest    `json:"digest,omitzero"`

	// Code says why the decision does not count; it is empty if it does, or was
	// not handled yet.
	Code Code `json:"code,omitzero"`
}

// Catalog is what may be proposed: everything, or what the agent that asks is
// registered for. It says nothing of rules.
type Catalog struct {
	Bundle  Digest         `json:"bundle"`
	Actions []CatalogEntry `json:"actions"`
}

// CatalogEntry is one action.
type CatalogEntry struct {
	Action     Action `json:"action"`
	Title      string `json:"title,omitzero"`
	Effect     string `json:"effect"` // read or write
	Reversible bool   `json:"reversible,omitzero"`
	Idempotent bool   `json:"idempotent,omitzero"`

	// Params is the JSON Schema of the parameters. It is there if one action was
	// asked for.
	Params jsontext.Value `json:"params,omitzero"`
}

// Check says whether an intent would be well formed: whether the agent may propose
// the action, and the parameters are as the catalog wants them. What the rules
// would say is not asked, or agents could probe them.
type Check struct {
	Fault *Fault `json:"fault,omitempty"`
}
