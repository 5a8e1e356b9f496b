package audit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// claimed is a release that was granted to runner.
func claimed(h *history, edits ...func(*schemas.Grant)) *intent {
	return h.refund(releases).release().claim("runner", edits...)
}

// looked is a release of what may be granted again, that was granted to runner.
func looked(h *history) *intent { return h.look(releases).release().claim("runner") }

func TestGrants(t *testing.T) {
	pointer := func(s schemas.Stream, seq uint64) schemas.Pointer {
		return schemas.Pointer{Stream: s, Seq: seq, Hash: digestOf("x")}
	}
	testTamperings(t, map[string]tampering{
		"no release": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			i.settled = pointer(schemas.Settled, 1000)
			return i.claim("runner").granted, "names SETTLED/1000, which is not in AUDIT"
		},
		"no trail": func(h *history) (schemas.Pointer, string) {
			return claimed(h, func(g *schemas.Grant) { g.Trail = nil }).granted, "names no release"
		},
		"a trail without a release": func(h *history) (schemas.Pointer, string) {
			return claimed(h, func(g *schemas.Grant) { g.Trail[0] = pointer(schemas.Intents, 1) }).granted, "names no release"
		},
		"another release": func(h *history) (schemas.Pointer, string) {
			return claimed(h, func(g *schemas.Grant) { g.Trail[0].Hash = digestOf("x") }).granted, "releases nothing of the kind"
		},
		"the release of another intent": func(h *history) (schemas.Pointer, string) {
			other, i := h.refund(releases).release(), h.refund(releases)
			i.settled = other.settled
			return i.claim("runner").granted, "releases nothing of the kind"
		},
		"a refusal": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).refuse(schemas.CodePolicy).claim("runner").granted, "releases nothing of the kind"
		},
		"a refusal of long ago (said otherwise when it is forgotten)": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases).refuse(schemas.CodePolicy)
			h.wait(time.Hour)
			h.refund(releases).refuse(schemas.CodePolicy)
			return i.claim("runner").granted, "grants what is over"
		},
		"a withdrawal": func(h *history) (schemas.Pointer, string) {
			return h.withdraw(h.refund(parks(1)).park()).release().claim("runner").granted, "releases nothing of the kind"
		},
		"another digest": func(h *history) (schemas.Pointer, string) {
			return claimed(h, func(g *schemas.Grant) { g.Digest = digestOf("x") }).granted, "is about something else than SETTLED/2 releases"
		},
		"another action": func(h *history) (schemas.Pointer, string) {
			return claimed(h, func(g *schemas.Grant) { g.Action = "shop.order" }).granted, "grants something else than SETTLED/2 releases"
		},
		"before the release": func(h *history) (schemas.Pointer, string) {
			return claimed(h, func(g *schemas.Grant) { g.At = g.At.Add(-11 * time.Second) }).granted, "grants before SETTLED/2 releases"
		},
		"after it should have lapsed": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases).release()
			h.wait(15*time.Minute + 11*time.Second)
			return i.claim("runner").granted, "grants what should have lapsed"
		},
		"after it lapsed": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases).release()
			h.wait(15*time.Minute - time.Second)
			i.lapse()
			return i.claim("runner").granted, "grants what has lapsed"
		},
		"to one whom nobody registered": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).release().claim("walker").granted, "walker, whom CONTROL does not register"
		},
		"to one who is no executor": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).release().claim("ann").granted, "ann, who is no executor"
		},
		"to one who was removed": func(h *history) (schemas.Pointer, string) {
			h.write(schemas.Removal{By: "ida", Name: "sprinter", At: h.now})
			h.wait(11 * time.Second)
			return h.refund(releases).release().claim("sprinter").granted, "sprinter, who was removed"
		},
		"to one of another system": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).release().claim("mailer").granted, "mailer, who is not registered for shop"
		},
		"to one for whom an approver answers": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(1)).park().vote("bob", schemas.Approve).release().claim("bobs-runner")
			return i.granted, "bob approved it and answers for it"
		},
		"when the agent was removed": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases).release()
			h.write(schemas.Removal{By: "ida", Name: "bot", At: h.now})
			h.wait(11 * time.Second)
			p := i.claim("runner").granted
			h.register(schemas.Identity{Name: "dan", Role: schemas.RoleAgent, Owner: "x"})
			return p, "bot, who was removed"
		},
		"twice": func(h *history) (schemas.Pointer, string) {
			i := claimed(h)
			h.wait(time.Hour)
			i.verdict.ExecuteBy = h.now
			return i.claim("sprinter").granted, "grants again what may be granted once, in GRANTED/2"
		},
		"again too early": func(h *history) (schemas.Pointer, string) {
			i := looked(h)
			h.wait(49 * time.Second)
			return i.claim("sprinter").granted, "grants again before the lease of GRANTED/2 ends"
		},
		"again after a report (when it was copied at once)": func(h *history) (schemas.Pointer, string) {
			i := looked(h)
			i.report(schemas.Done)
			h.wait(time.Minute)
			return i.claim("sprinter").granted, "grants again what OUTCOMES/2 reports on"
		},
		"again after a reviewer's word": func(h *history) (schemas.Pointer, string) {
			i := looked(h).doubt().resolve("ann", schemas.WasDone)
			h.wait(11 * time.Second)
			return i.claim("sprinter").granted, "grants again what is done by PARKED/2"
		},
		"again after a retry that was begun": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt().resolve("ann", schemas.Retry).claim("runner")
			h.wait(2 * time.Minute)
			return i.claim("sprinter").granted, "no hold says that a reviewer wants that after GRANTED/3"
		},
		"again without the retry": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt().resolve("ann", schemas.Retry)
			return i.claim("runner", func(g *schemas.Grant) { g.Trail = g.Trail[:2] }).granted, "grants again what may be granted once"
		},
		"again after the retry should have lapsed": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt().resolve("ann", schemas.Retry)
			h.wait(15*time.Minute + 11*time.Second)
			return i.claim("runner").granted, "grants what should have lapsed"
		},
		"the second attempt first": func(h *history) (schemas.Pointer, string) {
			return claimed(h, func(g *schemas.Grant) { g.Attempt = 2 }).granted, "is attempt 2, and there was none before"
		},
		"the first attempt twice": func(h *history) (schemas.Pointer, string) {
			i := looked(h)
			h.wait(time.Minute)
			return i.claim("runner", func(g *schemas.Grant) { g.Attempt = 1 }).granted, "is attempt 1, and does not follow GRANTED/2, attempt 1"
		},
		"the third attempt second": func(h *history) (schemas.Pointer, string) {
			i := looked(h)
			h.wait(time.Minute)
			return i.claim("runner", func(g *schemas.Grant) { g.Attempt = 3 }).granted, "is attempt 3"
		},
		"without the attempt before": func(h *history) (schemas.Pointer, string) {
			i := looked(h)
			h.wait(time.Minute)
			return i.claim("runner", func(g *schemas.Grant) { g.Trail = g.Trail[:1] }).granted, "does not follow GRANTED/2"
		},
		"again while it is in doubt": func(h *history) (schemas.Pointer, string) {
			i := looked(h).doubt()
			h.wait(11 * time.Second)
			return i.claim("sprinter").granted, "grants again what is in doubt since GRANTED/2"
		},
		"after the intent expired": func(h *history) (schemas.Pointer, string) {
			i := claimed(h)
			h.wait(schemas.MaxLifetime - time.Minute)
			i.grant.LeaseUntil = h.now
			i.doubt().resolve("ann", schemas.Retry)
			h.wait(2 * time.Minute)
			return i.claim("runner").granted, "grants an intent that expired before"
		},
		"when an approver was removed": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(2)).park().vote("ann", schemas.Approve).vote("bob", schemas.Approve).release()
			h.write(schemas.Removal{By: "ida", Name: "bob", At: h.now})
			h.wait(11 * time.Second)
			return i.claim("runner").granted, "goes on without the approvals that it needs"
		},
		"without what only the hold wants": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			i.opinion = parks(1)
			i.park(func(h *schemas.Hold) { h.Recommended = nil }).vote("ann", schemas.Approve).release()
			h.write(schemas.Removal{By: "ida", Name: "ann", At: h.now})
			h.wait(11 * time.Second)
			return i.claim("runner").granted, "goes on without the approvals that it needs"
		},
		"by a bundle that nobody activated": func(h *history) (schemas.Pointer, string) {
			return claimed(h, func(g *schemas.Grant) { g.Bundle = digestOf("x") }).granted, "goes by bundle " + digestOf("x").Short()
		},
		"as if the action could be repeated (or the other way round)": func(h *history) (schemas.Pointer, string) {
			return claimed(h, func(g *schemas.Grant) { g.Idempotent = true }).granted,
				"says that it is true that shop.refund is idempotent, and GRANTED/1, by the same bundle, false"
		},
	})
}

