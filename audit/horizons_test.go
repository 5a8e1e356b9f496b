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

// testHorizons makes sure that who forgets as soon as possible finds what is to be found
// and nothing else, in any order in which AUDIT holds it in time. A story that wants
// nothing found returns "".
func testHorizons(t *testing.T, all map[string]tampering) {
	t.Parallel()
	for title, tell := range all {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t)
			p, want := tell(h)
			check := func(order string, got audit.Report) {
				t.Helper()
				if want == "" {
					if got.First() != nil || got.Pending+got.Unchecked > 0 {
						t.Errorf("%s: %d pending, %d unchecked and %v, want none", order, got.Pending, got.Unchecked, got.Findings)
					}
					return
				}
				if !slices.ContainsFunc(got.Findings, func(f audit.Finding) bool {
					return f.Stream == p.Stream && f.Seq == p.Seq && strings.Contains(f.Text, want)
				}) {
					t.Errorf("%s: found %v\nwant %s: %s", order, got.Findings, p, want)
				}
			}
			check("read with memory", verify(h.records, h.now))
			check("copied at once", verifyForgetfully(copiedAtOnce(h.records), h.now.Add(time.Hour)))
			check("read in order", verifyForgetfully(h.records, h.now))
			for seed := range uint64(8) {
				mixed, copied := inTime(seed, h.records)
				check(fmt.Sprintf("in order %d", seed), verifyForgetfully(mixed, copied))
			}
		})
	}
}

// copiedAtOnce returns records as AUDIT gets them when it was away all the time.
func copiedAtOnce(records []schemas.Record) []schemas.Record {
	late := slices.Clone(records)
	for i := range late {
		late[i].Time = records[len(records)-1].Time.Add(time.Hour)
	}
	return late
}

const month = schemas.MaxWindow

// monthly is a budget that counts for as long as any may, of which 60 were released.
func monthly(h *history) *taking {
	b := newTaking(h, "bot")
	b.window = month
	b.take(h.refund(releases), 60, nil).release(b.names)
	return b
}

// quiet writes what another budget and another reviewer do, so that time goes on.
func (h *history) quiet(d time.Duration) {
	h.wait(d)
	for range 3 {
		b := newTaking(h, fmt.Sprint("other ", h.now))
		b.take(h.refund(releases), 1, nil).release(b.names).claim("runner").report(schemas.Done)
		h.standing("cat")
		h.wait(5 * time.Minute)
	}
}

