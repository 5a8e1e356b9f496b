package schemas

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Grant is the record that one executor, and nobody else, may perform a released
// intent until the lease ends.
type Grant struct {
	Agent    Name     `json:"agent"`
	Intent   IntentID `json:"intent"`
	Executor Name     `json:"executor"`
	Action   Action   `json:"action"`
	Digest   Digest   `json:"digest"`

	// Attempt counts the grants of this intent, from 1.
	Attempt int `json:"attempt"`

	// Idempotent says that the action may be granted again by itself when the
	// lease ends without a report. Otherwise it is in doubt then.
	Idempotent bool `json:"idempotent"`

	LeaseUntil time.Time `json:"lease_until"`

	// Nonce is the executor's own word for its claim, so that the answer can be
	// given again if it was lost, and to nobody else.
	Nonce string `json:"nonce,omitzero"`

	Bundle Digest    `json:"bundle,omitzero"`
	At     time.Time `json:"at"`

	// Trail names the release and, of a further attempt, the grant before it and
	// the decision to retry.
	Trail []Pointer `json:"trail"`
}

// Key returns the intent that is granted.
func (g Grant) Key() Key { return Key{Agent: g.Agent, ID: g.Intent} }

func (g Grant) Subject() string {
	return Subject{Kind: "granted", Intent: g.Intent, Agent: g.Agent, Writer: g.Executor}.String()
}

func (Grant) Type() string { return "intent.granted.v1" }

// Lapse is the record that nobody claimed a release in time. It excludes every
// grant of that intent.
type Lapse struct {
	Agent  Name      `json:"agent"`
	Intent IntentID  `json:"intent"`
	Action Action    `json:"action"`
	Digest Digest    `json:"digest"`
	At     time.Time `json:"at"`
	Trail  []Pointer `json:"trail"`
}

// Key returns the intent whose release lapsed.
func (l Lapse) Key() Key { return Key{Agent: l.Agent, ID: l.Intent} }

// executeName stands where an executor's name stands in a grant.
const executeName Name = "execute"

func (l Lapse) Subject() string {
	return Subject{Kind: "lapsed", Intent: l.Intent, Agent: l.Agent, Writer: executeName}.String()
}

func (Lapse) Type() string { return "intent.lapsed.v1" }

// Report is what an executor says became of a grant.
type Report struct {
	Executor Name     `json:"executor"`
	Agent    Name     `json:"agent"`
	Intent   IntentID `json:"intent"`
	Digest   Digest   `json:"digest"`

	// Grant names the grant that this is the report on.
	Grant Pointer `json:"grant"`

	// State is done or failed.
	State State `json:"state"`

	// Result is what the action returned, at most MaxResultSize; Error says why
	// it failed. The agent is given both.
	Result jsontext.Value `json:"result,omitzero"`
	Error  string         `json:"error,omitzero"`
}

// Key returns the intent that the report is about.
func (r Report) Key() Key { return Key{Agent: r.Agent, ID: r.Intent} }

func (r Report) Subject() string {
	return Subject{Kind: "outcomes", Writer: r.Executor, Agent: r.Agent, Intent: r.Intent}.String()
}

func (Report) Type() string { return "outcome.v1" }

// Rejection is the record that a decision or a report does not count, and why.
type Rejection struct {
	// Of is who sent it, About the intent that it names.
	Of     Name     `json:"of"`
	Agent  Name     `json:"agent"`
	Intent IntentID `json:"intent"`

	// Record is what does not count.
	Record Pointer `json:"record"`

	Code   Code      `json:"code"`
	Detail string    `json:"detail,omitzero"`
	At     time.Time `json:"at"`
}

func (r Rejection) Subject() string {
	return Subject{Kind: "rejected", Writer: r.Of, Agent: r.Agent, Intent: r.Intent}.String()
}

func (Rejection) Type() string { return "rejection.v1" }