func TestLapses(t *testing.T) {
	testTamperings(t, map[string]tampering{
		"too early": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases).release()
			h.wait(15*time.Minute - 11*time.Second)
			return i.lapse(), "lapses before"
		},
		"of something else": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases).release()
			h.wait(15 * time.Minute)
			return i.lapse(func(l *schemas.Lapse) { l.Digest = digestOf("x") }), "is about something else"
		},
		"after a grant": func(h *history) (schemas.Pointer, string) {
			i := claimed(h)
			h.wait(15 * time.Minute)
			return i.lapse(), "lapses what is granted by GRANTED/2"
		},
		"after a retry that was begun": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt().resolve("ann", schemas.Retry).claim("runner")
			h.wait(15 * time.Minute)
			return i.lapse(), "lapses what is granted by GRANTED/3"
		},
		"too early after a retry": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt().resolve("ann", schemas.Retry)
			h.wait(14 * time.Minute)
			return i.lapse(), "lapses before"
		},
		"twice": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases).release()
			h.wait(15 * time.Minute)
			i.lapse()
			return i.lapse(), "lapses what is over"
		},
		"long after it lapsed": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases).release()
			h.wait(15 * time.Minute)
			i.lapse()
			h.wait(time.Hour)
			h.refund(releases).refuse(schemas.CodePolicy)
			return i.lapse(), "lapses what is over"
		},
	})
}

