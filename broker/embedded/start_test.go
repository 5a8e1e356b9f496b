package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/broker/embedded"
	"github.com/holdpoint/holdpoint/schemas"
)

const tenant broker.Tenant = "test"

// people is a directory. It vouches for nobody from outside until it is ready.
type people struct {
	keys  map[schemas.Role]nkeys.KeyPair
	ready atomic.Bool
}

func newPeople(t *testing.T) *people {
	t.Helper()
	p := &people{keys: map[schemas.Role]nkeys.KeyPair{}}
	for _, role := range append(schemas.GatewayRoles(), schemas.RoleAgent) {
		key, err := nkeys.CreateUser()
		check(t, err)
		p.keys[role] = key
	}
	return p
}

func (p *people) ByKey(key string) (schemas.Identity, error) {
	for role, k := range p.keys {
		if public, err := k.PublicKey(); err == nil && public == key && (role != schemas.RoleAgent || p.ready.Load()) {
			return schemas.Identity{Name: schemas.Name(role), Role: role, Key: key}, nil
		}
	}
	return schemas.Identity{}, schemas.ErrDenied
}

func launch(t *testing.T, cfg embedded.Config) *embedded.Server {
	t.Helper()
	cfg.Tenant = tenant
	s, err := embedded.Start(cfg)
	check(t, err)
	return s
}

// TestAuditOpensLast: at every start, each stream of GATE is back before AUDIT
// asks for what it has not copied.
func TestAuditOpensLast(t *testing.T) {
	t.Parallel()
	all := newPeople(t)
	cfg := embedded.Config{Dir: t.TempDir(), Directory: all}
	s := launch(t, cfg)
	var conns []*broker.Conn
	for _, role := range []schemas.Role{schemas.RoleProvision, schemas.RoleProvisionAudit} {
		c, err := broker.Connect(s.Connection(), schemas.Name(role), all.keys[role], zerolog.Nop())
		check(t, err)
		conns = append(conns, c)
	}
	_, err := broker.NewProvisioner(conns[0], conns[1], tenant, broker.Layout{Replicas: 1}).Apply(t.Context(), nil)
	check(t, err)
	for _, c := range conns {
		c.Close()
	}
	check(t, s.Stop(context.Background()))
	for range 8 { // the server has no order of its own
		var said bytes.Buffer
		cfg.Log = zerolog.New(zerolog.SyncWriter(&said))
		check(t, launch(t, cfg).Stop(context.Background()))
		restored := strings.Split(said.String(), "Restored ")[1:]
		if len(restored) != len(schemas.Streams())+2 || !strings.Contains(restored[len(restored)-1], "'TEST-AUDIT > AUDIT'") {
			t.Fatalf("restored %q, want every stream, AUDIT last", restored)
		}
	}
}

// TestListen: nobody from outside is heard before Listen, so that nobody is
// refused because the gate does not know them yet. A NATS client that is refused
// twice gives up.
func TestListen(t *testing.T) {
	t.Parallel()
	all := newPeople(t)
	cfg := embedded.Config{Dir: t.TempDir(), Directory: all, Port: freePort(t)}
	s := launch(t, cfg)
	all.ready.Store(true)
	check(t, s.Listen())

	tries, back, closed := make(chan struct{}, 100), make(chan struct{}, 1), make(chan struct{})
	bot := all.keys[schemas.RoleAgent]
	public, err := bot.PublicKey()
	check(t, err)
	nc, err := nats.Connect(s.URL(), nats.Nkey(public, bot.Sign),
		nats.MaxReconnects(-1), nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ReconnectErrHandler(func(*nats.Conn, error) {
			select {
			case tries <- struct{}{}:
			default:
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	check(t, err)
	defer nc.Close()
	all.ready.Store(false)
	check(t, s.Stop(context.Background()))

	s = launch(t, cfg)
	defer func() { check(t, s.Stop(context.Background())) }()
	for range cap(tries) { // of before the start
		select {
		case <-tries:
		default:
		}
	}
	for range 5 {
		select {
		case <-tries:
		case <-closed:
			t.Fatalf("a client that came back during the start gave up: %v", nc.LastError())
		}
	}
	all.ready.Store(true)
	check(t, s.Listen())
	select {
	case <-back:
	case <-closed:
		t.Fatalf("a client that came back during the start gave up: %v", nc.LastError())
	}
}

// TestListenTaken: a port that somebody else listens on is an error at once.
func TestListenTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer func() { _ = taken.Close() }()
	port := taken.Addr().(*net.TCPAddr).Port
	s := launch(t, embedded.Config{Dir: t.TempDir(), Directory: newPeople(t), Port: port})
	defer func() { check(t, s.Stop(context.Background())) }()
	err = s.Listen()
	if !errors.Is(err, schemas.ErrUnavailable) || !strings.Contains(err.Error(), fmt.Sprint(port)) {
		t.Errorf("listening on a port that is taken: %v, want an ErrUnavailable that names it", err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
