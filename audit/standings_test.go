package audit_test

import (
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// standingApproval is what a reviewer approves in advance.
type standingApproval struct {
	*history
	given schemas.Standing
	at    schemas.Pointer
	uses  *taking
}

// standing appends a standing approval of refunds, for an hour.
func (h *history) standing(reviewer schemas.Name, edits ...func(*schemas.Standing)) *standingApproval {
	g := schemas.Standing{
		ID: schemas.NewIntentID(h.now), Reviewer: reviewer, Queue: "billing", Agent: "bot", Action: "shop.refund",
		Uses: 3, Until: h.now.Add(time.Hour), Reason: "routine", At: h.now,
	}
	edit(&g, edits)
	g, err := g.Sign(keys[reviewer])
	if err != nil {
		h.t.Fatal(err)
	}
	uses := &taking{history: h, window: schemas.MaxStandingFor + 2*time.Minute, budget: g.Account()}
	uses.budget.Limit = int64(g.Uses)
	return &standingApproval{h, g, h.write(g), uses}
}

// vote appends that one use is taken, and the hold on which it counts.
func (a *standingApproval) vote(i *intent, edits ...func(*schemas.Vote)) *intent {
	a.uses.take(i, 1, nil)
	return a.count(i, edits...)
}

func (a *standingApproval) count(i *intent, edits ...func(*schemas.Vote)) *intent {
	v := schemas.Vote{Reviewer: a.given.Reviewer, Person: persons[a.given.Reviewer], Verdict: schemas.Approve, Decision: a.at, At: i.now}
	edit(&v, edits)
	i.next(func(h *schemas.Hold) { h.Votes = append(h.Votes, v) })
	return i
}

func (a *standingApproval) revoke(by schemas.Name) schemas.Pointer {
	r, err := schemas.Revocation{ID: a.given.ID, Reviewer: by, Queue: a.given.Queue, Agent: a.given.Agent, Reason: "no more", At: a.now}.Sign(keys[by])
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(r)
}

func approvedByStanding(h *history) {
	ann, bob := h.standing("ann"), h.standing("bob")
	ann.vote(h.refund(parks(1)).park()).release().claim("runner").report(schemas.Done)
	i := h.refund(parks(2)).park()
	ann.vote(i)
	bob.vote(i).release()
	half := ann.vote(h.refund(parks(2)).park())
	half.vote("bob", schemas.Approve).release()
	ann.revoke("bob")
	h.wait(time.Minute)
	h.refund(parks(1)).park().vote("ann", schemas.Approve).release()
	h.write(schemas.Revocation{ID: schemas.NewIntentID(h.now), Reviewer: "ann", Queue: "billing", Agent: "bot", At: h.now})
	late := h.refund(parks(1)).park()
	bob.vote(late)
	h.wait(2 * time.Hour)
	late.refuse(schemas.CodeExpired)
}

// TestStandings: a standing approval counts as its reviewer signed it, until it
// is over or revoked, and no more often than it says.
func TestStandings(t *testing.T) {
	one := func(edits ...func(*schemas.Standing)) func(h *history) (*standingApproval, *intent) {
		return func(h *history) (*standingApproval, *intent) {
			return h.standing("ann", edits...), h.refund(parks(1)).park()
		}
	}
	voted := func(begin func(*history) (*standingApproval, *intent), before func(*history, *standingApproval), want string, edits ...func(*schemas.Vote)) tampering {
		return func(h *history) (schemas.Pointer, string) {
			a, i := begin(h)
			if before != nil {
				before(h, a)
			}
			return a.vote(i, edits...).held, want
		}
	}
	testTamperings(t, map[string]tampering{
		"another agent":  voted(one(func(g *schemas.Standing) { g.Agent = "bit" }), nil, "counts STANDING/1, which is about something else"),
		"another action": voted(one(func(g *schemas.Standing) { g.Action = "shop.look" }), nil, "counts STANDING/1, which is about something else"),
		"another queue":  voted(one(func(g *schemas.Standing) { g.Queue = "legal" }), nil, "counts STANDING/1, which is about something else"),
		"a denial":       voted(one(), nil, "counts STANDING/1 as something else than it says", func(v *schemas.Vote) { v.Verdict = schemas.Deny }),
		"another name":   voted(one(), nil, "counts STANDING/1 as something else than it says", func(v *schemas.Vote) { v.Reviewer = "bob" }),
		"another person": voted(one(), nil, "counts STANDING/1 as something else than it says", func(v *schemas.Vote) { v.Person = "bob" }),
		"another hash":   voted(one(), nil, "counts STANDING/1, which says something else", func(v *schemas.Vote) { v.Decision.Hash = digestOf("other") }),
		"over":           voted(one(), func(h *history, _ *standingApproval) { h.wait(time.Hour + time.Minute) }, "counts STANDING/1, which was over by then"),
		"revoked": voted(one(), func(h *history, a *standingApproval) {
			a.revoke("bob")
			h.wait(time.Minute)
		}, "counts STANDING/1, which was revoked by then"),
		"too long": voted(one(func(g *schemas.Standing) { g.Until = g.At.Add(8 * 24 * time.Hour) }), nil, "counts STANDING/1, which is for longer than any may be"),
		"the agent's own person": func(h *history) (schemas.Pointer, string) {
			return h.standing("eve").vote(h.refund(parks(1)).park()).held, "counts STANDING/1, by olga, who answers for bot"
		},
		"not signed": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann")
			a.given.Uses = 30
			a.at = h.write(a.given)
			return a.vote(h.refund(parks(1)).park()).held, "counts STANDING/2, which ann did not sign"
		},
		"no use left": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", func(g *schemas.Standing) { g.Uses = 1 })
			a.vote(h.refund(parks(1)).park()).release()
			return a.vote(h.refund(parks(1)).park()).held, "counts STANDING/1, which had no use left"
		},
		"more uses than it has": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann")
			a.uses.budget.Limit = 4
			return a.vote(h.refund(parks(1)).park()).held, "counts STANDING/1, which has 3 uses, as one that has 4"
		},
		"uses that are not counted": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", func(g *schemas.Standing) { g.Uses = 1 })
			a.vote(h.refund(parks(1)).park()).release()
			h.wait(time.Minute)
			a.uses.window = time.Second
			a.vote(h.refund(parks(1)).park())
			return a.uses.at, "counts the uses of a standing approval only since " + h.now.Add(-time.Second).Format(time.RFC3339)
		},
		"uses of before it was given": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", func(g *schemas.Standing) { g.Uses = 1 })
			back := func(b *schemas.Budget) { b.Reserved[0].At, b.Reserved[0].Beyond = b.Since.Add(-time.Hour), false }
			i, other := h.refund(parks(1)).park(), h.refund(parks(1)).park()
			a.uses.take(i, 1, nil, back)
			first := a.uses.at
			a.count(i).release()
			a.uses.take(other, 1, nil, back)
			a.count(other).release()
			return first, "dates the share of " + i.Intent.Key().String() + " in budget -standing "
		},
		"no use taken": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann")
			return a.count(h.refund(parks(1)).park()).held, "counts STANDING/1, and BUDGETS does not say that it is used"
		},
		"released after it was revoked": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann")
			i := a.vote(h.refund(parks(1)).park())
			a.revoke("ann")
			h.wait(time.Minute)
			return i.release().settled, "goes on without the approvals that it needs"
		},
		"claimed after it was revoked": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann")
			i := a.vote(h.refund(parks(1)).park()).release()
			a.revoke("ann")
			h.wait(time.Minute)
			return i.claim("runner").granted, "goes on without the approvals that it needs"
		},
		"one person for two": func(h *history) (schemas.Pointer, string) {
			i := h.standing("ann").vote(h.refund(parks(2)).park())
			return h.standing("ann").vote(i).held, "counts ann twice"
		},
	})
}

// TestStandingsGivenAgain: an id that was revoked counts again when the gate cannot know
// of it any more, and not before.
func TestStandingsGivenAgain(t *testing.T) {
	t.Parallel()
	for after, want := range map[time.Duration]string{8 * 24 * time.Hour: "counts STANDING/3, which was revoked by then", 11 * 24 * time.Hour: ""} {
		h := newHistory(t)
		first := h.standing("ann")
		first.revoke("ann")
		h.wait(after)
		again := h.standing("ann", func(g *schemas.Standing) { g.ID = first.given.ID })
		again.vote(h.refund(parks(1)).park()).release()
		got := ""
		if f := h.verify().First(); f != nil {
			got = f.Text
		}
		if got != want {
			t.Errorf("after %s: found %q, want %q", after, got, want)
		}
	}
}
