package stages

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// crowd is an index with that many parked intents, in two queues.
func crowd(n int, random *rand.Rand) (*Index, []schemas.Hold) {
	x, began := NewIndex(nil), time.Now().UTC()
	var holds []schemas.Hold
	for i := range n {
		h := schemas.Hold{State: schemas.Parked, Queue: []schemas.Name{"desk", "attic"}[i%2], Deadline: began.Add(time.Hour)}
		h.Intent = schemas.Intent{Agent: "bot", ID: schemas.NewIntentID(began), Action: "sys.big", Proposed: began.Add(time.Duration(random.IntN(10)) * time.Second)}
		h.Opinion.Risk = random.IntN(5)
		if random.IntN(10) == 0 {
			h.State, h.Doubt = schemas.InDoubt, &schemas.Doubt{Grant: schemas.Pointer{Seq: uint64(i + 1)}}
		}
		x.Held(h, uint64(i+1))
		holds = append(holds, h)
	}
	return x, holds
}

// TestPages: page after page shows every hold once, those in doubt first, then the
// riskiest, then the oldest, also when some of them are gone by then.
func TestPages(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		x, holds := crowd(random.IntN(60), random)
		limit := 1 + random.IntN(20)
		var seen []schemas.HoldLine
		gone := map[schemas.IntentID]bool{}
		for after := ""; ; {
			page, err := x.Page([]schemas.Name{"desk", "attic"}, limit, after)
			must(t, err)
			if len(page.Holds) > limit || page.Total != len(holds)-len(gone) {
				t.Fatalf("seed %d: %d on a page of %d, total %d of %d", seed, len(page.Holds), limit, page.Total, len(holds)-len(gone))
			}
			seen = append(seen, page.Holds...)
			if after = page.After; after == "" {
				break
			}
			last := seen[len(seen)-1] // the one that the cursor stands on
			x.NotHeld(schemas.Key{Agent: last.Agent, ID: last.Intent})
			gone[last.Intent] = true
		}
		if len(seen) != len(holds) {
			t.Fatalf("seed %d: seen %d of %d", seed, len(seen), len(holds))
		}
		if !slices.IsSortedFunc(seen, func(a, b schemas.HoldLine) int { return byRisk(&entry{line: a}, &entry{line: b}) }) {
			t.Fatalf("seed %d: not in order: %v", seed, seen)
		}
	}
}

// TestOneQueue: a page shows nothing of another queue.
func TestOneQueue(t *testing.T) {
	t.Parallel()
	x, _ := crowd(40, rand.New(rand.NewPCG(1, 1)))
	page, err := x.Page([]schemas.Name{"attic"}, 100, "")
	must(t, err)
	if page.Total != 20 || len(page.Holds) != 20 || slices.ContainsFunc(page.Holds, func(l schemas.HoldLine) bool { return l.Queue != "attic" }) {
		t.Errorf("got %d of %d: %v", len(page.Holds), page.Total, page.Holds)
	}
}

func TestWrongCursors(t *testing.T) {
	t.Parallel()
	x, _ := crowd(10, rand.New(rand.NewPCG(1, 1)))
	page, err := x.Page([]schemas.Name{"desk"}, 2, "")
	must(t, err)
	for _, cursor := range []string{"x", page.After + "!", page.After[1:], "cGFya2VkIHggeCB4IHg"} {
		if _, err := x.Page([]schemas.Name{"desk"}, 2, cursor); err == nil {
			t.Errorf("cursor %q is taken", cursor)
		}
	}
}

// TestCounts: how many wait, for what, and since when.
func TestCounts(t *testing.T) {
	t.Parallel()
	s := newTale(t)
	s.park().release().held(schemas.Released, nil)
	x := fold(t, s.records)
	other := newTale(t)
	other.intent.Proposed = s.began.Add(-time.Hour)
	other.park()
	for _, r := range other.records {
		must(t, x.Apply(r))
	}
	if got, want := fmt.Sprint(x.Counts()), fmt.Sprint(map[schemas.State]int{schemas.Parked: 1, schemas.Released: 1}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := x.Oldest(); !got.Equal(other.intent.Proposed) {
		t.Errorf("the oldest is of %s, want %s", got, other.intent.Proposed)
	}
	x.NotHeld(other.intent.Key())
	x.NotReleased(s.intent.Key())
	if !x.Oldest().IsZero() || len(x.Counts()) > 0 {
		t.Errorf("nothing waits, and the oldest is of %s, and there are %v", x.Oldest(), x.Counts())
	}
}
