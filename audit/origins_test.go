package audit_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/schemas"
)

// chain is a history in which everything depends on what is before it, and the
// places of its records.
func chain(t *testing.T) *history {
	h := newHistory(t)
	for range 2 {
		i := h.refund(parks(1)).park()
		h.reject(h.write(i.says("eve", schemas.Approve)), schemas.CodeNotEligible)
		h.write(schemas.Exposure{Agent: "bot", At: h.now})
		h.freeze(schemas.Scope{System: "mail"})
		i.vote("ann", schemas.Approve).release().claim("runner").report(schemas.Done)
	}
	return h
}

// found reports whether text is said of the record.
func found(got audit.Report, r schemas.Record, text string) bool {
	return slices.ContainsFunc(got.Findings, func(f audit.Finding) bool {
		return f.Stream == r.Stream && f.Seq == r.Seq && strings.Contains(f.Text, text)
	})
}

// TestOrigins: no record of any origin can be left out or moved, and none that the
// gate wrote be doubled. What people from outside wrote may be copied again, and
// says nothing the second time.
func TestOrigins(t *testing.T) {
	t.Parallel()
	h := chain(t)
	if first := h.verify().First(); first != nil {
		t.Fatal(first)
	}
	for i, r := range h.records {
		at := fmt.Sprintf("%s/%d", r.Stream, r.Seq)
		next := slices.IndexFunc(h.records[i+1:], func(other schemas.Record) bool { return other.Stream == r.Stream })
		if next < 0 {
			continue // nothing in AUDIT tells that there was one more
		}
		next += i + 1
		without := slices.Delete(slices.Clone(h.records), i, i+1)
		if got := verify(without, h.now); !found(got, h.records[next], at+" missing before it") {
			t.Errorf("%s left out: %v", at, got.First())
		}
		doubled := slices.Insert(slices.Clone(h.records), i+1, r)
		outside := slices.Contains([]schemas.Stream{schemas.Intents, schemas.Decisions, schemas.Outcomes, schemas.Control}, r.Stream)
		if got := verify(doubled, h.now); outside && got.First() != nil || !outside && (!found(got, r, "stands behind "+at) || len(got.Findings) != 1) {
			t.Errorf("%s doubled: %v", at, got.First())
		}
		swapped := slices.Clone(h.records)
		swapped[i], swapped[next] = swapped[next], swapped[i]
		if got := verify(swapped, h.now); !found(got, h.records[next], at+" missing before it") {
			t.Errorf("%s moved: %v", at, got.First())
		}
	}
	if got := verify(h.records[5:], h.now); !found(got, h.records[5], "has CONTROL/1 to 5 missing before it") {
		t.Errorf("many left out: %v", got.First())
	}
}

// TestAuditItself: no record of AUDIT can be taken out, also where the next of its
// origin does not tell.
func TestAuditItself(t *testing.T) {
	t.Parallel()
	h := chain(t)
	for i := range h.records[1:] {
		v := audit.New(audit.Config{Gateway: gate, Eligibility: groups{}})
		for j, r := range h.records {
			if j != i {
				v.Add(uint64(j+1), r)
			}
		}
		if got := v.Finish(h.now); !found(got, h.records[i+1], fmt.Sprintf("has AUDIT/%d missing before it", i+1)) {
			t.Errorf("AUDIT/%d left out: %v", i+1, got.First())
		}
	}
}

// TestNoCopy: what somebody stored in AUDIT is found, and what follows is read.
func TestNoCopy(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	written := h.records[3]
	written.Stream, written.Seq = schemas.Audit, uint64(len(h.records)+1)
	h.records = append(h.records, written)
	h.perform()
	got := h.verify()
	if len(got.Findings) != 1 || !found(got, written, "is no copy") || got.Done != 1 {
		t.Errorf("found %v and %d done, want only the record that is no copy", got.Findings, got.Done)
	}
}

