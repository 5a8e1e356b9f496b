package audit_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/schemas"
)

const day = 24 * time.Hour

// verifyForgetfully reads records as [verify] does, and forgets what is over after each.
func verifyForgetfully(records []schemas.Record, last time.Time) audit.Report {
	return verifyForgetfullyFrom(records, 0, last)
}

func verifyForgetfullyFrom(records []schemas.Record, from int, last time.Time) audit.Report {
	v := audit.New(audit.Config{Gateway: gate, Eligibility: groups{}, Check: somebody, From: uint64(from + 1)})
	for i, r := range records[from:] {
		v.Add(uint64(from+i+1), r)
		v.Forget()
	}
	return v.Finish(last.Add(time.Hour))
}

// reader returns what lets v read the records that h got since the last time.
func reader(v *audit.Verifier, h *history) func() {
	n := 0
	return func() {
		for _, r := range h.records[n:] {
			n++
			v.Add(uint64(n), r)
		}
	}
}

// nothing fails the test if something was found, or is pending.
func nothing(t *testing.T, got audit.Report) {
	t.Helper()
	if got.First() != nil || got.Pending > 0 {
		t.Errorf("%d pending and %v, want nothing", got.Pending, got.First())
	}
}

// TestForgetsBudgets: of budgets that are used for an hour each, over two months, those
// of a month are known, and of all others the last record and nothing else.
func TestForgetsBudgets(t *testing.T) {
	t.Parallel()
	const keys = 1500
	h := newHistory(t)
	doubted := newTaking(h, "doubted")
	late := doubted.take(h.refund(releases), 60, nil).release(doubted.names).claim("runner").doubt()
	v := verifier(nil)
	read := reader(v, h)
	for key := range keys {
		b := newTaking(h, fmt.Sprint(key))
		b.window = time.Hour
		first := b.take(h.refund(releases), 60, nil).release(b.names)
		first.claim("runner").report(schemas.Done)
		open := b.take(h.refund(releases), 40, map[*intent]schemas.Outcome{first: schemas.Release})
		if key%2 == 0 {
			open.release(b.names).claim("runner").report(schemas.Failed)
		} else {
			open.refuse(schemas.CodeExpired)
		}
		h.wait(time.Hour)
		read()
		if got := v.Remembered(); got.Budgets > 2*audit.Plenty || got.Shares > 2*audit.Plenty {
			t.Fatalf("after %d budgets: kept %+v", key, got)
		}
	}
	late.resolve("ann", schemas.WasDone)
	last := newTaking(h, "last")
	last.take(h.refund(releases), 1, nil).release(last.names).claim("runner").report(schemas.Done)
	for range 3 {
		h.wait(32 * day)
		last.take(h.refund(releases), 1, nil).release(last.names).claim("runner").report(schemas.Done)
	}
	read()
	v.Forget()
	// The last record of each, and that of each use after a month of none.
	if got, want := v.Remembered(), (audit.Remembered{Budgets: 1, Records: 1 + keys + 4, Shares: 1}); got != want {
		t.Errorf("kept %+v, want %+v", got, want)
	}
	nothing(t, v.Finish(h.now))
}

// TestForgetsByTheClockOfBudgets: when AUDIT gets many budgets long after they were used,
// nothing of them is over for that.
func TestForgetsByTheClockOfBudgets(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	b := newTaking(h, "bot")
	b.take(h.refund(releases), 60, nil).release(b.names)
	for key := range audit.Plenty + 1 {
		other := newTaking(h, fmt.Sprint(key))
		other.take(h.refund(releases), 60, nil).release(other.names)
	}
	b.take(h.refund(releases), 40, nil).release(b.names)
	h.wait(month + 2*time.Hour)
	h.standing("ann")
	nothing(t, verify(copiedAtOnce(h.records), h.now.Add(time.Hour)))
}

// TestForgetsRecordsOfABudget: of a budget that is in use for ever, the records of a few
// days are kept.
func TestForgetsRecordsOfABudget(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	b := newTaking(h, "bot")
	b.window = time.Hour
	v := verifier(nil)
	for n := range 1000 {
		b.take(h.refund(releases), 60, nil).release(b.names).claim("runner").report(schemas.Done)
		h.wait(2 * time.Hour)
		for i, r := range h.records {
			v.Add(h.seqs[schemas.Audit]+uint64(i)+1, r)
		}
		h.seqs[schemas.Audit] += uint64(len(h.records))
		h.records = nil
		if got := v.Remembered(); got.Records > 40 || got.Shares > 2 {
			t.Fatalf("after %d uses: kept %+v", n, got)
		}
	}
	nothing(t, v.Finish(h.now))
}

