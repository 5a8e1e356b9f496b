package audit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

func TestApprovals(t *testing.T) {
	voted := func(reviewer schemas.Name, edits ...func(*schemas.Decision)) func(h *history) *intent {
		return func(h *history) *intent {
			return h.refund(parks(1)).park().vote(reviewer, schemas.Approve, edits...)
		}
	}
	held := func(tell func(h *history) *intent, want string) tampering {
		return func(h *history) (schemas.Pointer, string) {
			i := tell(h)
			p := i.held
			i.release()
			return p, want
		}
	}
	released := func(tell func(h *history) *intent, want string) tampering {
		return func(h *history) (schemas.Pointer, string) { return tell(h).release().settled, want }
	}
	testTamperings(t, map[string]tampering{
		"no hold": released(func(h *history) *intent { return h.refund(parks(1)) }, "releases what RECOMMENDED/2 parks, and names no hold"),
		"nobody":  released(func(h *history) *intent { return h.refund(parks(1)).park() }, "without the approvals"),
		"one of two": released(func(h *history) *intent {
			return h.refund(parks(2)).park().vote("ann", schemas.Approve)
		}, "without the approvals"),
		"one for two requirements": released(func(h *history) *intent {
			o := parks(1)
			o.Approvals = append(o.Approvals, schemas.Approval{ID: "another", Quorum: 1})
			return h.refund(o).park().vote("ann", schemas.Approve)
		}, "without the approvals"),
		"not eligible": released(func(h *history) *intent { return voted("cat2")(h) }, "without the approvals"),
		"an expression that does not evaluate": released(func(h *history) *intent {
			o := parks(1)
			o.Approvals[0].Eligible = "nonsense"
			return h.refund(o).park().vote("ann", schemas.Approve)
		}, "without the approvals that it needs: no such expression"),
		"a quorum beyond counting": released(func(h *history) *intent {
			o := parks(1)
			o.Approvals = append(o.Approvals, schemas.Approval{ID: "all", Quorum: 1 << 50})
			return h.refund(o).park().vote("ann", schemas.Approve)
		}, "without the approvals"),
		"a quorum that overflows": released(func(h *history) *intent {
			o := parks(1)
			for n := range 4095 {
				o.Approvals = append(o.Approvals, schemas.Approval{ID: fmt.Sprint(n), Quorum: 1 << 51})
			}
			return h.refund(o).park().vote("ann", schemas.Approve)
		}, "without the approvals"),
		"less than recommended": released(func(h *history) *intent {
			return h.refund(parks(2)).park(func(h *schemas.Hold) { h.Recommended, h.Opinion = nil, parks(1) }).vote("ann", schemas.Approve)
		}, "without the approvals"),
		"less than the hold wants": released(func(h *history) *intent {
			i := h.refund(releases)
			i.opinion = parks(2)
			return i.park(func(h *schemas.Hold) { h.Recommended = nil }).vote("ann", schemas.Approve)
		}, "without the approvals"),
		"a denial": released(func(h *history) *intent {
			return h.refund(parks(1)).park().vote("ann", schemas.Deny)
		}, "releases what ann denied in DECISIONS/1"),
		"an approval turned into a denial": released(func(h *history) *intent {
			return h.refund(parks(1)).park().vote("ann", schemas.Approve).vote("ann", schemas.Deny)
		}, "releases what ann denied in DECISIONS/2"),
		"one who was removed": released(func(h *history) *intent {
			i := voted("ann")(h)
			h.write(schemas.Removal{By: "ida", Name: "ann", At: h.now})
			h.wait(11 * time.Second)
			return i
		}, "without the approvals"),
		"one who was removed, and once more": released(func(h *history) *intent {
			i := voted("ann")(h)
			h.write(schemas.Removal{By: "ida", Name: "ann", At: h.now})
			h.wait(11 * time.Second)
			h.write(schemas.Removal{By: "ida", Name: "ann", At: h.now})
			return i
		}, "without the approvals"),
		"a decision that the release does not name": func(h *history) (schemas.Pointer, string) {
			i := voted("ann")(h)
			return i.release(func(s *schemas.Settlement) { s.Trail = s.Trail[:4] }).settled, "does not name DECISIONS/1, which counts on PARKED/2"
		},
		"a hold of another trail": func(h *history) (schemas.Pointer, string) {
			i := voted("ann")(h)
			return i.observe().recommend(parks(1)).release().settled, "does not follow the trail of PARKED/2"
		},
		"a hold on another digest": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(1))
			other := h.proposeAs(i.Key(), "shop.refund", `{"order":77}`).observe().recommend(parks(1)).park().vote("ann", schemas.Approve)
			i.held, i.hold = other.held, other.hold
			return i.release().settled, "settles something else than PARKED/2 is about"
		},
		"forged": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("ann", schemas.Approve)
			d.Signature = i.says("bob", schemas.Approve).Signature
			return i.count(d, h.write(d))
		}, "counts DECISIONS/1, which ann did not sign"),
		"changed after signing": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("ann", schemas.Deny)
			d.Verdict = schemas.Approve
			return i.count(d, h.write(d))
		}, "which ann did not sign"),
		"by the owner of the agent": held(voted("eve"), "counts DECISIONS/1, by olga, who answers for bot"),
		"by an agent": held(func(h *history) *intent {
			persons := "olga"
			i := h.refund(parks(1)).park()
			d := i.says("bot", schemas.Approve)
			p := h.write(d)
			i.next(func(h *schemas.Hold) {
				h.Votes = append(h.Votes, schemas.Vote{Reviewer: "bot", Person: persons, Verdict: schemas.Approve, Decision: p, At: i.now})
			})
			return i
		}, "by bot, who may not decide"),
		"in a queue that is not the reviewer's": held(func(h *history) *intent {
			i := h.legal().park()
			return i.vote("ann", schemas.Approve, func(d *schemas.Decision) { d.Queue = "legal" })
		}, "may not decide in queue legal"),
		"in another queue": held(func(h *history) *intent {
			return h.legal().park().vote("ann", schemas.Approve)
		}, "may not decide in queue legal"),
		"on another digest": held(voted("ann", func(d *schemas.Decision) { d.Digest = digestOf("x") }), "is about something else"),
		"on another intent": held(func(h *history) *intent {
			other := h.refund(parks(1)).park()
			d := other.says("ann", schemas.Approve)
			return h.refund(parks(1)).park().count(d, h.write(d))
		}, "is about something else"),
		"shown what never was": held(voted("ann", func(d *schemas.Decision) { d.Shown = digestOf("x") }), "a view of the hold that never was"),
		"shown the hold of another intent": held(func(h *history) *intent {
			other := h.refund(parks(1)).park()
			return h.refund(parks(1)).park().vote("ann", schemas.Approve, func(d *schemas.Decision) { d.Shown = other.held.Hash })
		}, "a view of the hold that never was"),
		"shown what came later": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			later := i.hold.Next(i.held.Hash, h.now)
			later.Waiting = "later"
			w := schemas.Write(later, "/test", h.now, "")
			d := i.says("ann", schemas.Approve, func(d *schemas.Decision) {
				d.Shown = schemas.Record{Subject: w.Subject, Header: w.Header, Body: w.Body}.Hash()
			})
			p := h.write(d)
			i.next(func(h *schemas.Hold) {
				h.Votes = append(h.Votes, schemas.Vote{Reviewer: "ann", Person: "ann", Verdict: schemas.Approve, Decision: p, At: i.now})
			})
			h.put(w)
			return i
		}, "a view of the hold that never was"),
		"one person twice": held(func(h *history) *intent {
			o := parks(2)
			o.Approvals[0].Eligible = ""
			return h.refund(o).park().vote("cat", schemas.Approve).vote("cat2", schemas.Approve)
		}, "counts cat twice"),
		"one person twice is one": released(func(h *history) *intent {
			o := parks(2)
			o.Approvals[0].Eligible = ""
			i := h.refund(o).park().vote("cat", schemas.Approve)
			d := i.says("cat2", schemas.Approve)
			p := h.write(d)
			h.reject(p, schemas.CodeVoted)
			return i
		}, "without the approvals"),
		"in the name of another": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("cat2", schemas.Approve)
			p := h.write(d)
			i.next(func(h *schemas.Hold) {
				h.Votes = append(h.Votes, schemas.Vote{Reviewer: "ann", Person: "cat", Verdict: schemas.Approve, Decision: p, At: i.now})
			})
			return i
		}, "as something else than it says"),
		"for another person": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("ann", schemas.Approve)
			p := h.write(d)
			i.next(func(h *schemas.Hold) {
				h.Votes = append(h.Votes, schemas.Vote{Reviewer: "ann", Person: "bob", Verdict: schemas.Approve, Decision: p, At: i.now})
			})
			return i
		}, "as something else than it says"),
		"a denial taken for an approval": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("ann", schemas.Deny)
			p := h.write(d)
			i.next(func(h *schemas.Hold) {
				h.Votes = append(h.Votes, schemas.Vote{Reviewer: "ann", Person: "ann", Verdict: schemas.Approve, Decision: p, At: i.now})
			})
			return i
		}, "as something else than it says"),
		"what is no decision": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			return i.count(i.says("ann", schemas.Approve), i.held)
		}, "which is no decision"),
		"a decision that never was": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			return i.count(i.says("ann", schemas.Approve), schemas.Pointer{Stream: schemas.Decisions, Seq: 1000, Hash: digestOf("x")})
		}, "names DECISIONS/1000, which is not in AUDIT"),
		"another decision": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("ann", schemas.Approve)
			p := h.write(d)
			p.Hash = digestOf("x")
			return i.count(d, p)
		}, "counts DECISIONS/1, which says something else"),
		"a decision that does not read": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("ann", schemas.Approve)
			w := schemas.Write(d, "/test", h.now, "")
			w.Body = w.Body[1:]
			return i.count(d, h.put(w))
		}, "counts DECISIONS/1, which says something else"),
		"by a reviewer whom nobody registered": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			return i.vote("dan", schemas.Approve)
		}, "dan, whom CONTROL does not register"),
	})
}
