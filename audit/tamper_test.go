package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/schemas"
)

// tampering is a history with something in it that a correct gate does not write.
// It returns the record that is to be found, and what is said of it.
type tampering func(h *history) (schemas.Pointer, string)

// testTamperings makes sure that each is found first where it is, and in whatever
// order the origins are copied. Where a title ends in brackets, that order decides
// what is found.
func testTamperings(t *testing.T, all map[string]tampering) {
	t.Parallel()
	for title, tamper := range all {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t)
			h.refund(releases).release().claim("runner").report(schemas.Done)
			p, want := tamper(h)
			h.wait(time.Hour)
			h.refund(releases).release().claim("runner").report(schemas.Done)
			first := h.verify().First()
			if first == nil {
				t.Fatalf("nothing was found, want %s: %s", p, want)
			}
			if first.Stream != p.Stream || first.Seq != p.Seq || !strings.Contains(first.Text, want) {
				t.Fatalf("found %v\nwant %s: %s", first, p, want)
			}
			if got := verifyForgetfully(h.records, h.now).First(); got == nil || *got != *first {
				t.Errorf("who forgets as soon as possible found %v, and not %v", got, first)
			}
			if strings.HasSuffix(title, ")") {
				return
			}
			for seed := range uint64(8) {
				mixed := interleaved(seed, h.records, 1000*time.Hour)
				for i := range mixed {
					mixed[i].Time = h.now
				}
				found := verify(mixed, h.now).Findings
				if !slices.ContainsFunc(found, func(f audit.Finding) bool {
					return f.Stream == p.Stream && f.Seq == p.Seq && f.Text == first.Text
				}) {
					t.Errorf("in order %d found %v, and not %v", seed, found, first)
				}
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	testTamperings(t, map[string]tampering{
		"settled twice": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases).release().claim("runner")
			i.report(schemas.Done)
			return i.refuse(schemas.CodeExpired).settled, "settles what was settled before"
		},
		"settled twice, long after": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases).refuse(schemas.CodePolicy)
			h.wait(24 * time.Hour)
			h.refund(releases).refuse(schemas.CodePolicy)
			return i.release().settled, "settles what was settled before"
		},
		"neither released nor refused": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).settle(schemas.Settlement{}).settled, "neither releases nor refuses"
		},
		"denied without a hold": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).refuse(schemas.CodeDenied).settled, "names no hold"
		},
		"denied by nobody": func(h *history) (schemas.Pointer, string) {
			return h.refund(parks(1)).park().refuse(schemas.CodeDenied).settled, "nobody denied it"
		},
		"denied by an approval": func(h *history) (schemas.Pointer, string) {
			return h.refund(parks(2)).park().vote("ann", schemas.Approve).refuse(schemas.CodeDenied).settled, "nobody denied it"
		},
		"denied by one who may not": func(h *history) (schemas.Pointer, string) {
			return h.refund(parks(2)).park().vote("cat2", schemas.Deny).refuse(schemas.CodeDenied).settled, "nobody denied it"
		},
		"withdrawn by nobody": func(h *history) (schemas.Pointer, string) {
			return h.refund(parks(1)).park().refuse(schemas.CodeWithdrawn).settled, "names no withdrawal"
		},
		"withdrawn by the withdrawal of another": func(h *history) (schemas.Pointer, string) {
			other, i := h.refund(parks(1)).park(), h.refund(parks(1)).park()
			w := h.propose(schemas.Withdraw, fmt.Sprintf(`{"id":%q}`, other.ID))
			i.refuse(schemas.CodeWithdrawn, func(s *schemas.Settlement) { s.Trail = append(s.Trail, w.trail[0]) })
			return i.settled, "names no withdrawal"
		},
		"withdrawn by something else": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(1)).park()
			other := h.propose("shop.refund", fmt.Sprintf(`{"id":%q}`, i.ID))
			i.refuse(schemas.CodeWithdrawn, func(s *schemas.Settlement) { s.Trail = append(s.Trail, other.trail[0]) })
			return i.settled, "names no withdrawal"
		},
	})
}
