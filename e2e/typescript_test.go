package e2e_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// needsTools skips a test that brings programs from registries, unless it was
// asked for; CI asks.
func needsTools(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv("HOLDPOINT_TEST_TOOLS") == "" {
		t.Skip("it installs other programs: set HOLDPOINT_TEST_TOOLS=1 to run it")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("no %s on this machine", p)
		}
	}
}

// command runs a program in a directory to its end.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// TestTypeScript: an agent and an executor over the official NATS packages go
// through the gate as those in Go do.
func TestTypeScript(t *testing.T) {
	t.Parallel()
	needsTools(t, "node", "npm")
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("../examples/typescript")))
	command(t, dir, "npm", "ci", "--no-audit", "--no-fund")
	command(t, dir, "npm", "run", "build")
	g := serve(t, "testdata/watch")
	billing := g.add("agent", "billing", "--owner", "olga")
	runner := g.add("executor", "runner", "--owner", "opal", "--systems", "shop")
	ann := client.Reviewer{Conn: g.dial(g.add("reviewer", "ann", "--queues", "refunds"))}
	start(t, dir, nil, "node", "dist/executor.js", runner, "shop").await(t, "performing")
	agent := func(action, params string) *process {
		return start(t, dir, nil, "node", "dist/agent.js", billing, action, params)
	}
	agent("shop.refund", `{"amount":20}`).await(t, `done {"receipt":"`)
	agent("shop.nothing", `{}`).await(t, `refused "unknown_action"`)
	// Names out of order, a number that JSON writes in several ways, and text that is
	// not ASCII: the digest must be the same on both sides.
	parked := agent("shop.refund", `{"order":"A-\u00e4\u20ac","amount":5e2}`)
	parked.await(t, " parked")
	page, err := ann.List(t.Context(), "", 0, "")
	must(t, err)
	held, err := ann.Hold(t.Context(), schemas.Key{Agent: "billing", ID: page.Holds[0].Intent})
	must(t, err)
	_, err = ann.Decide(t.Context(), held, schemas.Approve, "")
	must(t, err)
	parked.await(t, `done {"receipt":"`+held.Intent.Digest.Short())
}
