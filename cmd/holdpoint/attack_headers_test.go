package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestForgedHeaders: agents, reviewers, executors and operators send what they may
// send with headers that direct the broker, pretend to come from it, claim to be
// another's, or are none. What is stored ends with a reason, in its sender's name
// alone; nothing else is stored, hidden or removed, and AUDIT goes on copying.
func TestForgedHeaders(t *testing.T) {
	everywhere(t, func(t *testing.T, start func(testing.TB, string) *world) {
		s := besiege(t, start)
		s.live()
		s.quiet()
		for _, id := range attackers() {
			if id.Role == schemas.RoleAuditor {
				continue // publishes nothing that is stored
			}
			before := s.look()
			w := s.wire(id.Name)
			for _, header := range s.forged(id.Name) {
				d := s.honest(id)
				w.hpub(d.Subject, "_INBOX_"+string(id.Name)+".direct", header(d.Header), d.Body)
				s.cases++
			}
			check(t, w.flush())
			// The broker checks where a trace is to go as it checks a publish.
			if said := w.errors(); len(said) != 1 || !strings.Contains(said[0], "intents.victim.vault.open") {
				t.Errorf("%s: %q, want one complaint, about the trace", id.Name, said)
			}
			s.pass()
			s.quiet()
			after := s.look()
			s.unchanged(before, after)
			s.grown(id, before, after)
		}
		s.ended(schemas.Intents, s.hasVerdict)
		rejected := s.rejections()
		for _, stream := range []schemas.Stream{schemas.Decisions, schemas.Outcomes} {
			s.ended(stream, func(r schemas.Record) bool { return rejected[r.Pointer()] == 1 })
		}
		s.finish()
		s.copied()
		t.Logf("%d cases", s.cases)
	})
}

// honest returns what a sender may send, as it would be without a forgery.
func (s *siege) honest(id schemas.Identity) schemas.Draft {
	s.t.Helper()
	now := time.Now()
	about := s.released[0]
	digest := schemas.Digest("sha256:" + strings.Repeat("0", 64))
	switch id.Role {
	case schemas.RoleAgent:
		d, err := schemas.Propose(schemas.Key{Agent: id.Name, ID: schemas.NewIntentID(now)}, "shop.refund", schemas.Proposal{Params: []byte(`{"order":"A-1","amount":20}`)}, now)
		check(s.t, err)
		return d
	case schemas.RoleReviewer:
		d := schemas.Decision{Reviewer: id.Name, Queue: "billing", Agent: about.Agent, Intent: about.ID, Digest: digest, Verdict: schemas.Approve, Shown: digest}
		d, err := d.Sign(s.keys[id.Name].Key)
		check(s.t, err)
		return schemas.Write(d, "/attack", now, "")
	case schemas.RoleExecutor:
		grant := schemas.Pointer{Stream: schemas.Grants, Seq: 1, Hash: digest}
		return schemas.Write(schemas.Report{Executor: id.Name, Agent: about.Agent, Intent: about.ID, Digest: digest, Grant: grant, State: schemas.Done}, "/attack", now, "")
	case schemas.RolePolicyAdmin:
		return schemas.Write(schemas.Thaw{By: id.Name, Scope: schemas.Scope{Agent: "nobody"}, At: now}, "/attack", now, "")
	default:
		return schemas.Write(schemas.Removal{By: id.Name, Name: "nobody", At: now}, "/attack", now, "")
	}
}

// block writes headers as they stand on the wire, with some changed.
func block(h schemas.Header, change map[string]string, more ...string) string {
	var b strings.Builder
	b.WriteString("NATS/1.0\r\n")
	for name, values := range h {
		if _, changed := change[name]; !changed {
			b.WriteString(name + ": " + values[0] + "\r\n")
		}
	}
	for name, value := range change {
		b.WriteString(name + ": " + value + "\r\n")
	}
	for _, line := range more {
		b.WriteString(line + "\r\n")
	}
	return b.String() + "\r\n"
}

