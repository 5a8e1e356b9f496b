package stages

import (
	"slices"
	"sync"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// lookingFor is how long a reviewer who was shown a hold counts as looking.
	lookingFor = 2 * time.Minute

	// mostLooking is how many holds are remembered.
	mostLooking = 10_000
)

// looking remembers who was shown which hold, so that two reviewers need not do
// the same work. It is a hint: each process that answers knows of its own
// answers only, and forgets them when it ends.
type looking struct {
	// mu guards holds, for the time of one look.
	mu    sync.Mutex
	holds map[schemas.Key]map[schemas.Name]time.Time
}

// look notes that a reviewer is shown a hold, and returns who else was lately,
// sorted.
func (l *looking) look(k schemas.Key, reviewer schemas.Name, now time.Time) (others []schemas.Name) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holds == nil || len(l.holds) >= mostLooking {
		l.holds = map[schemas.Key]map[schemas.Name]time.Time{}
	}
	if l.holds[k] == nil {
		l.holds[k] = map[schemas.Name]time.Time{}
	}
	for name, at := range l.holds[k] {
		switch {
		case now.Sub(at) > lookingFor:
			delete(l.holds[k], name)
		case name != reviewer:
			others = append(others, name)
		}
	}
	l.holds[k][reviewer] = now
	slices.Sort(others)
	return others
}
