package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// oddBlocks are blocks of headers around an event as no client library writes
// them: without an end, with two, with lines that the broker takes away when it
// copies, and with such lines that take others along.
func oddBlocks(h schemas.Header) []string {
	var event string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		event += name + ": " + h[name][0] + "\r\n"
	}
	const first, end = "NATS/1.0\r\n", "\r\n"
	bare := strings.ReplaceAll(event, "\r\n", "\n")
	return []string{
		first + event + end,
		first + event,
		first + strings.TrimSuffix(event, "\r\n"),
		first + event + end + "x: y",
		first + event + end + "Nats-Expected-Anything: 1\r\n\r\n",
		first + event + "Nats-Expected-Anything: 1\r\n" + end,
		first + "Nats-Expected-Anything: 1\n" + bare + end,
		first + "Nats-Batch-Anything: 1\n" + bare + end,
		first + "x: y\nNats-Expected-Anything\n" + event + end,
		first + event + "Nats-Expected-Anything\r\n" + end,
		first + event + "Nats-Batch-Anything\r\n" + end,
		first + event + "Nats-Sequence: 1\r\n" + end,
		first + event + "x: y\nNats-Stream-Source: INTENTS 1 > > intents.bot.x.y\r\n" + end,
		first + event + "no colon\r\n" + end,
		first + ": no name\r\n" + event + end,
		first + bare + "\n",
		"NATS/1.0\nNats-Expected-Anything: " + strings.ReplaceAll(bare, "\n", " ") + "\r\n\r\n",
		"NATS/1.0\nNats-Expected-Anything: x\r\nx",
		first + event + "x: y\nNats-Expected-Anything: 1\r\n" + end,
		first + event + "x: yz\nNats-Batch-\nNats-Expected-Anything\r\n" + end, // the end goes, and the broker's line with it
		first + event + "x: yz\nNats-Stream-Source: SETTLED:x 1 > > released.x\nx: yz\nNats-Batch-\nNats-Expected-\r\n" + end,
		first + event + "\nhidden\nNats-Batch-\nNats-Expected-Anything\r\n" + end,
		"NATS/1.0",
		"nothing of the kind",
		"x",
		"\r\n",
	}
}

// TestAuditAgrees: whatever people from outside write as headers, AUDIT holds what
// the gate read. So the audit holds afterwards, and nothing in it waits.
func TestAuditAgrees(t *testing.T) {
	everywhere(t, func(t *testing.T, start func(testing.TB, string) *world) {
		s := besiege(t, start)
		s.decideOddly()
		s.reportOddly()
		s.quiet()
		copies := s.copiesAgree()
		for at, named := range s.gateNames() {
			if copies[at] != named {
				t.Errorf("the gate says of %s that it is %s, AUDIT has %s", at, named.Short(), copies[at].Short())
			}
		}
		got, err := verifyAudit(s.ctx(), client.Auditor{Conn: s.dial(s.keys["aud"])}, 1, func(uint64) {})
		check(t, err)
		if got.First() != nil || got.Pending != 0 {
			t.Errorf("%d pending and %v", got.Pending, got.Findings)
		}
	})
}

// decideOddly lets rex decide on many holds, each decision in another block.
func (s *siege) decideOddly() {
	s.t.Helper()
	rex := s.wire("rex")
	reviewer := client.Reviewer{Conn: s.dial(s.keys["rex"])}
	for i := range oddBlocks(nil) {
		ticket, err := s.mark.Submit(s.ctx(), refund(500+i))
		check(s.t, err)
		var held client.Held
		s.until("it is parked", func() bool {
			held, err = reviewer.Hold(s.ctx(), ticket.Key)
			return err == nil
		})
		d, err := schemas.Decision{
			Reviewer: "rex", Queue: "billing", Agent: "mark", Intent: ticket.Key.ID, Digest: held.Intent.Digest,
			Verdict: schemas.Approve, Shown: held.Record.Hash(),
		}.Sign(s.keys["rex"].Key)
		check(s.t, err)
		w := schemas.Write(d, "/test", held.Record.Time, "")
		rex.hpub(w.Subject, "", oddBlocks(w.Header)[i], w.Body)
	}
	rex.pub("decisions.rex.billing.*.*", "", nil)
	check(s.t, rex.flush())
	s.quiet()
}

