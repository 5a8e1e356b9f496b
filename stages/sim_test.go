package stages

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// The simulation runs the real stages over a real broker. It hands out their
// messages itself: in any order, more than once, to one of two replicas, with
// writes that are lost or land unseen, with crashes before or after any write, and
// with replicas that learn late what the other one wrote. Only the clock, the
// health of the audit and the freezes are made up.

// sim is one history: its own clock, its own two replicas, its own idea of who is
// registered.
type sim struct {
	*arena
	t      *testing.T
	random *rand.Rand
	copies shelves // what this history wrote
	offset atomic.Int64

	replicas [2]*replica
	look     *Execute // reads without faults
	inbox    []schemas.Record
	intents  []schemas.Key
	claims   []schemas.Claim // grants that an executor holds and has not reported

	// mu guards what follows: replicas work at the same time.
	mu      sync.Mutex
	written map[schemas.Stream]uint64 // the last sequence
	removed map[schemas.Name]bool
	since   map[schemas.Name]time.Time // when somebody was registered, if not before
	ill     bool
	frozen  bool                // agent bot
	policy  string              // the active bundle
	acted   map[schemas.Key]int // how often the action was performed
	spans   []span              // what was so, and when
	limits  Limits
	never   string           // what kind of record no stream takes
	trace   []schemas.Stream // what the stages wrote
	witness bool             // checks what bells ring for
}

// shelf is a copy of a stream.
type shelf struct {
	tail    *broker.Tail
	records []schemas.Record
	handed  int // how many were put into the inbox
}

// shelves are the streams of a history, and what an index is loaded from.
type shelves map[schemas.Stream]*shelf

func (all shelves) Subjects(_ context.Context, stream schemas.Stream, _ string) (map[string]uint64, error) {
	subjects := map[string]uint64{}
	for _, r := range all[stream].records {
		subjects[r.Subject]++
	}
	return subjects, nil
}

func (all shelves) LastOf(_ context.Context, stream schemas.Stream, subjects []string, take func(schemas.Record) error) error {
	last := map[string]schemas.Record{}
	for _, r := range all[stream].records {
		last[r.Subject] = r
	}
	for _, subject := range subjects {
		if err := take(last[subject]); err != nil {
			return err
		}
	}
	return nil
}

