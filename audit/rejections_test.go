package audit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestRejectedDenials: one eligible denial ends an intent, whatever the gate says
// of why it does not count.
func TestRejectedDenials(t *testing.T) {
	denied := func(tell func(h *history) *intent, edits ...func(*schemas.Decision)) tampering {
		return func(h *history) (schemas.Pointer, string) {
			i := tell(h)
			h.wait(2 * time.Minute)
			p := h.reject(h.write(i.says("ann", schemas.Deny, edits...)), schemas.CodeInternal)
			h.wait(11 * time.Second)
			i.vote("bob", schemas.Approve).release()
			return p, "rejects DECISIONS/1, a denial that counts"
		}
	}
	testTamperings(t, map[string]tampering{
		"and released": denied(func(h *history) *intent { return h.refund(parks(1)).park() }),
		"by one who is eligible for one of the approvals": denied(func(h *history) *intent {
			o := parks(1)
			o.Approvals = append(o.Approvals, schemas.Approval{ID: "x", Eligible: "nonsense", Quorum: 1})
			return h.refund(o).park()
		}),
		"while it was frozen": denied(func(h *history) *intent {
			return h.refund(releases).park(func(h *schemas.Hold) { h.Waiting = "frozen: all" })
		}),
	})
}

// TestRightlyRejectedDenials: a denial may be rejected that the gate could not
// count, and no finding accuses it.
func TestRightlyRejectedDenials(t *testing.T) {
	t.Parallel()
	for title, tell := range map[string]func(h *history, i *intent) schemas.Decision{
		"without a reason": func(_ *history, i *intent) schemas.Decision {
			return i.says("ann", schemas.Deny, func(d *schemas.Decision) { d.Reason = "" })
		},
		"with a long one": func(_ *history, i *intent) schemas.Decision {
			return i.says("ann", schemas.Deny, func(d *schemas.Decision) { d.Reason = strings.Repeat("x", schemas.MaxReason+1) })
		},
		"forged": func(_ *history, i *intent) schemas.Decision {
			d := i.says("ann", schemas.Deny)
			d.Signature = i.says("bob", schemas.Deny).Signature
			return d
		},
		"on something else": func(_ *history, i *intent) schemas.Decision {
			return i.says("ann", schemas.Deny, func(d *schemas.Decision) { d.Digest = digestOf("x") })
		},
		"shown something else": func(_ *history, i *intent) schemas.Decision {
			return i.says("ann", schemas.Deny, func(d *schemas.Decision) { d.Shown = digestOf("x") })
		},
		"in another queue": func(_ *history, i *intent) schemas.Decision {
			return i.says("ann", schemas.Deny, func(d *schemas.Decision) { d.Queue = "sales" })
		},
		"by the owner of the agent":  func(_ *history, i *intent) schemas.Decision { return i.says("eve", schemas.Deny) },
		"by one who is not eligible": func(_ *history, i *intent) schemas.Decision { return i.says("cat2", schemas.Deny) },
		"by one who has voted": func(_ *history, i *intent) schemas.Decision {
			i.vote("cat", schemas.Approve)
			return i.says("cat2", schemas.Deny)
		},
		"by one who is not there any more": func(h *history, i *intent) schemas.Decision {
			h.write(schemas.Removal{By: "ida", Name: "ann", At: h.now})
			return i.says("ann", schemas.Deny)
		},
		"by one who is new": func(h *history, i *intent) schemas.Decision {
			h.register(schemas.Identity{Name: "dan", Role: schemas.RoleReviewer, Person: "dan", Queues: []schemas.Name{"billing"}, Groups: []string{"finance"}})
			return i.says("dan", schemas.Deny)
		},
		"too late": func(h *history, i *intent) schemas.Decision {
			h.wait(time.Hour)
			return i.says("ann", schemas.Deny)
		},
		"when it was settled": func(_ *history, i *intent) schemas.Decision {
			i.vote("bob", schemas.Approve).vote("cat", schemas.Approve).release()
			return i.says("ann", schemas.Deny)
		},
		"on a hold that the gate did not know of yet": func(h *history, i *intent) schemas.Decision {
			j := h.refund(parks(1)).park()
			return j.says("ann", schemas.Deny)
		},
		"shown what is long past": func(_ *history, i *intent) schemas.Decision {
			d := i.says("ann", schemas.Deny)
			for range 17 {
				i.next()
			}
			return d
		},
	} {
		h := newHistory(t)
		i := h.refund(parks(2)).park()
		h.wait(2 * time.Minute)
		h.reject(h.write(tell(h, i)), schemas.CodeInternal)
		if first := h.verify().First(); first != nil {
			t.Errorf("%s: %v", title, first)
		}
	}
}

// TestRejectedReports: the first report on the latest grant counts.
func TestRejectedReports(t *testing.T) {
	testTamperings(t, map[string]tampering{
		"the first": func(h *history) (schemas.Pointer, string) {
			i := claimed(h)
			h.wait(time.Second)
			p := h.reject(i.report(schemas.Done), schemas.CodeNotGranted)
			i.doubt().resolve("ann", schemas.Retry).claim("runner").report(schemas.Done)
			return p, "rejects OUTCOMES/2, the report on GRANTED/2"
		},
		"after a retry that nobody began": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt().resolve("ann", schemas.Retry)
			return h.reject(i.report(schemas.Done), schemas.CodeTooLate), "rejects OUTCOMES/2, the report on GRANTED/2"
		},
	})
}

// TestRejectionAgain: a record may be rejected twice, after a crash.
func TestRejectionAgain(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	i := claimed(h)
	i.report(schemas.Done)
	p := i.report(schemas.Failed)
	h.reject(p, schemas.CodeTooLate)
	h.reject(p, schemas.CodeTooLate)
	if got := h.verify(); got.First() != nil || got.Pending != 0 || got.Done != 1 {
		t.Errorf("%d pending, %d done and %v, want 0, 1 and nothing", got.Pending, got.Done, got.First())
	}
}