// reportOddly lets exa report twice on each of many grants: first in another
// block that it is done, then as it should that it failed.
func (s *siege) reportOddly() {
	s.t.Helper()
	exa := s.wire("exa")
	sent := s.sequence(schemas.Outcomes)
	conn, err := broker.Connect(s.server.Connection(), "exa", s.keys["exa"].Key, logTo(s.t))
	check(s.t, err)
	defer conn.Close()
	for i := range oddBlocks(nil) {
		ticket, err := s.mark.Submit(s.ctx(), refund(20))
		check(s.t, err)
		_, err = s.mark.Await(s.ctx(), ticket)
		check(s.t, err)
		answer, err := conn.Claim(s.ctx(), "exa", ticket.Key, schemas.Question{Nonce: fmt.Sprint(i)})
		check(s.t, err)
		var g schemas.Grant
		granted := answer.Claim.Grant.Record()
		check(s.t, schemas.Read(granted, &g))
		for j, state := range []schemas.State{schemas.Done, schemas.Failed} {
			r := schemas.Report{Executor: "exa", Agent: "mark", Intent: ticket.Key.ID, Digest: g.Digest, Grant: granted.Pointer(), State: state}
			w := schemas.Write(r, "/test", g.At, "")
			exa.hpub(w.Subject, "", oddBlocks(w.Header)[i*(1-j)], w.Body)
			check(s.t, exa.flush())
			sent++
		}
	}
	exa.pub("outcomes.exa.*.*", "", nil)
	check(s.t, exa.flush())
	// What the server has is not in the stream at once.
	s.until("all reports are stored", func() bool { return s.sequence(schemas.Outcomes) == sent+1 })
}

// sequence returns that of the last record of a stream.
func (s *siege) sequence(stream schemas.Stream) uint64 {
	s.t.Helper()
	seq, err := s.executeLog().LastSeq(s.ctx(), stream)
	check(s.t, err)
	return seq
}

// copiesAgree makes sure that the gate reads what people from outside wrote as it
// stands in AUDIT, and returns what that is, by where it comes from.
func (s *siege) copiesAgree() map[string]schemas.Digest {
	s.t.Helper()
	copies := map[string]schemas.Digest{}
	check(s.t, client.Auditor{Conn: s.dial(s.keys["aud"])}.Tail("", 1).Read(s.ctx(), func(r schemas.Record) error {
		origin, err := broker.Origin(r)
		copies[origin.Pointer().String()] = origin.Hash()
		return err
	}))
	for _, stream := range []schemas.Stream{schemas.Decisions, schemas.Outcomes, schemas.Control} {
		check(s.t, s.executeLog().Tail(stream, "", 1).Read(s.ctx(), func(r schemas.Record) error {
			if at := r.Pointer().String(); copies[at] != r.Hash() {
				s.t.Errorf("%s is %s %q to the gate, and %s in AUDIT", at, r.Hash().Short(), r.Header, copies[at].Short())
			}
			return nil
		}))
	}
	return copies
}

// gateNames returns the decisions and reports that the gate counted or rejected,
// and what it says that they say.
func (s *siege) gateNames() map[string]schemas.Digest {
	s.t.Helper()
	named := map[string]schemas.Digest{}
	read := func(stream schemas.Stream, take func(schemas.Record) error) {
		s.t.Helper()
		check(s.t, s.executeLog().Tail(stream, "", 1).Read(s.ctx(), take))
	}
	read(schemas.Rejected, func(r schemas.Record) error {
		var rejection schemas.Rejection
		err := schemas.Read(r, &rejection)
		named[rejection.Record.String()] = rejection.Record.Hash
		return err
	})
	read(schemas.ParkedHolds, func(r schemas.Record) error {
		var h schemas.Hold
		err := schemas.Read(r, &h)
		for _, v := range h.Votes {
			named[v.Decision.String()] = v.Decision.Hash
		}
		return err
	})
	if len(named) < 2*len(oddBlocks(nil)) {
		s.t.Errorf("the gate answered %d decisions and reports, want one of each block and more", len(named))
	}
	return named
}

func (s *siege) executeLog() *broker.Log {
	s.t.Helper()
	log, err := broker.OpenLog(s.ctx(), s.gate.conns[schemas.RoleExecute], schemas.Control)
	check(s.t, err)
	return log
}
