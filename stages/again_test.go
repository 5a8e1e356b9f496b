package stages

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestHistoriesDecidedAgain: whatever happened on the way, what is decided again from
// the records of an intent alone is what is on record, byte for byte. HOLDPOINT_TEST_SEED
// repeats one history.
func TestHistoriesDecidedAgain(t *testing.T) {
	t.Parallel()
	n, first := 60, rand.Uint64N(1<<40)
	if text := os.Getenv("HOLDPOINT_TEST_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		must(t, err)
		n, first = 1, seed
	}
	a, same, cannot := newArena(t), map[schemas.Stream]int{}, map[string]int{}
	for i := range n {
		s := newSim(t, a, first+uint64(i))
		for range stepsOfHistory {
			s.step()
			s.revive()
			s.collect()
		}
		s.settleDown()
		for k, records := range s.dossiers() {
			for _, r := range s.again().Decide(t.Context(), records) {
				switch {
				case r.Same:
					same[r.Record.Stream]++
				case r.Differs != nil:
					t.Errorf("seed %d: %s: %s %s: %+v", first+uint64(i), k, r.Record, r.Subject, *r.Differs)
					s.dump(k)
				default:
					cannot[r.Cannot]++
				}
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("the same: %v; not decided again: %v", same, cannot)
	for _, stream := range []schemas.Stream{schemas.Observed, schemas.Recommended, schemas.ParkedHolds, schemas.Settled, schemas.Grants} {
		if same[stream] == 0 {
			t.Errorf("nothing of %s was decided again", stream)
		}
	}
}

// again decides again what this history decided.
func (s *sim) again() Again {
	return Again{
		Eligibility: &rules.Eligibility{Limits: rules.Limits{Time: time.Minute}},
		Policy: func(_ context.Context, digest schemas.Digest) (Policy, error) {
			for _, b := range s.bundle {
				if b.Digest() == digest {
					return b.Patient(), nil
				}
			}
			return nil, schemas.ErrNotFound
		},
		Registered: func(name schemas.Name, at time.Time) (schemas.Identity, bool, bool) {
			id, known := s.people[name]
			return id, known && !s.was("without "+string(name), at), known
		},
	}
}

// dossiers returns the records of every intent, with those that they name.
func (s *sim) dossiers() map[schemas.Key][]schemas.Record {
	s.t.Helper()
	s.refresh()
	all, exposed := map[schemas.Key][]schemas.Record{}, []schemas.Record(nil)
	must(s.t, s.logs[schemas.RoleExecute].Tail(schemas.Exposed, "", 1).Read(s.t.Context(), func(r schemas.Record) error {
		exposed = append(exposed, r) // of histories before this one, too
		return nil
	}))
	for stream, c := range s.copies {
		for _, r := range c.records {
			if k := keyIn(r); stream != schemas.Exposed && stream != schemas.Control {
				all[k] = append(all[k], r)
			}
		}
	}
	for k := range maps.Keys(all) {
		all[k] = append(all[k], exposed...)
		for _, r := range s.copies[schemas.Intents].records {
			if keyIn(r) != k { // one may withdraw it
				all[k] = append(all[k], r)
			}
		}
	}
	return all
}

// keyIn returns the intent that a record is about.
func keyIn(r schemas.Record) schemas.Key {
	var o schemas.Observation
	var rec schemas.Recommendation
	subject, _ := schemas.ParseSubject(r.Subject)
	switch r.Stream {
	case schemas.Intents:
		in, _ := schemas.ReadIntent(schemas.Name(simTenant), r)
		return in.Key()
	case schemas.Observed:
		_ = schemas.Read(r, &o)
		return o.Intent.Key()
	case schemas.Recommended:
		_ = schemas.Read(r, &rec)
		return rec.Intent.Key()
	}
	return schemas.Key{Agent: subject.Agent, ID: subject.Intent}
}

var _ = slices.Contains[[]int]
