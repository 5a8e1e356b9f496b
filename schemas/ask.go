package schemas

import (
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
	AskIdentities = "identities" // admins: who is registered
	AskGate       = "gate"       // admins: what the gate is in
)

// Question is the body of a request on "ask.<name>.<what>", or of a claim on
// "claims.<executor>.<agent>.<intent>". Each question uses some of the fields.
type Question struct {
	// Agent and Intent name an intent. Agent may be empty if the intent's id is
	// unique among what the asker may see.
	Agent  Name     `json:"agent,omitzero"`
	Intent IntentID `json:"intent,omitzero"`

	// Queue narrows a page of holds. Limit is its size (at most 500, 50 if
	// zero), After the cursor that the page before returned.
	Queue Name   `json:"queue,omitzero"`
	Limit int    `json:"limit,omitzero"`
	After string `json:"after,omitzero"`

	// Seq is the sequence of a decision in DECISIONS or a report in OUTCOMES.
	Seq uint64 `json:"seq,omitzero"`

	// Name narrows the identities to one.
	Name Name `json:"name,omitzero"`

	// Nonce makes a claim that may be repeated: up to 64 characters that nobody
	// else knows.
	Nonce string `json:"nonce,omitzero"`
}

// Answer is the body of the reply to a question or a claim. Problem is set or
// else the field that the question asks for.
type Answer struct {
	Problem *Problem `json:"problem,omitempty"`

	Status     *Status     `json:"status,omitempty"`
	Records    []Copy      `json:"records,omitempty"`
	Holds      *HoldPage   `json:"holds,omitempty"`
	Hold       *Copy       `json:"hold,omitempty"`
	Ruling     *Ruling     `json:"ruling,omitempty"`
	Work       []Key       `json:"work,omitempty"`
	Claim      *Claim      `json:"claim,omitempty"`
	Identities []Identity  `json:"identities,omitempty"`
	Removed    []Name      `json:"removed,omitempty"`
	Gate       *GateStatus `json:"gate,omitempty"`
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

// CopyOf returns r in the form in which it travels.
func CopyOf(r Record) Copy {
	return Copy{Stream: r.Stream, Seq: r.Seq, Subject: r.Subject, Time: r.Time, Header: r.Header, Body: r.Body}
}

// Record returns the record that c is a copy of.
func (c Copy) Record() Record {
	return Record{Stream: c.Stream, Seq: c.Seq, Subject: c.Subject, Time: c.Time, Header: c.Header, Body: c.Body}
}

// HoldPage is a page of open holds, the riskiest first, and how many there are.
type HoldPage struct {
	Holds []HoldLine `json:"holds"`
	Total int        `json:"total"`

	// After is the cursor of the next page; empty on the last.
	After string `json:"after,omitzero"`
}

// HoldLine is a hold in a list.
type HoldLine struct {
	Agent    Name      `json:"agent"`
	Intent   IntentID  `json:"intent"`
	Action   Action    `json:"action"`
	Queue    Name      `json:"queue"`
	State    State     `json:"state"`
	Waiting  string    `json:"waiting,omitzero"`
	Risk     int       `json:"risk"`
	Votes    int       `json:"votes"`
	Quorum   int       `json:"quorum"`
	Digest   Digest    `json:"digest"`
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

// GateStatus is what operators see of a running gate.
type GateStatus struct {
	Gateway    Name        `json:"gateway"`
	Bundle     Digest      `json:"bundle,omitzero"`
	Embedded   bool        `json:"embedded,omitzero"` // its broker is its own
	Freezes    []Freeze    `json:"freezes,omitempty"`
	Identities int         `json:"identities"`
	Open       int         `json:"open"`
	Released   int         `json:"released"` // and not claimed yet
	Granted    int         `json:"granted"`  // and not reported yet
	InDoubt    int         `json:"in_doubt"`
	Health     []Condition `json:"health"`
}

// Condition is one thing that a stage needs before it releases anything.
type Condition struct {
	Name    string `json:"name"`
	Healthy bool   `json:"healthy"`
	Detail  string `json:"detail,omitzero"`
}
