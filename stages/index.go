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
	agents  map[schemas.Name]int      // how much of that is whose, or is about to be
	admits  map[schemas.Key]bool      // what is about to be
	timers  timers
	wake    chan struct{} // receives when there may be an earlier timer

	// over and overBefore remember what ended and when, so that older records
	// that are read later do not bring it back. See Forget.
	over, overBefore map[place]mark
}

// place is where an intent waits. It has two, because an agent may use an id
// twice: one intent of that id may be on hold while another is released.
type place struct {
	schemas.Key
	hold bool // for reviewers, else for executors
}

// mark says how far an intent has come at a place: the sequence of its last
// grant, and that of the last state of its hold, as far as that speaks of the
// grant. What is read late, or twice, has a mark that is not after the one that
// stands there, and changes nothing. So the index comes out the same in whatever
// order the streams are read.
type mark struct{ grant, hold uint64 }

func (m mark) after(n mark) bool {
	return m.grant > n.grant || m.grant == n.grant && m.hold > n.hold
}

// entry is an intent that waits at one place.
type entry struct {
	place
	mark mark
	line schemas.HoldLine // as far as the state has it

	since time.Time // when the intent was proposed, or not much later

	remind   time.Time // when reviewers are to be reminded; zero for never
	reminded time.Time // the moment for which they were
	again    bool      // granted, over its lease, and free to be claimed again

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
		over:    map[place]mark{},
		queues:  map[schemas.Name][]*entry{},
		agents:  map[schemas.Name]int{},
		admits:  map[schemas.Key]bool{},
		wake:    make(chan struct{}, 1),
	}
}

// Held takes in the state of a hold, whose record in PARKED has the sequence seq.
func (x *Index) Held(h schemas.Hold, seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if h.Doubt != nil {
		x.doubted(h, seq)
	}
	at := place{h.Intent.Key(), true}
	e := &entry{place: at, mark: mark{hold: seq}, since: h.Intent.Proposed, remind: h.Remind, line: lineOf(h)}
	if have := x.entries[at]; have != nil && have.reminded.Equal(h.Remind) {
		e.remind, e.reminded = time.Time{}, h.Remind
	}
	switch {
	case !x.news(at, e.mark):
		return
	case !h.Open():
		x.end(at, e.mark)
		return
	case h.State == schemas.InDoubt, x.entries[place{at.Key, false}] != nil:
		// Its report may have come just before, or it is settled and never closed.
		e.at = x.now().Add(lookSoon)
	case h.Waiting != "":
		// The thaw may have come just before, when it was not there to be found.
		e.at = earliest(h.Deadline, x.now().Add(lookSoon))
	default:
		e.at = earliest(h.Deadline, e.remind)
	}
	x.put(e)
}

