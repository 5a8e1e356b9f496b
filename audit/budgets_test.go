package audit_test

import (
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// taking writes the records of one budget, as execute does.
type taking struct {
	*history
	budget schemas.Budget
	window time.Duration
	at     schemas.Pointer
}

func newTaking(h *history, key string) *taking {
	return &taking{history: h, window: 24 * time.Hour, budget: schemas.Budget{Budget: "refunds-a-day", Key: key, Limit: 100}}
}

// take gives an intent its share, when these intents are settled as said.
func (b *taking) take(i *intent, amount int64, settled map[*intent]schemas.Outcome, edits ...func(*schemas.Budget)) *intent {
	b.t.Helper()
	b.budget.Since = b.now.Add(-b.window)
	next := b.budget.Settle(time.Hour, func(r schemas.Reservation) (schemas.Outcome, bool) {
		for i, outcome := range settled {
			if r.Of(i.Intent) {
				return outcome, true
			}
		}
		return schemas.Park, false
	})
	r := schemas.Reservation{Agent: i.Agent, Intent: i.ID, Digest: i.Digest, Amount: amount, At: b.now}
	r.Beyond = next.Taken(next.Since, i.Intent)+amount > next.Limit
	next, err := next.Reserve(r, next.Since)
	if err != nil {
		b.t.Fatal(err)
	}
	next.At, next.Trail = b.now, i.trail[:1]
	edit(&next, edits)
	b.budget, b.at = next, b.write(next)
	return i
}

// names adds the latest record of the budget to a trail.
func (b *taking) names(s *schemas.Settlement) { s.Trail = append(s.Trail, b.at) }

func takesOf(h *history) {
	b, other := newTaking(h, "bot"), newTaking(h, "shop")
	first := b.take(h.refund(releases), 60, nil).release(b.names)
	first.claim("runner").report(schemas.Done)
	refused := b.take(h.refund(releases), 40, map[*intent]schemas.Outcome{first: schemas.Release})
	other.take(refused, 1, nil)
	refused.refuse(schemas.CodeExpired)
	h.wait(2 * time.Hour)
	twice := h.refund(releases)
	b.take(twice, 10, map[*intent]schemas.Outcome{refused: schemas.Refuse})
	b.take(twice, 20, nil).release(b.names)
	beyond := h.refund(parks(1)).park().vote("ann", schemas.Approve)
	b.take(beyond, 500, map[*intent]schemas.Outcome{twice: schemas.Release}).release(b.names).claim("runner").report(schemas.Done)
	h.wait(25 * time.Hour)
	last := b.take(h.refund(releases), 100, nil)
	other.take(h.look(releases), 1, nil).release(other.names)
	last.release(b.names)
}

// TestBudgets: what was taken of a budget is not forgotten, nobody takes more than
// there is without somebody who approves it, and what a release names has its
// share.
func TestBudgets(t *testing.T) {
	testTamperings(t, map[string]tampering{
		"a share is left out": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			b.take(h.refund(releases), 60, nil).release(b.names)
			b.take(h.refund(releases), 10, nil, func(b *schemas.Budget) { b.Reserved = b.Reserved[1:] })
			return b.at, "forgets 60 that was taken of budget refunds-a-day"
		},
		"a share shrinks": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			b.take(h.refund(releases), 60, nil).release(b.names)
			b.take(h.refund(releases), 10, nil, func(b *schemas.Budget) { b.Reserved[0].Amount-- })
			return b.at, "forgets 60 that was taken of budget refunds-a-day"
		},
		"what is spent shrinks": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			i := b.take(h.refund(releases), 60, nil).release(b.names)
			b.take(h.refund(releases), 10, map[*intent]schemas.Outcome{i: schemas.Release}, func(b *schemas.Budget) { b.Spent[0].Amount -= 5 })
			return b.at, "forgets 5 that was taken of budget refunds-a-day"
		},
		"a share ends sooner": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			i := b.take(h.refund(releases), 60, nil).release(b.names)
			h.wait(time.Hour)
			b.take(i, 60, nil, func(b *schemas.Budget) { b.Reserved[0].At = b.Since })
			return b.at, "forgets 60 that was taken of budget refunds-a-day"
		},
		"what is spent ends sooner": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			i := b.take(h.refund(releases), 60, nil).release(b.names)
			b.take(h.refund(releases), 10, map[*intent]schemas.Outcome{i: schemas.Release}, func(b *schemas.Budget) { b.Spent[0].At = b.Since })
			return b.at, "forgets 60 that was taken of budget refunds-a-day"
		},
		"what is spent is over": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			i := b.take(h.refund(releases), 60, nil).release(b.names)
			b.take(h.refund(releases), 10, map[*intent]schemas.Outcome{i: schemas.Release}, func(b *schemas.Budget) { b.Spent[0].At = b.Since.Add(-1) })
			return b.at, "forgets 60 that was taken of budget refunds-a-day"
		},
		"less than nothing is spent": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			b.take(h.refund(releases), 60, nil).release(b.names)
			b.take(h.refund(releases), 10, nil, func(b *schemas.Budget) { b.Spent = []schemas.Spent{{Amount: -60, At: b.Since}} })
			return b.at, "says that less than nothing is spent of budget refunds-a-day"
		},
		"more than the limit": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			b.take(h.refund(releases), 60, nil).release(b.names)
			i := b.take(h.refund(releases), 41, nil, func(b *schemas.Budget) { b.Reserved[1].Beyond = false })
			return b.at, "lets " + i.Intent.Key().String() + " take 41 of budget refunds-a-day, of which 101 are taken then, and the limit is 100"
		},
		"beyond the limit, and nobody approved it": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			i := b.take(h.refund(releases), 101, nil).release(b.names)
			return i.settled, "goes beyond the limit of BUDGETS/1, and nobody approved it"
		},
		"two at once": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			other := h.refund(releases)
			b.take(h.refund(releases), 1, nil, func(b *schemas.Budget) {
				b.Reserved = append(b.Reserved, schemas.Reservation{Agent: other.Agent, Intent: other.ID, Digest: other.Digest, At: h.now})
			})
			return b.at, "adds 2 shares of budget refunds-a-day at once"
		},
		"nobody": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			b.take(h.refund(releases), 1, nil)
			b.at = b.write(b.budget)
			return b.at, "adds 0 shares of budget refunds-a-day at once"
		},
		"a share of another time": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			i := b.take(h.refund(releases), 60, nil, func(b *schemas.Budget) { b.Reserved[0].At = b.Since.Add(-time.Second) })
			return b.at, "dates the share of " + i.Intent.Key().String() + " in budget refunds-a-day " + b.budget.Reserved[0].At.Format(time.RFC3339) + ", and is of " + h.now.Format(time.RFC3339)
		},
		"less than nothing": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			b.take(h.refund(releases), -7, nil)
			return b.at, "takes -7 of budget refunds-a-day"
		},
		"given back though released": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			i := b.take(h.refund(releases), 60, nil).release(b.names)
			b.take(h.refund(releases), 10, map[*intent]schemas.Outcome{i: schemas.Refuse})
			return b.at, "gives back what " + i.Intent.Key().String() + " takes, which was released"
		},
		"given back though done": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			i := b.take(h.refund(releases), 60, nil).release(b.names)
			i.claim("runner").report(schemas.Done)
			h.wait(2 * time.Hour)
			b.take(h.refund(releases), 10, map[*intent]schemas.Outcome{i: schemas.Refuse})
			return b.at, "gives back what " + i.Intent.Key().String() + " takes, which was released"
		},
		"the share of another": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			b.take(h.refund(releases), 60, nil).release(b.names)
			return h.refund(releases).release(b.names).settled, "names BUDGETS/1, in which it has no share"
		},
		"a share of another budget": func(h *history) (schemas.Pointer, string) {
			b, other := newTaking(h, "bot"), newTaking(h, "shop")
			i := b.take(h.refund(releases), 60, nil)
			other.take(h.look(releases), 1, nil).release(other.names)
			return i.release(other.names).settled, "names BUDGETS/2, in which it has no share"
		},
		"before it had its share": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			b.take(h.refund(releases), 60, nil).release(b.names)
			first := b.at
			i := b.take(h.refund(releases), 10, nil)
			return i.release(func(s *schemas.Settlement) { s.Trail = append(s.Trail, first) }).settled, "names BUDGETS/1, in which it has no share"
		},
		"a grant that names the share of another": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			b.take(h.refund(releases), 60, nil).release(b.names)
			i := h.refund(releases).release().claim("runner", func(g *schemas.Grant) { g.Trail = append(g.Trail, b.at) })
			return i.granted, "names BUDGETS/1, in which it has no share"
		},
		"another hash": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			i := b.take(h.refund(releases), 60, nil)
			b.at.Hash = digestOf("other")
			return i.release(b.names).settled, "names BUDGETS/1, which says something else"
		},
	})
}

