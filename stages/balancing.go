package stages

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/holdpoint/holdpoint/schemas"
)

// mostAsking is how many questions about budgets are answered at once, or wait for one
// another. The others, claims among them, are to have places left.
const mostAsking = 8

// balancing lets those who ask about budgets look at the keys one after the other: those
// may be a hundred megabytes, and the broker cuts off a connection, that of the execute
// stage, on which more waits than it keeps. Who waited while another looked at the same
// goes by what that one saw: a client asks again when an answer takes long.
type balancing struct {
	turn sync.Mutex // held while one looks

	// mu guards what follows, and is held for a moment.
	mu     sync.Mutex
	asking int
	looks  int // how many ended
	last   seen
}

// seen is what was seen at the keys of some budgets.
type seen struct {
	of     string
	look   int
	found  []touched
	unread int
}

// enter returns how many have looked so far, or an ErrUnavailable if too many ask. Who
// enters must leave.
func (b *balancing) enter() (looks int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asking == mostAsking {
		return 0, fmt.Errorf("%w: %d questions about budgets are being answered; ask again when they are", schemas.ErrUnavailable, b.asking)
	}
	b.asking++
	return b.looks, nil
}

func (b *balancing) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asking--; b.asking == 0 {
		b.last = seen{}
	}
}

// look returns what look sees, or what another saw of the same who ended after so many
// had looked. A look ends with its context at the latest, and so does the wait for it:
// whoever came before began before.
func (b *balancing) look(ctx context.Context, of string, after int, look func() ([]touched, int, error)) ([]touched, int, error) {
	b.turn.Lock()
	defer b.turn.Unlock()
	b.mu.Lock()
	last := b.last
	b.mu.Unlock()
	if last.of == of && last.look > after {
		return slices.Clone(last.found), last.unread, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, fmt.Errorf("%w: others asked about budgets for so long: %w", schemas.ErrUnavailable, err)
	}
	found, unread, err := look()
	if err != nil {
		return nil, 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks++
	b.last = seen{of, b.looks, found, unread}
	return slices.Clone(found), unread, nil
}