func (all shelves) After(_ context.Context, stream schemas.Stream, seq uint64, take func(schemas.Record) error) error {
	for _, r := range all[stream].records {
		if r.Seq > seq {
			if err := take(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (all shelves) Each(_ context.Context, stream schemas.Stream, filter string, next func(schemas.Record) bool) error {
	for _, r := range all[stream].records {
		if r.Subject == filter && !next(r) {
			return nil
		}
	}
	return nil
}

// replica is one process of the gate.
type replica struct {
	observe   *Observe
	recommend *Recommend
	execute   *Execute
	faults    *faults
	followed  map[schemas.Stream]int // how many records its index has read
}

func newSim(t *testing.T, a *arena, seed uint64) *sim {
	t.Helper()
	s := &sim{
		arena: a, t: t, random: rand.New(rand.NewPCG(seed, 1)),
		copies: shelves{}, written: map[schemas.Stream]uint64{},
		policy: "bundle", limits: DefaultLimits(), removed: map[schemas.Name]bool{}, acted: map[schemas.Key]int{},
	}
	for _, stream := range schemas.Streams() {
		last, err := a.logs[schemas.RoleExecute].LastSeq(t.Context(), stream)
		must(t, err)
		s.copies[stream] = &shelf{tail: a.logs[schemas.RoleExecute].Tail(stream, "", last+1)}
	}
	for i := range s.replicas {
		s.replicas[i] = s.boot()
	}
	look := *s.replicas[0].execute
	look.Log = a.logs[schemas.RoleExecute]
	s.look = &look
	return s
}

// ByName is the directory of this history.
func (s *sim) ByName(name schemas.Name) (schemas.Identity, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.people[name]
	id.At = s.since[name]
	return id, ok && !s.removed[name]
}

func (s *sim) Ever(name schemas.Name) (schemas.Identity, bool) {
	id, ok := s.people[name]
	return id, ok
}

// Check is the health of this history.
func (s *sim) Check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ill {
		return schemas.ErrUnavailable
	}
	return nil
}

func (s *sim) Exposure(schemas.Name) schemas.Exposure { return schemas.Exposure{} }
func (s *sim) now() time.Time                         { return time.Now().Add(time.Duration(s.offset.Load())) }
func (s *sim) pass(d time.Duration)                   { s.offset.Add(int64(d)) }

// limit sets how many intents of one agent may wait for reviewers.
func (s *sim) limit(open int) {
	s.limits.OpenHolds = open
	for _, p := range s.replicas {
		p.execute.Limits = s.limits
	}
}

// Intent is the bell of an agent: what it rings for must be on record.
func (s *sim) Intent(k schemas.Key, state schemas.State) {
	if !s.witness {
		return
	}
	if state == schemas.Parked || state == schemas.InDoubt {
		s.Hold("", k, string(state))
		return
	}
	if now, err := s.look.progress(context.Background(), k); err != nil || now.state() != state {
		s.t.Errorf("the agent is told that %s is %s, and it is %s, %v", k, state, now.state(), err)
	}
}

// Hold is the bell of the reviewers.
func (s *sim) Hold(_ schemas.Name, k schemas.Key, what string) {
	if !s.witness {
		return
	}
	if h, _, err := s.look.hold(context.Background(), k); err != nil || string(h.State) != what && what != "reminder" {
		s.t.Errorf("somebody is told that %s is %s, and it is %s, %v", k, what, h.State, err)
	}
}

// boot starts a process: it knows what the streams say, and nothing else.
func (s *sim) boot() *replica {
	s.t.Helper()
	control := NewControlState(adminDirectory{})
	s.control(control, schemas.Activation{By: "boss", Bundle: s.bundle[s.policy].Digest(), At: s.now()})
	control.Load(s.bundle[s.policy])
	if s.frozen {
		s.control(control, schemas.Freeze{By: "boss", Scope: schemas.Scope{Agent: "bot"}, Reason: "sim", At: s.now()})
	}
	r := &replica{faults: &faults{}, followed: map[schemas.Stream]int{}}
	common := func(role schemas.Role) Common {
		return Common{Gateway: schemas.Name(simTenant), Log: faulty{s.logs[role], s, r.faults}, Control: control, Names: s, Now: s.now}
	}
	r.observe = &Observe{Common: common(schemas.RoleObserve), Exposures: s, Rates: NewRates()}
	r.recommend = &Recommend{Common: common(schemas.RoleRecommend)}
	r.execute = &Execute{
		Common: common(schemas.RoleExecute), Bell: s, Eligibility: &rules.Eligibility{}, Health: s,
		Index: NewIndex(s.now), Standings: NewStandings(s.now), Limits: s.limits,
	}
	s.load(r)
	return r
}

// load lets a process find what waits as a gate does at its start.
func (s *sim) load(r *replica) {
	s.t.Helper()
	s.refresh()
	handled := s.handled(schemas.Outcomes)
	must(s.t, r.execute.Index.Load(s.t.Context(), s.copies, handled))
	must(s.t, s.copies.After(s.t.Context(), schemas.Outcomes, handled, r.execute.Index.Apply))
	for _, standing := range s.copies[schemas.Standings].records {
		must(s.t, r.execute.Standings.Apply(standing))
	}
	for stream, c := range s.copies {
		r.followed[stream] = len(c.records)
	}
}

// handled returns up to which sequence the messages of a stream are dealt with.
func (s *sim) handled(stream schemas.Stream) (seq uint64) {
	c := s.copies[stream]
	if c.handed > 0 {
		seq = c.records[c.handed-1].Seq
	}
	for _, r := range s.inbox {
		if r.Stream == stream {
			seq = min(seq, r.Seq-1)
		}
	}
	return seq
}

// inTime returns what the index is folded from, as the broker accepted it.
func (s *sim) inTime() []schemas.Record {
	s.t.Helper()
	s.refresh()
	var all []schemas.Record
	for _, stream := range (*Index)(nil).Streams() {
		all = append(all, s.copies[stream].records...)
	}
	slices.SortStableFunc(all, func(a, b schemas.Record) int { return a.Time.Compare(b.Time) })
	return all
}

// wrote notes that a stream has that record.
func (s *sim) wrote(stream schemas.Stream, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written[stream] = max(s.written[stream], seq)
}

func (s *sim) traced(stream schemas.Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trace = append(s.trace, stream)
}

// refresh copies what was written.
func (s *sim) refresh() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for stream, last := range s.written {
		c := s.copies[stream]
		must(s.t, c.tail.ReadTo(s.t.Context(), last, func(r schemas.Record) error {
			c.records = append(c.records, r)
			return nil
		}))
	}
}

// control hands a record of CONTROL to a process.
func (s *sim) control(c *ControlState, content schemas.Content) {
	s.t.Helper()
	d := schemas.Write(content, "/sim", s.now(), "")
	must(s.t, c.Apply(schemas.Record{Stream: schemas.Control, Subject: d.Subject, Header: d.Header, Body: d.Body}))
}

func (s *sim) everywhere(content schemas.Content) {
	for _, r := range s.replicas {
		s.control(r.execute.Control, content)
	}
}

// send publishes as somebody from outside.
func (s *sim) send(as schemas.Name, d schemas.Draft) schemas.Pointer {
	s.t.Helper()
	sent, err := s.conns[as].Send(s.t.Context(), d)
	must(s.t, err)
	s.wrote(sent.Stream, sent.Seq)
	return schemas.Record{Stream: sent.Stream, Seq: sent.Seq, Subject: d.Subject, Header: d.Header, Body: d.Body}.Pointer()
}

// collect takes what the streams have that stages work on.
func (s *sim) collect() {
	s.t.Helper()
	s.refresh()
	for _, stream := range []schemas.Stream{schemas.Intents, schemas.Observed, schemas.Recommended, schemas.Decisions, schemas.Outcomes} {
		c := s.copies[stream]
		s.inbox = append(s.inbox, c.records[c.handed:]...)
		c.handed = len(c.records)
	}
}

// take removes one record from the inbox.
func (s *sim) take() (schemas.Record, bool) {
	if len(s.inbox) == 0 {
		return schemas.Record{}, false
	}
	i := s.random.IntN(len(s.inbox))
	r := s.inbox[i]
	s.inbox = slices.Delete(s.inbox, i, i+1)
	return r, true
}

// handler returns the stage that handles a stream.
func (p *replica) handler(stream schemas.Stream) broker.Handler {
	switch stream {
	case schemas.Intents:
		return p.observe
	case schemas.Observed:
		return p.recommend
	case schemas.Recommended:
		return p.execute.Recommendations()
	case schemas.Decisions:
		return p.execute.Decisions()
	default:
		return p.execute.Reports()
	}
}

// deliver hands one record to a replica, as the broker does, and reports whether
// it is done with. The replica may crash at it, or be at fault and refuse it.
func (s *sim) deliver(i int, r schemas.Record) (done bool) {
	return s.guarded(i, func(p *replica) (err error) {
		h := p.handler(r.Stream)
		defer func() {
			if cause := recover(); cause == any(errBug) {
				err = h.Refuse(context.Background(), r, "a bug")
			} else if cause != nil {
				panic(cause)
			}
		}()
		return h.Handle(context.Background(), r)
	})
}

// guarded runs something in a replica, which is no more after a crash.
func (s *sim) guarded(i int, do func(*replica) error) (done bool) {
	p := s.replicas[i]
	if p == nil {
		return false
	}
	defer func() {
		if cause := recover(); cause != nil {
			if cause != any(errCrash) {
				panic(cause)
			}
			s.replicas[i] = nil
			done = false
		}
	}()
	err := do(p)
	if errors.Is(err, schemas.ErrInvalid) {
		s.t.Errorf("a message was given up: %v", err)
	}
	return err == nil || errors.Is(err, schemas.ErrClosed) || errors.Is(err, schemas.ErrInvalid)
}

// asked is guarded for a question, whose asker is told of a bug only that it did not
// work.
func (s *sim) asked(i int, do func(*replica) error) (done bool) {
	return s.guarded(i, func(p *replica) (err error) {
		defer func() {
			if cause := recover(); cause == any(errBug) {
				err = schemas.ErrUnavailable
			} else if cause != nil {
				panic(cause)
			}
		}()
		return do(p)
	})
}

// revive starts the processes that crashed.
func (s *sim) revive() {
	for i, p := range s.replicas {
		if p == nil {
			s.replicas[i] = s.boot()
		}
	}
}

// follow lets a replica know what the other one wrote: all of it, or of each
// stream as much as chance has it.
func (s *sim) follow(p *replica, all bool) {
	s.t.Helper()
	s.refresh()
	streams := append(p.execute.Index.Streams(), schemas.Standings)
	s.random.Shuffle(len(streams), func(i, j int) { streams[i], streams[j] = streams[j], streams[i] })
	for _, stream := range streams {
		news := s.copies[stream].records[p.followed[stream]:]
		if !all {
			news = news[:s.random.IntN(len(news)+1)]
		}
		apply := p.execute.Index.Apply
		if stream == schemas.Standings {
			apply = p.execute.Standings.Apply
		}
		for _, r := range news {
			must(s.t, apply(r))
		}
		p.followed[stream] += len(news)
	}
}

// timers does what is due in a replica.
func (s *sim) timers(i int) {
	s.t.Helper()
	s.guarded(i, func(p *replica) error {
		held, work, _ := p.execute.Index.Due()
		for _, k := range append(held, p.execute.thawed()...) {
			s.try(k, p.execute.lookAtHold, p.execute.Index.PostponeHold)
		}
		for _, k := range work {
			s.try(k, p.execute.lookAtWork, p.execute.Index.PostponeWork)
		}
		return nil
	})
}

// try is what RunTimers does with one intent.
func (s *sim) try(k schemas.Key, handle func(context.Context, schemas.Key) error, postpone func(schemas.Key, time.Time)) {
	defer func() {
		if cause := recover(); cause == any(errBug) {
			postpone(k, s.now())
		} else if cause != nil {
			panic(cause)
		}
	}()
	if err := handle(context.Background(), k); err != nil {
		postpone(k, s.now())
	}
}
