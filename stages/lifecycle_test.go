package stages

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// checkHistory applies events to a new intent, one after the other, and says what
// is wrong with what came of it. It notes in taken what happened to it.
func checkHistory(events []event, taken map[schemas.State]map[event]bool) error {
	state, settled := schemas.Proposed, schemas.State("")
	granted := false
	for i, e := range events {
		next, err := after(state, e)
		if err != nil {
			if !errors.Is(err, schemas.ErrClosed) || next != state {
				return fmt.Errorf("event %d, %s on %s: got %s, %v, want no change and ErrClosed", i, e, state, next, err)
			}
			continue
		}
		if taken[state] != nil {
			taken[state][e] = true
		}
		switch {
		case state.Final():
			return fmt.Errorf("event %d: %s left %s for %s", i, e, state, next)
		case next == schemas.Released && e != rulesRelease && e != approved:
			return fmt.Errorf("event %d: released by %s", i, e)
		case next == schemas.Released && e == rulesRelease && state != schemas.Proposed:
			return fmt.Errorf("event %d: the rules alone released what was %s", i, state)
		case next == retried && (e != retry || !granted):
			return fmt.Errorf("event %d: a retry of what was never granted, or without a word", i)
		case (next == schemas.Released || next == schemas.Refused) && settled != "":
			return fmt.Errorf("event %d: settled as %s after %s", i, next, settled)
		case next == schemas.Granted && settled != schemas.Released:
			return fmt.Errorf("event %d: granted, and not released", i)
		case next == schemas.Done && !granted:
			return fmt.Errorf("event %d: done, and never granted", i)
		}
		if next == schemas.Released || next == schemas.Refused {
			settled = next
		}
		granted = granted || next == schemas.Granted
		state = next
	}
	return nil
}

// TestHistoriesOverTheTable: ten thousand random histories keep the promises of
// the table (invariants 1, 2, 6, 9), and pass through all of it.
func TestHistoriesOverTheTable(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	taken := map[schemas.State]map[event]bool{}
	for s := range transitions {
		taken[s] = map[event]bool{}
	}
	for n := range 10_000 {
		events := make([]event, 1+random.IntN(40))
		for i := range events {
			events[i] = event(random.IntN(int(lastEvent)))
		}
		if err := checkHistory(events, taken); err != nil {
			t.Fatalf("history %d of seed %d, %v: %v", n, seed, events, err)
		}
	}
	for s, byEvent := range transitions {
		for e := range byEvent {
			if !taken[s][e] {
				t.Errorf("seed %d: in no history does %s follow on %s", seed, e, s)
			}
		}
	}
}

func FuzzLifecycle(f *testing.F) {
	f.Add([]byte{0, 7, 9})
	f.Add([]byte{1, 3, 7, 11, 15, 7, 9})
	f.Add([]byte{1, 1, 4, 3, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		events := make([]event, len(b))
		for i := range b {
			events[i] = event(b[i] % uint8(lastEvent))
		}
		if err := checkHistory(events, nil); err != nil {
			t.Fatalf("%v: %v", events, err)
		}
	})
}

// TestEveryStateCanEnd: nothing is a trap.
func TestEveryStateCanEnd(t *testing.T) {
	t.Parallel()
	ends := map[schemas.State]bool{schemas.Refused: true, schemas.Lapsed: true, schemas.Done: true, schemas.Failed: true}
	for range len(transitions) {
		for s, byEvent := range transitions {
			for _, next := range byEvent {
				ends[s] = ends[s] || ends[next]
			}
		}
	}
	for s := range transitions {
		if !ends[s] {
			t.Errorf("%s never ends", s)
		}
		if s.Final() {
			t.Errorf("%s is final, and something leads out of it", s)
		}
	}
}
