package client_test

import (
	"context"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/broker/embedded"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

// gate is the real stages over the real broker, wired as one process does it, with
// a place in which answers can be lost.
type gate struct {
	t       testing.TB
	cfg     embedded.Config
	keys    map[schemas.Name]identity.KeyFile
	server  *embedded.Server
	names   *identity.Registry
	control *stages.ControlState
	execute *stages.Execute
	answers *answers
	conns   []*broker.Conn // of its own, until it stops
	stop    func()
}

var silent = zerolog.New(io.Discard)

// openGate opens a gate in which testdata/bundle is active.
func openGate(t testing.TB) *gate {
	t.Helper()
	g := &gate{t: t, keys: map[schemas.Name]identity.KeyFile{}}
	for _, role := range append(schemas.GatewayRoles(), schemas.RolePolicyAdmin, schemas.RoleIdentityAdmin) {
		g.key(schemas.Name(role), role)
	}
	g.cfg = embedded.Config{Tenant: "test", Dir: t.TempDir(), Port: -1, Log: silent}
	g.open()
	t.Cleanup(func() { g.stop() })
	bundle, err := rules.Load(os.DirFS("testdata/bundle"))
	check(t, err)
	_, err = g.operator(schemas.RolePolicyAdmin).Activate(g.ctx(), bundle.Digest(), bundle.Archive(), 0, "test")
	check(t, err)
	g.until("the bundle is loaded", func() bool { return g.control.Active() != "" && g.control.Wanted() == "" })
	return g
}

// key makes the key file of a name.
func (g *gate) key(name schemas.Name, role schemas.Role) identity.KeyFile {
	g.t.Helper()
	k, err := identity.NewKeyFile(name, role)
	check(g.t, err)
	g.keys[name] = k
	return k
}

// open starts the broker and the stages; stop ends them.
func (g *gate) open() {
	g.t.Helper()
	gateway := map[schemas.Role]string{}
	for _, role := range schemas.GatewayRoles() {
		gateway[role] = g.public(schemas.Name(role))
	}
	g.names = identity.NewRegistry(gateway)
	g.control = stages.NewControlState(g.names)
	g.cfg.Directory = g.names
	var err error
	g.server, err = embedded.Start(g.cfg)
	check(g.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	g.provision(ctx)
	g.follow(ctx, &running)
	g.work(ctx, &running)
	check(g.t, g.server.Listen())
	g.stop = func() {
		cancel()
		running.Wait()
		for _, c := range g.conns {
			c.Close()
		}
		g.conns = nil
		check(g.t, g.server.Stop(context.Background()))
	}
}

func (g *gate) public(name schemas.Name) string {
	g.t.Helper()
	public, err := g.keys[name].Public()
	check(g.t, err)
	return public
}

// conn connects one of the gateway's own.
func (g *gate) conn(role schemas.Role) *broker.Conn {
	g.t.Helper()
	c, err := broker.Connect(g.server.Connection(), schemas.Name(role), g.keys[schemas.Name(role)].Key, silent)
	check(g.t, err)
	g.conns = append(g.conns, c)
	return c
}

func (g *gate) log(role schemas.Role) *broker.Log {
	g.t.Helper()
	l, err := broker.OpenLog(g.ctx(), g.conn(role), schemas.Control)
	check(g.t, err)
	return l
}

// provision makes the streams, and registers the admins.
func (g *gate) provision(ctx context.Context) {
	g.t.Helper()
	p := broker.NewProvisioner(g.conn(schemas.RoleProvision), g.conn(schemas.RoleProvisionAudit), g.cfg.Tenant, broker.Layout{Replicas: 1})
	_, err := p.Apply(ctx, []string{"shop"})
	check(g.t, err)
	log := g.log(schemas.RoleProvision)
	for _, role := range []schemas.Role{schemas.RolePolicyAdmin, schemas.RoleIdentityAdmin} {
		id := schemas.Identity{By: "provision", Name: schemas.Name(role), Role: role, Key: g.public(schemas.Name(role)), At: time.Now()}
		_, _ = log.Append(ctx, schemas.Write(id, "/test", id.At, ""), schemas.Expect{Filter: id.Subject()})
	}
}

// follow reads CONTROL to its end, and goes on, loading the bundle that is active.
func (g *gate) follow(ctx context.Context, running *sync.WaitGroup) {
	g.t.Helper()
	log := g.log(schemas.RoleExecute)
	apply := func(r schemas.Record) error {
		_, _ = g.control.Apply(r), g.names.Apply(r)
		if s, err := schemas.ParseSubject(r.Subject); err == nil && s.About == "removal" {
			g.server.Review()
		}
		if wanted := g.control.Wanted(); wanted != "" {
			archive, err := log.Bundle(ctx, wanted)
			if err != nil {
				return err
			}
			bundle, err := rules.Read(archive)
			if err != nil {
				return err
			}
			g.control.Load(bundle)
		}
		return nil
	}
	end, err := log.LastSeq(ctx, schemas.Control)
	check(g.t, err)
	tail := log.Tail(schemas.Control, "", 1)
	check(g.t, tail.ReadTo(ctx, end, apply))
	g.names.Ready()
	check(g.t, tail.Wake(ctx))
	running.Go(func() { _ = tail.Follow(ctx, 100*time.Millisecond, apply) })
}

// well is a health that is always good.
type well struct{}

func (well) Check() error { return nil }

// work lets every stage work.
func (g *gate) work(ctx context.Context, running *sync.WaitGroup) {
	g.t.Helper()
	common := func(role schemas.Role) stages.Common {
		return stages.Common{Gateway: schemas.Name(g.cfg.Tenant), Log: g.log(role), Control: g.control, Names: g.names}
	}
	index := stages.NewIndex(nil)
	g.execute = &stages.Execute{
		Standings: stages.NewStandings(time.Now),
		Common:    common(schemas.RoleExecute), Bell: broker.Bell{Conn: g.conn(schemas.RoleExecute)}, Eligibility: &rules.Eligibility{},
		Health: well{}, Index: index, Limits: stages.DefaultLimits(),
	}
	var tails []*broker.Tail
	for _, stream := range index.Streams() {
		tails = append(tails, g.execute.Log.(*broker.Log).Tail(stream, "", 1))
	}
	check(g.t, broker.ReadMerged(ctx, tails, index.Apply))
	standings := g.execute.Log.(*broker.Log).Tail(schemas.Standings, "", 1)
	check(g.t, standings.Wake(ctx))
	running.Go(func() { _ = standings.Follow(ctx, 100*time.Millisecond, g.execute.Standings.Apply) })
	handle := func(role schemas.Role, stream schemas.Stream, h broker.Handler) {
		log := g.log(role)
		running.Go(func() {
			if err := log.Work(ctx, stream, 16, h); err != nil {
				g.t.Errorf("%s stands still: %v", stream, err)
			}
		})
	}
	handle(schemas.RoleObserve, schemas.Intents, &stages.Observe{Common: common(schemas.RoleObserve), Exposures: stages.NewExposureCopy(), Rates: stages.NewRates()})
	handle(schemas.RoleRecommend, schemas.Observed, &stages.Recommend{Common: common(schemas.RoleRecommend)})
	handle(schemas.RoleExecute, schemas.Recommended, g.execute.Recommendations())
	handle(schemas.RoleExecute, schemas.Decisions, g.execute.Decisions())
	handle(schemas.RoleExecute, schemas.Outcomes, g.execute.Reports())
	running.Go(func() { g.execute.RunTimers(ctx, silent) })
	g.answers = &answers{Answerer: &stages.Answer{
		Execute: g.execute, Registry: g.names, Embedded: true, Streams: g.execute.Log.(*broker.Log),
		Conditions: func() []schemas.Condition { return nil },
		Broker:     func(context.Context) (schemas.BrokerStatus, error) { return schemas.BrokerStatus{}, nil },
	}}
	listening := make(chan struct{})
	conn := g.conn(schemas.RoleAnswer)
	running.Go(func() { _ = conn.Serve(ctx, g.answers, func() { close(listening) }) })
	<-listening
}

// answers are the real answers, until something is to happen to some of them.
type answers struct {
	broker.Answerer

	// mu guards change, for the time of one look.
	mu     sync.Mutex
	change func(what string, answer schemas.Answer) schemas.Answer
}

// set lets change see every answer, with what was asked, or "claim".
func (a *answers) set(change func(what string, answer schemas.Answer) schemas.Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.change = change
}

func (a *answers) changed(what string, answer schemas.Answer) schemas.Answer {
	a.mu.Lock()
	change := a.change
	a.mu.Unlock()
	if change == nil {
		return answer
	}
	return change(what, answer)
}

func (a *answers) Ask(ctx context.Context, name schemas.Name, what string, q schemas.Question) schemas.Answer {
	return a.changed(what, a.Answerer.Ask(ctx, name, what, q))
}

func (a *answers) Claim(ctx context.Context, executor schemas.Name, k schemas.Key, q schemas.Question) schemas.Answer {
	return a.changed("claim", a.Answerer.Claim(ctx, executor, k, q))
}

// lost is the answer of a gate that did what it was asked, and did not come to
// say so.
var lost = schemas.Answer{Problem: schemas.ProblemOf(schemas.ErrUnavailable)}

// losing loses the first n answers to a question.
func losing(n int, question string) func(string, schemas.Answer) schemas.Answer {
	var mu sync.Mutex
	return func(what string, answer schemas.Answer) schemas.Answer {
		mu.Lock()
		defer mu.Unlock()
		if what != question || n == 0 {
			return answer
		}
		n--
		return lost
	}
}

// dial connects as the holder of a key.
func (g *gate) dial(k identity.KeyFile) *client.Conn { return g.dialAt(k, g.server.URL()) }

func (g *gate) dialAt(k identity.KeyFile, url string) *client.Conn {
	g.t.Helper()
	c, err := client.Dial(client.Config{Key: k, Server: url})
	check(g.t, err)
	g.t.Cleanup(c.Close)
	return c
}

func (g *gate) operator(role schemas.Role) client.Operator {
	g.t.Helper()
	return client.Operator{Conn: g.dial(g.keys[schemas.Name(role)])}
}

// add registers somebody, and connects.
func (g *gate) add(id schemas.Identity) *client.Conn {
	g.t.Helper()
	k := g.key(id.Name, id.Role)
	id.Key = g.public(id.Name)
	check(g.t, g.operator(schemas.RoleIdentityAdmin).Add(g.ctx(), id))
	return g.dial(k)
}

func (g *gate) agent(name schemas.Name) client.Agent {
	g.t.Helper()
	return client.Agent{Conn: g.add(schemas.Identity{Name: name, Role: schemas.RoleAgent, Owner: "olga"})}
}

func (g *gate) reviewer(name schemas.Name) client.Reviewer {
	g.t.Helper()
	return client.Reviewer{Conn: g.add(schemas.Identity{Name: name, Role: schemas.RoleReviewer, Person: string(name), Queues: []schemas.Name{"desk"}})}
}

func (g *gate) executor(name schemas.Name) client.Executor {
	g.t.Helper()
	return client.Executor{Conn: g.add(schemas.Identity{Name: name, Role: schemas.RoleExecutor, Owner: "opal", Systems: []string{"shop"}})}
}

// connections are those of a name, as the server sees them.
func (g *gate) connections(name schemas.Name) (all []*server.ConnInfo) {
	g.t.Helper()
	conns, err := g.server.Connection().InProcess.(*server.Server).Connz(nil)
	check(g.t, err)
	for _, c := range conns.Conns {
		if c.Name == "holdpoint "+string(name) {
			all = append(all, c)
		}
	}
	return all
}

// subscriptions returns to how much somebody who is connected has subscribed.
func (g *gate) subscriptions(name schemas.Name) (n uint32) {
	g.t.Helper()
	for _, c := range g.connections(name) {
		n += c.NumSubs
	}
	return n
}

// patience is how long anything may take before a test gives up.
const patience = 30 * time.Second

func (g *gate) ctx() context.Context {
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	g.t.Cleanup(cancel)
	return ctx
}

// until waits until something holds.
func (g *gate) until(what string, holds func() bool) {
	g.t.Helper()
	ctx := g.ctx()
	for !holds() {
		select {
		case <-ctx.Done():
			g.t.Fatalf("waiting until %s: %v", what, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// records returns what a stream holds about an intent.
func (g *gate) records(stream schemas.Stream, k schemas.Key) (all []schemas.Record) {
	g.t.Helper()
	check(g.t, g.log(schemas.RoleExecute).Tail(stream, "", 1).Read(g.ctx(), func(r schemas.Record) error {
		in, _ := schemas.ReadIntent(schemas.Name(g.cfg.Tenant), r)
		if s, err := schemas.ParseSubject(r.Subject); err == nil && s.Agent == k.Agent && (s.Intent == k.ID || stream == schemas.Intents && in.ID == k.ID) {
			all = append(all, r)
		}
		return nil
	}))
	return all
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