// TestUnknownOrigin: AUDIT copies no other streams.
func TestUnknownOrigin(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	r := h.records[0]
	r.Stream = "SEALS"
	if got := verify(append(h.records, r), h.now); len(got.Findings) != 1 || !found(got, r, "does not copy") {
		t.Errorf("found %v", got.Findings)
	}
}

// TestBytes: no byte can be changed of what led to a release, nor of the release.
// Records that nothing else names are for sealing to protect.
func TestBytes(t *testing.T) {
	t.Parallel()
	h := chain(t)
	for i, r := range h.records {
		switch {
		case r.Stream == schemas.ParkedHolds && r.Seq%3 == 0: // says that it is closed
			continue
		case r.Stream == schemas.Decisions && r.Seq%2 == 1: // rejected
			continue
		case !slices.Contains(schemas.Streams()[:6], r.Stream):
			continue
		}
		for at := 0; at < len(r.Body); at += 5 {
			changed := slices.Clone(h.records)
			changed[i].Body = bytes.Clone(r.Body)
			changed[i].Body[at] ^= 1
			if got := verify(changed, h.now); got.First() == nil {
				t.Errorf("%s/%d: byte %d of %s changed, and nothing is found", r.Stream, r.Seq, at, r.Body)
			}
		}
	}
}

// TestForms: what only the gate or an operator can write must read, and stand
// where it belongs.
func TestForms(t *testing.T) {
	t.Parallel()
	h := chain(t)
	for i, r := range h.records {
		if r.Stream == schemas.Intents || r.Stream == schemas.Decisions || r.Stream == schemas.Outcomes {
			continue
		}
		changes := map[string]func(r *schemas.Record){
			"cut short":          func(r *schemas.Record) { r.Body = r.Body[:len(r.Body)-1] },
			"an unknown field":   func(r *schemas.Record) { r.Body = append([]byte(`{"x":1,`), r.Body[1:]...) },
			"another type":       func(r *schemas.Record) { r.Header = typed(r.Header, "dev.holdpoint.other.v1") },
			"another version":    func(r *schemas.Record) { r.Header = typed(r.Header, "dev.holdpoint.intent.released.v2") },
			"headers unreadable": func(r *schemas.Record) { r.Header = schemas.Header{"Nats-Unreadable": {""}} },
			"another subject":    func(r *schemas.Record) { r.Subject = strings.Replace(r.Subject, ".bot", ".bot2", 1) + "x" },
		}
		for title, change := range changes {
			changed := slices.Clone(h.records)
			change(&changed[i])
			if got := verify(changed, h.now); !found(got, r, "") || got.First().Seq != r.Seq {
				t.Errorf("%s/%d, %s: found %v", r.Stream, r.Seq, title, got.First())
			}
		}
	}
}

// typed returns a header that names another type.
func typed(h schemas.Header, name string) schemas.Header {
	typed := schemas.Header{}
	for k, v := range h {
		typed[k] = v
	}
	typed["ce-type"] = []string{name}
	return typed
}

// TestDigests: every record that carries an intent is held against its digest.
func TestDigests(t *testing.T) {
	t.Parallel()
	for _, stream := range []schemas.Stream{schemas.Observed, schemas.Recommended, schemas.ParkedHolds, schemas.Settled} {
		h := newHistory(t)
		i := h.propose("shop.refund", `{"amount":1}`)
		was := i.Params
		at := func(s schemas.Stream) *intent {
			i.Params = was
			if s == stream {
				i.Params = []byte(`{"amount":2}`)
			}
			return i
		}
		at(schemas.Observed).observe()
		at(schemas.Recommended).recommend(parks(1))
		at(schemas.ParkedHolds).park().vote("ann", schemas.Approve)
		i.hold.Intent.Params = was
		at(schemas.Settled).release()
		if first := h.verify().First(); first == nil || first.Stream != stream || !strings.Contains(first.Text, "has been changed") {
			t.Errorf("%s: found %v", stream, first)
		}
	}
}
