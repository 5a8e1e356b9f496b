package audit

import (
	"fmt"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// exposures are what the agents were exposed to, as EXPOSED says.
type exposures struct {
	latest map[schemas.Name]schemas.Exposure
	all    map[uint64]mark // by sequence: whose, and what the record says
}

func newExposures() exposures {
	return exposures{latest: map[schemas.Name]schemas.Exposure{}, all: map[uint64]mark{}}
}

// takeExposure takes in what an agent is exposed to from now on. EXPOSED is in
// order, and each record replaces the one before.
func (v *Verifier) takeExposure(at place, r schemas.Record) {
	var e schemas.Exposure
	if !v.read(at, r, &e) {
		return
	}
	v.dated(at, e.At)
	for _, seen := range v.exposures.latest[e.Agent].Seen {
		if seen.Until.After(e.At) && !slices.ContainsFunc(e.Seen, func(s schemas.Seen) bool { return s.Covers(seen) }) {
			v.find(at, fmt.Sprintf("forgets that %s was exposed by %s until %s", e.Agent, seen.Action, clock(seen.Until)))
		}
	}
	v.exposures.latest[e.Agent] = e
	v.exposures.all[r.Seq] = markOf(string(e.Agent), string(r.Hash()))
}

// exposed says why p does not name what an agent was exposed to.
func (v *Verifier) exposed(agent schemas.Name, p schemas.Pointer) error {
	if p.Stream != schemas.Exposed {
		return fmt.Errorf("names %s, which has no part in it", p)
	}
	if err := v.reached(p); err != nil {
		return err
	}
	if v.exposures.all[p.Seq] != markOf(string(agent), string(p.Hash)) {
		return fmt.Errorf("names %s, which says something else or is about something else", p)
	}
	return nil
}
