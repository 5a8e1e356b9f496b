package schemas_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/holdpoint/holdpoint/schemas"
)

// reservation is what the i-th intent of bot takes, minutes after noon.
func reservation(i uint64, amount int64, minutes int) schemas.Reservation {
	return schemas.Reservation{
		Agent: bot, Intent: schemas.SequenceID(i), Digest: digest(string(schemas.SequenceID(i))),
		Amount: amount, At: noon.Add(time.Duration(minutes) * time.Minute),
	}
}

func (r reserving) of(i uint64) schemas.Intent {
	return schemas.Intent{Agent: bot, ID: schemas.SequenceID(i), Digest: digest(string(schemas.SequenceID(i)))}
}

// reserving takes of a budget, and knows the verdicts.
type reserving struct {
	*testing.T
	verdicts map[schemas.Key]schemas.Outcome
}

func (r reserving) reserve(b schemas.Budget, more ...schemas.Reservation) schemas.Budget {
	r.Helper()
	for _, one := range more {
		next, err := b.Settle(time.Hour, r.verdict).Reserve(one, b.Since)
		if err != nil {
			r.Fatal(err)
		}
		b = next
	}
	return b
}

func (r reserving) verdict(one schemas.Reservation) (schemas.Outcome, bool) {
	o, settled := r.verdicts[one.Key()]
	return o, settled
}

// TestBudgetTakesOnce: what one intent reserves twice it takes once, as much as
// the larger of the two.
func TestBudgetTakesOnce(t *testing.T) {
	t.Parallel()
	r := reserving{T: t}
	b := r.reserve(schemas.Budget{Budget: "refunds"}, reservation(1, 100, 0), reservation(2, 30, 1), reservation(1, 120, 2))
	if got := b.Taken(noon, r.of(9)); got != 150 {
		t.Errorf("taken: got %d, want 150", got)
	}
	if got := b.Taken(noon, r.of(1)); got != 30 {
		t.Errorf("taken by others than the first: got %d, want 30", got)
	}
	if have, ok := b.Reservation(r.of(1)); !ok || have.Amount != 120 {
		t.Errorf("reservation of the first: got %+v", have)
	}
	other := r.of(1)
	other.Digest = digest("another intent of that id")
	if _, ok := b.Reservation(other); ok {
		t.Error("the reservation is another intent's, too")
	}
}

// TestBudgetReturns: what was refused counts no more, and the record says so once.
func TestBudgetReturns(t *testing.T) {
	t.Parallel()
	r := reserving{T: t, verdicts: map[schemas.Key]schemas.Outcome{}}
	b := r.reserve(schemas.Budget{Budget: "refunds"}, reservation(1, 100, 0), reservation(2, 30, 1))
	r.verdicts[r.of(1).Key()] = schemas.Refuse
	b = r.reserve(b, reservation(3, 5, 2))
	if got := b.Taken(noon, r.of(9)); got != 35 {
		t.Errorf("taken: got %d, want 35", got)
	}
	if diff := cmp.Diff([]schemas.Reservation{reservation(1, 100, 0)}, b.Returned); diff != "" {
		t.Errorf("returned (-want +got):\n%s", diff)
	}
	if b = r.reserve(b, reservation(4, 5, 3)); len(b.Returned) > 0 {
		t.Errorf("returned again: %v", b.Returned)
	}
}

// TestBudgetWindow: what was reserved before the window does not count, and what
// was folded counts a little longer, never shorter.
func TestBudgetWindow(t *testing.T) {
	t.Parallel()
	r := reserving{T: t, verdicts: map[schemas.Key]schemas.Outcome{r0(1): schemas.Release, r0(2): schemas.Release}}
	b := r.reserve(schemas.Budget{Budget: "refunds"}, reservation(1, 100, 0), reservation(2, 30, 10), reservation(3, 5, 70))
	want := []schemas.Spent{{Amount: 130, At: noon.Add(10 * time.Minute)}}
	if diff := cmp.Diff(want, b.Spent); diff != "" {
		t.Errorf("spent (-want +got):\n%s", diff)
	}
	for minutes, want := range map[int]int64{0: 135, 10: 135, 11: 5, 70: 5, 71: 0} {
		if got := b.Taken(noon.Add(time.Duration(minutes)*time.Minute), r.of(9)); got != want {
			t.Errorf("taken since minute %d: got %d, want %d", minutes, got, want)
		}
	}
	b.Since = noon.Add(11 * time.Minute)
	if b = r.reserve(b, reservation(4, 1, 80)); len(b.Spent) > 0 || len(b.Reserved) != 2 {
		t.Errorf("what is over is still there: %+v", b)
	}
}

func r0(i uint64) schemas.Key { return reserving{}.of(i).Key() }

