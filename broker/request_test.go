package broker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
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

// lab is an embedded broker with the streams, and one identity of each role.
type lab struct {
	t      *testing.T
	server *embedded.Server
	keys   map[schemas.Role]nkeys.KeyPair

	stopped sync.Once
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, keys: map[schemas.Role]nkeys.KeyPair{}}
	for _, role := range append(schemas.GatewayRoles(), schemas.OutsideRoles()...) {
		key, err := nkeys.CreateUser()
		check(t, err)
		l.keys[role] = key
	}
	var err error
	l.server, err = embedded.Start(embedded.Config{Tenant: "lab", Dir: t.TempDir(), Directory: l})
	check(t, err)
	t.Cleanup(l.stop)
	p := broker.NewProvisioner(l.connect(schemas.RoleProvision), l.connect(schemas.RoleProvisionAudit), "lab", broker.Layout{Replicas: 1})
	_, err = p.Apply(t.Context(), nil)
	check(t, err)
	return l
}

// stop stops the broker, once.
func (l *lab) stop() {
	l.stopped.Do(func() { check(l.t, l.server.Stop(context.Background())) })
}

// ByKey implements [embedded.Directory].
func (l *lab) ByKey(key string) (schemas.Identity, error) {
	for role, k := range l.keys {
		if public, err := k.PublicKey(); err == nil && public == key {
			return schemas.Identity{Name: schemas.Name(role), Role: role, Key: key}, nil
		}
	}
	return schemas.Identity{}, schemas.ErrDenied
}

func (l *lab) connect(role schemas.Role) *broker.Conn {
	l.t.Helper()
	c, err := broker.Connect(l.server.Connection(), schemas.Name(role), l.keys[role], zerolog.Nop())
	check(l.t, err)
	l.t.Cleanup(c.Close)
	return c
}

// serve answers questions as a until the test is over.
func (l *lab) serve(a answerer) {
	l.t.Helper()
	conn, ctx := l.connect(schemas.RoleAnswer), l.t.Context()
	listening := make(chan struct{})
	go func() { _ = conn.Serve(ctx, a, func() { close(listening) }) }()
	<-listening
}

// answerer answers a question by calling itself.
type answerer func() schemas.Answer

func (a answerer) Ask(context.Context, schemas.Name, string, schemas.Question) schemas.Answer {
	return a()
}

func (a answerer) Claim(context.Context, schemas.Name, schemas.Key, schemas.Question) schemas.Answer {
	return a()
}

// TestBroken: when the connection breaks, whoever waits for an answer learns that
// none will come.
func TestBroken(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	asked, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	l.serve(func() schemas.Answer {
		close(asked)
		<-release
		return schemas.Answer{}
	})
	conn := l.connect(schemas.RoleAgent)
	failed := make(chan error, 1)
	go func() {
		_, err := conn.Ask(t.Context(), schemas.Name(schemas.RoleAgent), schemas.AskStatus, schemas.Question{})
		failed <- err
	}()
	<-asked
	l.stop()
	if err := <-failed; !errors.Is(err, schemas.ErrUnavailable) || !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("asking while the broker went away: %v, want an ErrUnavailable because of it", err)
	}
}

// TestInsist: a question that dies with whoever it was put to is asked again.
func TestInsist(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	release := make(chan struct{})
	defer close(release)
	var asked atomic.Int64
	l.serve(func() schemas.Answer {
		if asked.Add(1) == 1 {
			<-release
		}
		return schemas.Answer{Gate: &schemas.GateStatus{Gateway: "lab"}}
	})
	answer, err := l.connect(schemas.RoleAgent).Ask(t.Context(), schemas.Name(schemas.RoleAgent), schemas.AskStatus, schemas.Question{})
	if err != nil || answer.Gate == nil || answer.Gate.Gateway != "lab" {
		t.Errorf("asking someone who died over it: %+v, %v, want the answer of the next", answer, err)
	}
}

// slow is a stage that does not come to an end with one message until released,
// and cannot handle another for a while.
type slow struct {
	release chan struct{}

	mu    sync.Mutex
	times map[uint64]int // how often each message came
	tired chan struct{}  // closed when the other came often enough
}

const (
	kept  = 2 // the sequence of the message that slow keeps
	often = 5
)

func (s *slow) Handle(_ context.Context, r schemas.Record) error {
	s.mu.Lock()
	s.times[r.Seq]++
	if r.Seq != kept && s.times[r.Seq] == often {
		close(s.tired)
	}
	s.mu.Unlock()
	if r.Seq == kept {
		<-s.release
		return nil
	}
	return schemas.ErrUnavailable
}

func (s *slow) Refuse(context.Context, schemas.Record, string) error { return nil }

// TestHand: the broker hands out again what a stage took that died, and not what a
// stage has that lives, however slow it is.
func TestHand(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	log, err := broker.OpenLog(t.Context(), l.connect(schemas.RoleObserve), schemas.Control)
	check(t, err)
	bot := l.connect(schemas.RoleAgent)
	propose := func() {
		t.Helper()
		_, err := bot.Send(t.Context(), schemas.Draft{Subject: "intents.agent.shop.refund", Body: []byte("{}")})
		check(t, err)
	}
	propose()
	l.takeAndDie()
	propose()
	ctx, stop := context.WithCancel(t.Context())
	s := &slow{release: make(chan struct{}), times: map[uint64]int{}, tired: make(chan struct{})}
	worked := make(chan error, 1)
	go func() { worked <- log.Work(ctx, schemas.Intents, 4, s) }()
	<-s.tired // by then the broker would have handed out the one that is kept again
	s.mu.Lock()
	if n := s.times[kept]; n != 1 {
		t.Errorf("what a living stage has was handed out %d times, want once", n)
	}
	s.mu.Unlock()
	close(s.release)
	stop()
	check(t, <-worked)
}

// takeAndDie takes one message of INTENTS as the observe stage would, and is gone.
func (l *lab) takeAndDie() {
	l.t.Helper()
	key := l.keys[schemas.RoleObserve]
	public, err := key.PublicKey()
	check(l.t, err)
	nc, err := nats.Connect("", nats.InProcessServer(l.server.Connection().InProcess), nats.Nkey(public, key.Sign), nats.CustomInboxPrefix("_INBOX_observe"))
	check(l.t, err)
	defer nc.Close()
	m, err := nc.Request("$JS.API.CONSUMER.MSG.NEXT.INTENTS.observe", []byte(`{"batch":1}`), 10*time.Second)
	check(l.t, err)
	if m.Subject == "" || len(m.Data) == 0 {
		l.t.Fatal(fmt.Errorf("taking an intent: got %q %v", m.Data, m.Header))
	}
}
