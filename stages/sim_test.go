package stages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/broker/embedded"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// The simulation runs the real stages over a real broker. It hands out their
// messages itself: in any order, more than once, to one of two replicas, with
// writes that are lost or land unseen, and with crashes before or after any
// write. Only the clock, the health of the audit and the freezes are made up.

const simTenant broker.Tenant = "sim"

// arena is the broker of a simulation, and everyone who is registered.
type arena struct {
	server *embedded.Server
	people map[schemas.Name]schemas.Identity
	keys   map[schemas.Name]nkeys.KeyPair
	conns  map[schemas.Name]*broker.Conn
	logs   map[schemas.Role]*broker.Log
	bundle map[string]*rules.Bundle
}

// ByKey lets everyone of the arena in.
func (a *arena) ByKey(key string) (schemas.Identity, error) {
	for _, id := range a.people {
		if id.Key == key {
			return id, nil
		}
	}
	return schemas.Identity{}, schemas.ErrDenied
}

func newArena(t *testing.T) *arena {
	t.Helper()
	a := &arena{
		people: map[schemas.Name]schemas.Identity{},
		keys:   map[schemas.Name]nkeys.KeyPair{},
		conns:  map[schemas.Name]*broker.Conn{},
		logs:   map[schemas.Role]*broker.Log{},
		bundle: map[string]*rules.Bundle{},
	}
	for _, role := range schemas.GatewayRoles() {
		a.register(t, schemas.Identity{Name: schemas.Name(role), Role: role})
	}
	for _, id := range population() {
		a.register(t, id)
	}
	var err error
	a.server, err = embedded.Start(embedded.Config{Tenant: simTenant, Dir: t.TempDir(), Directory: a, Log: zerolog.New(io.Discard)})
	must(t, err)
	t.Cleanup(func() { must(t, a.server.Stop(context.Background())) })
	for name := range a.people {
		conn, err := broker.Connect(a.server.Connection(), name, a.keys[name], zerolog.New(io.Discard))
		must(t, err)
		t.Cleanup(conn.Close)
		a.conns[name] = conn
	}
	p := broker.NewProvisioner(a.conns["provision"], a.conns["provision-audit"], simTenant, broker.Layout{Replicas: 1})
	_, err = p.Apply(t.Context(), []string{"sys"})
	must(t, err)
	for _, role := range []schemas.Role{schemas.RoleObserve, schemas.RoleRecommend, schemas.RoleExecute} {
		a.logs[role], err = broker.OpenLog(t.Context(), a.conns[schemas.Name(role)], schemas.Control)
		must(t, err)
	}
	for _, name := range []string{"bundle", "stricter"} {
		a.bundle[name], err = rules.Load(os.DirFS("testdata/" + name))
		must(t, err)
	}
	return a
}

// population are two agents, four reviewers of whom one owns the first agent, and
// two executors of whom one belongs to a reviewer.
func population() []schemas.Identity {
	desk := []schemas.Name{"desk"}
	return []schemas.Identity{
		{Name: "bot", Role: schemas.RoleAgent, Owner: "olga"},
		{Name: "bit", Role: schemas.RoleAgent, Owner: "oleg", Sessions: schemas.SessionsDeclared},
		{Name: "ann", Role: schemas.RoleReviewer, Person: "ann", Groups: []string{"chiefs"}, Queues: desk},
		{Name: "ben", Role: schemas.RoleReviewer, Person: "ben", Groups: []string{"chiefs"}, Queues: desk},
		{Name: "cat", Role: schemas.RoleReviewer, Person: "cat", Queues: desk},
		{Name: "olga", Role: schemas.RoleReviewer, Person: "olga", Groups: []string{"chiefs"}, Queues: desk},
		{Name: "run", Role: schemas.RoleExecutor, Owner: "opal", Systems: []string{"sys"}},
		{Name: "ran", Role: schemas.RoleExecutor, Owner: "cat", Systems: []string{"sys"}},
	}
}

