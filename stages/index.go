package stages

import (
	"slices"
	"sync"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// Index is every intent that waits for somebody: for reviewers, for an executor,
// for a report. It is folded from the streams, holds nothing that they do not
// say, and decides nothing: whoever acts on it reads the streams again. It is
// what makes a list of a hundred holds among millions of closed ones cheap, and
// what timers are kept in. It may be used concurrently.
type Index struct {
	now func() time.Time

	// mu guards everything below, for the time of one change or one page.
	mu      sync.RWMutex
	entries map[place]*entry
	queues  map[schemas.Name][]*entry // what needs reviewers, in the order of byRisk
	agents  map[schemas.Name]int      // how much of that is whose
	timers  timers
	wake    chan struct{} // receives when there may be an earlier timer

	// over and overBefore remember what ended, so that older records that are
	// read later do not bring it back. See Forget.
	over, overBefore map[place]bool
}

// place is where an intent waits. It has two, because an agent may use an id
// twice: one intent of that id may be on hold while another is released.
type place struct {
	schemas.Key
	hold bool // for reviewers, else for executors
}

// entry is an intent that waits at one place.
type entry struct {
	place
	line schemas.HoldLine // as far as the state has it

	seq    uint64    // of the record of the hold that line comes from
	since  time.Time // when the intent was proposed, or not much later
	remind time.Time
	again  bool // granted, over its lease, and free to be claimed again

	executor schemas.Name    // who holds the grant
	grant    schemas.Pointer // which names the grant

	at  time.Time // when somebody should look at it; zero for never
	pos int       // where it stands in timers
}

// NewIndex returns an empty index. If now is nil, time.Now is used.
func NewIndex(now func() time.Time) *Index {
	if now == nil {
		now = time.Now
	}
	return &Index{
		now:     now,
		entries: map[place]*entry{},
		over:    map[place]bool{},
		queues:  map[schemas.Name][]*entry{},
		agents:  map[schemas.Name]int{},
		wake:    make(chan struct{}, 1),
	}
}

// Held takes in the state of a hold, whose record in PARKED has the sequence seq.
func (x *Index) Held(h schemas.Hold, seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	at := place{h.Intent.Key(), true}
	have := x.entries[at]
	if have != nil && have.seq >= seq {
		return
	}
	switch {
	case stateOf(h) == retried:
		x.end(at)
		x.put(&entry{place: place{at.Key, false}, since: h.Intent.Proposed, at: h.Deadline, line: lineOf(h)})
	case !h.Open():
		x.end(at)
	case have != nil || !x.isOver(at) || h.State == schemas.InDoubt:
		e := &entry{place: at, seq: seq, since: h.Intent.Proposed, remind: h.Remind, at: earliest(h.Deadline, h.Remind), line: lineOf(h)}
		if h.State == schemas.InDoubt {
			x.end(place{at.Key, false})
		} else if x.entries[place{at.Key, false}] != nil {
			e.at = x.now() // settled, and never closed
		}
		x.put(e)
	}
}

func lineOf(h schemas.Hold) schemas.HoldLine {
	return schemas.HoldLine{
		Agent:    h.Intent.Agent,
		Intent:   h.Intent.ID,
		Action:   h.Intent.Action,
		Queue:    h.Queue,
		State:    h.State,
		Waiting:  h.Waiting,
		Risk:     h.Opinion.Risk,
		Votes:    len(h.Votes),
		Quorum:   schemas.Places(h.Requirements()),
		Digest:   h.Intent.Digest,
		Since:    h.Intent.Proposed,
		Deadline: h.Deadline,
	}
}

// Settled takes in a settlement: a release makes the intent wait for an executor.
// A hold of that id that is not closed soon is looked at.
func (x *Index) Settled(s schemas.Settlement) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := s.Intent.Key()
	if hold := x.entries[place{key, true}]; hold != nil && hold.line.State == schemas.Parked {
		x.reschedule(hold, earliest(hold.at, x.now().Add(closeWait)))
	}
	at := place{key, false}
	if s.Outcome != schemas.Release || s.Intent.Action == schemas.Withdraw || x.entries[at] != nil || x.isOver(at) {
		return
	}
	x.put(&entry{place: at, since: s.Intent.Proposed, at: s.ExecuteBy, line: schemas.HoldLine{
		Agent:    key.Agent,
		Intent:   key.ID,
		Action:   s.Intent.Action,
		State:    schemas.Released,
		Since:    s.At,
		Deadline: s.ExecuteBy,
	}})
}

