package replay

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/schemas"
)

func newTestWindow(t *testing.T, most int) *window {
	t.Helper()
	bundle, err := Load(os.DirFS("testdata/shop"))
	if err != nil {
		t.Fatal(err)
	}
	return newWindow(most, newChangeTally(BacktestConfig{Bundle: bundle}))
}

func apartOf(w *window) map[string]int {
	all := map[string]int{}
	for _, a := range w.tally.finish().Apart {
		all[a.Why] = a.Intents
	}
	return all
}

// TestWindowBounded: the window keeps no more than its size, whatever is missing of
// a history without end, and every intent is counted once.
func TestWindowBounded(t *testing.T) {
	t.Parallel()
	const most, intents = 100, 9_000
	w := newTestWindow(t, most)
	audit := uint64(0)
	add := func(s sign) {
		audit++
		s.audit = audit
		w.add(s)
	}
	for i := range uint64(intents) {
		i++
		seen := sign{intent: i, observed: i, seen: &Case{Action: "shop.look", Observed: i, New: Fate{Outcome: schemas.Release}}}
		said := sign{intent: i, said: &Fate{Outcome: schemas.Release}}
		did := sign{intent: i, observed: i, did: &Fate{Outcome: schemas.Release}}
		switch i % 3 {
		case 0: // whole
			add(seen)
			add(said)
			add(did)
		case 1: // nothing was done with it
			add(seen)
			add(said)
		default: // it was not observed
			add(said)
			add(did)
		}
		if len(w.open) > most || len(w.order) > most {
			t.Fatalf("after %d: the window keeps %d and %d, want at most %d", i, len(w.open), len(w.order), most)
		}
	}
	w.finish()
	got := apartOf(w)
	if n := got[apartOpen]; n < most/3 || n > most/3+1 {
		t.Errorf("open at the end: got %d, want a third of %d", n, most)
	}
	want := map[string]int{apartUnobserved: intents / 3, apartOpen: got[apartOpen], apartUnanswered: intents/3 - got[apartOpen]}
	if diff := cmp.Diff(want, got); diff != "" || w.tally.report.Intents != intents/3 {
		t.Errorf("%d compared, apart (-want +got):\n%s", w.tally.report.Intents, diff)
	}
}

// TestFollowed: how an intent ended that was parked is told whenever that comes, and
// no more than some are waited for.
func TestFollowed(t *testing.T) {
	t.Parallel()
	const most, intents = 50, 1000
	w := newTestWindow(t, 100)
	w.tally.held = newFollowed(most)
	audit := uint64(0)
	add := func(s sign) {
		audit++
		s.audit = audit
		w.add(s)
		if len(w.tally.held.open) > most {
			t.Fatalf("%d are followed, want at most %d", len(w.tally.held.open), most)
		}
	}
	want := map[string]int{}
	for i := range uint64(intents) {
		i++
		end := sign{intent: i, ended: []string{"denied", "released"}[i%2]}
		if i%3 == 0 {
			add(end)
		}
		add(sign{intent: i, observed: i, seen: &Case{Action: "shop.look", Observed: i, New: Fate{Outcome: schemas.Release}}})
		add(sign{intent: i, observed: i, did: &Fate{Outcome: schemas.Park}})
		if i%3 == 1 && i > 9 {
			end.intent -= 9 // later, but not too late
			end.ended = []string{"denied", "released"}[end.intent%2]
			add(end)
		}
		switch {
		case i%3 == 0, i%3 == 1 && i+9 <= intents:
			want[[]string{"denied", "released"}[i%2]]++
		default:
			want[apartOpen]++
		}
	}
	w.finish()
	got := map[string]int{}
	for _, end := range w.tally.finish().Changes[0].Then {
		got[end.Why] = end.Intents
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("how they ended (-want +got):\n%s", diff)
	}
}

// TestWindowWithoutRecommendation: a verdict counts also if what the rules of then
// said is missing; it is not on record then.
func TestWindowWithoutRecommendation(t *testing.T) {
	t.Parallel()
	w := newTestWindow(t, 10)
	w.add(sign{audit: 1, intent: 1, observed: 1, seen: &Case{Action: "shop.look", Observed: 1, New: Fate{Outcome: schemas.Park}}})
	w.add(sign{audit: 2, intent: 1, observed: 1, did: &Fate{Outcome: schemas.Release}})
	w.finish()
	r := w.tally.finish()
	if r.Intents != 1 || r.Otherwise != 1 || len(r.OldRules) != 1 || r.OldRules[0].Reason != "not on record" {
		t.Errorf("got %d intents, %d otherwise, rules %+v", r.Intents, r.Otherwise, r.OldRules)
	}
}

// TestManyActions: agents may ask for any action. Those that no catalog has are not
// told apart without end.
func TestManyActions(t *testing.T) {
	t.Parallel()
	w := newTestWindow(t, 10)
	for i := range 3 * maxStrange {
		w.tally.count(Case{Action: schemas.Action("junk." + string(schemas.SequenceID(uint64(i)))), New: Fate{Outcome: schemas.Refuse}})
	}
	r := w.tally.finish()
	sum := 0
	for _, a := range r.Actions {
		sum += a.Intents
	}
	if len(r.Actions) != maxStrange+1 || sum != 3*maxStrange {
		t.Errorf("got %d actions with %d intents, want %d with %d", len(r.Actions), sum, maxStrange+1, 3*maxStrange)
	}
}