// TestBudgetWindowTurns: what clocks of others still count stays until they do not, and
// stands apart from what counts in the window that begins.
func TestBudgetWindowTurns(t *testing.T) {
	t.Parallel()
	r := reserving{T: t, verdicts: map[schemas.Key]schemas.Outcome{r0(1): schemas.Release, r0(2): schemas.Release, r0(3): schemas.Release}}
	b := r.reserve(schemas.Budget{Budget: "refunds", Since: noon}, reservation(1, 100, 10), reservation(2, 30, 20))
	forget := b.Since
	for i, minutes := range []int{31, 32, 33} {
		b.Since = noon.Add(30 * time.Minute)
		next, err := b.Settle(time.Hour, r.verdict).Reserve(reservation(uint64(3+i), 1, minutes), forget)
		if err != nil {
			t.Fatal(err)
		}
		b = next
	}
	if before, since := b.Taken(noon, r.of(9)), b.Taken(b.Since, r.of(9)); before != 133 || since != 3 {
		t.Errorf("taken: got %d, of which %d count in the new window; want 133 and 3", before, since)
	}
	b, err := b.Settle(time.Hour, r.verdict).Reserve(reservation(9, 1, 40), b.Since)
	if err != nil || b.Taken(noon, r.of(99)) != 4 {
		t.Errorf("what nobody counts any more is still there: %+v, %v", b, err)
	}
}

// TestBudgetReturnsOneOfTwo: of two intents under one id, it is said whose share was
// returned.
func TestBudgetReturnsOneOfTwo(t *testing.T) {
	t.Parallel()
	other := reservation(1, 7, 1)
	other.Digest = digest("another intent of that id")
	b := reserving{T: t}.reserve(schemas.Budget{Budget: "refunds"}, reservation(1, 100, 0), other)
	b = b.Settle(time.Hour, func(one schemas.Reservation) (schemas.Outcome, bool) {
		if one.Digest == other.Digest {
			return schemas.Refuse, true
		}
		return schemas.Release, true
	})
	if diff := cmp.Diff([]schemas.Reservation{other}, b.Returned); diff != "" || b.Taken(noon, schemas.Intent{}) != 100 {
		t.Errorf("returned (-want +got):\n%s\nand %d are taken, want 100", diff, b.Taken(noon, schemas.Intent{}))
	}
}

// TestBudgetIsFull: beyond MaxReserved that are not settled, nothing is reserved,
// and nothing is lost.
func TestBudgetIsFull(t *testing.T) {
	t.Parallel()
	r := reserving{T: t}
	b := schemas.Budget{Budget: "refunds"}
	for i := range schemas.MaxReserved {
		b = r.reserve(b, reservation(uint64(i+1), 1, 0))
	}
	if _, err := b.Reserve(reservation(1000, 1, 0), b.Since); err == nil {
		t.Error("one more was reserved")
	}
	if _, err := b.Reserve(reservation(1, 2, 0), b.Since); err != nil {
		t.Errorf("one that is there: %v", err)
	}
}

// TestBudgetForgetsNothing: whatever the order of reservations and verdicts, what
// counts is at least what was released and what is not settled, within the window,
// and at most that and what was released up to an hour before.
func TestBudgetForgetsNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		r := reserving{T: t, verdicts: map[schemas.Key]schemas.Outcome{}}
		window := 6 * time.Hour
		b := schemas.Budget{Budget: "refunds"}
		var all []schemas.Reservation
		now := noon
		for i := range rapid.IntRange(1, 40).Draw(rt, "intents") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "minutes")) * time.Minute)
			one := reservation(uint64(i+1), int64(rapid.IntRange(0, 50).Draw(rt, "amount")), 0)
			one.At = now
			all = append(all, one)
			b.Since = now.Add(-window)
			b = r.reserve(b, one)
			settled := all[rapid.IntRange(0, i).Draw(rt, "settled")]
			if _, done := r.verdicts[settled.Key()]; !done && rapid.Bool().Draw(rt, "settles") {
				r.verdicts[settled.Key()] = rapid.SampledFrom([]schemas.Outcome{schemas.Release, schemas.Refuse}).Draw(rt, "verdict")
			}
		}
		b = b.Settle(time.Hour, r.verdict)
		least, most := int64(0), int64(0)
		for _, one := range all {
			switch refused := r.verdicts[one.Key()] == schemas.Refuse; {
			case refused:
			case !one.At.Before(now.Add(-window)):
				least, most = least+one.Amount, most+one.Amount
			case !one.At.Before(now.Add(-window - time.Hour)):
				most += one.Amount
			}
		}
		if got := b.Taken(now.Add(-window), r.of(99)); got < least || got > most {
			rt.Fatalf("taken: got %d, want %d to %d", got, least, most)
		}
	})
}
