package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestUpgrade does what docs/operating.md says: of two processes for each stage, one
// is stopped, its program replaced, started and waited for, then the other. Whoever
// works meanwhile notices nothing, and the audit holds.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := startServers(t, 1)
	g := gate{t: t, dir: s.dir}
	ports := freePorts(t, 2)
	up := func(program string, i int) *process {
		t.Helper()
		address := fmt.Sprintf("127.0.0.1:%d", ports[i])
		p := start(t, s.dir, nil, program, "serve", "--nats", s.url(), "--ca", s.path("cert.pem"), "--creds", s.creds(), "--http", address)
		p.await(t, "the gate is open")
		return p
	}
	customers, err := filepath.Abs(filepath.Join("..", "examples", "customer-operations"))
	must(t, err)
	admin := []string{"--server", s.url(), "--ca", s.path("cert.pem")}
	running := []*process{up(holdpoint(t), 0), up(holdpoint(t), 1)}
	g.run(append([]string{"policy", "push", customers, "--reason", "test", "--key", s.path("creds/policy-admin.key")}, admin...)...)
	bot := client.Agent{Conn: s.add("agent", "bot", "--owner", "olga")}
	s.add("auditor", "aud")

	var over atomic.Bool
	released := make(chan schemas.Key, 1000)
	working, ctx := errgroup.WithContext(t.Context())
	working.Go(func() error {
		for !over.Load() {
			ticket, err := bot.Submit(ctx, client.Proposal{Action: "shop.refund", Params: map[string]any{"order": "A-1", "cents": 100}})
			if err != nil {
				return err
			}
			settled, err := bot.Await(ctx, ticket)
			if err != nil || settled.Outcome != schemas.Release {
				return fmt.Errorf("%s: %s %s, %w", ticket.Key, settled.State(), settled.Code, err)
			}
			select {
			case released <- ticket.Key:
			default:
			}
		}
		return nil
	})
	replaced := s.path("holdpoint-new")
	program, err := os.ReadFile(holdpoint(t))
	must(t, err)
	must(t, os.WriteFile(replaced, program, 0o700))
	for i := range running {
		running[i].stop(t)
		running[i] = up(replaced, i)
		awaitReady(t, fmt.Sprintf("http://127.0.0.1:%d/readyz", ports[i]))
		for len(released) > 0 {
			<-released
		}
		select {
		case <-released:
		case <-ctx.Done():
			t.Fatal(working.Wait())
		}
	}
	over.Store(true)
	must(t, working.Wait())
	report := g.run(append([]string{"audit", "verify", "--key", s.path("aud.key")}, admin...)...)
	if !strings.Contains(report, "everything holds") {
		t.Error(report)
	}
	for _, p := range running {
		p.stop(t)
	}
}

// awaitReady waits until a process says that it is ready.
func awaitReady(t *testing.T, url string) {
	t.Helper()
	for end := time.After(patience); exec.CommandContext(t.Context(), holdpoint(t), "ready", "--url", url).Run() != nil; {
		select {
		case <-end:
			t.Fatalf("%s is never ready", url)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
