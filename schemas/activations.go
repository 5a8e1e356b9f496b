package schemas

import (
	"slices"
	"time"
)

// Activations folds the activations of CONTROL, in order, into the bundle that is
// active. Where the bundle before asks for several policy-admins, an activation
// is a vote: it takes effect when enough persons, each for the same bundle with
// the same quorum, have voted since a bundle was activated last.
//
// The zero Activations has no bundle, and lets one policy-admin activate one.
type Activations struct {
	active Digest
	quorum int
	votes  map[ballot][]string // persons
	past   []Activated
}

// ballot is what policy-admins must agree on.
type ballot struct {
	bundle Digest
	quorum int
}

// Activated is an activation, and what came of it.
type Activated struct {
	Seq    uint64    `json:"seq"` // in CONTROL
	At     time.Time `json:"at"`
	By     Name      `json:"by"`
	Bundle Digest    `json:"bundle"`
	Reason string    `json:"reason,omitzero"`
	Quorum int       `json:"quorum,omitzero"`

	// Effective says that the bundle became the active one. Otherwise Missing is
	// how many more policy-admins had to agree at the time.
	Effective bool `json:"effective"`
	Missing   int  `json:"missing,omitzero"`
}

// mostPast is how many activations are remembered.
const mostPast = 1000

// Add takes in an activation, the record of CONTROL with the sequence seq, by a
// policy-admin who is that person. It reports whether the bundle is active now.
func (a *Activations) Add(seq uint64, v Activation, person string) bool {
	on := ballot{v.Bundle, max(1, v.Quorum)}
	if !slices.Contains(a.votes[on], person) {
		if a.votes == nil {
			a.votes = map[ballot][]string{}
		}
		a.votes[on] = append(a.votes[on], person)
	}
	missing := max(1, a.quorum) - len(a.votes[on])
	if missing <= 0 {
		a.active, a.quorum, a.votes = v.Bundle, on.quorum, nil
	}
	a.past = append(a.past, Activated{
		Seq: seq, At: v.At, By: v.By, Bundle: v.Bundle, Reason: v.Reason, Quorum: v.Quorum, Effective: missing <= 0, Missing: max(0, missing),
	})
	if len(a.past) > mostPast {
		a.past = slices.Clone(a.past[len(a.past)-mostPast/2:])
	}
	return missing <= 0
}

// Active returns the digest of the active bundle, or "".
func (a *Activations) Active() Digest { return a.active }

// Quorum returns how many policy-admins the next bundle needs.
func (a *Activations) Quorum() int { return max(1, a.quorum) }

// Past returns the activations, the latest first.
func (a *Activations) Past() []Activated {
	past := slices.Clone(a.past)
	slices.Reverse(past)
	return past
}
