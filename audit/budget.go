package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// budgets are what was taken of every budget, as BUDGETS says.
type budgets struct {
	latest map[mark]schemas.Budget // by subject, as long as anything of it may count
	all    map[uint64]budgetRecord // by sequence
	shares map[mark]*share         // by subject and intent, as long as something may name them
	most   int                     // budgets after which those that are over are forgotten
}

// budgetRecord is under which subject a record of BUDGETS stands, and what it says.
type budgetRecord struct{ subject, hash mark }

// share is what an intent takes of a budget: it is in the records from one
// sequence on, up to but not including another, which is 0 while it is.
type share struct {
	from, to uint64
	limit    int64 // of the budget, when it was taken
	beyond   bool
	over     bool // the intent is, and nothing names the share any more
}

func newBudgets() budgets {
	return budgets{latest: map[mark]schemas.Budget{}, all: map[uint64]budgetRecord{}, shares: map[mark]*share{}, most: 1000}
}

func budgetMark(b schemas.Budget) mark { return markOf(b.Subject()) }

func shareOf(budget mark, k schemas.Key, digest schemas.Digest) mark {
	return markOf(string(budget[:]), string(k.Agent), string(k.ID), string(digest))
}

// takeBudget takes in what was taken of a budget from now on. BUDGETS is in order,
// and each record replaces the one before: it adds one share, and leaves out what
// is over, what was spent, and what it says was given back.
func (v *Verifier) takeBudget(at place, r schemas.Record) {
	var b schemas.Budget
	if !v.read(at, r, &b) {
		return
	}
	v.dated(at, b.At)
	which := budgetMark(b)
	before, known := v.budgets.latest[which]
	v.budgets.latest[which] = b
	v.budgets.all[r.Seq] = budgetRecord{which, markOf(string(r.Hash()))}
	if len(v.budgets.latest) > v.budgets.most {
		v.budgets.forget(at.copied.Add(-schemas.MaxWindow - time.Hour))
	}
	added := v.enter(at, which, before, b)
	if !known && v.partial() {
		return
	}
	v.leave(at, which, before, b)
	switch sum := b.Taken(b.Since, schemas.Intent{}); {
	case len(added) != 1:
		v.find(at, fmt.Sprintf("adds %d shares of budget %s at once", len(added), b.Budget))
	case added[0].Amount < 0:
		v.find(at, fmt.Sprintf("takes %d of budget %s", added[0].Amount, b.Budget))
	case slices.ContainsFunc(b.Spent, func(s schemas.Spent) bool { return s.Amount < 0 }):
		v.find(at, fmt.Sprintf("says that less than nothing is spent of budget %s", b.Budget))
	case b.Budget == schemas.StandingBudget && b.At.Sub(b.Since) < schemas.MaxStandingFor:
		v.find(at, fmt.Sprintf("counts the uses of a standing approval only since %s", clock(b.Since)))
	case sum > b.Limit && !added[0].Beyond:
		v.find(at, fmt.Sprintf("lets %s take %d of budget %s, of which %d are taken then, and the limit is %d", added[0].Key(), added[0].Amount, b.Budget, sum, b.Limit))
	}
}

// forget drops what was said last before a moment of budgets, and the shares in it:
// nothing of that counts any more.
func (b *budgets) forget(before time.Time) {
	for which, last := range b.latest {
		if !last.At.Before(before) {
			continue
		}
		delete(b.latest, which)
		for _, r := range last.Reserved {
			if m := shareOf(which, r.Key(), r.Digest); b.shares[m] != nil && b.shares[m].over {
				delete(b.shares, m)
			}
		}
	}
	b.most = max(b.most, 2*len(b.latest))
}

// enter takes in the shares that the record before did not have, or not so large,
// and returns them.
func (v *Verifier) enter(at place, budget mark, before, b schemas.Budget) []schemas.Reservation {
	var added []schemas.Reservation
	for _, r := range b.Reserved {
		if slices.ContainsFunc(before.Reserved, func(old schemas.Reservation) bool { return old == r }) {
			continue
		}
		added = append(added, r)
		m := shareOf(budget, r.Key(), r.Digest)
		if s := v.budgets.shares[m]; s != nil {
			s.to, s.limit, s.beyond = 0, b.Limit, s.beyond || r.Beyond
			continue
		}
		s := &share{from: at.seq, limit: b.Limit, beyond: r.Beyond, over: true}
		if t := v.trail(r.Key()); t != nil {
			s.over, t.shares = false, append(t.shares, m)
		}
		v.budgets.shares[m] = s
	}
	return added
}

