package schemas

import (
	"slices"
	"time"
)

// MaxSeen bounds an exposure, so that its record fits the stream.
const MaxSeen = 48

// Exposure is what an agent has been given: the actions whose results expose it
// to something, with the labels that they carry.
type Exposure struct {
	Agent Name      `json:"agent"`
	Seen  []Seen    `json:"seen,omitempty"`
	At    time.Time `json:"at"`

	// Trail names the intent because of which the exposure changed last.
	Trail []Pointer `json:"trail,omitempty"`
}

// Seen is one action of an agent whose result exposed it.
type Seen struct {
	Action Action   `json:"action"`
	Labels []string `json:"labels"`

	// Session narrows the exposure to the session of that name. It is empty
	// unless the agent is registered as one that declares its sessions, and where
	// these were too many to be told apart.
	Session string    `json:"session,omitzero"`
	Until   time.Time `json:"until"`
}

// Add returns e with one more thing seen, without what is over at time at. An
// action seen before keeps its labels and the later end, also when the catalog
// gives it others by now. Where a record would hold too much, what an action
// exposed some sessions to counts for all of them. It is an [ErrInvalid] if that is
// still too much.
func (e Exposure) Add(s Seen, at time.Time) (Exposure, error) {
	kept := make([]Seen, 0, len(e.Seen)+1)
	for _, have := range e.Seen {
		switch {
		case !have.Until.After(at):
		case have.Action == s.Action && have.Session == s.Session:
			s = s.join(have)
		default:
			kept = append(kept, have)
		}
	}
	if len(kept) == MaxSeen {
		kept = widen(kept, s.Action)
	}
	if len(kept) == MaxSeen {
		return Exposure{}, invalid("agent %s is exposed to more than %d actions", e.Agent, MaxSeen)
	}
	e.Seen, e.At = append(kept, s), at
	return e, nil
}

// widen returns seen with one entry, for every session, in place of all those of
// the action that has most of them; of like ones, of the action that was seen now.
func widen(seen []Seen, now Action) []Seen {
	count := map[Action]int{}
	most := now
	for _, s := range seen {
		count[s.Action]++
		if count[s.Action] > count[most] {
			most = s.Action
		}
	}
	if count[most] < 2 {
		return seen
	}
	all := Seen{Action: most}
	kept := make([]Seen, 0, len(seen))
	for _, s := range seen {
		if s.Action == most {
			all = all.join(s)
			continue
		}
		kept = append(kept, s)
	}
	return append(kept, all)
}

// Covers reports whether s says all that there is to say of seen.
func (s Seen) Covers(seen Seen) bool {
	return s.Action == seen.Action && (s.Session == "" || s.Session == seen.Session) && !s.Until.Before(seen.Until) &&
		!slices.ContainsFunc(seen.Labels, func(label string) bool { return !slices.Contains(s.Labels, label) })
}

// join returns s with what another exposure by the same action adds to it.
func (s Seen) join(other Seen) Seen {
	s.Labels = slices.Concat(s.Labels, other.Labels)
	slices.Sort(s.Labels)
	s.Labels = slices.Compact(s.Labels)
	if other.Until.After(s.Until) {
		s.Until = other.Until
	}
	return s
}

// Facts returns what e amounts to at time at in a session. Without a session,
// everything counts.
func (e Exposure) Facts(session string, at time.Time) ExposureFacts {
	var f ExposureFacts
	for _, s := range e.Seen {
		if !s.Until.After(at) || session != "" && s.Session != "" && s.Session != session {
			continue
		}
		f.Labels = append(f.Labels, s.Labels...)
		f.Actions = append(f.Actions, s.Action)
	}
	slices.Sort(f.Labels)
	slices.Sort(f.Actions)
	f.Labels, f.Actions = slices.Compact(f.Labels), slices.Compact(f.Actions)
	return f
}

func (e Exposure) Subject() string {
	return Subject{Kind: "exposed", Agent: e.Agent}.String()
}

func (Exposure) Type() string { return "exposure.v1" }
