package audit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// waits is an opinion that wants quorum persons of finance, who have as long as the intent.
func waits(quorum int) schemas.Opinion {
	o := parks(quorum)
	o.Approvals[0].Deadline = 0
	return o
}

// week makes a standing approval as long as any may be.
func week(g *schemas.Standing) { g.Until = g.At.Add(schemas.MaxStandingFor) }

// again is the same standing approval, given once more.
func (a *standingApproval) again() *standingApproval {
	return a.standing("ann", func(g *schemas.Standing) { g.ID = a.given.ID }, week)
}

// TestStandingHorizons: a standing approval, its uses and what revokes it are known as
// long as a gate goes by them.
func TestStandingHorizons(t *testing.T) {
	const (
		longest    = schemas.MaxStandingFor
		remembered = schemas.MaxStandingFor + schemas.MaxLifetime
	)
	testHorizons(t, map[string]tampering{
		"used as late as it can be, and claimed as late as that": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week)
			h.quiet(longest - time.Hour)
			i := a.vote(h.refund(waits(2)).park())
			h.quiet(schemas.MaxLifetime - time.Hour)
			i.vote("bob", schemas.Approve).release().claim("runner").report(schemas.Done)
			h.quiet(time.Minute)
			return i.granted, ""
		},
		"claimed as late as that, and revoked": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week)
			h.quiet(longest - time.Hour)
			i := a.vote(h.refund(waits(2)).park())
			h.quiet(schemas.MaxLifetime - time.Hour)
			i.vote("bob", schemas.Approve).release()
			a.revoke("bob")
			h.wait(time.Minute)
			i.claim("runner").report(schemas.Done)
			h.quiet(time.Minute)
			return i.granted, "goes on without the approvals that it needs"
		},
		"revoked at first, and used as late as it can be": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week)
			a.revoke("bob")
			h.quiet(longest - time.Hour)
			i := a.vote(h.refund(waits(1)).park())
			h.quiet(time.Minute)
			return i.held, "which was revoked by then"
		},
		"used when it is just over": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week)
			h.quiet(longest - time.Hour)
			h.now = a.given.Until.Add(11 * time.Second)
			i := a.vote(h.refund(waits(1)).park())
			h.quiet(time.Minute)
			return i.held, "which was over by then"
		},
		"used in the last moment, by a clock that is late": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week)
			h.quiet(longest - time.Hour)
			h.now = a.given.Until.Add(9 * time.Second)
			i := a.vote(h.refund(waits(1)).park()).release()
			h.quiet(time.Minute)
			return i.held, ""
		},
		"used when it is long over": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week)
			h.quiet(remembered + 3*time.Hour)
			i := a.vote(h.refund(waits(1)).park())
			h.quiet(time.Minute)
			return i.held, "counts STANDING/1, which "
		},
		"used once more than it can be, in its last hour": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week, func(g *schemas.Standing) { g.Uses = 1 })
			a.vote(h.refund(waits(1)).park()).release()
			h.quiet(longest - time.Hour)
			i := a.vote(h.refund(waits(1)).park())
			return i.held, "which had no use left"
		},
		"a use is forgotten in its last hour": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week, func(g *schemas.Standing) { g.Uses = 1 })
			a.vote(h.refund(waits(1)).park()).release()
			h.quiet(longest - time.Hour)
			a.uses.take(h.refund(waits(1)), 1, nil, func(b *schemas.Budget) { b.Reserved, b.Reserved[1].Beyond = b.Reserved[1:], false })
			return a.uses.at, "forgets 1 that was taken"
		},
		"revoked, given again and used while it is remembered": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week)
			a.revoke("bob")
			h.quiet(9 * day)
			b := a.again()
			h.quiet(day - time.Hour)
			i := b.vote(h.refund(waits(1)).park())
			h.quiet(time.Minute)
			return i.held, "which was revoked by then"
		},
		"revoked, given again while it is remembered and used when it is not": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week)
			a.revoke("bob")
			h.quiet(9 * day)
			b := a.again()
			h.quiet(2 * day)
			i := b.vote(h.refund(waits(1)).park()).release()
			h.quiet(time.Minute)
			return i.held, ""
		},
		"revoked twice, given again and used while the second is remembered": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week)
			a.revoke("bob")
			h.quiet(9 * day)
			a.revoke("bob")
			h.quiet(2 * day)
			i := a.again().vote(h.refund(waits(1)).park())
			h.quiet(time.Minute)
			return i.held, "which was revoked by then"
		},
		"revoked twice, the second time by who says that it was long ago": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week)
			a.revoke("bob")
			h.write(schemas.Revocation{ID: a.given.ID, Reviewer: "bob", Queue: "billing", Agent: "bot", At: h.now.Add(-20 * day)})
			h.quiet(day)
			return a.vote(h.refund(waits(1)).park()).held, "which was revoked by then"
		},
		"revoked, forgotten, used, and revoked again": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week)
			a.revoke("bob")
			h.quiet(11 * day)
			b := a.again()
			i := b.vote(h.refund(waits(1)).park()).release()
			h.wait(20 * time.Second)
			b.revoke("bob")
			h.quiet(time.Minute)
			return i.held, ""
		},
		"revoked, forgotten, and revoked again before it is used": func(h *history) (schemas.Pointer, string) {
			a := h.standing("ann", week)
			a.revoke("bob")
			h.quiet(11 * day)
			b := a.again()
			b.revoke("bob")
			h.quiet(time.Minute)
			return b.vote(h.refund(waits(1)).park()).held, "which was revoked by then"
		},
	})
}

// TestRevocationDatedBack: a reviewer who dates a revocation back makes nobody a liar, as
// long as AUDIT keeps up. When it was behind, a revocation is taken at its word: nothing
// else says when it was written, and a gate that goes on after one is to be found then, too.
func TestRevocationDatedBack(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	a := h.standing("ann", week)
	i := a.vote(h.refund(parks(1)).park()).release()
	i.claim("runner").report(schemas.Done)
	h.wait(time.Hour)
	h.write(schemas.Revocation{ID: a.given.ID, Reviewer: "bob", Queue: "billing", Agent: "bot", At: h.now.Add(-2 * time.Hour)})
	h.quiet(time.Hour)
	for seed := range uint64(8) {
		mixed, copied := inTime(seed, h.records)
		if got := verifyForgetfully(mixed, copied); got.First() != nil {
			t.Errorf("in order %d: found %v", seed, got.First())
		}
	}
	got := verify(copiedAtOnce(h.records), h.now.Add(time.Hour)).First()
	if got == nil || got.Intent != i.Key() || !strings.HasSuffix(got.Text, "counts STANDING/1, which was revoked by then") {
		t.Errorf("copied at once: found %v, want that the revocation counts", got)
	}
}
