package broker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// oneOfEach is a message for every kind of subject, all about one agent's intent,
// and where its copy stands in AUDIT.
func oneOfEach(k schemas.Key) map[string]schemas.Subject {
	s := schemas.Subject{Intent: k.ID, Agent: k.Agent, Action: "shop.refund", Queue: "desk", Outcome: "park", Budget: "refunds-a-day", Key: strings.Repeat("0a", 16)}
	all := map[string]schemas.Subject{}
	for _, stream := range schemas.Streams() {
		for _, subject := range stream.Subjects() {
			s.Kind, _, _ = strings.Cut(subject, ".")
			s.Writer, s.About, s.Record = "run", "", ""
			if s.Kind == "control" {
				s.Writer, s.About, s.Record = "poe", "thaw", "all"
			}
			if slices.Contains([]string{"decisions", "standing", "revoked", "rejected"}, s.Kind) {
				s.Writer = "ann"
			}
			if s.Kind == "lapsed" {
				s.Writer = "execute"
			}
			who := string(k.Agent)
			switch s.Kind {
			case "control":
				who = "poe"
			case "budgets":
				who = s.Budget
			}
			all["audit."+s.Kind+"."+who] = s
		}
	}
	return all
}

// copies waits until AUDIT holds at least n records beside those about how the
// streams were made, and returns them.
func (w *world) copies(n int) []schemas.Record {
	w.t.Helper()
	var all []schemas.Record
	tail := w.conn("aud").AuditTail("", 1)
	for ctx := w.ctx(); len(all) < n; {
		check(w.t, tail.Read(ctx, func(r schemas.Record) error {
			if r.Subject != "audit.control.provision" {
				all = append(all, r)
			}
			return nil
		}))
		check(w.t, ctx.Err())
	}
	return all
}

// store publishes as the one who may do anything in GATE, and returns the record.
func (w *world) store(d schemas.Draft) schemas.Record {
	w.t.Helper()
	return w.storeAs(w.rootConn(), d)
}

func (w *world) storeAs(c *broker.Conn, d schemas.Draft) schemas.Record {
	w.t.Helper()
	sent, err := c.Send(w.ctx(), d)
	check(w.t, err)
	return schemas.Record{Stream: sent.Stream, Seq: sent.Seq, Subject: d.Subject, Header: d.Header, Body: d.Body}
}

func (w *world) rootConn() *broker.Conn {
	w.t.Helper()
	return w.conn(rootOf(broker.Gate))
}

// TestAuditIsACopy: of every kind of message AUDIT holds a copy that says, on the
// broker's word, which record of which stream it is; its hash is that of the
// original. The subjects in AUDIT are few: one for each kind and agent.
func TestAuditIsACopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root := w.rootConn()
	originals, places := map[string]schemas.Record{}, map[string]string{}
	for i := range 2 {
		for place, s := range oneOfEach(newKey("bot")) {
			r := w.storeAs(root, draft(s, fmt.Sprint(i)))
			originals[r.Pointer().String()], places[r.Pointer().String()] = r, place
		}
	}
	distinct := map[string]bool{}
	for _, c := range w.copies(len(originals)) {
		distinct[c.Subject] = true
		o, err := broker.Origin(c)
		check(t, err)
		want, known := originals[o.Pointer().String()]
		delete(originals, o.Pointer().String())
		if !known || o.Subject != want.Subject || o.Hash() != want.Hash() || c.Subject != places[o.Pointer().String()] {
			t.Errorf("AUDIT/%d on %s is of %s on %s, which is (known: %t) %s", c.Seq, c.Subject, o.Pointer(), o.Subject, known, want.Subject)
		}
	}
	if len(originals) > 0 {
		t.Errorf("no copy of %v", originals)
	}
	if len(distinct) != len(oneOfEach(newKey("bot"))) {
		t.Errorf("two intents of one agent stand on %d subjects", len(distinct))
	}
}

// TestAuditTakesWhatLooksTheSame: a message id that was used in another stream,
// or before in the same, hides nothing from AUDIT.
func TestAuditTakesWhatLooksTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root := w.rootConn()
	for _, s := range oneOfEach(newKey("bot")) {
		d := draft(s, "{}")
		d.Header["Nats-Msg-Id"] = []string{"same"}
		_, err := root.Send(w.ctx(), d)
		check(t, err)
	}
	// Two streams have two kinds of subjects, of which one was a duplicate.
	w.copies(len(schemas.Streams()))
}

// TestForgedSourceIsNotBelieved: a stream takes no message that says what it is a
// copy of; one that nearly says so is a copy of what the broker says.
func TestForgedSourceIsNotBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root := w.rootConn()
	s := schemas.Subject{Kind: "rejected", Writer: "ann", Agent: "bot", Intent: newKey("bot").ID}
	forged := "SETTLED:x 1 released.> audit.released.bot released.x"
	for name, taken := range map[string]bool{"Nats-Stream-Source": false, "nats-stream-source": true, "Nats-Stream-Sourced": true} {
		d := draft(s, name)
		d.Header[name] = []string{forged}
		sent, err := root.Send(w.ctx(), d)
		if (err == nil) != taken {
			t.Errorf("sending with %q: %v", name, err)
		}
		if err != nil {
			continue
		}
		all := w.copies(int(sent.Seq))
		o, err := broker.Origin(all[len(all)-1])
		if err != nil || o.Stream != schemas.Rejected || o.Seq != sent.Seq || o.Subject != s.String() || string(o.Body) != name {
			t.Errorf("with %q: a copy of %s on %s, %v; want %s/%d", name, o.Pointer(), o.Subject, err, sent.Stream, sent.Seq)
		}
	}
	if o, err := broker.Origin(schemas.Record{Stream: schemas.Audit, Seq: 1}); err == nil {
		t.Errorf("a record without a source comes from %s", o.Pointer())
	}
}