// TestBudgetsGiveBackLate: what was refused long ago may be given back any time.
func TestBudgetsGiveBackLate(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	b := newTaking(h, "bot")
	i := b.take(h.refund(releases), 60, nil)
	i.refuse(schemas.CodeExpired)
	h.wait(10 * time.Hour)
	b.take(h.refund(releases), 100, map[*intent]schemas.Outcome{i: schemas.Refuse}).release(b.names)
	if got := h.verify(); got.First() != nil || got.Pending > 0 {
		t.Errorf("%d pending and %v", got.Pending, got.Findings)
	}
}

// TestBudgetsOfOneID: of two intents under one id, the share of the one counts and that
// of the other is given back.
func TestBudgetsOfOneID(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	b := newTaking(h, "bot")
	first := b.take(h.refund(releases), 60, nil)
	other := b.take(h.proposeAs(first.Key(), first.Action, `{"n":1}`).observe().recommend(releases), 10, nil)
	first.release(b.names)
	taken := *other
	other.ID = schemas.SequenceID(other.trail[0].Seq)
	other.Digest = schemas.DigestOf(other.Intent)
	other.refuse(schemas.CodeDuplicateID)
	b.take(h.refund(releases), 40, map[*intent]schemas.Outcome{first: schemas.Release, &taken: schemas.Refuse}).release(b.names)
	if got := h.verify(); got.First() != nil {
		t.Errorf("%d pending and %v", got.Pending, got.Findings)
	}
	if len(b.budget.Returned) != 1 || len(b.budget.Spent) != 1 {
		t.Errorf("the budget is %+v, want one share spent and one given back", b.budget)
	}
}

// TestBudgetsAnew: a share of before the window is taken anew, as large as it is now.
func TestBudgetsAnew(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	b := newTaking(h, "bot")
	i := b.take(h.refund(releases), 60, nil)
	h.wait(25 * time.Hour)
	b.take(i, 40, nil).release(b.names)
	if got := h.verify(); got.First() != nil {
		t.Errorf("%d pending and %v", got.Pending, got.Findings)
	}
}