// doubted takes in what a hold says of a grant that is, or was, in doubt: nobody
// may perform the intent, or it waits for an executor again.
func (x *Index) doubted(h schemas.Hold, seq uint64) {
	at := place{h.Intent.Key(), false}
	m := mark{grant: h.Doubt.Grant.Seq, hold: seq}
	switch {
	case !x.news(at, m):
	case stateOf(h) == retried:
		x.put(&entry{place: at, mark: m, since: h.Intent.Proposed, at: h.Deadline, executor: h.Doubt.Executor, grant: h.Doubt.Grant, line: lineOf(h)})
	default:
		x.end(at, m)
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
	key := s.Intent.Key()
	x.settled(key)
	x.mu.Lock()
	defer x.mu.Unlock()
	at := place{key, false}
	if s.Outcome != schemas.Release || s.Intent.Action == schemas.Withdraw || !x.news(at, mark{}) {
		return
	}
	x.put(&entry{place: at, since: s.Intent.Proposed, at: s.ExecuteBy, line: schemas.HoldLine{
		Agent:    key.Agent,
		Intent:   key.ID,
		Action:   s.Intent.Action,
		State:    schemas.Released,
		Digest:   s.Intent.Digest,
		Since:    s.At,
		Deadline: s.ExecuteBy,
	}})
}

// settled takes in that there is a verdict on an intent, and closed that nobody
// decides any more on a hold whose last record has the sequence seq.
func (x *Index) settled(k schemas.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if hold := x.entries[place{k, true}]; hold != nil && hold.line.State == schemas.Parked {
		x.reschedule(hold, earliest(hold.at, x.now().Add(lookSoon)))
	}
}

func (x *Index) closed(k schemas.Key, seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.end(place{k, true}, mark{hold: seq})
}

// Granted takes in a grant, and the pointer that names its record.
func (x *Index) Granted(g schemas.Grant, p schemas.Pointer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	at, m := place{g.Key(), false}, mark{grant: p.Seq}
	if !x.news(at, m) {
		return
	}
	since := g.At
	if have := x.entries[at]; have != nil {
		since = have.since
	}
	x.put(&entry{place: at, mark: m, since: since, at: g.LeaseUntil, executor: g.Executor, grant: p, line: schemas.HoldLine{
		Agent:    g.Agent,
		Intent:   g.Intent,
		Action:   g.Action,
		State:    schemas.Granted,
		Digest:   g.Digest,
		Since:    g.At,
		Deadline: g.LeaseUntil,
	}})
}

// Ended takes in that no executor has anything to do any more about the grant of
// an intent, or after the lapse, whose record has the sequence seq.
func (x *Index) Ended(k schemas.Key, seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.end(place{k, false}, mark{grant: seq})
}

// NotReleased takes in that the intent is nothing for executors.
func (x *Index) NotReleased(k schemas.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(place{k, false})
}

// NotHeld takes in that there is no hold on the intent.
func (x *Index) NotHeld(k schemas.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(place{k, true})
}

// ClaimAgain notes that the grant that p names is over its lease, and its intent
// may be claimed by another until the given time.
func (x *Index) ClaimAgain(k schemas.Key, p schemas.Pointer, until time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if have := x.entries[place{k, false}]; have != nil && have.line.State == schemas.Granted && have.grant == p {
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
		if x.admits[e.Key] {
			delete(x.admits, e.Key)
			x.uncount(e.Agent)
		}
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
		x.uncount(e.Agent)
	}
	x.unschedule(e)
}

// news reports whether something with the mark m is not known yet at a place.
func (x *Index) news(at place, m mark) bool {
	if e := x.entries[at]; e != nil {
		return m.after(e.mark)
	}
	for _, over := range []map[place]mark{x.over, x.overBefore} {
		if ended, known := over[at]; known && !m.after(ended) {
			return false
		}
	}
	return true
}

// end takes out what is at a place, unless it is after m, and remembers that.
func (x *Index) end(at place, m mark) {
	if e := x.entries[at]; e != nil && e.mark.after(m) {
		return
	}
	x.drop(at)
	if over, known := x.over[at]; !known || m.after(over) {
		x.over[at] = m
	}
}

// Forget drops what the call before last, or earlier, was told had ended. Call it
// at intervals that are longer than records may be late.
func (x *Index) Forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over, x.overBefore = map[place]mark{}, x.over
}

// counted reports whether the intent counts against its agent's limit.
func (e *entry) counted() bool { return e.line.State == schemas.Parked && e.line.Waiting == "" }

// listed reports whether reviewers see the intent.
func (e *entry) listed() bool { return e.counted() || e.line.State == schemas.InDoubt }

// Admit reports whether an intent may be put before the reviewers, if at most
// limit of its agent may wait for them. It counts as one of them from then on,
// until Admitted is called and the index knows what came of it.
func (x *Index) Admit(k schemas.Key, limit int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.entries[place{k, true}]; x.admits[k] || e != nil && e.counted() {
		return true
	}
	if x.agents[k.Agent] >= limit {
		return false
	}
	x.admits[k] = true
	x.agents[k.Agent]++
	return true
}

// Admitted ends what Admit began.
func (x *Index) Admitted(k schemas.Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.admits[k] {
		delete(x.admits, k)
		x.uncount(k.Agent)
	}
}

func (x *Index) uncount(agent schemas.Name) {
	if x.agents[agent]--; x.agents[agent] == 0 {
		delete(x.agents, agent)
	}
}
