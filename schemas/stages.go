package schemas

import "time"

// Observation is what the observe stage established about an intent: what it
// says, who sent it, whether it can be accepted at all, and what the rules of
// that checkpoint say.
type Observation struct {
	Intent Intent `json:"intent"`

	// Fault is why the intent is refused whatever the rules say; nil if there is
	// nothing.
	Fault *Fault `json:"fault,omitempty"`

	// Agent is who proposed it, as registered at the time.
	Agent AgentFacts `json:"agent"`

	// Exposure is what the agent had been given, as observe saw it. The strict
	// reading is at the release.
	Exposure ExposureFacts `json:"exposure,omitzero"`

	// Rate counts the intents of this agent in the minute before, as far as this
	// observe process saw them.
	Rate int `json:"rate"`

	Opinion Opinion   `json:"opinion"`
	Bundle  Digest    `json:"bundle,omitzero"`
	At      time.Time `json:"at"`
	Trail   []Pointer `json:"trail"`
}

// AgentFacts is what rules may know about an agent.
type AgentFacts struct {
	Name   Name     `json:"name"`
	Owner  string   `json:"owner,omitzero"`
	Groups []string `json:"groups,omitempty"`
}

// ExposureFacts is what rules may know about what an agent has been given: the
// labels, and the actions whose results carried them, sorted.
type ExposureFacts struct {
	Labels  []string `json:"labels,omitempty"`
	Actions []Action `json:"actions,omitempty"`
}

func (o Observation) Subject() string {
	return Subject{Kind: "observed", Agent: o.Intent.Agent, Action: o.Intent.Action}.String()
}

func (Observation) Type() string { return "intent.observed.v1" }

// Recommendation is what the rules of observe and recommend say about an intent.
type Recommendation struct {
	Intent Intent `json:"intent"`

	// Fault is why the intent is refused whatever the rules say; nil if there is
	// nothing.
	Fault *Fault `json:"fault,omitempty"`

	Opinion Opinion `json:"opinion"`

	// Shadow is what a bundle that is evaluated beside the active one would have
	// said, if that differs. It has no effect.
	Shadow *ShadowOpinion `json:"shadow,omitempty"`

	// Queue is where reviewers find the intent if it is parked.
	Queue Name `json:"queue,omitzero"`

	Bundle Digest    `json:"bundle,omitzero"`
	At     time.Time `json:"at"`
	Trail  []Pointer `json:"trail"`
}

// ShadowOpinion is what a shadow bundle says, in short: the outcome, and the first
// rules that led to it.
type ShadowOpinion struct {
	Bundle  Digest   `json:"bundle"`
	Outcome Outcome  `json:"outcome"`
	Rules   []string `json:"rules,omitempty"`
}

func (r Recommendation) Subject() string {
	return Subject{Kind: "recommended", Outcome: r.Opinion.Outcome.String(), Agent: r.Intent.Agent, Action: r.Intent.Action}.String()
}

func (Recommendation) Type() string { return "intent.recommended.v1" }

// Settlement is the one verdict on an intent. Its agent and the executors of its
// system can read it, so it says nothing of rules, scores or voters.
type Settlement struct {
	Intent  Intent  `json:"intent"`
	Outcome Outcome `json:"outcome"` // release or refuse

	// Code and Detail say why the intent was refused. Detail is about what the
	// agent itself sent.
	Code   Code   `json:"code,omitzero"`
	Detail string `json:"detail,omitzero"`

	// Tell is what the policy's author wrote for the agent.
	Tell string `json:"tell,omitzero"`

	// ExecuteBy is when a release lapses unless it was claimed.
	ExecuteBy time.Time `json:"execute_by,omitzero"`

	Bundle Digest    `json:"bundle,omitzero"`
	At     time.Time `json:"at"`

	// Trail names the intent, the observation, the recommendation and, where
	// they had a part, the hold, the decisions that satisfied it, and the
	// agent's exposure.
	Trail []Pointer `json:"trail"`
}

// State returns released or refused.
func (s Settlement) State() State {
	if s.Outcome == Release {
		return Released
	}
	return Refused
}

func (s Settlement) Subject() string {
	return Subject{Kind: string(s.State()), Intent: s.Intent.ID, Agent: s.Intent.Agent, Action: s.Intent.Action}.String()
}

func (s Settlement) Type() string { return "intent." + string(s.State()) + ".v1" }

// SameVerdict reports whether s and t settle the same intent in the same way, so
// that a writer who finds t in the place of s knows that s is written.
func (s Settlement) SameVerdict(t Settlement) bool {
	return s.Intent.Key() == t.Intent.Key() && s.Intent.Digest == t.Intent.Digest && s.Outcome == t.Outcome && s.Code == t.Code
}
