package embedded_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/broker/embedded"
	"github.com/holdpoint/holdpoint/schemas"
)

// directory is everyone who exists. It counts who was turned away.
type directory struct {
	keys map[schemas.Name]nkeys.KeyPair

	mu      sync.Mutex // guards what follows, for the time of one look
	present map[string]schemas.Identity
	refused map[string]int
}

// population is an agent, a reviewer, and the identities of the gateway.
func population(t testing.TB) *directory {
	t.Helper()
	d := &directory{keys: map[schemas.Name]nkeys.KeyPair{}, present: map[string]schemas.Identity{}, refused: map[string]int{}}
	d.add(t, schemas.Identity{Name: "bot", Role: schemas.RoleAgent, Owner: "olga"})
	d.add(t, schemas.Identity{Name: "ann", Role: schemas.RoleReviewer, Person: "ann", Queues: []schemas.Name{"desk"}})
	for _, role := range schemas.GatewayRoles() {
		d.add(t, schemas.Identity{Name: schemas.Name(role), Role: role})
	}
	return d
}

func (d *directory) add(t testing.TB, id schemas.Identity) {
	t.Helper()
	key, err := nkeys.CreateUser()
	check(t, err)
	d.keys[id.Name] = key
	id.Key = d.public(t, id.Name)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.present[id.Key] = id
}

func (d *directory) public(t testing.TB, name schemas.Name) string {
	t.Helper()
	public, err := d.keys[name].PublicKey()
	check(t, err)
	return public
}

// remove takes a name away, and returns who it was.
func (d *directory) remove(t testing.TB, name schemas.Name) schemas.Identity {
	t.Helper()
	key := d.public(t, name)
	d.mu.Lock()
	defer d.mu.Unlock()
	id := d.present[key]
	delete(d.present, key)
	return id
}

func (d *directory) restore(id schemas.Identity) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.present[id.Key] = id
}

// ByKey implements embedded.Directory.
func (d *directory) ByKey(key string) (schemas.Identity, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, known := d.present[key]
	if !known {
		d.refused[key]++
		return schemas.Identity{}, schemas.ErrDenied
	}
	return id, nil
}

// refusals returns how often a name was turned away.
func (d *directory) refusals(t testing.TB, name schemas.Name) int {
	t.Helper()
	key := d.public(t, name)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused[key]
}

func config(t testing.TB, d embedded.Directory) embedded.Config {
	t.Helper()
	return embedded.Config{Tenant: "test", Dir: t.TempDir(), Directory: d, Log: zerolog.New(io.Discard)}
}

// start starts a server that listens if it is to, and stops it when the test is
// over.
func start(t testing.TB, cfg embedded.Config) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(cfg)
	check(t, err)
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	if cfg.Port != 0 {
		check(t, s.Listen())
	}
	return s
}

func connect(t testing.TB, at broker.Server, d *directory, name schemas.Name) (*broker.Conn, error) {
	t.Helper()
	c, err := broker.Connect(at, name, d.keys[name], zerolog.New(io.Discard))
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, err
}

func mustConnect(t testing.TB, at broker.Server, d *directory, name schemas.Name) *broker.Conn {
	t.Helper()
	c, err := connect(t, at, d, name)
	check(t, err)
	return c
}

// provision makes the streams.
func provision(t testing.TB, s *embedded.Server, d *directory) {
	t.Helper()
	p := broker.NewProvisioner(mustConnect(t, s.Connection(), d, "provision"), mustConnect(t, s.Connection(), d, "provision-audit"), "test", broker.Layout{Replicas: 1})
	_, err := p.Apply(t.Context(), nil)
	check(t, err)
}

// patience is how long anything may take before a test gives up.
const patience = 30 * time.Second

// until waits until something holds.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waiting until %s: %v", what, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
