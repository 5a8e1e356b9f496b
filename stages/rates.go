package stages

import (
	"sync"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// Rates counts the intents of each agent in the minute before, in steps of five
// seconds. It is a reading for rules and not a limit: each observe process
// counts what it sees, from the moment it started.
type Rates struct {
	// mu guards agents, for the time of one count.
	mu     sync.Mutex
	agents map[schemas.Name]*window
}

const (
	rateStep  = 5 * time.Second
	rateSteps = int64(time.Minute / rateStep)
)

// window is a ring of counts, one for each step, the last of which is at step.
type window struct {
	step   int64
	counts [rateSteps]int
}

// NewRates returns rates that have counted nothing.
func NewRates() *Rates { return &Rates{agents: map[schemas.Name]*window{}} }

// Count adds an intent of agent at time at, and returns how many there were in
// the minute that ends then, this one included.
func (r *Rates) Count(agent schemas.Name, at time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.agents[agent]
	if w == nil {
		w = &window{}
		r.agents[agent] = w
	}
	step := at.UnixNano() / int64(rateStep)
	w.advance(step)
	w.counts[w.step%rateSteps]++
	total := 0
	for _, n := range w.counts {
		total += n
	}
	return total
}

// advance forgets the steps between the last count and step. A time that lies
// back counts as now.
func (w *window) advance(step int64) {
	for ; w.step < step; w.step++ {
		if step-w.step > rateSteps {
			*w = window{step: step}
			return
		}
		w.counts[(w.step+1)%rateSteps] = 0
	}
}
