package audit_test

import (
	"slices"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestHolds: a hold is what the recommendation says, and changes as the table of
// states has it.
func TestHolds(t *testing.T) {
	parked := func(want string, edits ...func(*schemas.Hold)) tampering {
		return func(h *history) (schemas.Pointer, string) { return h.refund(parks(1)).park(edits...).held, want }
	}
	then := func(want string, edits ...func(*schemas.Hold)) tampering {
		return func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(2)).park().vote("ann", schemas.Approve)
			h.wait(time.Second)
			return i.next(edits...), want
		}
	}
	testTamperings(t, map[string]tampering{
		"no recommendation":      parked("holds without naming a recommendation", func(h *schemas.Hold) { h.Trail = h.Trail[:2] }),
		"another recommendation": parked("names RECOMMENDED/2, which says something else", func(h *schemas.Hold) { h.Trail[2].Hash = digestOf("x") }),
		"another observation":    parked("does not follow the trail of RECOMMENDED/2", func(h *schemas.Hold) { h.Trail = slices.Clone(h.Trail); h.Trail[1].Hash = digestOf("x") }),
		"other words of the agent": parked("holds something else than RECOMMENDED/2 is about", func(h *schemas.Hold) {
			h.Intent.Reason = "the manager has agreed"
		}),
		"another goal":          parked("holds something else than RECOMMENDED/2 is about", func(h *schemas.Hold) { h.Intent.Goal = "to help" }),
		"the queue of a friend": parked("stands in queue sales, and RECOMMENDED/2 says billing", func(h *schemas.Hold) { h.Queue = "sales" }),
		"a later deadline": parked("waits until 2026-03-05T12:00:00Z, and its rules say 2026-03-04T13:00:00Z", func(h *schemas.Hold) {
			h.Deadline = noon.Add(24 * time.Hour)
		}),
		"less risk": func(h *history) (schemas.Pointer, string) {
			o := parks(1)
			o.Risk = 70
			return h.refund(o).park(func(h *schemas.Hold) { h.Opinion.Risk = 69 }).held, "shows a risk of 69, and RECOMMENDED/2 says 70"
		},
		"done from the beginning": parked("is done, and was nothing before", func(h *schemas.Hold) { h.State = schemas.Done }),
		"of a state that is none": parked("is granted, and was nothing before", func(h *schemas.Hold) { h.State = schemas.Granted }),

		"a denial is dropped": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(1)).park().vote("ann", schemas.Deny)
			i.hold.Votes = nil
			return i.vote("bob", schemas.Approve).held, "drops a vote of PARKED/2"
		},
		"a vote is another's": then("drops a vote of PARKED/2", func(h *schemas.Hold) { h.Votes[0].Reviewer, h.Votes[0].Person = "bob", "bob" }),
		"by the exposure of another": func(h *history) (schemas.Pointer, string) {
			p := h.expose("bit")
			return h.refund(parks(1)).park(func(h *schemas.Hold) { h.Inputs = []schemas.Pointer{p} }).held, "names EXPOSED/1, which says something else or is about something else"
		},
		"by a budget that says something else": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			b.take(h.refund(releases), 60, nil).release(b.names)
			p := b.at
			p.Hash = digestOf("x")
			return h.refund(parks(1)).park(func(h *schemas.Hold) { h.Inputs = []schemas.Pointer{p} }).held, "names BUDGETS/1, which says something else"
		},
		"by an exposure that never was": then("names EXPOSED/1, which is not in AUDIT", func(h *schemas.Hold) {
			h.Inputs = []schemas.Pointer{{Stream: schemas.Exposed, Seq: 1, Hash: digestOf("x")}}
		}),
		"by what has no part in it": parked("names DECISIONS/1, which has no part in it", func(h *schemas.Hold) {
			h.Inputs = []schemas.Pointer{{Stream: schemas.Decisions, Seq: 1, Hash: digestOf("x")}}
		}),
		"the queue changes": then("stands in queue sales, and PARKED/2 in queue billing", func(h *schemas.Hold) { h.Queue = "sales" }),
		"the words change":  then("holds something else than PARKED/2", func(h *schemas.Hold) { h.Intent.Reason = "please" }),
		"the trail changes": then("does not follow the trail of PARKED/2", func(h *schemas.Hold) { h.Trail[0].Hash = digestOf("x") }),
		"the deadline moves": then("waits until 2026-03-05T12:00:00Z, and PARKED/2 until 2026-03-04T13:00:00Z", func(h *schemas.Hold) {
			h.Deadline = noon.Add(24 * time.Hour)
		}),
		"the deadline begins again": then("waits until", func(h *schemas.Hold) { h.Deadline, _ = h.Opinion.Deadline(h.At, h.Intent.Expires()) }),
		"closed, and nothing settled it (said otherwise when it is settled)": then("is refused, and nothing in SETTLED says so", func(h *schemas.Hold) {
			h.State = schemas.Refused
		}),
		"closed otherwise": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(1)).park().vote("ann", schemas.Deny)
			i.held.Seq = 0
			i.refuse(schemas.CodeDenied, func(s *schemas.Settlement) {
				s.Trail = append(s.Trail, schemas.Pointer{Stream: schemas.ParkedHolds, Seq: 2, Hash: i.held.Hash}, i.hold.Votes[0].Decision)
			})
			return i.next(func(h *schemas.Hold) { h.State = schemas.Released }), "is released, and SETTLED/2 is not"
		},
		"opened again": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(1)).park().vote("ann", schemas.Deny).refuse(schemas.CodeDenied)
			return i.next(func(h *schemas.Hold) { h.State = schemas.Parked }), "is parked, and was refused before"
		},
		"refused, and released": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(1)).park().vote("ann", schemas.Deny).refuse(schemas.CodeDenied)
			return i.next(func(h *schemas.Hold) { h.State = schemas.Released }), "is released, and was refused before"
		},
	})
}