// forged are the ways in which a sender's headers are not what they should be.
func (s *siege) forged(name schemas.Name) []func(schemas.Header) string {
	var all []func(schemas.Header) string
	with := func(change map[string]string, more ...string) {
		all = append(all, func(h schemas.Header) string { return block(h, change, more...) })
	}
	for _, line := range brokerHeaders(s.released[0]) {
		with(nil, line)
	}
	with(nil, "Nats-Expected-Last-Subject-Sequence: 0", "Nats-Expected-Last-Subject-Sequence-Subject: intents.victim.*.*")
	with(nil, "Nats-Subject: released."+string(someID)+".victim.vault.open", "Nats-Sequence: 1", "Nats-Stream: SETTLED", "Nats-Time-Stamp: 2026-01-01T00:00:00Z")
	for _, id := range badIDs(s.released[0].ID) {
		with(map[string]string{"ce-id": id})
	}
	for header, value := range map[string]string{
		"ce-source": "/agents/victim", "ce-type": schemas.TypePrefix + "intent.released.v1", "ce-specversion": "9.9",
		"ce-time": "2099-01-01T00:00:00Z", "ce-datacontenttype": "text/plain", "content-type": "application/cloudevents+json",
		"traceparent": strings.Repeat("x", 2000), "CE-ID": string(someID), "ce-subject": "%zz",
	} {
		with(map[string]string{header: value})
	}
	with(map[string]string{"ce-type": schemas.TypePrefix + "intent.proposed.v9"})
	for _, raw := range rawHeaders() {
		all = append(all, func(schemas.Header) string { return raw })
	}
	for range 2 { // the same again
		with(map[string]string{"ce-id": "01J" + strings.Repeat("0", 22) + strings.ToUpper(string(name[0]))})
	}
	return all
}

// brokerHeaders direct the broker, or pretend to be its own.
func brokerHeaders(victim schemas.Key) []string {
	var all []string
	for _, h := range []string{
		"Rollup: all", "Rollup: sub", "TTL: 1s", "TTL: never", "Incr: +1", "Marker-Reason: MaxAge", "Msg-Id: " + string(victim.ID),
		"Batch-Id: b", "Batch-Sequence: 1", "Batch-Commit: 1", "Stream-Source: INTENTS 1 x x x", "Counter-Sources: {}",
		"Schedule: @at 2026-01-01T00:00:00Z", "Schedule-Target: released.x.victim.vault.open", "Schedule-TTL: 1s", "Schedule-Next: purge",
		"Expected-Stream: AUDIT", "Expected-Last-Sequence: 0", "Expected-Last-Msg-Id: x", "Required-Api-Level: 99",
		"Subject: x", "Sequence: 1", "Stream: AUDIT", "Time-Stamp: 2026-01-01T00:00:00Z", "Num-Pending: 0", "Last-Sequence: 1",
		"Request-Info: {\"acc\":\"TEST-GATE\"}", "Last-Consumer: 1", "Consumer-Stalled: $JS.API.STREAM.DELETE.AUDIT", "Unreadable: x", "Trace-Dest: intents.victim.vault.open", "Trace-Only: true",
	} {
		all = append(all, "Nats-"+h)
	}
	return append(all, "Status: 404", "Status: 503", "Description: x", "nats-rollup: all", "Nats-Rollup : all")
}

// badIDs are another's id, and what no id may be.
func badIDs(victim schemas.IntentID) []string {
	return []string{
		string(victim), strings.ToLower(string(someID)), string(someID[:25]), string(someID) + "0", "8" + string(someID[1:]), "*", ">", "a.b", "", "%2A",
		strings.Repeat("0", 26), string(schemas.SequenceID(1)), string(schemas.NewIntentID(time.Now().Add(time.Hour))),
		string(schemas.NewIntentID(time.Now().Add(-100 * time.Hour))), "01HZZZZZZZZZZZZZZZZZZZZZZU", "\x1b[2J", "\xff\xfe", strings.Repeat("x", 5000),
	}
}

// rawHeaders are blocks that are no headers, up to the largest that the broker
// takes: 65 KB and more.
func rawHeaders() []string {
	all := []string{
		"NATS/1.0\r\n\r\n", "NATS/1.0 503\r\n\r\n", "NATS/1.0 404 No Messages\r\nNats-Subject: x\r\n\r\n", "HTTP/1.1\r\n\r\n", "\r\n\r\n", "x", "NATS/1.0\r\nx\r\n\r\n",
		"NATS/1.0\r\n: x\r\n\r\n", "NATS/1.0\r\nce-id\x00: x\r\n\r\n", "NATS/1.0\r\n\r\nNats-Rollup: all\r\n\r\n", "NATS/1.0\r\nce-id: " + string(someID) + "\r\nce-id: " + string(someID) + "\r\n\r\n",
		"NATS/1.0\nce-id: x\n\n", "NATS/1.0\r\n folded: x\r\n\r\n",
	}
	for _, size := range []int{20_000, 31_000, 65_000, 66_000, 100_000, 500_000} {
		all = append(all, fmt.Sprintf("NATS/1.0\r\nx: %s\r\n\r\n", strings.Repeat("y", size)))
	}
	return append(all, "NATS/1.0\r\n"+strings.Repeat("x: y\r\n", 4000)+"\r\n")
}