// TestLargestMessageIsCopied: what is exactly as large as its stream takes, header
// and all, has room in AUDIT; one byte more is refused, and copying goes on.
func TestLargestMessageIsCopied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root := w.rootConn()
	want := 0
	for _, s := range oneOfEach(newKey("bot")) {
		limit := int(w.configOf(streamOf(t, s)).MaxMsgSize)
		for _, header := range []int{10, limit - 100} {
			d := schemas.Draft{Subject: s.String(), Header: schemas.Header{"X": {strings.Repeat("h", header)}}}
			d.Body = make([]byte, limit-header-len("NATS/1.0\r\nX: \r\n\r\n"))
			w.storeAs(root, d)
			want++
			d.Body = append(d.Body, 0)
			if _, err := root.Send(w.ctx(), d); !isInvalid(err) {
				t.Errorf("%s with one byte too many: %v, want ErrInvalid", s.Kind, err)
			}
		}
	}
	w.copies(want)
}

func streamOf(t testing.TB, s schemas.Subject) schemas.Stream {
	t.Helper()
	parsed, err := schemas.ParseSubject(s.String())
	check(t, err)
	return parsed.Stream
}

// health asks for the state of AUDIT and the clock.
func (w *world) health(b broker.Bounds, now func() time.Time) map[string]schemas.Condition {
	w.t.Helper()
	found := map[string]schemas.Condition{}
	for _, c := range w.conn("execute").Health(w.ctx(), b, now) {
		found[c.Name] = c
	}
	if len(found) != 2 {
		w.t.Fatalf("conditions: %v, want audit and clock", found)
	}
	return found
}

// copying waits until AUDIT is well.
func (w *world) copying() {
	w.t.Helper()
	for ctx := w.ctx(); !w.health(broker.DefaultBounds(), time.Now)["audit"].Healthy; {
		check(w.t, ctx.Err())
	}
}

// TestHealthIsWithinBounds: the audit is well while it copies every stream and
// nothing is over its bound, the clock while it agrees with the broker's; and each
// says which bound was broken.
func TestHealthIsWithinBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.copying()
	off := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	for _, c := range []struct {
		what, unwell, detail string
		bounds               func(*broker.Bounds)
		now                  func() time.Time
	}{
		{what: "all is well", bounds: func(*broker.Bounds) {}, now: time.Now},
		{what: "nothing heard", unwell: "audit", detail: "AUDIT has not heard from", bounds: func(b *broker.Bounds) { b.Silence = 0 }, now: time.Now},
		{what: "fast clock", unwell: "clock", detail: "the clock is", bounds: func(*broker.Bounds) {}, now: off(6 * time.Second)},
		{what: "slow clock", unwell: "clock", detail: "the clock is", bounds: func(*broker.Bounds) {}, now: off(-6 * time.Second)},
		{what: "clock within bounds", bounds: func(*broker.Bounds) {}, now: off(4 * time.Second)},
	} {
		b := broker.DefaultBounds()
		c.bounds(&b)
		for name, got := range w.health(b, c.now) {
			if got.Healthy != (name != c.unwell) || !got.Healthy && !strings.Contains(got.Detail, c.detail) {
				t.Errorf("%s: %+v", c.what, got)
			}
		}
	}
}

// TestHealthKnowsWhatIsNotCopied: the audit is not well when a source is missing,
// when its stream is gone or another, when AUDIT is nearly full, and when it does
// not answer at all; then nothing is known of the clock either.
func TestHealthKnowsWhatIsNotCopied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.copying()
	unwell := func(what, detail string) {
		t.Helper()
		for ctx := w.ctx(); ; check(t, ctx.Err()) {
			got := w.health(broker.DefaultBounds(), time.Now)["audit"]
			if !got.Healthy && strings.Contains(got.Detail, detail) {
				return
			}
			if ctx.Err() != nil {
				t.Fatalf("%s: %+v, want %q", what, got, detail)
			}
		}
	}
	whole := w.configOf(schemas.Audit)
	fewer := w.configOf(schemas.Audit)
	fewer.Sources = fewer.Sources[1:]
	w.update(fewer)
	unwell("a source was taken away", "AUDIT copies 12 of 13 streams")
	full := w.configOf(schemas.Audit)
	full.Sources, full.MaxBytes = whole.Sources, 1<<10
	w.store(draft(schemas.Subject{Kind: "exposed", Agent: "bot"}, strings.Repeat("x", 1<<10)))
	w.copies(1)
	w.update(full)
	unwell("AUDIT is full", "of at most 1024 bytes")
	_, js := w.root(broker.AuditLog)
	check(t, js.DeleteStream(w.ctx(), "AUDIT"))
	unwell("AUDIT is gone", "stream not found")
	if clock := w.health(broker.DefaultBounds(), time.Now)["clock"]; clock.Healthy {
		t.Error("without an answer the clock is taken for right")
	}
}
