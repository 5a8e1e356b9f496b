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
		s.live()
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
			anyone := s.again()
			anyone.Registered = nil // whoever does not know who was registered accuses nobody
			for _, r := range anyone.Decide(t.Context(), records) {
				if r.Differs != nil {
					t.Errorf("seed %d: %s: %s %s, taken at its word: %+v", first+uint64(i), k, r.Record, r.Subject, *r.Differs)
				}
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("the same: %v; not decided again: %v", same, cannot)
	for _, stream := range decided {
		if same[stream] == 0 {
			t.Errorf("nothing of %s was decided again", stream)
		}
	}
	for _, why := range slices.Collect(maps.Keys(cannot)) {
		if !slices.Contains([]cannotError{afterPanic, ofDoubt, ofTarget, ofOtherID, ofOthers, unsaidStanding}, cannotError(why)) {
			t.Errorf("not decided again: %s", why)
		}
	}
}

// decided are the streams that a stage writes a decision to.
var decided = []schemas.Stream{schemas.Observed, schemas.Recommended, schemas.ParkedHolds, schemas.Settled, schemas.Grants}

// live lets a history happen, to its end.
func (s *sim) live() {
	for range stepsOfHistory {
		s.step()
		s.revive()
		s.collect()
	}
	s.settleDown()
}

// TestForgedDecidedAgain: whoever changes what a record says, and writes it as a stage
// would, is found out, and where.
func TestForgedDecidedAgain(t *testing.T) {
	t.Parallel()
	a, found := newArena(t), map[string]int{}
	for seed := range uint64(8) {
		s := newSim(t, a, seed)
		s.live()
		for _, records := range s.dossiers() {
			for _, one := range s.again().Decide(t.Context(), records) {
				if !one.Same {
					continue
				}
				i := slices.IndexFunc(records, func(r schemas.Record) bool { return r.Pointer() == one.Record })
				for path, forged := range forgeries(t, records[i]) {
					changed := slices.Clone(records)
					changed[i] = forged
					got := s.again().Decide(t.Context(), changed)
					at := slices.IndexFunc(got, func(r Redecision) bool { return r.Record == forged.Pointer() })
					if d := got[at].Differs; d == nil || d.Path != path {
						t.Errorf("%s of %s: got %+v %+v, want that it differs there", path, one.Subject, got[at], got[at].Differs)
					}
					found[string(forged.Stream)+path]++
				}
			}
		}
	}
	t.Logf("found: %v", found)
	if len(found) < 10 {
		t.Errorf("%d kinds of forgeries were tried, want 10", len(found))
	}
}

// forgeries returns records that say something else than r, by where they differ.
func forgeries(t *testing.T, r schemas.Record) map[string]schemas.Record {
	t.Helper()
	all := map[string]schemas.Record{}
	forge := func(path string, c schemas.Content, at time.Time) {
		source := r.Header["ce-source"][0]
		d := schemas.Write(c, source, at, traceOf(r))
		all[path] = schemas.Record{Stream: r.Stream, Seq: r.Seq, Time: r.Time, Subject: d.Subject, Header: d.Header, Body: d.Body}
	}
	match := schemas.Match{Rule: "forged", Outcome: schemas.Release}
	switch r.Stream {
	case schemas.Observed:
		var o schemas.Observation
		must(t, schemas.Read(r, &o))
		risky, ruled := o, o
		risky.Opinion.Risk++
		forge("/opinion/risk", risky, o.At)
		ruled.Opinion.Matched = append(slices.Clone(o.Opinion.Matched), match)
		forge("/opinion/matched"+suffix(o.Opinion.Matched), ruled, o.At)
		owned := o
		owned.Agent.Owner += "x"
		forge("/agent/owner", owned, o.At)
		traced := o
		traced.Trail = slices.Clone(o.Trail)
		traced.Trail[0].Hash = schemas.DigestOf(schemas.Intent{})
		forge("/trail/0/hash", traced, o.At)
	case schemas.Recommended:
		var rec schemas.Recommendation
		must(t, schemas.Read(r, &rec))
		queued := rec
		queued.Queue += "x"
		forge("/queue", queued, rec.At)
		told := rec
		told.Opinion.Tell += "x"
		forge("/opinion/tell", told, rec.At)
		let := rec
		if let.Opinion.Outcome = schemas.Release; rec.Opinion.Outcome != schemas.Release {
			forge("", let, rec.At) // the subject says it, too
		}
	case schemas.ParkedHolds:
		var h schemas.Hold
		must(t, schemas.Read(r, &h))
		later := h
		later.Deadline = h.Deadline.Add(time.Hour)
		forge("/deadline", later, h.At)
		let := h
		let.Opinion.Risk += 7
		forge("/opinion/risk", let, h.At)
		asks := h
		asks.Recommended = append(slices.Clone(h.Recommended), schemas.AnyReviewer())
		if len(h.Recommended) == 0 {
			forge("/recommended", asks, h.At)
		}
	case schemas.Settled:
		var s schemas.Settlement
		must(t, schemas.Read(r, &s))
		told := s
		told.Tell += "x"
		forge("/tell", told, s.At)
		if s.Outcome == schemas.Release {
			long := s
			long.ExecuteBy = s.ExecuteBy.Add(time.Second)
			forge("/execute_by", long, s.At)
			refused := s
			refused.Outcome, refused.Code, refused.ExecuteBy = schemas.Refuse, schemas.CodePolicy, time.Time{}
			forge("", refused, s.At)
		} else if s.Code == schemas.CodeDenied {
			let := s
			let.Outcome, let.Code, let.ExecuteBy = schemas.Release, "", s.At.Add(time.Hour)
			forge("", let, s.At)
		}
	case schemas.Grants:
		var g schemas.Grant
		if schemas.Read(r, &g) != nil {
			return nil // a lapse
		}
		long := g
		long.LeaseUntil = g.LeaseUntil.Add(time.Second)
		forge("/lease_until", long, g.At)
		again := g
		again.Idempotent = !g.Idempotent
		forge("/idempotent", again, g.At)
		second := g
		second.Attempt++
		forge("/attempt", second, g.At)
	}
	return all
}

// suffix is where something stands that is added to a list, which is not there while
// it is empty.
func suffix(list []schemas.Match) string {
	if len(list) == 0 {
		return ""
	}
	return "/" + strconv.Itoa(len(list))
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
	all, aside := map[schemas.Key][]schemas.Record{}, []schemas.Record(nil)
	for _, stream := range []schemas.Stream{schemas.Exposed, schemas.Budgets, schemas.Standings} {
		must(s.t, s.logs[schemas.RoleExecute].Tail(stream, "", 1).Read(s.t.Context(), func(r schemas.Record) error {
			aside = append(aside, r) // of histories before this one, too
			return nil
		}))
	}
	for stream, c := range s.copies {
		for _, r := range c.records {
			if k := keyIn(r); stream != schemas.Exposed && stream != schemas.Budgets && stream != schemas.Standings && stream != schemas.Control {
				all[k] = append(all[k], r)
			}
		}
	}
	for k := range maps.Keys(all) {
		all[k] = append(all[k], aside...)
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
