package audit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/schemas"
)

func TestRejections(t *testing.T) {
	testTamperings(t, map[string]tampering{
		"of what counts (or the other way round)": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(2)).park().vote("ann", schemas.Approve)
			return h.reject(i.hold.Votes[0].Decision, schemas.CodeNotEligible), "rejects DECISIONS/1, which counts"
		},
		"of neither a decision nor a report": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			return h.reject(i.trail[0], schemas.CodeInvalid, func(r *schemas.Rejection) { r.Of, r.Intent = "ann", i.ID }), "rejects INTENTS/2, which is neither"
		},
		"of what never was": func(h *history) (schemas.Pointer, string) {
			r := schemas.Rejection{Of: "ann", Agent: "bot", Intent: schemas.SequenceID(1), Code: schemas.CodeInvalid, At: h.now}
			r.Record = schemas.Pointer{Stream: schemas.Decisions, Seq: 1000, Hash: digestOf("x")}
			return h.write(r), "names DECISIONS/1000, which is not in AUDIT"
		},
		"told to somebody else": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(2)).park()
			p := h.write(i.says("ann", schemas.Approve))
			return h.reject(p, schemas.CodeInvalid, func(r *schemas.Rejection) { r.Of = "bob" }), "says so to bob instead of ann"
		},
	})
}

// TestRejectedAndCounted: what is rejected and counts nevertheless is found where
// the second of the two stands.
func TestRejectedAndCounted(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	i := h.refund(parks(1)).park()
	d := i.says("ann", schemas.Approve)
	p := h.write(d)
	h.reject(p, schemas.CodeNotEligible)
	i.count(d, p)
	held := i.held
	i.release()
	first := h.verify().First()
	if first == nil || first.Stream != held.Stream || first.Seq != held.Seq || !strings.Contains(first.Text, "which REJECTED says does not count") {
		t.Errorf("found %v, want %s", first, held)
	}
}

// TestPending: what the gate has not answered yet is no finding, until it has
// answered far more than it handles at once, and had time to copy it.
func TestPending(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	i := claimed(h)
	stray := i.report(schemas.Done, func(r *schemas.Report) { r.Executor = "sprinter" })
	j := h.refund(parks(1)).park()
	h.write(j.says("ann", schemas.Approve))
	h.put(schemas.Draft{Subject: "decisions.bob.billing.bot.x"})
	h.put(schemas.Draft{Subject: "decisions.BOB.billing.bot.x"}) // nobody to answer
	h.put(schemas.Draft{Subject: "outcomes.RUNNER.bot.x"})
	got := h.verify()
	if got.First() != nil || got.Pending != 3 {
		t.Errorf("%d pending and %v, want 3 and nothing", got.Pending, got.First())
	}
	for range 1<<14 - 1 {
		h.reject(h.put(schemas.Draft{Subject: "outcomes.sprinter.bot.x"}), schemas.CodeInvalid)
	}
	if got := h.verify(); got.First() != nil || got.Pending != 3 {
		t.Errorf("%d pending and %v, want 3 and nothing yet", got.Pending, got.First())
	}
	h.reject(h.put(schemas.Draft{Subject: "outcomes.sprinter.bot.x"}), schemas.CodeInvalid)
	if got := h.verify(); got.First() != nil || got.Pending != 3 {
		t.Errorf("%d pending and %v, want 3 and nothing within the lag", got.Pending, got.First())
	}
	h.wait(time.Minute)
	h.reject(h.put(schemas.Draft{Subject: "outcomes.sprinter.bot.x"}), schemas.CodeInvalid)
	got = h.verify()
	if first := got.First(); len(got.Findings) != 1 || first.Seq != stray.Seq || !strings.Contains(first.Text, "counts nowhere") {
		t.Errorf("found %v, want only %s", got.Findings, stray)
	}
}

// TestPassedOver: what is not answered for a day, while others are, was passed over:
// a denial, for one, over which the intent is released.
func TestPassedOver(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	i := h.refund(parks(1)).park()
	denial := h.write(i.says("ann", schemas.Deny))
	i.vote("bob", schemas.Approve).release()
	h.wait(23 * time.Hour)
	h.refund(parks(1)).park().vote("bob", schemas.Approve)
	if got := h.verify(); got.First() != nil || got.Pending != 1 {
		t.Errorf("%d pending and %v, want 1 and nothing yet", got.Pending, got.First())
	}
	h.wait(2 * time.Hour)
	h.refund(parks(1)).park().vote("bob", schemas.Approve)
	got := h.verify()
	if len(got.Findings) != 1 || !found(got, h.records[h.at(denial)], "counts nowhere and is not rejected, although DECISIONS/4 was answered") {
		t.Errorf("found %v, want only %s", got.Findings, denial)
	}
}

