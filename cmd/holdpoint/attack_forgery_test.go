package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestForgery: whoever stole the key of a stage has the broker deliver what it
// wrote to a subject of another, by asking for it in that one's name, and writes
// headers in which the broker's own word is lost. The gate takes them for nothing,
// and audit verify names them, and goes on.
func TestForgery(t *testing.T) {
	t.Parallel()
	s := besiege(t, newWorld)
	own, err := identity.NewKeyFile("mallory", schemas.RoleReviewer)
	check(t, err)
	key, err := own.Public()
	check(t, err)
	s.launder(schemas.Identity{
		By: s.admins[schemas.RoleIdentityAdmin].Name, Name: "mallory", Role: schemas.RoleReviewer,
		Person: "mallory", Queues: []schemas.Name{"billing"}, Key: key, At: time.Now(),
	})
	in := schemas.Intent{Gateway: schemas.Name(tenant), Agent: "mark", ID: someID, Action: "shop.refund", Params: []byte(`{}`), Proposed: time.Now()}
	in.Digest = schemas.DigestOf(in)
	s.launder(schemas.Recommendation{Intent: in, Opinion: schemas.Opinion{Outcome: schemas.Release}, At: time.Now()})
	observe := s.wire("observe")
	observe.hpub("observed.mark.shop.refund", "", "NATS/1.0\r\nce-id: x\r\n", nil)
	check(t, observe.flush())
	s.pass()
	s.quiet()
	if _, known := s.names.ByName("mallory"); known {
		t.Error("mallory is registered")
	}
	got, err := verifyAudit(s.ctx(), client.Auditor{Conn: s.dial(s.keys["aud"])}, 1, func(uint64) {})
	check(t, err)
	const brokers = " does not read: invalid: header Nats-"
	for _, want := range []string{
		fmt.Sprintf("CONTROL/%d%s", s.look()[gateStream(schemas.Control)].Last, brokers),
		"RECOMMENDED/1" + brokers,
		"OBSERVED/1" + brokers,
	} {
		if !says(got, want) {
			t.Errorf("found %v, and not %q", got.Findings, want)
		}
	}
	if got.Released == 0 {
		t.Error("what mark proposed afterwards was not read")
	}
}

func says(r audit.Report, text string) bool {
	for _, f := range r.Findings {
		if strings.Contains(f.String(), text) {
			return true
		}
	}
	return false
}

// launder stores c where it belongs, as execute, which may not publish there.
func (s *siege) launder(c schemas.Content) {
	s.t.Helper()
	w := s.wire("execute")
	d := schemas.Write(c, "/forged", time.Now(), "")
	own := schemas.Subject{Kind: "parked", Intent: someID, Agent: "mark", Queue: "billing"}.String()
	w.hpub(own, "", oddBlocks(d.Header)[0], d.Body)
	check(s.t, w.flush())
	s.until("it is stored", func() bool {
		r, err := s.executeLog().Last(s.ctx(), schemas.ParkedHolds, own)
		return err == nil && bytes.Equal(r.Body, d.Body)
	})
	w.pub("$JS.API.DIRECT.GET.PARKED", d.Subject, []byte(`{"last_by_subj":"`+own+`"}`))
	check(s.t, w.flush())
	if denied := w.errors(); len(denied) > 0 {
		s.t.Fatalf("%s: %q", d.Subject, denied)
	}
}
