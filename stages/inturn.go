package stages

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/holdpoint/holdpoint/schemas"
)

// Turns lets those who take of the same budget go one after the other within a
// process, once they were in each other's way. Otherwise each of many judges again for
// every one that comes before it. Nothing depends on it but speed: a nil Turns lets all
// go at once.
type Turns struct {
	mu    sync.Mutex // guards turns, for the time of one look
	turns map[string]*turn
}

// turn is one budget's.
type turn struct {
	free chan struct{} // holds one thing while it is nobody's turn
	want int           // who has it and who waits
}

// NewTurns returns turns that nobody has.
func NewTurns() *Turns { return &Turns{turns: map[string]*turn{}} }

// wait returns when it is the caller's turn at a subject of BUDGETS, until done is
// called, or when ctx ends.
func (t *Turns) wait(ctx context.Context, subject string) (done func()) {
	if t == nil {
		return func() {}
	}
	t.mu.Lock()
	at := t.turns[subject]
	if at == nil {
		at = &turn{free: make(chan struct{}, 1)}
		at.free <- struct{}{}
		t.turns[subject] = at
	}
	at.want++
	t.mu.Unlock()
	has := false
	select {
	case <-at.free:
		has = true
	case <-ctx.Done():
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if has {
			at.free <- struct{}{}
		}
		if at.want--; at.want == 0 {
			delete(t.turns, subject)
		}
	}
}

// takenError says that others took of a budget since it was read: judge again.
type takenError struct{ subject string }

func (e *takenError) Error() string {
	return fmt.Sprintf("others take of %s at this moment", e.subject)
}
func (e *takenError) Unwrap() error { return schemas.ErrStale }

// inTurn judges again and again, as long as others take of the same budget first. What
// judge does must not be in turn itself: it could wait for its own.
func (e *Execute) inTurn(ctx context.Context, judge func() error) error {
	done := func() {}
	for {
		err := func() error {
			defer done() // also if it panics: then the message comes again
			return judge()
		}()
		taken, raced := errors.AsType[*takenError](err)
		if !raced || ctx.Err() != nil {
			return err
		}
		done = e.Turns.wait(ctx, taken.subject)
	}
}