// TestSecondReport: a report that says something else than the first on its grant
// waits for its rejection.
func TestSecondReport(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	i := claimed(h)
	i.report(schemas.Done)
	i.report(schemas.Done)
	i.report(schemas.Failed)
	if got := h.verify(); got.Pending != 1 || got.Done != 1 || got.Failed != 0 {
		t.Errorf("%d pending, %d done and %d failed, want 1, 1 and 0", got.Pending, got.Done, got.Failed)
	}
}

// TestRejectedReportEndsNothing: an intent whose only report is rejected goes on, also
// when nothing else is heard of it for long.
func TestRejectedReportEndsNothing(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	i := claimed(h)
	h.reject(i.report(schemas.Done), schemas.CodeInternal)
	for range 3 {
		h.wait(time.Hour)
		h.refund(releases).refuse(schemas.CodePolicy)
	}
	if got := h.verify(); got.Open != 1 || got.Done != 0 {
		t.Errorf("%d open and %d done, want 1 and none", got.Open, got.Done)
	}
}

// TestRepetition: a report that says once more what the intent ended with needs no
// answer, however late; one that says anything else does.
func TestRepetition(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	i := claimed(h)
	i.report(schemas.Done)
	for range 3 {
		h.wait(time.Hour)
		h.refund(releases).refuse(schemas.CodePolicy)
	}
	i.report(schemas.Done)
	if got := h.verify(); got.Pending != 0 {
		t.Errorf("%d pending after a repetition, want none", got.Pending)
	}
	i.report(schemas.Failed)
	if got := h.verify(); got.Pending != 1 {
		t.Errorf("%d pending after another report, want 1", got.Pending)
	}
}

// TestYoung: what is named and not there yet may still come, for a while.
func TestYoung(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	i := h.refund(releases).release()
	missing := h.at(i.trail[2])
	h.records = slices.Delete(h.records, missing, missing+1)
	last := h.records[len(h.records)-1].Time
	for _, c := range []struct {
		after             time.Duration
		findings, pending int
	}{{0, 0, 1}, {time.Minute - 1, 0, 1}, {time.Minute, 1, 0}} {
		got := verifier(h.records).Finish(last.Add(c.after))
		if len(got.Findings) != c.findings || got.Pending != c.pending {
			t.Errorf("after %v: %d pending and %v, want %d and %d findings", c.after, got.Pending, got.Findings, c.pending, c.findings)
		}
	}
	if got := verifier(h.records).Finish(time.Time{}); got.Pending != 1 {
		t.Errorf("at the last record: %d pending, want 1", got.Pending)
	}
}

// TestGoOn: finishing changes nothing, so that a reader can go on.
func TestGoOn(t *testing.T) {
	t.Parallel()
	h := everything(t)
	v := audit.New(audit.Config{Gateway: gate, Eligibility: groups{}})
	for i, r := range h.records {
		v.Add(uint64(i+1), r)
		if got := v.Finish(r.Time); got.First() != nil {
			t.Fatalf("at AUDIT/%d: %v", i+1, got.First())
		}
	}
	if got, want := v.Finish(h.now), h.verify(); got.Counts != want.Counts {
		t.Errorf("counted %+v, want %+v", got.Counts, want.Counts)
	}
}

// TestBounded: a report lists the first findings and counts the rest.
func TestBounded(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	for range audit.MaxFindings + 10 {
		h.put(schemas.Draft{Subject: "exposed.bot"})
	}
	slices.Reverse(h.records) // so that every one is out of order
	got := verifier(h.records).Finish(time.Time{})
	if len(got.Findings) != audit.MaxFindings || got.More == 0 {
		t.Fatalf("%d findings and %d more", len(got.Findings), got.More)
	}
	for i, f := range got.Findings[1:] {
		if f.Audit < got.Findings[i].Audit {
			t.Fatalf("AUDIT/%d stands behind AUDIT/%d", f.Audit, got.Findings[i].Audit)
		}
	}
}
