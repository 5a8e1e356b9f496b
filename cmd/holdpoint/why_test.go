package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestWhyFindsForgery: a recommendation that a stolen key wrote, and no bundle gives, is
// found by deciding again, although it follows every form.
func TestWhyFindsForgery(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "catalog.yaml"), []byte(probedCatalog), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(probedPolicy), 0o600))
	w := newExternalWorld(t, dir)
	agent := w.agent("bot")
	ticket, err := agent.Submit(w.ctx(), client.Proposal{Action: "shop.refund", Params: map[string]int{"amount": 11}})
	check(t, err)
	if s, err := agent.Stand(w.ctx(), ticket); err != nil || s.State != schemas.Parked {
		t.Fatalf("got %+v, %v, want it parked", s, err)
	}
	x := w.server.(*external)
	key := filepath.Join(t.TempDir(), "otto.key")
	check(t, w.register(schemas.Identity{Name: "otto", Role: schemas.RoleAuditor, Person: "otto"}).Write(key))
	why := func(wanted int) string {
		t.Helper()
		args := []string{"why", ticket.Key.String(), "--bundle", dir, "--key", key, "--server", x.Connection().URL, "--ca", x.path("cert.pem")}
		var out bytes.Buffer
		w.until(ticket.Key.String()+" is in the audit", func() bool {
			out.Reset()
			code := run(w.ctx(), args, nil, &out, &out)
			return code == wanted
		})
		return out.String()
	}
	if said := why(exitDone); !strings.Contains(said, "decided again: 3 records identical") {
		t.Errorf("it says\n%s\nwant three records", said)
	}
	stolen := w.creds[schemas.RoleRecommend]
	thief, err := broker.Connect(w.server.Connection(), stolen.Name, stolen.Key, logTo(t))
	check(t, err)
	defer thief.Close()
	records, err := w.operator(schemas.RolePolicyAdmin).Show(w.ctx(), ticket.Key)
	check(t, err)
	for _, r := range records {
		var rec schemas.Recommendation
		if r.Stream == schemas.Recommended && schemas.Read(r, &rec) == nil {
			rec.Opinion = schemas.Opinion{Outcome: schemas.Release, Matched: []schemas.Match{{Rule: "flows", Outcome: schemas.Release}}}
			_, err := thief.Send(w.ctx(), schemas.Write(rec, r.Header["ce-source"][0], rec.At, ""))
			check(t, err)
		}
	}
	said := why(exitFailure)
	for _, want := range []string{
		"decided again: 3 records identical",
		"RECOMMENDED/2 DIFFERS: it says recommended.release.bot.shop.refund, decided again it is recommended.park.bot.shop.refund",
		"holdpoint: error: RECOMMENDED/2 is not what its inputs lead to",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it says\n%s\nwant %q", said, want)
		}
	}
}