// TestBudgetHorizons: what counts within a window is known until its end, and what is
// named of BUDGETS as long as an intent lives.
func TestBudgetHorizons(t *testing.T) {
	testHorizons(t, map[string]tampering{
		"more than the limit at the end of the window": func(h *history) (schemas.Pointer, string) {
			b := monthly(h)
			h.quiet(month - time.Hour)
			b.take(h.refund(releases), 41, nil, func(b *schemas.Budget) { b.Reserved[1].Beyond = false }).release(b.names)
			return b.at, "of which 101 are taken then, and the limit is 100"
		},
		"forgotten at the end of the window": func(h *history) (schemas.Pointer, string) {
			b := monthly(h)
			h.quiet(month - time.Hour)
			b.take(h.refund(releases), 41, nil, func(b *schemas.Budget) { b.Reserved = b.Reserved[1:] }).release(b.names)
			return b.at, "forgets 60 that was taken"
		},
		"spent, and forgotten at the end of the window": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			b.window = month
			i := b.take(h.refund(releases), 60, nil).release(b.names)
			b.take(h.refund(releases), 1, map[*intent]schemas.Outcome{i: schemas.Release}).release(b.names)
			h.quiet(month - time.Hour)
			b.take(h.refund(releases), 1, nil, func(b *schemas.Budget) { b.Spent = nil }).release(b.names)
			return b.at, "forgets 60 that was taken"
		},
		"given back at the end of the window, though released": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			b.window = month
			i := b.take(h.refund(releases), 60, nil).release(b.names)
			i.claim("runner").report(schemas.Done)
			h.quiet(month - time.Hour)
			b.take(h.refund(releases), 100, map[*intent]schemas.Outcome{i: schemas.Refuse}).release(b.names)
			return b.at, "gives back what " + i.Key().String() + " takes, which was released"
		},
		"a record is missing at the end of the window": func(h *history) (schemas.Pointer, string) {
			b := monthly(h)
			h.quiet(month - time.Hour)
			b.take(h.refund(releases), 10, nil).release(b.names)
			h.records = slices.Delete(h.records, h.at(b.at), h.at(b.at)+1)
			b.take(h.refund(releases), 10, nil).release(b.names)
			return b.at, fmt.Sprintf("has BUDGETS/%d missing before it", b.at.Seq-1)
		},
		"two at once when all before is forgotten": func(h *history) (schemas.Pointer, string) {
			b := monthly(h)
			h.quiet(month + 2*time.Hour)
			other := h.refund(releases)
			b.take(h.refund(releases), 1, nil, func(b *schemas.Budget) {
				b.Reserved = append(b.Reserved, schemas.Reservation{Agent: other.Agent, Intent: other.ID, Digest: other.Digest, At: h.now})
			}).release(b.names)
			return b.at, "adds 2 shares"
		},
		"taken again when the window is over": func(h *history) (schemas.Pointer, string) {
			b := monthly(h)
			h.quiet(month - time.Hour)
			h.wait(time.Hour)
			b.take(h.refund(releases), 100, nil).release(b.names)
			h.quiet(month + 2*time.Hour)
			b.take(h.refund(releases), 100, nil).release(b.names)
			return b.at, ""
		},
		"by the calendar, and by clocks that differ": func(h *history) (schemas.Pointer, string) {
			h.now = time.Date(2026, 5, 31, 23, 59, 30, 0, time.UTC)
			b := newTaking(h, "bot")
			taken := func(at, since, forget time.Time, amount int64) {
				i := h.refund(releases)
				b.budget.Since = since
				next, err := b.budget.Reserve(schemas.Reservation{Agent: i.Agent, Intent: i.ID, Digest: i.Digest, Amount: amount, At: at}, forget)
				if err != nil {
					h.t.Fatal(err)
				}
				next.At = at
				b.budget, b.at = next, b.write(next)
				i.release(b.names)
			}
			may, june, july := h.now.AddDate(0, 0, -30).Truncate(day), h.now.Add(time.Minute).Truncate(day), h.now.AddDate(0, 0, 30).Add(time.Minute).Truncate(day)
			taken(h.now, may, may, 60)
			h.now = june.Add(4 * time.Second)
			taken(h.now.Add(4*time.Second), june, may, 30)
			taken(h.now.Add(-5*time.Second), may, may, 5) // by who is not in June yet
			h.quiet(29 * day)
			h.now = july.Add(-time.Minute)
			taken(h.now, june, june, 30)
			h.now = july.Add(20 * time.Second)
			taken(h.now, july, july, 100)
			return b.at, ""
		},
		"named with another hash, when it was replaced three days ago": func(h *history) (schemas.Pointer, string) {
			b := monthly(h)
			named := b.at
			b.take(h.refund(releases), 1, nil).release(b.names)
			h.quiet(schemas.MaxLifetime - time.Hour)
			named.Hash = digestOf("other")
			return h.refund(parks(1)).park(func(h *schemas.Hold) { h.Inputs = []schemas.Pointer{named} }).held, "names BUDGETS/1, which says something else"
		},
		"named when it was replaced three days ago": func(h *history) (schemas.Pointer, string) {
			b := monthly(h)
			named := b.at
			b.take(h.refund(releases), 1, nil).release(b.names)
			h.quiet(schemas.MaxLifetime - time.Hour)
			return h.refund(parks(1)).park(func(h *schemas.Hold) { h.Inputs = []schemas.Pointer{named} }).held, ""
		},
		"the last of a budget, named after a year": func(h *history) (schemas.Pointer, string) {
			b := monthly(h)
			for range 12 {
				h.quiet(month)
			}
			return h.refund(parks(1)).park(func(h *schemas.Hold) { h.Inputs = []schemas.Pointer{b.at} }).held, ""
		},
		"the last of a budget, named after a year with another hash": func(h *history) (schemas.Pointer, string) {
			b := monthly(h)
			for range 12 {
				h.quiet(month)
			}
			b.at.Hash = digestOf("other")
			return h.refund(parks(1)).park(func(h *schemas.Hold) { h.Inputs = []schemas.Pointer{b.at} }).held, "names BUDGETS/1, which says something else"
		},
		"released as long after its share as it can be": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			i := b.take(h.refund(releases), 10, nil)
			b.take(h.refund(releases), 10, nil).release(b.names)
			h.quiet(schemas.MaxLifetime - time.Hour)
			b.window = month
			b.budget.Since = b.now.Add(-month)
			b.take(h.refund(releases), 10, nil).release(b.names)
			return i.release(b.names).claim("runner").granted, ""
		},
		"released by a share that another record had dropped": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			b.window = month
			i := b.take(h.refund(releases), 10, nil)
			b.take(h.refund(releases), 10, map[*intent]schemas.Outcome{i: schemas.Refuse}).release(b.names)
			h.quiet(schemas.MaxLifetime - time.Hour)
			return i.release(b.names).settled, "in which it has no share"
		},
		"in doubt when its budget is forgotten": func(h *history) (schemas.Pointer, string) {
			b := newTaking(h, "bot")
			i := b.take(h.refund(releases), 60, nil).release(b.names).claim("runner").doubt()
			h.quiet(month + 2*time.Hour)
			i.resolve("ann", schemas.WasDone)
			return i.held, ""
		},
	})
}
