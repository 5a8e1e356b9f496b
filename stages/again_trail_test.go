package stages

import (
	"slices"
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// trailless returns records of one intent as a file may have them whose holds and
// release name nothing of what led to them, and yet follow on each other.
func trailless(t *testing.T, records []schemas.Record) []schemas.Record {
	t.Helper()
	hashes := map[schemas.Digest]schemas.Digest{}
	records = slices.Clone(records)
	slices.SortFunc(records, func(a, b schemas.Record) int { return a.Time.Compare(b.Time) })
	for i := range records {
		r := &records[i]
		old := r.Hash()
		var d schemas.Draft
		switch {
		case r.Stream == schemas.ParkedHolds:
			var h schemas.Hold
			must(t, schemas.Read(*r, &h))
			h.Trail = nil
			for n, hash := range h.States {
				h.States[n] = hashes[hash]
			}
			d = schemas.Write(h, r.Header["ce-source"][0], h.At, traceOf(*r))
		case r.Stream == schemas.Settled:
			var s schemas.Settlement
			must(t, schemas.Read(*r, &s))
			s.Trail = slices.DeleteFunc(s.Trail, func(p schemas.Pointer) bool { return p.Stream != schemas.ParkedHolds })
			for n := range s.Trail {
				s.Trail[n].Hash = hashes[s.Trail[n].Hash]
			}
			d = schemas.Write(s, r.Header["ce-source"][0], s.At, traceOf(*r))
		default:
			continue
		}
		r.Header, r.Body = d.Header, d.Body
		hashes[old] = r.Hash()
	}
	return records
}

// TestTraillessDecidedAgain: a hold that names nothing of what led to it makes nothing
// break, whatever follows from it.
func TestTraillessDecidedAgain(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	s.giveStanding(s.standing("ann", "bot", "sys.big"))
	covered := s.propose("bot", "sys.big")
	s.want(covered, schemas.Released, "")
	beyond := s.propose("bit", "sys.over")
	s.vote(beyond, "ann", schemas.Approve)
	s.drain()
	s.want(beyond, schemas.Released, "")
	must(t, s.claim("run", beyond))
	for k, records := range s.dossiers() {
		for _, one := range s.again().Decide(t.Context(), trailless(t, records)) {
			if one.Record.Stream == schemas.Settled && one.Same {
				t.Errorf("%s of %s is the same, and was never written", one.Record, k)
			}
		}
	}
}