func (a *arena) register(t *testing.T, id schemas.Identity) {
	t.Helper()
	key, err := nkeys.CreateUser()
	must(t, err)
	id.Key, err = key.PublicKey()
	must(t, err)
	a.people[id.Name], a.keys[id.Name] = id, key
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sim is one history: its own clock, its own two replicas, its own idea of who is
// registered.
type sim struct {
	*arena
	t      *testing.T
	random *rand.Rand
	began  map[schemas.Stream]uint64 // where this history begins
	offset atomic.Int64

	replicas [2]*replica
	inbox    []schemas.Record // handed out until acknowledged
	seen     map[schemas.Stream]uint64
	intents  []schemas.Key
	claims   []schemas.Claim // grants that an executor holds and has not reported

	// mu guards what follows: replicas work at the same time.
	mu      sync.Mutex
	removed map[schemas.Name]bool
	ill     bool
	frozen  bool                // agent bot
	policy  string              // the active bundle
	acted   map[schemas.Key]int // how often the action was performed
	retries map[schemas.Key]int // how often a retry was decided
}

// replica is one process of the gate.
type replica struct {
	observe   *Observe
	recommend *Recommend
	execute   *Execute
	faults    *faults
}

func newSim(t *testing.T, a *arena, seed uint64) *sim {
	s := &sim{
		arena: a, t: t, random: rand.New(rand.NewPCG(seed, 1)),
		began: map[schemas.Stream]uint64{}, seen: map[schemas.Stream]uint64{},
		policy: "bundle", removed: map[schemas.Name]bool{}, acted: map[schemas.Key]int{}, retries: map[schemas.Key]int{},
	}
	for _, stream := range schemas.Streams() {
		last, err := a.logs[schemas.RoleExecute].LastSeq(t.Context(), stream)
		must(t, err)
		s.began[stream], s.seen[stream] = last+1, last+1
	}
	for i := range s.replicas {
		s.replicas[i] = s.boot()
	}
	return s
}

// ByName is the directory of this history.
func (s *sim) ByName(name schemas.Name) (schemas.Identity, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.people[name]
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
func (s *sim) Intent(schemas.Key, schemas.State)      {}
func (s *sim) Hold(schemas.Name, schemas.Key, string) {}
func (s *sim) now() time.Time                         { return time.Now().Add(time.Duration(s.offset.Load())) }
func (s *sim) pass(d time.Duration)                   { s.offset.Add(int64(d)) }

// boot starts a process: it knows what the streams say, and nothing else.
func (s *sim) boot() *replica {
	s.t.Helper()
	f := &faults{}
	control := NewControlState(adminDirectory{})
	s.control(control, schemas.Activation{By: "boss", Bundle: s.bundle[s.policy].Digest(), At: s.now()})
	control.Load(s.bundle[s.policy])
	if s.frozen {
		s.control(control, schemas.Freeze{By: "boss", Scope: schemas.Scope{Agent: "bot"}, Reason: "sim", At: s.now()})
	}
	common := func(role schemas.Role) Common {
		return Common{Gateway: schemas.Name(simTenant), Log: faulty{s.logs[role], f}, Control: control, Names: s, Now: s.now}
	}
	r := &replica{faults: f}
	r.observe = &Observe{Common: common(schemas.RoleObserve), Exposures: s, Rates: NewRates()}
	r.recommend = &Recommend{Common: common(schemas.RoleRecommend)}
	r.execute = &Execute{
		Common: common(schemas.RoleExecute), Bell: s, Eligibility: &rules.Eligibility{}, Health: s,
		Index: NewIndex(s.now), Limits: DefaultLimits(),
	}
	var tails []*broker.Tail
	for _, stream := range r.execute.Index.Streams() {
		tails = append(tails, s.logs[schemas.RoleExecute].Tail(stream, "", s.began[stream]))
	}
	must(s.t, broker.ReadMerged(s.t.Context(), tails, r.execute.Index.Apply))
	return r
}

// adminDirectory knows the one who writes CONTROL in a simulation.
type adminDirectory struct{}

func (adminDirectory) ByName(name schemas.Name) (schemas.Identity, bool) {
	return schemas.Identity{Name: name, Role: schemas.RolePolicyAdmin}, true
}

func (d adminDirectory) Ever(name schemas.Name) (schemas.Identity, bool) { return d.ByName(name) }

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

// fault is what goes wrong with a write.
type fault int

const (
	none    fault = iota
	lost          // an error, and it did not happen
	landed        // an error, and it did happen
	crashed       // the process ends before the write
	died          // the process ends after the write
	lastFault
)

// faults breaks one write of a process: the one after so many others.
type faults struct {
	mu    sync.Mutex
	after int
	what  fault
}

func (f *faults) set(after int, what fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.after, f.what = after, what
}

// next returns what goes wrong with the write that comes now.
func (f *faults) next() fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.what == none {
		return none
	}
	if f.after--; f.after >= 0 {
		return none
	}
	what := f.what
	f.what = none
	return what
}

// errCrash is what a process panics with when it ends.
var errCrash = errors.New("crash")

// faulty is a stage's log with its faults.
type faulty struct {
	Log
	faults *faults
}

func (l faulty) Append(ctx context.Context, d schemas.Draft, expect schemas.Expect) (schemas.Record, error) {
	what := l.faults.next()
	if what == lost || what == crashed {
		return schemas.Record{}, l.fail(what, d)
	}
	r, err := l.Log.Append(ctx, d, expect)
	if what == landed || what == died {
		return schemas.Record{}, l.fail(what, d)
	}
	return r, err
}

func (l faulty) fail(what fault, d schemas.Draft) error {
	if what == crashed || what == died {
		panic(errCrash)
	}
	return fmt.Errorf("%w: injected: %s", schemas.ErrUnavailable, d.Subject)
}

// collect takes what the streams have that stages work on.
func (s *sim) collect() {
	s.t.Helper()
	for _, stream := range []schemas.Stream{schemas.Intents, schemas.Observed, schemas.Recommended, schemas.Decisions, schemas.Outcomes} {
		tail := s.logs[schemas.RoleExecute].Tail(stream, "", s.seen[stream])
		must(s.t, tail.Read(s.t.Context(), func(r schemas.Record) error {
			s.inbox = append(s.inbox, r)
			return nil
		}))
		s.seen[stream] = tail.Next()
	}
}

// deliver hands one record to a replica, and reports whether it is done with. The
// replica may crash at it; then it is a new process.
func (s *sim) deliver(i int, r schemas.Record) (done bool) {
	return s.guarded(i, func(p *replica) error {
		ctx := context.Background()
		switch r.Stream {
		case schemas.Intents:
			return p.observe.Handle(ctx, r)
		case schemas.Observed:
			return p.recommend.Handle(ctx, r)
		case schemas.Recommended:
			return p.execute.Recommendations().Handle(ctx, r)
		case schemas.Decisions:
			return p.execute.Decisions().Handle(ctx, r)
		default:
			return p.execute.Reports().Handle(ctx, r)
		}
	})
}

// guarded runs something in a replica, which is a new process after a crash.
func (s *sim) guarded(i int, do func(*replica) error) (done bool) {
	p := s.replicas[i]
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

// revive starts the processes that crashed.
func (s *sim) revive() {
	for i, p := range s.replicas {
		if p == nil {
			s.replicas[i] = s.boot()
		}
	}
}

// follow lets a replica know what the other one wrote.
func (s *sim) follow(p *replica) {
	s.t.Helper()
	for _, stream := range p.execute.Index.Streams() {
		must(s.t, s.logs[schemas.RoleExecute].Tail(stream, "", s.began[stream]).Read(s.t.Context(), p.execute.Index.Apply))
	}
}

// timers does what is due in a replica.
func (s *sim) timers(i int) {
	s.t.Helper()
	if s.replicas[i] == nil {
		return
	}
	s.follow(s.replicas[i])
	s.guarded(i, func(p *replica) error {
		held, work, _ := p.execute.Index.Due()
		for _, k := range append(held, p.execute.thawed()...) {
			if err := p.execute.lookAtHold(context.Background(), k); err != nil {
				s.t.Logf("looking at hold %s: %v", k, err)
				p.execute.Index.PostponeHold(k, s.now())
			}
		}
		for _, k := range work {
			if err := p.execute.lookAtWork(context.Background(), k); err != nil {
				s.t.Logf("looking at work %s: %v", k, err)
				p.execute.Index.PostponeWork(k, s.now())
			}
		}
		return nil
	})
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
