package main

import (
	"context"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/broker/embedded"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

const tenant broker.Tenant = "test"

// world is a gate on a broker of its own, with people around it.
type world struct {
	t      testing.TB
	server testBroker
	names  *identity.Registry
	creds  creds
	admins creds
	gate   *gate
	stop   context.CancelFunc
	done   chan error

	// entering is held by whoever connects, and by whoever changes who may.
	entering sync.Mutex
}

// testBroker is the broker of a world: the embedded one, or an external server
// that has the printed configuration.
type testBroker interface {
	Connection() broker.Server
	// Review makes the broker look again at who may connect.
	Review()
}

// newWorld starts a gate on the embedded broker, in which the bundle in dir is
// active.
func newWorld(t testing.TB, bundle string) *world {
	t.Helper()
	w := bareWorld(t)
	public, err := w.creds.public()
	check(t, err)
	w.names = identity.NewRegistry(public)
	server, err := embedded.Start(embedded.Config{Tenant: tenant, Dir: t.TempDir(), Directory: w.names, Log: logTo(t)})
	check(t, err)
	t.Cleanup(func() { check(t, server.Stop(context.Background())) })
	w.server = server
	w.open(bundle)
	return w
}

// newExternalWorld starts a gate on a server of its own process's making, which
// knows nothing but the printed configuration, and TLS.
func newExternalWorld(t testing.TB, bundle string) *world {
	t.Helper()
	if racing {
		t.Skip("a server that is reloaded in the process of the test races with itself")
	}
	w := bareWorld(t)
	w.names = identity.NewRegistry(nil)
	w.server = startExternal(t, w)
	w.open(bundle)
	return w
}

// bareWorld has keys and nothing else.
func bareWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t}
	dir := t.TempDir()
	var err error
	w.creds, err = makeCreds(dir+"/creds", schemas.GatewayRoles())
	check(t, err)
	w.admins, err = makeCreds(dir+"/admin", adminRoles())
	check(t, err)
	return w
}

func (w *world) open(bundle string) {
	w.t.Helper()
	w.start()
	w.t.Cleanup(w.halt)
	w.activate(bundle)
	// Nothing is released before the gate has looked.
	w.until("AUDIT copies", func() bool { return w.gate.health.Check() == nil })
}

func logTo(t testing.TB) zerolog.Logger {
	if os.Getenv("HOLDPOINT_TEST_LOG") == "" {
		return zerolog.New(io.Discard)
	}
	return zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, NoColor: true, TimeFormat: "05.000"}).With().Timestamp().Logger()
}

func (w *world) config() gateConfig {
	return gateConfig{
		Tenant:  tenant,
		Server:  w.server.Connection(),
		Stages:  allStages(),
		Creds:   w.creds,
		Admins:  w.admins,
		Names:   w.names,
		Removed: w.server.Review,
		Layout:  broker.Layout{Replicas: 1},
		Bounds:  broker.DefaultBounds(),
		Limits:  stages.DefaultLimits(),
		Width:   64,
		Metrics: newMetrics(),
		Log:     logTo(w.t),
	}
}

// start starts the gate, and waits until it takes messages.
func (w *world) start() {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	g, err := newGate(ctx, w.config())
	check(w.t, err)
	w.gate, w.done = g, make(chan error, 1)
	go func() { w.done <- g.Run(ctx) }()
	select {
	case <-g.ready:
	case err := <-w.done:
		w.t.Fatalf("the gate did not open: %v", err)
	}
}

// halt stops the gate, if it runs.
func (w *world) halt() {
	if w.stop == nil {
		return
	}
	w.stop()
	w.stop = nil
	if err := <-w.done; err != nil {
		w.t.Errorf("the gate stopped with %v", err)
	}
}

func (w *world) activate(dir string) {
	w.t.Helper()
	bundle, err := rules.Load(os.DirFS(dir))
	check(w.t, err)
	_, err = w.operator(schemas.RolePolicyAdmin).Activate(w.ctx(), bundle.Digest(), bundle.Archive(), 0, "test")
	check(w.t, err)
	w.until("the bundle is loaded", func() bool {
		return w.gate.control.Wanted() == "" && w.gate.control.Active() == bundle.Digest()
	})
}

// until waits until something holds, as long as the gate runs.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	ctx := w.ctx()
	for !holds() {
		select {
		case err := <-w.done:
			w.done <- err
			w.t.Fatalf("waiting until %s: the gate stopped: %v", what, err)
		case <-ctx.Done():
			w.t.Fatalf("waiting until %s: %v", what, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) dial(k identity.KeyFile) *client.Conn {
	w.t.Helper()
	at := w.server.Connection()
	w.entering.Lock()
	defer w.entering.Unlock()
	c, err := client.Dial(client.Config{Key: k, Server: at.URL, TLS: at.TLS, InProcess: at.InProcess, Log: logTo(w.t)})
	check(w.t, err)
	w.t.Cleanup(c.Close)
	return c
}

func (w *world) operator(role schemas.Role) client.Operator {
	w.t.Helper()
	return client.Operator{Conn: w.dial(w.admins[role])}
}

// add registers an identity and connects as it.
func (w *world) add(id schemas.Identity) *client.Conn { return w.dial(w.register(id)) }

// register registers an identity, and returns its key.
func (w *world) register(id schemas.Identity) identity.KeyFile {
	w.t.Helper()
	k, err := identity.NewKeyFile(id.Name, id.Role)
	check(w.t, err)
	id.Key, err = k.Public()
	check(w.t, err)
	check(w.t, w.operator(schemas.RoleIdentityAdmin).Add(w.ctx(), id))
	w.server.Review()
	return k
}

func (w *world) agent(name schemas.Name) client.Agent {
	return client.Agent{Conn: w.add(schemas.Identity{Name: name, Role: schemas.RoleAgent, Owner: "olga"})}
}

func (w *world) reviewer(name schemas.Name, groups ...string) client.Reviewer {
	return client.Reviewer{Conn: w.add(schemas.Identity{
		Name: name, Role: schemas.RoleReviewer, Person: string(name), Groups: groups, Queues: []schemas.Name{"default", "billing"},
	})}
}

func (w *world) executor(name schemas.Name, systems ...string) client.Executor {
	return client.Executor{Conn: w.add(schemas.Identity{Name: name, Role: schemas.RoleExecutor, Owner: "opal", Systems: systems})}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