func TestDoubts(t *testing.T) {
	// ends has a doubt ended by a decision of ann that was edited.
	ends := func(verdict schemas.Verdict, want string, edits ...func(*schemas.Decision)) tampering {
		return func(h *history) (schemas.Pointer, string) {
			return claimed(h).doubt().resolve("ann", verdict, edits...).held, want
		}
	}
	testTamperings(t, map[string]tampering{
		"by the owner of the agent": func(h *history) (schemas.Pointer, string) {
			return claimed(h).doubt().resolve("eve", schemas.Retry).held, "by olga, who answers for bot"
		},
		"on another digest":    ends(schemas.Retry, "is about something else", func(d *schemas.Decision) { d.Digest = digestOf("x") }),
		"shown what never was": ends(schemas.WasDone, "a view of the hold that never was", func(d *schemas.Decision) { d.Shown = digestOf("x") }),
		"by an approval":       ends(schemas.Approve, `says "approve"`),
		"in a queue of nobody": ends(schemas.Retry, "may not decide in queue", func(d *schemas.Decision) { d.Queue = "legal" }),
		"forged": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt()
			d := i.says("ann", schemas.Retry)
			d.Signature = ""
			p := h.write(d)
			return i.resolved(d, p).held, "which ann did not sign"
		},
		"as something else than was said": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt()
			d := i.says("ann", schemas.WasNotDone)
			p := h.write(d)
			d.Verdict = schemas.WasDone
			return i.resolved(d, p).held, `says "not_done"`
		},
		"into another state": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt()
			d := i.says("ann", schemas.Retry)
			p := h.write(d)
			return i.next(func(h *schemas.Hold) {
				h.State, h.Doubt.Decision, h.Doubt.Verdict = schemas.Done, p, schemas.Retry
			}), `becomes done by DECISIONS/1, which says "retry"`
		},
		"twice by one decision": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt()
			d := i.says("ann", schemas.Retry)
			p := h.write(d)
			return i.resolved(d, p).claim("runner").doubt().resolved(d, p).held, "ends another doubt by DECISIONS/1"
		},
		"by a rejected decision (or the other way round)": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt()
			d := i.says("ann", schemas.Retry)
			p := h.write(d)
			i.resolved(d, p)
			return h.reject(p, schemas.CodeNotInDoubt), "rejects DECISIONS/1, which counts"
		},
		"by a report that nobody made": func(h *history) (schemas.Pointer, string) {
			return claimed(h).doubt().next(func(h *schemas.Hold) { h.State = schemas.Done }), "becomes done, and no report on GRANTED/2 says so"
		},
		"by a report that says something else": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt()
			i.report(schemas.Failed)
			return i.next(func(h *schemas.Hold) { h.State = schemas.Done }), "becomes done, and no report on GRANTED/2 says so"
		},
		"by a second report": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt()
			i.report(schemas.Failed)
			h.reject(i.report(schemas.Done), schemas.CodeTooLate)
			return i.next(func(h *schemas.Hold) { h.State = schemas.Done }), "becomes done, and no report on GRANTED/2 says so"
		},
		"by a report of somebody else": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt()
			h.reject(i.report(schemas.Done, func(r *schemas.Report) { r.Executor = "sprinter" }), schemas.CodeNotGranted)
			return i.next(func(h *schemas.Hold) { h.State = schemas.Done }), "becomes done, and no report on GRANTED/2 says so"
		},
		"about another grant": func(h *history) (schemas.Pointer, string) {
			i := claimed(h)
			i.granted.Hash = digestOf("x")
			return i.doubt().held, "names GRANTED/2, which grants nothing of the kind"
		},
		"about a grant that never was": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt()
			return i.next(func(h *schemas.Hold) { h.State, h.Doubt.Grant.Seq = schemas.Done, 1000 }), "names GRANTED/1000, which is not in AUDIT"
		},
		"by a report that is rejected": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt()
			p := i.report(schemas.Done)
			i.next(func(h *schemas.Hold) { h.State = schemas.Done })
			return h.reject(p, schemas.CodeTooLate), "rejects OUTCOMES/2, the report on GRANTED/2"
		},
		"a grant after a retry that was forged": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt()
			d := i.says("ann", schemas.Retry)
			d.Signature = ""
			p := h.write(d)
			held := i.resolved(d, p).held
			i.claim("runner")
			if found := h.verify().Findings; len(found) != 2 || found[1].Stream != schemas.Grants {
				h.t.Errorf("found %v, want that the grant is found too", found)
			}
			return held, "which ann did not sign"
		},
	})
}