// closeWait is how long a hold that is settled may stay open before somebody
// looks: whoever settled it closes it, unless it crashed.
const closeWait = time.Second

// Granted takes in a grant, and the pointer that names its record.
func (x *Index) Granted(g schemas.Grant, p schemas.Pointer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	at := place{g.Key(), false}
	have := x.entries[at]
	if have == nil && x.isOver(at) || have != nil && have.grant.Seq >= p.Seq {
		return
	}
	since := g.At
	if have != nil {
		since = have.since
	}
	x.put(&entry{place: at, since: since, at: g.LeaseUntil, executor: g.Executor, grant: p, line: schemas.HoldLine{
		Agent:    g.Agent,
		Intent:   g.Intent,
		Action:   g.Action,
		State:    schemas.Granted,
		Since:    g.At,
		Deadline: g.LeaseUntil,
	}})
}

// Ended takes in that no executor has anything to do about the intent any more.
func (x *Index) Ended(k schemas.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.end(place{k, false})
}

// NotHeld takes in that there is no hold on the intent.
func (x *Index) NotHeld(k schemas.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.end(place{k, true})
}

// ClaimAgain notes that a granted intent is over its lease and may be claimed by
// another until the given time.
func (x *Index) ClaimAgain(k schemas.Key, until time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if have := x.entries[place{k, false}]; have != nil && have.line.State == schemas.Granted {
		have.again = true
		x.reschedule(have, until)
	}
}

// put replaces the entry at a place.
func (x *Index) put(e *entry) {
	x.drop(e.place)
	x.entries[e.place] = e
	if e.listed() {
		queue := x.queues[e.line.Queue]
		i, _ := slices.BinarySearchFunc(queue, e, byRisk)
		x.queues[e.line.Queue] = slices.Insert(queue, i, e)
	}
	if e.counted() {
		x.agents[e.Agent]++
	}
	x.schedule(e)
}

// drop takes an entry out.
func (x *Index) drop(at place) {
	e := x.entries[at]
	if e == nil {
		return
	}
	delete(x.entries, at)
	if e.listed() {
		queue := x.queues[e.line.Queue]
		if i, found := slices.BinarySearchFunc(queue, e, byRisk); found {
			x.queues[e.line.Queue] = slices.Delete(queue, i, i+1)
		}
	}
	if e.counted() {
		if x.agents[e.Agent]--; x.agents[e.Agent] == 0 {
			delete(x.agents, e.Agent)
		}
	}
	x.unschedule(e)
}

func (x *Index) end(at place) {
	x.drop(at)
	x.over[at] = true
}

func (x *Index) isOver(at place) bool { return x.over[at] || x.overBefore[at] }

// Forget drops what the call before last, or earlier, was told had ended. Call it
// at intervals that are longer than records may be late.
func (x *Index) Forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over, x.overBefore = map[place]bool{}, x.over
}

// counted reports whether the intent counts against its agent's limit.
func (e *entry) counted() bool { return e.line.State == schemas.Parked && e.line.Waiting == "" }

// listed reports whether reviewers see the intent.
func (e *entry) listed() bool { return e.counted() || e.line.State == schemas.InDoubt }

// OpenHolds returns how many intents of agent wait for reviewers, except the one
// given.
func (x *Index) OpenHolds(agent schemas.Name, except schemas.Key) int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n := x.agents[agent]
	if e := x.entries[place{except, true}]; e != nil && e.counted() {
		n--
	}
	return n
}
