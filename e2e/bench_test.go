package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// TestBench measures for a moment, with the embedded broker and with an external one
// that has the printed accounts: how fast is not tested, that everything is measured
// is.
func TestBench(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), holdpoint(t), "bench", "-o", "json", "--agents", "5", "--time", "1s", "--rate", "50")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir)
		out, err := cmd.Output()
		must(t, err)
		checkBench(t, "embedded", out)
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v, want nothing", left, err)
		}
	})
	t.Run("external", func(t *testing.T) {
		t.Parallel()
		s := &servers{t: t, dir: t.TempDir(), all: make([]*server.Server, 1)}
		s.makeCertificate()
		g := gate{t: t, dir: s.dir}
		accounts := g.run("bench", "--print-server-config", "--creds", "keys", "--agents", "5")
		must(t, os.WriteFile(s.path("accounts.conf"), []byte(accounts), 0o600))
		config := fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\ntls { cert_file: %q, key_file: %q }\ninclude \"accounts.conf\"\n",
			s.path("js"), s.path("cert.pem"), s.path("key.pem"))
		must(t, os.WriteFile(s.conf(0), []byte(config), 0o600))
		s.start(0)
		t.Cleanup(func() { s.stop(0) })
		measure := func() []byte {
			return []byte(g.run("bench", "-o", "json", "--agents", "5", "--time", "1s", "--rate", "50",
				"--nats", s.url(), "--ca", s.path("cert.pem"), "--creds", "keys"))
		}
		checkBench(t, s.url(), measure())
		checkBench(t, s.url(), measure()) // again, on what is there
		if _, err := os.Stat(filepath.Join(s.dir, "holdpoint-data")); err == nil {
			t.Error("a bench on an external broker started one of its own")
		}
	})
}

// checkBench makes sure that a report is whole.
func checkBench(t *testing.T, broker string, out []byte) {
	t.Helper()
	type side struct {
		PerSecond   float64 `json:"intents_per_second"`
		Intents     int     `json:"intents"`
		CPU         float64 `json:"cpu_microseconds_per_intent"`
		Allocations float64 `json:"allocations_per_intent"`
	}
	type latency struct {
		Count int     `json:"count"`
		P50   float64 `json:"p50_ms"`
		P99   float64 `json:"p99_ms"`
		P999  float64 `json:"p99_9_ms"`
	}
	var r struct {
		Broker  string  `json:"broker"`
		Relay   side    `json:"relay"`
		Gate    side    `json:"gate"`
		Ratio   float64 `json:"ratio"`
		Submit  latency `json:"submit_to_release"`
		Approve latency `json:"approve_to_release"`
	}
	must(t, json.Unmarshal(out, &r))
	if r.Broker != broker {
		t.Errorf("broker: got %s, want %s", r.Broker, broker)
	}
	for name, s := range map[string]side{"relay": r.Relay, "gate": r.Gate} {
		if s.PerSecond <= 0 || s.Intents <= 0 || s.CPU <= 0 || s.Allocations <= 0 {
			t.Errorf("%s: got %+v, want everything measured", name, s)
		}
	}
	if want := r.Gate.PerSecond / r.Relay.PerSecond; r.Ratio <= 0 || r.Ratio != want {
		t.Errorf("ratio: got %v, want %v", r.Ratio, want)
	}
	for name, l := range map[string]latency{"submit": r.Submit, "approve": r.Approve} {
		if l.Count <= 0 || l.P50 <= 0 || l.P99 < l.P50 || l.P999 < l.P99 {
			t.Errorf("%s: got %+v, want percentiles of something", name, l)
		}
	}
}
