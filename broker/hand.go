package broker

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// ackWait is when the broker hands out again what a stage has taken and says
	// nothing about. It is what the death of a stage costs the messages that it
	// had.
	ackWait = 2 * time.Second

	// handBeat is how often a stage says of a message that it still has it, and
	// handLongest for how long at most: a message on which a stage is stuck goes
	// to another.
	handBeat    = ackWait / 4
	handLongest = time.Minute
)

// hand is the messages that a stage has taken and not answered yet.
type hand struct {
	// mu guards taken, for the time of one look.
	mu    sync.Mutex
	taken map[*nats.Msg]time.Time // since when
}

func newHand() *hand { return &hand{taken: map[*nats.Msg]time.Time{}} }

func (h *hand) take(m *nats.Msg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken[m] = time.Now()
}

func (h *hand) leave(m *nats.Msg) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.taken, m)
}

// hold keeps the broker from handing out again what is in hand, until stop is
// called.
func (h *hand) hold() (stop func()) {
	ticker, stopped := time.NewTicker(handBeat), make(chan struct{})
	var holding sync.WaitGroup
	holding.Go(func() {
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				for _, m := range h.waiting(now) {
					_ = m.InProgress() // at worst it is handled twice
				}
			case <-stopped:
				return
			}
		}
	})
	return func() {
		close(stopped)
		holding.Wait()
	}
}

// waiting returns what has been in hand for a while.
func (h *hand) waiting(now time.Time) []*nats.Msg {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []*nats.Msg
	for m, since := range h.taken {
		if age := now.Sub(since); age >= handBeat && age < handLongest {
			all = append(all, m)
		}
	}
	return all
}
