package broker_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

const tenant broker.Tenant = "test"

// world is a real server with the accounts of a gate, everyone who may connect to
// it, and one in each of GATE and AUDIT who may do anything there: what an
// operator of the server could do, and no identity of the gate can.
type world struct {
	t    testing.TB
	ns   *server.Server
	url  string // empty if the server is reached in process
	keys map[schemas.Name]nkeys.KeyPair
}

// people are one of each role, and a second agent.
func people() []schemas.Identity {
	all := []schemas.Identity{
		{Name: "bot", Role: schemas.RoleAgent, Owner: "olga", Actions: []string{"shop.*"}},
		{Name: "eve", Role: schemas.RoleAgent, Owner: "mallory"},
		{Name: "ann", Role: schemas.RoleReviewer, Person: "ann", Queues: []schemas.Name{"desk"}},
		{Name: "run", Role: schemas.RoleExecutor, Owner: "opal", Systems: []string{"shop"}},
		{Name: "aud", Role: schemas.RoleAuditor, Person: "audrey"},
		{Name: "poe", Role: schemas.RolePolicyAdmin, Person: "poe"},
		{Name: "ida", Role: schemas.RoleIdentityAdmin, Person: "ida"},
	}
	for _, role := range schemas.GatewayRoles() {
		all = append(all, schemas.Identity{Name: schemas.Name(role), Role: role})
	}
	return all
}

// rootOf is the name of the one who may do anything in an account.
func rootOf(a broker.Account) schemas.Name { return schemas.Name("root-" + string(a)) }

// bareWorld is a world without streams.
func bareWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, keys: map[schemas.Name]nkeys.KeyPair{}}
	w.ns = startServer(t, w.users(), func(o *server.Options) { o.DontListen = true })
	return w
}

// users makes a key for everyone, and returns them as the broker sees them.
func (w *world) users() []broker.User {
	w.t.Helper()
	var all []broker.User
	for _, id := range people() {
		id.Key = w.key(id.Name)
		u, err := broker.UserOf(id)
		check(w.t, err)
		all = append(all, u)
	}
	everything := []string{">"}
	for _, a := range []broker.Account{broker.Gate, broker.AuditLog} {
		all = append(all, broker.User{Name: rootOf(a), Key: w.key(rootOf(a)), Account: a, Publish: everything, Subscribe: everything})
	}
	return all
}

// key makes the key of a name, and returns its public half.
func (w *world) key(name schemas.Name) string {
	w.t.Helper()
	k, err := nkeys.CreateUser()
	check(w.t, err)
	w.keys[name] = k
	public, err := k.PublicKey()
	check(w.t, err)
	return public
}

// startServer starts a server that has the tenant's accounts with users in them,
// and stops it when the test is over.
func startServer(t testing.TB, users []broker.User, set func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{}
	check(t, o.ProcessConfigString(tenant.WriteConfig(users)))
	o.JetStream, o.StoreDir = true, t.TempDir()
	o.NoLog, o.NoSigs = true, true
	set(o)
	ns, err := server.NewServer(o)
	check(t, err)
	ns.Start()
	t.Cleanup(func() {
		ns.Shutdown()
		ns.WaitForShutdown()
	})
	if !ns.ReadyForConnections(patience) {
		t.Fatal("the server is not ready")
	}
	return ns
}

// newWorld is a world with the streams, kept once.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := bareWorld(t)
	_, err := w.provisioner().Apply(t.Context(), []string{"shop"})
	check(t, err)
	return w
}

func (w *world) provisioner() *broker.Provisioner {
	w.t.Helper()
	return broker.NewProvisioner(w.conn("provision"), w.conn("provision-audit"), tenant, broker.Layout{Replicas: 1})
}

func (w *world) at() broker.Server {
	if w.url != "" {
		return broker.Server{URL: w.url}
	}
	return broker.Server{InProcess: w.ns}
}

// conn connects as name.
func (w *world) conn(name schemas.Name) *broker.Conn {
	w.t.Helper()
	c, err := broker.Connect(w.at(), name, w.keys[name], zerolog.New(io.Discard))
	check(w.t, err)
	w.t.Cleanup(c.Close)
	return c
}

// log opens the streams as a role of the gateway sees them.
func (w *world) log(role schemas.Role) *broker.Log {
	w.t.Helper()
	l, err := broker.OpenLog(w.ctx(), w.conn(schemas.Name(role)), schemas.Control)
	check(w.t, err)
	return l
}

// stock connects as name with nothing but the client library of NATS.
func (w *world) stock(name schemas.Name) *nats.Conn {
	w.t.Helper()
	key := w.keys[name]
	public, err := key.PublicKey()
	check(w.t, err)
	nc, err := nats.Connect("", nats.InProcessServer(w.ns), nats.Nkey(public, key.Sign), nats.CustomInboxPrefix("_INBOX_"+string(name)))
	check(w.t, err)
	w.t.Cleanup(nc.Close)
	return nc
}

// root connects as the one who may do anything in an account.
func (w *world) root(a broker.Account) (*nats.Conn, jetstream.JetStream) {
	w.t.Helper()
	nc := w.stock(rootOf(a))
	js, err := jetstream.New(nc)
	check(w.t, err)
	return nc, js
}

// patience is how long anything may take before a test gives up.
const patience = 30 * time.Second

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func isInvalid(err error) bool { return errors.Is(err, schemas.ErrInvalid) }