func TestFreezes(t *testing.T) {
	for title, scope := range map[string]schemas.Scope{
		"all": {All: true}, "agent": {Agent: "bot"}, "action": {Action: "shop.refund"}, "system": {System: "shop"},
	} {
		frozen := func(after, before time.Duration, do func(h *history) func() schemas.Pointer) tampering {
			return func(h *history) (schemas.Pointer, string) {
				then := do(h)
				begun := h.freeze(scope)
				h.wait(after)
				p := then()
				h.wait(before)
				h.thaw(scope)
				return p, fmt.Sprintf("is written during the freeze of %s that CONTROL/%d begins", scope, begun.Seq)
			}
		}
		release := func(h *history) func() schemas.Pointer {
			i := h.refund(releases)
			return func() schemas.Pointer { return i.release().settled }
		}
		claim := func(h *history) func() schemas.Pointer {
			i := h.refund(releases).release()
			return func() schemas.Pointer { return i.claim("runner").granted }
		}
		t.Run(title, func(t *testing.T) {
			testTamperings(t, map[string]tampering{
				"release": frozen(11*time.Second, 11*time.Second, release),
				"claim":   frozen(11*time.Second, 11*time.Second, claim),
				"release in the second freeze": func(h *history) (schemas.Pointer, string) {
					h.freeze(scope)
					h.thaw(scope)
					return frozen(11*time.Second, 11*time.Second, release)(h)
				},
				"release while it lasts": func(h *history) (schemas.Pointer, string) {
					p, want := frozen(11*time.Second, 0, release)(h)
					h.records = h.records[:len(h.records)-1]
					h.seqs[schemas.Control]--
					// What follows is not frozen any more, for this test.
					h.wait(time.Hour)
					h.thaw(scope)
					return p, want
				},
			})
		})
	}
}
