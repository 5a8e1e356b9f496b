package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWatch: an agent and an auditor see what happens as it happens; the auditor
// goes on where it was.
func TestWatch(t *testing.T) {
	t.Parallel()
	g := serve(t, "testdata/watch")
	billing, ann, otto := g.add("agent", "billing", "--owner", "olga"), g.add("reviewer", "ann", "--queues", "refunds"), g.add("auditor", "otto")
	agent := g.start("watch", "--key", billing)
	auditor := g.start("watch", "--since", "1", "--key", otto)
	notify := filepath.Join(g.dir, "notify")
	must(t, os.WriteFile(notify, []byte("#!/bin/sh\ncat >> "+notify+".got\n"), 0o700))
	rung := g.start("review", "watch", "--notify", notify, "--key", ann)
	g.run("submit", "shop.refund", "--param", "amount=500", "--key", billing)
	agent.await(t, "parked    billing/")
	auditor.await(t, "on hold")
	rung.await(t, "parked billing/")
	if got, err := os.ReadFile(notify + ".got"); err != nil || !strings.Contains(string(got), `"action":"shop.refund"`) {
		t.Errorf("the notified program got %q, %v, want the hold", got, err)
	}
	said := auditor.String()
	if twice := "control.provision.stream.intents control.provision"; strings.Contains(said, twice) {
		t.Errorf("watch says a subject twice:\n%s", said)
	}
	last := said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:]
	since, _, _ := strings.Cut(last, " ")
	auditor.stop(t)
	id := g.run("list", "--key", billing, "-o", "json")
	if !strings.Contains(id, `"state": "parked"`) {
		t.Fatalf("list says %s, want a parked intent", id)
	}
	again := g.start("watch", "--since", since, "--key", otto)
	again.await(t, last)
	g.run("freeze", "--agent", "billing", "--reason", "test")
	again.await(t, "freeze")
	if n := strings.Count(again.String(), "proposed"); n != 0 {
		t.Errorf("watch --since %s begins before that:\n%s", since, again)
	}
}
