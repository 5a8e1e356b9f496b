package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// budgets are what was taken of every budget, as BUDGETS says.
type budgets struct {
	latest   map[mark]balance        // by subject, as long as anything of it may count
	all      map[uint64]budgetRecord // by sequence, as long as it may be named
	replaced []replaced              // those of all that others replaced, in order
	told     time.Time               // when the latest of all was written
	shares   map[mark]*share         // by subject and intent, as long as something may name them
	most     int                     // budgets after which those that are over are forgotten
}

// balance is what the latest record of a budget says, and its sequence.
type balance struct {
	schemas.Budget
	seq uint64
}

// budgetRecord is under which subject a record of BUDGETS stands, and what it says. The
// last of a budget is kept for ever: a gate that never trims names it in holds, however
// old it is.
type budgetRecord struct{ subject, hash mark }

// replaced is the sequence of a record of BUDGETS, and when another replaced it.
type replaced struct {
	seq uint64
	at  time.Time
}

const (
	// plenty is how much of what may be over there is before it is forgotten.
	plenty = 1000

	// margin is more than clocks and the times at which AUDIT gets records differ by.
	margin = time.Hour
)

// share is what an intent takes of a budget: it is in the records from one
// sequence on, up to but not including another, which is 0 while it is.
type share struct {
	from, to uint64
	limit    int64 // of the budget, when it was taken
	beyond   bool
	over     bool // the intent is, and nothing names the share any more
}

func newBudgets() budgets {
	return budgets{latest: map[mark]balance{}, all: map[uint64]budgetRecord{}, shares: map[mark]*share{}, most: plenty}
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
	before, known := v.budgets.put(at.seq, which, b, r.Hash())
	if len(v.budgets.latest) > v.budgets.most {
		v.budgets.forget(v.dates[at.stream].said, at.seq)
	}
	added := v.enter(at, which, before, b)
	if !known && v.partial() {
		return
	}
	v.leave(at, which, before, b)
	switch sum := b.Taken(b.Since, schemas.Intent{}); {
	case len(added) != 1:
		v.find(at, fmt.Sprintf("adds %d shares of budget %s at once", len(added), b.Budget))
	case !added[0].At.Equal(b.At):
		v.find(at, fmt.Sprintf("dates the share of %s in budget %s %s, and is of %s", added[0].Key(), b.Budget, clock(added[0].At), clock(b.At)))
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

// put takes in a record, and returns what the one before it says, if that is known.
func (b *budgets) put(seq uint64, which mark, says schemas.Budget, hash schemas.Digest) (schemas.Budget, bool) {
	before, known := b.latest[which]
	b.latest[which] = balance{says, seq}
	if says.Budget == schemas.StandingBudget {
		return before.Budget, known // nothing names the record of a use
	}
	b.all[seq] = budgetRecord{which, markOf(string(hash))}
	b.told = says.At
	if known {
		b.replaced = append(b.replaced, replaced{before.seq, says.At})
	}
	return before.Budget, known
}

// forget drops what counts no more at a time, by the clock of BUDGETS: AUDIT may have got
// it long after. From the record seq on, nothing has a share in that.
func (b *budgets) forget(now time.Time, seq uint64) {
	over := now.Add(-schemas.MaxWindow - margin)
	for which, last := range b.latest {
		if !last.At.Before(over) {
			continue
		}
		delete(b.latest, which)
		for _, r := range last.Reserved {
			b.end(shareOf(which, r.Key(), r.Digest), seq)
		}
	}
	b.most = max(plenty, 2*len(b.latest))
}

// forgetReplaced drops the replaced records that, by a time, only intents can name that
// have expired. The time is that of BUDGETS, which stands still while AUDIT does.
func (b *budgets) forgetReplaced(now time.Time) {
	over := now.Add(-schemas.MaxLifetime - margin)
	for len(b.replaced) > 0 && b.replaced[0].at.Before(over) {
		delete(b.all, b.replaced[0].seq)
		b.replaced = b.replaced[1:]
	}
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
	record, kept := v.budgets.all[p.Seq]
	s := v.budgets.shares[shareOf(record.subject, in.Key(), in.Digest)]
	switch {
	case !kept:
		return fmt.Errorf("names %s, which has no part in it", p)
	case record.hash != markOf(string(p.Hash)):
		return fmt.Errorf("names %s, which says something else", p)
	case s == nil || p.Seq < s.from || s.to > 0 && p.Seq >= s.to:
		return fmt.Errorf("names %s, in which it has no share", p)
	case s.beyond && !held:
		return fmt.Errorf("goes beyond the limit of %s, and nobody approved it", p)
	}
	return nil
}
