package audit_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestFloods: whoever sends something again and again, while an intent waits, does
// not fill the memory of who reads AUDIT, nor make it find anything.
func TestFloods(t *testing.T) {
	t.Parallel()
	const often = 2000
	for title, flood := range map[string]func(h *history) func(n int){
		"the same intent": func(h *history) func(int) {
			i := h.refund(parks(1)).park()
			return func(int) { h.proposeAs(i.Key(), i.Action, string(i.Params)).observe().recommend(parks(1)) }
		},
		"the same id for something else": func(h *history) func(int) {
			i := h.refund(parks(1)).park()
			return func(n int) {
				other := h.proposeAs(i.Key(), i.Action, fmt.Sprintf(`{"n":%d}`, n)).observe().recommend(parks(1))
				other.ID = schemas.SequenceID(other.trail[0].Seq)
				other.Digest = schemas.DigestOf(other.Intent)
				other.refuse(schemas.CodeDuplicateID)
			}
		},
		"the same intent, when it was released": func(h *history) func(int) {
			i := claimed(h)
			return func(int) { h.proposeAs(i.Key(), i.Action, string(i.Params)).observe().recommend(releases) }
		},
		"withdrawals of one intent": func(h *history) func(int) {
			i := h.refund(parks(1)).park()
			return func(int) {
				h.propose(schemas.Withdraw, fmt.Sprintf(`{"id":%q}`, i.ID)).observe().recommend(releases).refuse(schemas.CodeTooLate)
			}
		},
		"reports on one intent": func(h *history) func(int) {
			i := claimed(h)
			i.report(schemas.Done)
			return func(n int) {
				h.reject(i.report(schemas.Failed, func(r *schemas.Report) { r.Error = strconv.Itoa(n) }), schemas.CodeTooLate)
			}
		},
		"reports on no grant": func(h *history) func(int) {
			i := claimed(h)
			return func(n int) {
				h.reject(i.report(schemas.Done, func(r *schemas.Report) { r.Grant.Seq = uint64(1e9 + n) }), schemas.CodeNotGranted)
			}
		},
		"decisions on one intent": func(h *history) func(int) {
			i := h.refund(parks(2)).park().vote("ann", schemas.Approve)
			return func(int) { h.reject(h.write(i.says("ann", schemas.Approve)), schemas.CodeVoted) }
		},
		"reports on what was never there": func(h *history) func(int) {
			i := claimed(h)
			return func(int) {
				h.reject(i.report(schemas.Done, func(r *schemas.Report) { r.Intent = schemas.NewIntentID(h.now) }), schemas.CodeNotGranted)
			}
		},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t)
			send := flood(h)
			h.wait(2 * time.Minute)
			for n := range often {
				send(n)
				h.wait(100 * time.Millisecond)
			}
			for range 2 {
				h.wait(2 * time.Minute)
				h.freeze(schemas.Scope{Agent: "nobody"})
			}
			v := verifier(h.records)
			if got := v.Finish(h.now); got.First() != nil || got.Pending > 0 {
				t.Errorf("%d pending and %v", got.Pending, got.First())
			}
			if kept := v.Kept(); kept > often/8 {
				t.Errorf("%d things are kept of %d", kept, often)
			}
		})
	}
}
