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
	entries map[schemas.Key]*entry
	queues  map[schemas.Name][]*entry // what needs reviewers, in the order of byRisk
	agents  map[schemas.Name]int      // how much of that is whose
	timers  timers
	wake    chan struct{} // receives when there may be an earlier timer

	// over and overBefore remember what ended, so that older records that are
	// read later do not bring it back. See Forget.
	over, overBefore map[schemas.Key]bool
}

// entry is one intent that waits.
type entry struct {
	key  schemas.Key
	line schemas.HoldLine // as far as the state has it

	seq    uint64    // of the record in PARKED that line comes from
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
		entries: map[schemas.Key]*entry{},
		over:    map[schemas.Key]bool{},
		queues:  map[schemas.Name][]*entry{},
		agents:  map[schemas.Name]int{},
		wake:    make(chan struct{}, 1),
	}
}

// Held takes in the state of a hold, whose record in PARKED has the sequence seq.
func (x *Index) Held(h schemas.Hold, seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := h.Intent.Key()
	have := x.entries[key]
	if have != nil && have.seq >= seq {
		return
	}
	if have == nil && h.State == schemas.Parked && x.isOver(key) {
		return
	}
	retried := h.State == schemas.Released && h.Doubt != nil
	if !h.Open() && !retried {
		x.end(key)
		return
	}
	x.put(&entry{
		key:    key,
		seq:    seq,
		since:  h.Intent.Proposed,
		at:     earliest(h.Deadline, h.Remind),
		remind: h.Remind,
		line: schemas.HoldLine{
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
		},
	})
}

// Settled takes in a settlement: a refusal ends the intent, a release makes it
// wait for an executor.
func (x *Index) Settled(s schemas.Settlement) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := s.Intent.Key()
	if s.Outcome != schemas.Release || s.Intent.Action == schemas.Withdraw {
		x.end(key)
		return
	}
	have := x.entries[key]
	if have == nil && x.isOver(key) || have != nil && have.line.State != schemas.Parked {
		return
	}
	x.put(&entry{key: key, since: s.Intent.Proposed, at: s.ExecuteBy, line: schemas.HoldLine{
		Agent:    key.Agent,
		Intent:   key.ID,
		Action:   s.Intent.Action,
		State:    schemas.Released,
		Since:    s.At,
		Deadline: s.ExecuteBy,
	}})
}

// Granted takes in a grant, and the pointer that names its record.
func (x *Index) Granted(g schemas.Grant, p schemas.Pointer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := g.Key()
	if x.entries[key] == nil && x.isOver(key) {
		return
	}
	since := g.At
	if have := x.entries[key]; have != nil {
		since = have.since
	}
	x.put(&entry{key: key, since: since, at: g.LeaseUntil, executor: g.Executor, grant: p, line: schemas.HoldLine{
		Agent:    key.Agent,
		Intent:   key.ID,
		Action:   g.Action,
		State:    schemas.Granted,
		Since:    g.At,
		Deadline: g.LeaseUntil,
	}})
}

// Ended takes in that nothing waits for the intent any more.
func (x *Index) Ended(k schemas.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.end(k)
}

// ClaimAgain notes that a granted intent is over its lease and may be claimed by
// another until the given time.
func (x *Index) ClaimAgain(k schemas.Key, until time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if have := x.entries[k]; have != nil && have.line.State == schemas.Granted {
		next := *have
		next.again, next.at = true, until
		x.put(&next)
	}
}

// put replaces the entry of an intent.
func (x *Index) put(e *entry) {
	x.drop(e.key)
	x.entries[e.key] = e
	if e.listed() {
		queue := x.queues[e.line.Queue]
		i, _ := slices.BinarySearchFunc(queue, e, byRisk)
		x.queues[e.line.Queue] = slices.Insert(queue, i, e)
	}
	if e.counted() {
		x.agents[e.key.Agent]++
	}
	x.schedule(e)
}

// drop takes an entry out.
func (x *Index) drop(k schemas.Key) {
	e := x.entries[k]
	if e == nil {
		return
	}
	delete(x.entries, k)
	if e.listed() {
		queue := x.queues[e.line.Queue]
		if i, found := slices.BinarySearchFunc(queue, e, byRisk); found {
			x.queues[e.line.Queue] = slices.Delete(queue, i, i+1)
		}
	}
	if e.counted() {
		if x.agents[k.Agent]--; x.agents[k.Agent] == 0 {
			delete(x.agents, k.Agent)
		}
	}
	x.unschedule(e)
}

func (x *Index) end(k schemas.Key) {
	x.drop(k)
	x.over[k] = true
}

func (x *Index) isOver(k schemas.Key) bool { return x.over[k] || x.overBefore[k] }

// Forget drops what the call before last, or earlier, was told had ended. Call it
// at intervals that are longer than records may be late.
func (x *Index) Forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over, x.overBefore = map[schemas.Key]bool{}, x.over
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
	if e := x.entries[except]; e != nil && e.counted() {
		n--
	}
	return n
}

// Streams lists the streams that the index is folded from.
func (x *Index) Streams() []schemas.Stream {
	return []schemas.Stream{schemas.ParkedHolds, schemas.Settled, schemas.Grants, schemas.Outcomes}
}

// Apply takes in a record of one of its streams. One that cannot be read is
// passed over: whoever acts on the intent will read it again, and find out.
func (x *Index) Apply(r schemas.Record) error {
	s, err := schemas.ParseSubject(r.Subject)
	if err != nil {
		return nil
	}
	key := schemas.Key{Agent: s.Agent, ID: s.Intent}
	switch s.Kind {
	case "refused", "lapsed":
		x.Ended(key)
	case "parked":
		var h schemas.Hold
		if read(r, &h) == nil {
			x.Held(h, r.Seq)
		}
	case "released":
		var settled schemas.Settlement
		if !x.knows(key) && read(r, &settled) == nil {
			x.Settled(settled)
		}
	case "granted":
		var g schemas.Grant
		if read(r, &g) == nil {
			x.Granted(g, r.Pointer())
		}
	case "outcomes":
		x.reported(r, key, s.Writer)
	}
	return nil
}

// knows reports whether a release has nothing new to say about the intent.
func (x *Index) knows(k schemas.Key) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	e := x.entries[k]
	return e == nil && x.isOver(k) || e != nil && e.line.State != schemas.Parked
}

// reported takes in a report. It ends what its executor was granted; one that
// does not count ends nothing, because the timer of the grant looks again.
func (x *Index) reported(r schemas.Record, k schemas.Key, executor schemas.Name) {
	var report schemas.Report
	if checkReport(r, &report) != nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.entries[k]; e == nil || e.executor == executor && e.grant == report.Grant {
		x.end(k)
	}
}