// TestSettledOnClosedHold: a verdict comes of a hold that is open, also where it is
// the hold that is wrong first.
func TestSettledOnClosedHold(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	i := h.refund(parks(1)).park().vote("ann", schemas.Approve)
	i.next(func(h *schemas.Hold) { h.State = schemas.Refused })
	settled := i.release().settled
	if got := h.verify(); !found(got, h.records[h.at(settled)], "settles on PARKED/3, which is refused") {
		t.Errorf("found %v", got.Findings)
	}
}

// TestDoubtsAlone: a doubt begins when a lease ends, and ends once.
func TestDoubtsAlone(t *testing.T) {
	testTamperings(t, map[string]tampering{
		"before the lease ends": func(h *history) (schemas.Pointer, string) {
			i := claimed(h)
			i.grant.LeaseUntil = i.now.Add(30 * time.Second)
			return i.doubt().held, "is in doubt before the lease of GRANTED/2 ends"
		},
		"of another executor": func(h *history) (schemas.Pointer, string) {
			i := claimed(h)
			i.grant.Executor = "sprinter"
			return i.doubt().held, "says that it was sprinter who claimed it, and GRANTED/2 says runner"
		},
		"without a grant": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases).release().park(func(h *schemas.Hold) { h.State = schemas.InDoubt })
			return i.held, "is in_doubt, and was nothing before"
		},
		"ended before it began": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt().resolve("ann", schemas.Retry).claim("runner")
			i.report(schemas.Done)
			p := i.next(func(h *schemas.Hold) {
				h.State, h.Doubt = schemas.Done, &schemas.Doubt{Grant: i.granted, Executor: "runner", Since: i.now}
			})
			return p, "ends a doubt about GRANTED/3 that there was not"
		},
		"done, and to be tried again": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt().resolve("ann", schemas.WasDone)
			return i.resolve("bob", schemas.Retry).held, "is released, and was done before"
		},
		"tried again, and nobody said so": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt()
			return i.next(func(h *schemas.Hold) { h.State, h.Deadline = schemas.Released, i.now.Add(time.Hour) }), "is released again after GRANTED/2, and nobody said so"
		},
		"tried again by a decision on the doubt before": func(h *history) (schemas.Pointer, string) {
			i := claimed(h).doubt()
			d := i.says("ann", schemas.Retry)
			p := h.write(d)
			i.resolved(d, p).claim("runner").doubt()
			h.records = h.records[:len(h.records)-1]
			h.seqs[schemas.ParkedHolds]--
			i.hold.Doubt.Decision, i.hold.Doubt.Verdict = p, schemas.Retry
			held := h.write(i.hold)
			i.held = held
			i.next(func(h *schemas.Hold) { h.State, h.Deadline = schemas.Released, i.now.Add(time.Hour) })
			return held, "becomes in_doubt by DECISIONS/1"
		},
	})
}
