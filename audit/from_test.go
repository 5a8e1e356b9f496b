package audit_test

import (
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/schemas"
)

// verifyFrom reads records from a place on, as if AUDIT began to be read there.
func verifyFrom(records []schemas.Record, from int, last time.Time) audit.Report {
	v := audit.New(audit.Config{Gateway: gate, Eligibility: groups{}, From: uint64(from + 1)})
	for i, r := range records[from:] {
		v.Add(uint64(from+i+1), r)
	}
	return v.Finish(last.Add(time.Hour))
}

// TestFrom: a reading that begins later finds nothing that is not there, and
// leaves nothing unanswered that was answered.
func TestFrom(t *testing.T) {
	t.Parallel()
	h := everything(t)
	for from := range h.records {
		if got := verifyFrom(h.records, from, h.now); got.First() != nil || got.Pending != 0 {
			t.Errorf("from AUDIT/%d: %d pending and %v", from+1, got.Pending, got.First())
		}
	}
}

// TestFromFinds: what lies before the reading hides nothing that is in it.
func TestFromFinds(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	i := h.refund(parks(2)).park()
	before := h.write(i.says("ann", schemas.Approve))
	other := h.write(i.says("bob", schemas.Approve, func(d *schemas.Decision) { d.Digest = digestOf("x") }))
	held := i.next(func(h *schemas.Hold) {
		h.Votes = append(h.Votes,
			schemas.Vote{Reviewer: "ann", Person: "ann", Verdict: schemas.Approve, Decision: before, At: i.now},
			schemas.Vote{Reviewer: "bob", Person: "bob", Verdict: schemas.Approve, Decision: other, At: i.now})
	})
	got := verifyFrom(h.records, h.at(other), h.now)
	if !found(got, h.records[h.at(held)], "counts DECISIONS/2, which is about something else") {
		t.Errorf("found %v", got.Findings)
	}
}