// TestForgetsStandings: of standing approvals, and of what revokes them, those of eleven
// days are known.
func TestForgetsStandings(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	v := verifier(nil)
	read := reader(v, h)
	for given := range 1500 {
		a := h.standing("ann")
		a.vote(h.refund(parks(1)).park()).release().claim("runner").report(schemas.Done)
		if given%2 == 0 {
			a.revoke("bob")
		}
		h.wait(time.Hour)
		read()
		if got := v.Remembered(); got.Standings+got.Revocations > audit.Plenty+1 || got.Records > 0 {
			t.Fatalf("after %d standing approvals: kept %+v", given, got)
		}
	}
	for range 3 {
		h.wait(32 * day)
		h.standing("ann")
		read()
	}
	v.Forget()
	if got := v.Remembered(); got.Standings != 2 || got.Revocations != 0 {
		t.Errorf("kept %+v, want the last two standing approvals", got)
	}
	nothing(t, v.Finish(h.now))
}

// TestForgetsNothingOfUse: whatever the time between stories, who forgets as soon as
// possible accuses nobody, and keeps nothing needless.
func TestForgetsNothingOfUse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(t)
		for _, title := range rapid.Permutation(titles()).Draw(rt, "stories")[:12] {
			stories[title](h)
			h.wait(time.Duration(rapid.Int64Range(int64(time.Minute), int64(40*day)).Draw(rt, "wait")))
		}
		mixed, copied := inTime(rapid.Uint64().Draw(rt, "seed"), h.records)
		if got := verifyForgetfully(mixed, copied); got.First() != nil {
			rt.Fatal(got.First())
		}
	})
}

// TestForgetsOnlyWhatIsJudged: when the broker comes back after many days, AUDIT may get
// what is from before them after what is new.
func TestForgetsOnlyWhatIsJudged(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	b := newTaking(h, "bot")
	b.take(h.refund(releases), 1, nil).release(b.names)
	i := h.standing("ann", week).vote(h.refund(parks(1)).park(func(h *schemas.Hold) { h.Inputs = []schemas.Pointer{b.at} }))
	i.release()
	b.take(h.refund(releases), 1, nil).release(b.names)
	h.wait(11 * day)
	back := h.now
	h.quiet(0)
	rank := func(r schemas.Record) int {
		aside := r.Stream == schemas.Budgets || r.Stream == schemas.Standings
		behind := r.Stream == schemas.ParkedHolds || r.Stream == schemas.Settled
		switch old := !r.Time.After(back); {
		case old && !behind:
			return 0
		case aside && r.Time.Before(back.Add(time.Minute)):
			return 1
		case old:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(h.records, func(a, b schemas.Record) int { return rank(a) - rank(b) })
	for n, r := range h.records {
		if rank(r) == 2 {
			h.records[n].Time = back.Add(50 * time.Second)
		}
	}
	if got := verifyForgetfully(h.records, h.now); got.First() != nil {
		t.Errorf("found %v", got.Findings)
	}
}

// TestForgetsWhatWasNamedBefore: what a hold named before the reading began may be read
// and forgotten when the hold is.
func TestForgetsWhatWasNamedBefore(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	b, a := newTaking(h, "bot"), h.standing("ann", week)
	b.take(h.refund(releases), 1, nil).release(b.names)
	i := h.refund(waits(2)).park(func(h *schemas.Hold) { h.Inputs = []schemas.Pointer{b.at} })
	b.take(h.refund(releases), 1, nil).release(b.names)
	a.vote(i)
	named := min(h.at(a.at), h.at(schemas.Pointer{Stream: schemas.Budgets, Seq: 1}))
	early, rest := []schemas.Record{}, []schemas.Record{}
	for _, r := range h.records[named:] {
		if r.Stream == schemas.ParkedHolds {
			early = append(early, r)
		} else {
			rest = append(rest, r)
		}
	}
	h.records = slices.Concat(h.records[:named], early, rest)
	h.quiet(12 * day)
	i.refuse(schemas.CodeExpired)
	h.quiet(time.Minute)
	got := verifyForgetfullyFrom(h.records, named+len(early), h.now)
	if got.First() != nil {
		t.Errorf("found %v", got.Findings)
	}
}
