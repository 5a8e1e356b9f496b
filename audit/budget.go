package audit

import (
	"fmt"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// budgets are what was taken of every budget, as BUDGETS says.
type budgets struct {
	latest map[mark]schemas.Budget // by subject
	all    map[uint64]budgetRecord // by sequence
	shares map[mark]*share         // by subject and intent, as long as something may name them
}

// budgetRecord is under which subject a record of BUDGETS stands, and what it says.
type budgetRecord struct{ subject, hash mark }

// share is what an intent takes of a budget: it is in the records from one
// sequence on, up to but not including another, which is 0 while it is.
type share struct {
	from, to uint64
	beyond   bool
	over     bool // the intent is, and nothing names the share any more
}

func newBudgets() budgets {
	return budgets{latest: map[mark]schemas.Budget{}, all: map[uint64]budgetRecord{}, shares: map[mark]*share{}}
}

func shareOf(subject mark, k schemas.Key, digest schemas.Digest) mark {
	return markOf(string(subject[:]), string(k.Agent), string(k.ID), string(digest))
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
	subject := markOf(b.Subject())
	before, known := v.budgets.latest[subject]
	v.budgets.latest[subject] = b
	v.budgets.all[r.Seq] = budgetRecord{subject, markOf(string(r.Hash()))}
	added := v.enter(at, subject, before, b)
	if !known && v.partial() {
		return
	}
	v.leave(at, subject, before, b)
	switch sum := b.Taken(b.Since, schemas.Intent{}); {
	case len(added) != 1:
		v.find(at, fmt.Sprintf("adds %d shares of budget %s at once", len(added), b.Budget))
	case added[0].Amount < 0:
		v.find(at, fmt.Sprintf("takes %d of budget %s", added[0].Amount, b.Budget))
	case sum > b.Limit && !added[0].Beyond:
		v.find(at, fmt.Sprintf("lets %s take %d of budget %s, of which %d are taken then, and the limit is %d", added[0].Key(), added[0].Amount, b.Budget, sum, b.Limit))
	}
}

// enter takes in the shares that the record before did not have, or not so large,
// and returns them.
func (v *Verifier) enter(at place, subject mark, before, b schemas.Budget) []schemas.Reservation {
	var added []schemas.Reservation
	for _, r := range b.Reserved {
		if slices.ContainsFunc(before.Reserved, func(old schemas.Reservation) bool { return old == r }) {
			continue
		}
		added = append(added, r)
		m := shareOf(subject, r.Key(), r.Digest)
		if s := v.budgets.shares[m]; s != nil {
			s.to, s.beyond = 0, s.beyond || r.Beyond
			continue
		}
		s := &share{from: at.seq, beyond: r.Beyond, over: true}
		if t := v.trail(r.Key()); t != nil {
			s.over, t.shares = false, append(t.shares, m)
		}
		v.budgets.shares[m] = s
	}
	return added
}

// leave makes sure that what is left out was spent or given back, or is over.
func (v *Verifier) leave(at place, subject mark, before, b schemas.Budget) {
	spent := int64(0)
	for _, r := range before.Reserved {
		same := func(other schemas.Reservation) bool {
			return other.Key() == r.Key() && other.Digest == r.Digest
		}
		if slices.ContainsFunc(b.Reserved, func(other schemas.Reservation) bool { return same(other) && other.Amount >= r.Amount }) {
			continue
		}
		v.budgets.end(shareOf(subject, r.Key(), r.Digest), at.seq)
		switch {
		case slices.Contains(b.Returned, r.Key()):
			t := v.trail(r.Key())
			v.pose(at, t, func() error { return v.returned(t, r) })
		case !r.At.Before(b.Since):
			spent = schemas.AddAmounts(spent, r.Amount)
		}
	}
	for _, s := range before.Spent {
		if !s.At.Before(b.Since) {
			spent = schemas.AddAmounts(spent, s.Amount)
		}
	}
	have := int64(0)
	for _, s := range b.Spent {
		have = schemas.AddAmounts(have, s.Amount)
	}
	if have < spent {
		v.find(at, fmt.Sprintf("forgets %d that was taken of budget %s", spent-have, b.Budget))
	}
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
