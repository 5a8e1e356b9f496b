package stages

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestTurns: at one subject it is one's turn at a time, at others nobody waits, who
// gives up waiting takes nobody's turn, and nothing is left behind.
func TestTurns(t *testing.T) {
	t.Parallel()
	turns := NewTurns()
	var all sync.WaitGroup
	var count int // guarded by the turn alone
	for range 100 {
		all.Go(func() {
			done := turns.wait(t.Context(), "budgets.a.x")
			defer done()
			count++
		})
	}
	all.Wait()
	if count != 100 {
		t.Errorf("got %d turns, want 100", count)
	}
	mine := turns.wait(t.Context(), "budgets.a.x")
	turns.wait(t.Context(), "budgets.a.y")()
	ended, end := context.WithCancel(t.Context())
	end()
	gaveUp := turns.wait(ended, "budgets.a.x")
	gaveUp()
	mine()
	turns.wait(t.Context(), "budgets.a.x")()
	if len(turns.turns) > 0 {
		t.Errorf("left behind: %v", turns.turns)
	}
	(*Turns)(nil).wait(t.Context(), "budgets.a.x")()
}

// TestInTurn: whoever was overtaken judges again until it is not, or ctx ends, and gives
// its turn back whatever happens.
func TestInTurn(t *testing.T) {
	t.Parallel()
	e := &Execute{Turns: NewTurns()}
	tries := 0
	overtaken := func() error {
		if tries++; tries < 4 {
			return fmt.Errorf("taking: %w", &takenError{"budgets.a.x"})
		}
		return nil
	}
	if err := e.inTurn(t.Context(), overtaken); err != nil || tries != 4 {
		t.Errorf("got %v after %d tries, want nil after 4", err, tries)
	}
	tries = 0
	ctx, end := context.WithCancel(t.Context())
	end()
	if err := e.inTurn(ctx, overtaken); !errors.Is(err, schemas.ErrStale) || tries != 1 {
		t.Errorf("ctx ended: got %v after %d tries, want that it is stale after 1", err, tries)
	}
	tries = 0
	func() {
		defer func() { _ = recover() }()
		_ = e.inTurn(t.Context(), func() error {
			if err := overtaken(); tries < 3 {
				return err
			}
			panic("a bug")
		})
	}()
	if len(e.Turns.turns) > 0 {
		t.Errorf("left behind: %v", e.Turns.turns)
	}
}
