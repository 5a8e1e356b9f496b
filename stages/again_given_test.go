package stages

import (
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// decideAgain decides again on an intent, and returns what came of it by the streams
// of its records.
func (s *sim) decideAgain(a Again, k schemas.Key, change func(*schemas.Record)) map[schemas.Stream][]Redecision {
	s.t.Helper()
	records := s.dossiers()[k]
	for i := range records {
		change(&records[i])
	}
	found := map[schemas.Stream][]Redecision{}
	for _, one := range a.Decide(s.t.Context(), records) {
		found[one.Record.Stream] = append(found[one.Record.Stream], one)
	}
	return found
}

func unchanged(*schemas.Record) {}

// TestDecidedAgainInPart: what is decided again when something is not known is what
// that leaves, and nobody is accused for it.
func TestDecidedAgainInPart(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bot", "sys.two")
	s.vote(k, "ann", schemas.Approve)
	s.drain()
	s.vote(k, "ben", schemas.Approve)
	s.drain()
	must(t, s.claim("run", k))
	s.want(k, schemas.Granted, "")

	t.Run("everything is known", func(t *testing.T) {
		for stream, all := range s.decideAgain(s.again(), k, unchanged) {
			for _, one := range all {
				if !one.Same || len(one.Given) > 0 {
					t.Errorf("%s: got %+v, want the same", stream, one)
				}
			}
		}
	})
	t.Run("rules that cannot be had at first", func(t *testing.T) {
		a, had := s.again(), false
		policy := a.Policy
		a.Policy = func(ctx context.Context, digest schemas.Digest) (Policy, error) {
			if !had {
				had = true
				return nil, schemas.ErrUnavailable
			}
			return policy(ctx, digest)
		}
		for stream, all := range s.decideAgain(a, k, unchanged) {
			for _, one := range all {
				if one.Differs != nil {
					t.Errorf("%s: got %+v, want no difference", stream, one)
				}
			}
		}
	})
	t.Run("of copies", func(t *testing.T) {
		a := s.again()
		a.Copied = true
		late := func(r *schemas.Record) { r.Time = r.Time.Add(time.Hour) }
		for stream, all := range s.decideAgain(a, k, late) {
			for _, one := range all {
				if !one.Same {
					t.Errorf("%s: got %+v %+v, want the same", stream, one, one.Differs)
				}
			}
		}
		if d := s.decideAgain(s.again(), k, late)[schemas.Observed][0].Differs; d == nil || d.Path != "/intent/proposed" {
			t.Errorf("got %+v, want that the originals have another time", d)
		}
	})
	t.Run("nobody is known", func(t *testing.T) {
		a := s.again()
		a.Registered = nil
		got := s.decideAgain(a, k, unchanged)
		if held := got[schemas.ParkedHolds]; len(held) != 4 || !held[0].Same || held[1].Cannot != unknownVoter.Error() || !held[3].Same {
			t.Errorf("got %+v, want that the votes are not decided again", held)
		}
		for _, one := range []Redecision{got[schemas.Settled][0], got[schemas.Grants][0]} {
			if !one.Same || len(one.Given) != 1 {
				t.Errorf("got %+v, want the same by the word of the votes", one)
			}
		}
	})
	t.Run("the bundle is gone", func(t *testing.T) {
		a := s.again()
		a.Policy = func(context.Context, schemas.Digest) (Policy, error) { return nil, schemas.ErrNotFound }
		got := s.decideAgain(a, k, unchanged)
		for _, stream := range []schemas.Stream{schemas.Observed, schemas.Recommended, schemas.Settled, schemas.Grants} {
			if one := got[stream][0]; !strings.HasPrefix(one.Cannot, "its rules are not to be had") {
				t.Errorf("%s: got %+v, want that the rules are missing", stream, one)
			}
		}
		if held := got[schemas.ParkedHolds]; !held[1].Same || !held[2].Same || !held[3].Same {
			t.Errorf("got %+v, want that votes need no rules", held)
		}
	})
	t.Run("another bundle", func(t *testing.T) {
		a := s.again()
		a.Policy = func(context.Context, schemas.Digest) (Policy, error) { return s.bundle["stricter"], nil }
		if one := s.decideAgain(a, k, unchanged)[schemas.Observed][0]; !strings.Contains(one.Cannot, "what is there is") {
			t.Errorf("got %+v, want that it is another bundle", one)
		}
	})
}

// TestDecidedAgainByExposure: a hold says what its agent was exposed to, and what is
// decided again knows that and nothing later.
func TestDecidedAgainByExposure(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	before := s.propose("bot", "sys.exposed")
	s.propose("bot", "sys.read")
	k := s.propose("bot", "sys.exposed")
	s.want(k, schemas.Parked, "")
	h, _ := s.held(k)
	if len(h.Inputs) != 1 || h.Inputs[0].Stream != schemas.Exposed {
		t.Fatalf("the hold names %v, want what its agent was exposed to", h.Inputs)
	}
	for _, k := range []schemas.Key{before, k} {
		for stream, all := range s.decideAgain(s.again(), k, unchanged) {
			if !all[0].Same {
				t.Errorf("%s: got %+v %+v, want the same", stream, all[0], all[0].Differs)
			}
		}
	}
	asked := s.decideAgain(s.again(), k, unchanged)[schemas.ParkedHolds][0]
	if len(asked.Asked) != 1 || asked.Asked[0].At != rules.Execute || !slices.Equal(asked.Asked[0].Facts.Exposure.Labels, []string{"untrusted"}) {
		t.Errorf("asked was %+v, want execute with the exposure of that moment", asked.Asked)
	}
	if len(asked.Before) != 2 || len(asked.Before[1].Facts.Exposure.Labels) != 0 {
		t.Errorf("asked before was %+v, want observe and recommend without the exposure", asked.Before)
	}
	silent := s.decideAgain(s.again(), k, func(r *schemas.Record) {
		var h schemas.Hold
		if r.Stream == schemas.ParkedHolds && schemas.Read(*r, &h) == nil {
			h.Inputs = nil // as a gate wrote it that did not write them down yet
			d := schemas.Write(h, r.Header["ce-source"][0], h.At, "")
			r.Body, r.Header = d.Body, d.Header
		}
	})
	if one := silent[schemas.ParkedHolds][0]; one.Cannot != unsaidExposure.Error() {
		t.Errorf("got %+v %+v, want that the exposure is not on record", one, one.Differs)
	}
	gone := s.dossiers()[k]
	gone = slices.DeleteFunc(gone, func(r schemas.Record) bool { return r.Stream == schemas.Exposed })
	for _, one := range s.again().Decide(t.Context(), gone) {
		if one.Record.Stream == schemas.ParkedHolds && !strings.Contains(one.Cannot, "EXPOSED/") {
			t.Errorf("got %+v, want that the exposure is not to be had", one)
		}
	}
}

// TestDecidedAgainInTheShadow: what a shadow would have said is decided again, too.
func TestDecidedAgainInTheShadow(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	shadow := s.bundle["stricter"]
	s.everywhere(schemas.Shadow{By: "boss", Bundle: shadow.Digest(), At: s.now()})
	for _, p := range s.replicas {
		p.execute.Control.LoadShadow(shadow)
	}
	k := s.propose("bot", "sys.small")
	one := s.decideAgain(s.again(), k, unchanged)[schemas.Recommended][0]
	var rec schemas.Recommendation
	must(t, schemas.Read(s.last(schemas.Recommended), &rec))
	if rec.Shadow == nil || !one.Same || len(one.Asked) != 1 {
		t.Errorf("got %+v with the shadow %+v, want the same", one, rec.Shadow)
	}
}

// TestDecidedAgainFrozen: what waited for a thaw is decided again, and so is what
// came of it.
func TestDecidedAgainFrozen(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	s.freezeBot()
	k := s.propose("bot", "sys.small")
	two := s.propose("bot", "sys.big")
	s.vote(two, "ann", schemas.Approve)
	s.drain()
	s.thaw()
	s.tick()
	for _, k := range []schemas.Key{k, two} {
		s.want(k, schemas.Released, "")
		for stream, all := range s.decideAgain(s.again(), k, unchanged) {
			for _, one := range all {
				if !one.Same {
					t.Errorf("%s: got %+v %+v, want the same", stream, one, one.Differs)
				}
			}
		}
	}
}

// TestDecidedAgainWithoutTheAction: a refusal because another bundle, active by then,
// does not know the action goes by that bundle, and says so.
func TestDecidedAgainWithoutTheAction(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
	s.submit(k, "sys.big", `{}`)
	at := s.recommended()
	s.activate("narrow")
	s.deliver(0, at)
	s.want(k, schemas.Refused, schemas.CodeUnknownAction)
	if one := s.decideAgain(s.again(), k, unchanged)[schemas.Settled][0]; !one.Same {
		t.Errorf("got %+v %+v, want the same", one, one.Differs)
	}
	silent := func(r *schemas.Record) {
		var v schemas.Settlement
		if r.Stream == schemas.Settled && schemas.Read(*r, &v) == nil {
			v.Bundle = "" // as a gate wrote it that did not write it down yet
			d := schemas.Write(v, r.Header["ce-source"][0], v.At, "")
			r.Body, r.Header = d.Body, d.Header
		}
	}
	if one := s.decideAgain(s.again(), k, silent)[schemas.Settled][0]; one.Cannot != unsaidBundle.Error() {
		t.Errorf("got %+v %+v, want that the bundle is not on record", one, one.Differs)
	}
}

// TestMangledDecidedAgain: records that are missing, twice there, in the place of others
// or cut up make nothing break, and nothing is taken for the same that is not.
func TestMangledDecidedAgain(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 7)
	s.live()
	random, original := rand.New(rand.NewPCG(7, 7)), map[schemas.Digest]bool{}
	all := slices.Collect(maps.Values(s.dossiers()))
	for _, records := range all {
		for _, r := range records {
			original[r.Hash()] = true
		}
	}
	for range 1000 {
		records := slices.Clone(all[random.IntN(len(all))])
		for range 1 + random.IntN(3) {
			if len(records) == 0 {
				break
			}
			i, others := random.IntN(len(records)), all[random.IntN(len(all))]
			other := others[random.IntN(len(others))]
			switch r := &records[i]; random.IntN(5) {
			case 0:
				records = slices.Delete(records, i, i+1)
			case 1:
				records = append(records, other)
			case 2:
				r.Body, r.Header = other.Body, other.Header
			case 3:
				r.Body = append(bytes.Clone(r.Body[:random.IntN(len(r.Body)+1)]), other.Body[random.IntN(len(other.Body)+1):]...)
			case 4:
				r.Seq, r.Stream = other.Seq, other.Stream
			}
		}
		for _, one := range s.again().Decide(t.Context(), records) {
			if one.Same && !original[one.Record.Hash] {
				t.Errorf("%s %s is the same, and was never written", one.Record, one.Subject)
			}
		}
	}
}
