package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Scope is what a freeze covers: everything, or one agent, action or system.
type Scope struct {
	All    bool   `json:"all,omitzero"`
	Agent  Name   `json:"agent,omitzero"`
	Action Action `json:"action,omitzero"`
	System string `json:"system,omitzero"`
}

// Valid reports whether the scope names one thing or everything, and not several.
func (s Scope) Valid() bool {
	named := 0
	for _, set := range []bool{s.All, s.Agent != "", s.Action != "", s.System != ""} {
		if set {
			named++
		}
	}
	return named == 1
}

// Covers reports whether an intent of agent for action is in the scope. A scope
// that names nothing covers everything: an unreadable freeze is a full one.
func (s Scope) Covers(agent Name, action Action) bool {
	switch {
	case s.Agent != "":
		return s.Agent == agent
	case s.Action != "":
		return s.Action == action
	case s.System != "":
		return s.System == action.System()
	default:
		return true
	}
}

func (s Scope) String() string {
	switch {
	case s.Agent != "":
		return "agent " + string(s.Agent)
	case s.Action != "":
		return "action " + string(s.Action)
	case s.System != "":
		return "system " + s.System
	default:
		return "all"
	}
}

// token is the scope as one token of a subject.
func (s Scope) token() Name {
	kind, _, named := strings.Cut(s.String(), " ")
	if !named {
		return Name(kind)
	}
	h := sha256.Sum256([]byte(s.String()))
	return Name(kind + "-" + hex.EncodeToString(h[:8]))
}

// Freeze stops releases and claims in its scope until a thaw of the same scope.
type Freeze struct {
	By     Name      `json:"by"`
	Scope  Scope     `json:"scope"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

func (f Freeze) Subject() string {
	return Subject{Kind: "control", Writer: f.By, About: "freeze", Record: f.Scope.token()}.String()
}

func (Freeze) Type() string { return "control.freeze.v1" }

// Thaw ends the freeze of exactly its scope.
type Thaw struct {
	By     Name      `json:"by"`
	Scope  Scope     `json:"scope"`
	Reason string    `json:"reason,omitzero"`
	At     time.Time `json:"at"`
}

func (t Thaw) Subject() string {
	return Subject{Kind: "control", Writer: t.By, About: "thaw", Record: t.Scope.token()}.String()
}

func (Thaw) Type() string { return "control.thaw.v1" }

// Activation makes a bundle the one that rules are taken from, if as many
// policy-admins want it as the bundle before asks for; see [Activations].
type Activation struct {
	By     Name   `json:"by"`
	Bundle Digest `json:"bundle"`
	Reason string `json:"reason,omitzero"`

	// Quorum is how many policy-admins, each another person, must activate the
	// bundle that follows on this one. 0 means 1.
	Quorum int `json:"quorum,omitzero"`

	At time.Time `json:"at"`
}

func (a Activation) Subject() string {
	return Subject{Kind: "control", Writer: a.By, About: "bundle", Record: "active"}.String()
}

func (Activation) Type() string { return "control.bundle.v1" }

// Shadow lets a bundle be evaluated beside the active one. What it would have
// said otherwise is recorded, and has no effect. An empty digest ends it.
type Shadow struct {
	By     Name      `json:"by"`
	Bundle Digest    `json:"bundle,omitzero"`
	Reason string    `json:"reason,omitzero"`
	At     time.Time `json:"at"`
}

func (s Shadow) Subject() string {
	return Subject{Kind: "control", Writer: s.By, About: "shadow", Record: "active"}.String()
}

func (Shadow) Type() string { return "control.shadow.v1" }

// StreamMade is provision's word on a stream: when it was created, and the
// digest of its configuration. A stage that finds another stops.
type StreamMade struct {
	By            Name      `json:"by"`
	Stream        Stream    `json:"stream"`
	Created       time.Time `json:"created"`
	Configuration Digest    `json:"configuration"`
	At            time.Time `json:"at"`
}

// Same reports whether s and t are about the same stream as it was made once.
func (s StreamMade) Same(t StreamMade) bool {
	return s.Stream == t.Stream && s.Created.Equal(t.Created) && s.Configuration == t.Configuration
}

func (s StreamMade) Subject() string {
	return Subject{Kind: "control", Writer: s.By, About: "stream", Record: Name(strings.ToLower(string(s.Stream)))}.String()
}

func (StreamMade) Type() string { return "control.stream.v1" }

// MayWrite reports whether an identity of role may write control records about
// the given thing.
func MayWrite(role Role, about string) bool {
	switch role {
	case RolePolicyAdmin:
		return about == "bundle" || about == "freeze" || about == "shadow" || about == "thaw"
	case RoleIdentityAdmin:
		return about == "identity" || about == "removal"
	case RoleProvision:
		return about == "stream" || about == "identity"
	}
	return false
}

// Abouts returns what an identity of role may write control records about.
func Abouts(role Role) []string {
	var may []string
	for _, about := range []string{"bundle", "freeze", "identity", "removal", "shadow", "stream", "thaw"} {
		if MayWrite(role, about) {
			may = append(may, about)
		}
	}
	return may
}
