package client_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestDial: who has no key, no server, or a key that the gate does not know is told
// so; the key file says who it is.
func TestDial(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	g.agent("bot")
	bot := g.keys["bot"]
	stranger, err := identity.NewKeyFile("bot", schemas.RoleAgent)
	check(t, err)
	for what, c := range map[string]struct {
		cfg  client.Config
		want error
	}{
		"nothing":        {client.Config{}, schemas.ErrInvalid},
		"no key":         {client.Config{Server: g.server.URL()}, schemas.ErrInvalid},
		"no server":      {client.Config{Key: bot}, schemas.ErrInvalid},
		"an unknown key": {client.Config{Key: stranger, Server: g.server.URL()}, schemas.ErrDenied},
		"nobody there":   {client.Config{Key: bot, Server: "nats://127.0.0.1:1"}, schemas.ErrUnavailable},
	} {
		if conn, err := client.Dial(c.cfg); !errors.Is(err, c.want) {
			t.Errorf("with %s: %v, want %v", what, err, c.want)
			if conn != nil {
				conn.Close()
			}
		}
	}
	bot.Server = g.server.URL()
	conn, err := client.Dial(client.Config{Key: bot})
	check(t, err)
	defer conn.Close()
	if conn.Name() != "bot" || conn.Role() != schemas.RoleAgent {
		t.Errorf("connected as %s, %s", conn.Name(), conn.Role())
	}
}

// answeredByHand connects an agent to a server on which what it proposes is answered
// by hand.
func answeredByHand(t *testing.T, answer nats.MsgHandler) client.Agent {
	t.Helper()
	bot, err := identity.NewKeyFile("bot", schemas.RoleAgent)
	check(t, err)
	root, err := identity.NewKeyFile("root", schemas.RoleExecute)
	check(t, err)
	bots, err := bot.Public()
	check(t, err)
	roots, err := root.Public()
	check(t, err)
	user, err := broker.UserOf(schemas.Identity{Name: "bot", Role: schemas.RoleAgent, Key: bots})
	check(t, err)
	anything := []string{">"}
	o := &server.Options{}
	check(t, o.ProcessConfigString(broker.Tenant("test").WriteConfig([]broker.User{
		user, {Name: "root", Key: roots, Account: broker.Gate, Publish: anything, Subscribe: anything},
	})))
	o.JetStream, o.StoreDir, o.DontListen, o.NoLog, o.NoSigs = true, t.TempDir(), true, true, true
	ns, err := server.NewServer(o)
	check(t, err)
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(patience) {
		t.Fatal("the server is not ready")
	}
	nc, err := nats.Connect("", nats.InProcessServer(ns), nats.Nkey(roots, root.Key.Sign))
	check(t, err)
	t.Cleanup(nc.Close)
	_, err = nc.Subscribe("intents.>", answer)
	check(t, err)
	check(t, nc.Flush())
	conn, err := client.Dial(client.Config{Key: bot, InProcess: ns})
	check(t, err)
	t.Cleanup(conn.Close)
	return client.Agent{Conn: conn}
}

// TestDuplicateIsLookedInto: an acknowledgement that says that the stream has the
// message already says that it did not keep this one, for no id of a message is
// ever set here. Nobody goes on as if it had.
func TestDuplicateIsLookedInto(t *testing.T) {
	t.Parallel()
	bot := answeredByHand(t, func(m *nats.Msg) { _ = m.Respond([]byte(`{"stream":"INTENTS","seq":7,"duplicate":true}`)) })
	ticket, err := bot.Submit(t.Context(), proposal("shop.small"))
	if !errors.Is(err, schemas.ErrInvalid) || !strings.Contains(err.Error(), "duplicate") {
		t.Errorf("%+v, %v, want an ErrInvalid that says why", ticket, err)
	}
}

// TestNoAnswerIsSentAgainSoon: a leader that steps down answers nobody. What was sent
// to it is sent again, the same, before a broker that is only slow would be given up.
func TestNoAnswerIsSentAgainSoon(t *testing.T) {
	t.Parallel()
	sent := make(chan *nats.Msg, 10)
	bot := answeredByHand(t, func(m *nats.Msg) {
		if sent <- m; len(sent) == 2 {
			_ = m.Respond([]byte(`{"stream":"INTENTS","seq":7}`))
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if _, err := bot.Submit(ctx, proposal("shop.small")); err != nil {
		t.Fatal(err)
	}
	first, second := <-sent, <-sent
	if len(sent) > 0 || !bytes.Equal(first.Data, second.Data) || first.Header["ce-id"][0] != second.Header["ce-id"][0] {
		t.Errorf("sent %s, then %s and %d more, want the same twice", first.Data, second.Data, len(sent))
	}
}

// TestClientIsLight: who imports this package gets no server, no rules and no
// telemetry with it.
func TestClientIsLight(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	check(t, err)
	packages := strings.Fields(string(out))
	if len(packages) < 10 {
		t.Fatalf("the package imports %v", packages)
	}
	for _, p := range packages {
		for _, heavy := range []string{
			"github.com/nats-io/nats-server", "cel.dev/", "github.com/google/cel-go", "go.opentelemetry.io/", "github.com/prometheus/",
			"github.com/spf13/", "google.golang.org/", "github.com/coreos/", "holdpoint/rules", "holdpoint/stages", "holdpoint/audit", "broker/embedded",
		} {
			if strings.Contains(p, heavy) {
				t.Errorf("it needs %s", p)
			}
		}
	}
}