// ended makes sure that every record of a stream came to an end.
func (s *siege) ended(stream schemas.Stream, has func(schemas.Record) bool) {
	s.t.Helper()
	all := s.each(stream)
	if len(all) == 0 {
		s.t.Errorf("%s is empty", stream)
	}
	for _, r := range all {
		if !has(r) {
			s.t.Errorf("%s (%s) has no end", r.Pointer(), r.Subject)
		}
	}
}

// hasVerdict reports whether what a record of INTENTS proposes was settled, under
// its own id or that of its sequence, or waits for a reviewer.
func (s *siege) hasVerdict(r schemas.Record) bool {
	in, _ := schemas.ReadIntent(schemas.Name(tenant), r)
	for _, id := range []schemas.IntentID{in.ID, schemas.SequenceID(r.Seq)} {
		k := schemas.Key{Agent: in.Agent, ID: id}
		if s.exists(schemas.Settled, schemas.SettlementFilter(k)) || s.exists(schemas.ParkedHolds, schemas.HoldFilter(k)) {
			return true
		}
	}
	return false
}

// rejections counts, for every record that was rejected, how often.
func (s *siege) rejections() map[schemas.Pointer]int {
	s.t.Helper()
	all := map[schemas.Pointer]int{}
	for _, r := range s.each(schemas.Rejected) {
		var rejection schemas.Rejection
		check(s.t, schemas.Read(r, &rejection))
		all[rejection.Record]++
	}
	return all
}

// TestForgedNotice: an agent lets an answer of the gate arrive as another's
// notice. The other believes only the record.
func TestForgedNotice(t *testing.T) {
	everywhere(t, func(t *testing.T, start func(testing.TB, string) *world) {
		s := besiege(t, start)
		ticket, err := s.victim.Submit(s.ctx(), client.Proposal{Action: "vault.open", Params: map[string]any{"code": canary, "amount": 500}})
		check(t, err)
		status, err := s.victim.Stand(s.ctx(), ticket)
		check(t, err)
		if status.State != schemas.Parked {
			t.Fatalf("the victim's intent is %s, want parked", status.State)
		}
		ears, w := s.wire("victim"), s.wire("eve")
		ears.sub("notices.victim.*.*")
		check(t, ears.flush())
		for _, state := range []schemas.State{schemas.Released, schemas.Refused, schemas.Done} {
			w.hpub("ask.eve."+schemas.AskStatus, "notices.victim."+string(ticket.Key.ID)+"."+string(state), noHeader, []byte(`{"intent":"`+someID+`"}`))
		}
		check(t, w.flush())
		s.world.until("the forged notices have arrived or were refused", func() bool {
			return len(ears.messages())+len(w.errors()) > 0
		})
		if status, err = s.victim.Stand(s.ctx(), ticket); err != nil || status.State != schemas.Parked {
			t.Errorf("after forged notices the victim believes %s, %v; want parked", status.State, err)
		}
	})
}

// each returns the records of a stream.
func (s *siege) each(stream schemas.Stream) (all []schemas.Record) {
	s.t.Helper()
	s.patiently(func(log *broker.Log) error {
		all = nil
		return log.Each(s.ctx(), stream, ">", func(r schemas.Record) bool { all = append(all, r); return true })
	})
	return all
}

// exists reports whether a stream has a record that matches filter.
func (s *siege) exists(stream schemas.Stream, filter string) (found bool) {
	s.t.Helper()
	s.patiently(func(log *broker.Log) error {
		_, err := log.Last(s.ctx(), stream, filter)
		if found = err == nil; errors.Is(err, schemas.ErrNotFound) {
			return nil
		}
		return err
	})
	return found
}

// patiently looks at the streams as execute sees them. A server that reads its
// configuration again does not answer for a moment.
func (s *siege) patiently(look func(*broker.Log) error) {
	s.t.Helper()
	check(s.t, s.gate.patiently(s.ctx(), func() error {
		log, err := s.gate.log(s.ctx(), schemas.RoleExecute)
		if err != nil {
			return err
		}
		return look(log)
	}))
}
