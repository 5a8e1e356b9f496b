package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReplayIsTheGate: what replay says offline is what a running gate does with the
// same calls, each an intent of a real agent.
func TestReplayIsTheGate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, bundle, log string }{
		{"every way", "../replay/testdata/shop", ""},
		{"banking", "../examples/banking", "../../shared/data/agentdojo-banking.jsonl"},
		{"slack", "../examples/slack", "../../shared/data/agentdojo-slack.jsonl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := serve(t, c.bundle)
			log := c.log
			if log == "" {
				log = filepath.Join(g.dir, "log.jsonl")
				if err := os.WriteFile(log, []byte(everyWay()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			log, err := filepath.Abs(log)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(log); errors.Is(err, os.ErrNotExist) {
				t.Skipf("the traces of ../shared/data are not here: %v", err)
			}
			bundle, err := filepath.Abs(c.bundle)
			if err != nil {
				t.Fatal(err)
			}
			key := g.add("agent", "assistant", "--owner", "tess", "--sessions", "declared")
			g.run("replay", "--bundle", bundle, "--owner", "tess", log, "--decisions", "offline.jsonl")
			g.run("replay", "--live", "--key", key, log, "--decisions", "live.jsonl")
			want, got := decisionsIn(t, g, "offline.jsonl"), decisionsIn(t, g, "live.jsonl")
			if len(want) == 0 {
				t.Fatal("replay decided nothing")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("decisions (-offline +live):\n%s", diff)
			}
		})
	}
}

// everyWay returns calls on which the rules of all three checkpoints, thresholds,
// schemas and the catalog decide, whatever the time between them.
func everyWay() string {
	var log strings.Builder
	for _, session := range []string{"a", "b"} {
		for _, call := range []string{
			`"shop.burn"`, `"shop.report"`, `"shop.report"`,
			`"shop.ticket","params":{"secret":true}`, `"shop.refund","params":{"amount":20}`,
			map[string]string{"a": `"shop.ticket"`, "b": `"shop.ticket","params":{"secret":false}`}[session],
			`"shop.refund","params":{"amount":20}`, `"shop.refund","params":{"amount":-1}`,
			`"shop.refund","params":{"amount":500}`, `"shop.refund","params":{"amount":"20"}`,
			`"shop.mail","params":{"text":"to nobody"}`,
			`"shop.mail","params":{"to":"a@example.com","text":"something that is rather long"}`,
		} {
			fmt.Fprintf(&log, `{"session":%q,"action":%s}`+"\n", session, call)
		}
	}
	return log.String()
}

// decisionsIn returns what a file of decisions says, by session and number.
func decisionsIn(t *testing.T, g gate, name string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(text)) {
		var d struct {
			Session  string `json:"session"`
			Seq      int    `json:"seq"`
			Action   string `json:"action"`
			Decision string `json:"decision"`
		}
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[fmt.Sprintf("%s %d", d.Session, d.Seq)] = d.Action + " " + d.Decision
	}
	return all
}
