package e2e_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestCluster: on three nodes every stream is kept three times, provision repeats
// itself without a change, two processes share the work, neither the loss of one of
// them nor of a node loses an intent, and AUDIT is roused when the node was one
// that it copied from.
func TestCluster(t *testing.T) {
	t.Parallel()
	s := startServers(t, 3)
	g := gate{t: t, dir: s.dir}
	at := []string{"--nats", s.url(), "--ca", s.path("cert.pem"), "--creds", s.creds()}
	if plan := g.run(append([]string{"provision", "--plan"}, at...)...); !strings.Contains(plan, "missing stream SETTLED") {
		t.Errorf("plan of an empty cluster: %s", plan)
	}
	g.run(append([]string{"provision", "--apply"}, at...)...)
	for _, again := range []string{"--apply", "--plan"} {
		if out := g.run(append([]string{"provision", again, "-o", "json"}, at...)...); strings.Contains(out, "stream") {
			t.Errorf("provision %s once more: %s", again, out)
		}
	}
	first := s.serve("observe", "recommend", "execute")
	second := s.serve()
	bot := client.Agent{Conn: s.add("agent", "bot", "--owner", "olga")}
	runner := client.Executor{Conn: s.add("executor", "runner", "--owner", "opal", "--systems", "shop")}
	s.add("auditor", "otto")
	s.activate("testdata/crash")
	s.perform(runner)
	s.submitAll(bot, 20)
	first.kill()
	s.stop(s.feeder())
	s.submitAll(bot, 20)
	second.await(t, "AUDIT did not hear from streams")
	g.verify("--key", s.path("otto.key"), "--ca", s.path("cert.pem"))
}

// feeder returns a server that AUDIT, led by another, copies a stream from: the loss
// of which it hears nothing of.
func (s *servers) feeder() int {
	s.t.Helper()
	for end := time.After(patience); ; {
		for i, ns := range s.all {
			if !ns.JetStreamIsStreamLeader("DEFAULT-AUDIT", "AUDIT") && feeds(s.t, ns) {
				return i
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-end:
			s.t.Fatal("AUDIT copies nothing from another server")
		}
	}
}

func feeds(t testing.TB, ns *server.Server) bool {
	t.Helper()
	info, err := ns.JszAccount(&server.JSzOptions{Account: "DEFAULT-GATE", Streams: true, Consumer: true, DirectConsumer: true})
	must(t, err)
	return slices.ContainsFunc(info.Streams, func(have server.StreamDetail) bool {
		return slices.ContainsFunc(have.DirectConsumer, func(c *server.ConsumerInfo) bool { return c.PushBound })
	})
}

// activate makes a bundle the active one, as the policy-admin.
func (s *servers) activate(dir string) {
	s.t.Helper()
	bundle, err := rules.Load(os.DirFS(dir))
	must(s.t, err)
	conn := s.dial("policy-admin")
	_, err = client.Operator{Conn: conn}.Activate(s.t.Context(), bundle.Digest(), bundle.Archive(), 0, "test")
	must(s.t, err)
}

func (s *servers) dial(admin string) *client.Conn {
	s.t.Helper()
	conn, err := client.Dial(client.Config{Key: s.key(admin), Server: s.url(), TLS: s.trust})
	must(s.t, err)
	s.t.Cleanup(conn.Close)
	return conn
}

// perform runs an executor until the test is over.
func (s *servers) perform(x client.Executor) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		_ = x.Run(ctx, []string{"shop"}, 4, func(context.Context, client.Task) (any, error) { return "ok", nil })
	})
	s.t.Cleanup(func() {
		stop()
		running.Wait()
	})
}

// submitAll submits n intents at once and waits for their ends.
func (s *servers) submitAll(a client.Agent, n int) {
	s.t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			ticket, err := a.Submit(s.t.Context(), client.Proposal{Action: "shop.again", Params: map[string]any{}})
			if err != nil {
				s.t.Error(err)
				return
			}
			status, err := a.Result(s.t.Context(), ticket)
			if err != nil || status.State != schemas.Done {
				s.t.Errorf("%s: %s, %v, want done", ticket.Key, status.State, err)
			}
		})
	}
	all.Wait()
}