// leave makes sure that what is left out was spent or given back, or is over. What was
// spent may count longer than it was taken for, and never shorter.
func (v *Verifier) leave(at place, budget mark, before, b schemas.Budget) {
	var owed []schemas.Spent
	for _, r := range before.Reserved {
		i := slices.IndexFunc(b.Reserved, r.Same)
		if i >= 0 && b.Reserved[i].Amount >= r.Amount && !b.Reserved[i].At.Before(r.At) {
			continue
		}
		if i < 0 {
			v.budgets.end(shareOf(budget, r.Key(), r.Digest), at.seq)
		}
		switch {
		case slices.ContainsFunc(b.Returned, r.Same):
			t := v.trail(r.Key())
			v.pose(at, t, func() error { return v.returned(t, r) })
		case !r.At.Before(b.Since):
			owed = append(owed, schemas.Spent{Amount: r.Amount, At: r.At})
		}
	}
	for _, s := range before.Spent {
		if !s.At.Before(b.Since) {
			owed = append(owed, s)
		}
	}
	if n := missingOf(owed, b.Spent); n > 0 {
		v.find(at, fmt.Sprintf("forgets %d that was taken of budget %s", n, b.Budget))
	}
}

// missingOf returns how much of what is owed is not in what there is, or not for so
// long.
func missingOf(owed, have []schemas.Spent) (most int64) {
	since := func(at time.Time, all []schemas.Spent) (sum int64) {
		for _, s := range all {
			if !s.At.Before(at) {
				sum = schemas.AddAmounts(sum, s.Amount)
			}
		}
		return sum
	}
	for _, s := range owed {
		most = max(most, since(s.At, owed)-since(s.At, have))
	}
	return most
}

// end notes that a share is in no record from now on.
func (b *budgets) end(m mark, seq uint64) {
	if s := b.shares[m]; s != nil {
		s.to = seq
		b.drop(m)
	}
}

// over notes that the intent of a share is over.
func (b *budgets) over(m mark) {
	if s := b.shares[m]; s != nil {
		s.over = true
		b.drop(m)
	}
}

// drop forgets a share that is in no record, of an intent that is over.
func (b *budgets) drop(m mark) {
	if s := b.shares[m]; s.over && s.to != 0 {
		delete(b.shares, m)
	}
}

// returned says why the share of an intent may not be given back.
func (v *Verifier) returned(t *trail, r schemas.Reservation) error {
	switch {
	case t == nil && v.over[markOfKey(r.Key())] > wasRefused:
		return fmt.Errorf("gives back what %s takes, which was released", r.Key())
	case t == nil:
		return nil
	case t.verdict == nil:
		return missingf("gives back what %s takes, which is not settled", r.Key())
	case t.verdict.Outcome == schemas.Release && t.verdict.Intent.Digest == r.Digest:
		return fmt.Errorf("gives back what %s takes, which was released", r.Key())
	}
	return nil
}

// charged says why p does not name a budget in which the intent has its share. A
// share beyond the limit needs somebody who approved it.
func (v *Verifier) charged(in schemas.Intent, p schemas.Pointer, held bool) error {
	if err := v.reached(p); err != nil {
		return err
	}
	record := v.budgets.all[p.Seq]
	s := v.budgets.shares[shareOf(record.subject, in.Key(), in.Digest)]
	switch {
	case record.hash != markOf(string(p.Hash)):
		return fmt.Errorf("names %s, which says something else", p)
	case s == nil || p.Seq < s.from || s.to > 0 && p.Seq >= s.to:
		return fmt.Errorf("names %s, in which it has no share", p)
	case s.beyond && !held:
		return fmt.Errorf("goes beyond the limit of %s, and nobody approved it", p)
	}
	return nil
}
