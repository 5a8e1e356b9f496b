package stages

import (
	"context"
	"io"
	"os"
	"testing"

	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/broker/embedded"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

const simTenant broker.Tenant = "sim"

// arena is the broker of a simulation, and everyone who is registered.
type arena struct {
	server *embedded.Server
	people map[schemas.Name]schemas.Identity
	keys   map[schemas.Name]nkeys.KeyPair
	conns  map[schemas.Name]*broker.Conn
	logs   map[schemas.Role]*broker.Log
	bundle map[string]*rules.Bundle
	sites  sites // where something went wrong
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

func newArena(t testing.TB) *arena {
	t.Helper()
	a := &arena{
		people: map[schemas.Name]schemas.Identity{},
		keys:   map[schemas.Name]nkeys.KeyPair{},
		conns:  map[schemas.Name]*broker.Conn{},
		logs:   map[schemas.Role]*broker.Log{},
		bundle: map[string]*rules.Bundle{},
		sites:  sites{seen: map[string]map[fault]bool{}},
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
	for _, name := range []string{"bundle", "stricter", "looser", "refusing", "narrow", "elsewhere", "checkpoints", "prying", "budgeted", "daily", "balances"} {
		a.bundle[name], err = rules.Load(os.DirFS("testdata/" + name))
		must(t, err)
	}
	return a
}

// population are two agents, five reviewers of whom one owns the first agent and two
// are the same person, one of another queue, and two executors of whom one belongs
// to a reviewer.
func population() []schemas.Identity {
	desk := []schemas.Name{"desk"}
	return []schemas.Identity{
		{Name: "bot", Role: schemas.RoleAgent, Owner: "olga"},
		{Name: "bit", Role: schemas.RoleAgent, Owner: "oleg", Sessions: schemas.SessionsDeclared},
		{Name: "ann", Role: schemas.RoleReviewer, Person: "ann", Groups: []string{"chiefs"}, Queues: desk},
		{Name: "ben", Role: schemas.RoleReviewer, Person: "ben", Groups: []string{"chiefs"}, Queues: desk},
		{Name: "cat", Role: schemas.RoleReviewer, Person: "cat", Queues: desk},
		{Name: "olga", Role: schemas.RoleReviewer, Person: "olga", Groups: []string{"chiefs"}, Queues: desk},
		{Name: "ann-too", Role: schemas.RoleReviewer, Person: "ann", Groups: []string{"chiefs"}, Queues: desk},
		{Name: "far", Role: schemas.RoleReviewer, Person: "far", Groups: []string{"chiefs"}, Queues: []schemas.Name{"attic"}},
		{Name: "run", Role: schemas.RoleExecutor, Owner: "opal", Systems: []string{"sys"}},
		{Name: "ran", Role: schemas.RoleExecutor, Owner: "cat", Systems: []string{"sys"}},
	}
}

func (a *arena) register(t testing.TB, id schemas.Identity) {
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

// adminDirectory knows the one who writes CONTROL in a simulation.
type adminDirectory struct{}

func (adminDirectory) ByName(name schemas.Name) (schemas.Identity, bool) {
	return schemas.Identity{Name: name, Role: schemas.RolePolicyAdmin}, true
}

func (d adminDirectory) Ever(name schemas.Name) (schemas.Identity, bool) { return d.ByName(name) }
