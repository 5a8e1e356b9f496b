package schemas_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/holdpoint/holdpoint/schemas"
)

var outcomes = []schemas.Outcome{schemas.Release, schemas.Park, schemas.Refuse} // the strictest last

func TestOutcomeParksWhenInDoubt(t *testing.T) {
	t.Parallel()
	var forgotten schemas.Opinion
	if forgotten.Outcome != schemas.Park {
		t.Errorf("zero opinion: got %s, want park", forgotten.Outcome)
	}
	for text, want := range map[string]schemas.Outcome{
		`"park"`: schemas.Park, `"release"`: schemas.Release, `"refuse"`: schemas.Refuse,
		`""`: schemas.Park, `"Release"`: schemas.Park, `"release "`: schemas.Park, `"allow"`: schemas.Park, `"1"`: schemas.Park,
	} {
		got := schemas.Release // what was there before must not stay
		if err := schemas.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
	var o schemas.Outcome
	if err := schemas.Unmarshal([]byte(`1`), &o); err == nil || o != schemas.Park {
		t.Errorf("a number: got %s, %v, want park and a Fault", o, err)
	}
	if got := schemas.Outcome(99).String(); got != "park" {
		t.Errorf("an outcome that does not exist: got %q, want park", got)
	}
	for _, o := range outcomes {
		var back schemas.Outcome
		text, err := o.MarshalText()
		if err != nil || back.UnmarshalText(text) != nil || back != o {
			t.Errorf("%s: travels as %q, %v, and comes back as %s", o, text, err, back)
		}
	}
}

func TestStrictest(t *testing.T) {
	t.Parallel()
	for i, a := range outcomes {
		for j, b := range outcomes {
			if got, want := schemas.Strictest(a, b), outcomes[max(i, j)]; got != want {
				t.Errorf("strictest of %s and %s: got %s, want %s", a, b, got, want)
			}
		}
	}
	if got := schemas.Strictest(schemas.Release, schemas.Outcome(99)); got != schemas.Park {
		t.Errorf("strictest of release and nonsense: got %s, want park", got)
	}
}

func TestStrictestIsAJoin(t *testing.T) {
	t.Parallel()
	any := rapid.Map(rapid.Byte(), func(b byte) schemas.Outcome { return schemas.Outcome(b % 4) })
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := any.Draw(t, "a"), any.Draw(t, "b"), any.Draw(t, "c")
		if got, want := schemas.Strictest(a, b), schemas.Strictest(b, a); got != want {
			t.Errorf("order of %d and %d: got %s and %s", a, b, got, want)
		}
		if got, want := schemas.Strictest(schemas.Strictest(a, b), c), schemas.Strictest(a, schemas.Strictest(b, c)); got != want {
			t.Errorf("grouping of %d, %d and %d: got %s and %s", a, b, c, got, want)
		}
		if got := schemas.Strictest(a, a); got.String() != a.String() {
			t.Errorf("%d with itself: got %s", a, got)
		}
	})
}

// opinions draws what one checkpoint may say, with rules and approvals that
// several of them share.
func opinions() *rapid.Generator[schemas.Opinion] {
	outcome := rapid.SampledFrom(outcomes)
	match := rapid.Custom(func(t *rapid.T) schemas.Match {
		return schemas.Match{Rule: rapid.StringMatching(`[a-m]`).Draw(t, "rule"), Outcome: outcome.Draw(t, "outcome"), Add: rapid.IntRange(0, 3).Draw(t, "add")}
	})
	approval := rapid.Custom(func(t *rapid.T) schemas.Approval {
		return schemas.Approval{ID: rapid.StringMatching(`[a-c]`).Draw(t, "id"), Quorum: rapid.IntRange(1, 3).Draw(t, "quorum"), Deadline: schemas.Seconds(rapid.IntRange(0, 9).Draw(t, "deadline"))}
	})
	return rapid.Custom(func(t *rapid.T) schemas.Opinion {
		return schemas.Opinion{
			Outcome: outcome.Draw(t, "outcome"), Risk: rapid.IntRange(0, 100).Draw(t, "risk"),
			Matched:   rapid.SliceOfNDistinct(match, 0, schemas.MaxMatches, rapid.ID[schemas.Match]).Draw(t, "matched"),
			Failed:    rapid.SliceOfNDistinct(match, 0, schemas.MaxMatches, rapid.ID[schemas.Match]).Draw(t, "failed"),
			More:      rapid.IntRange(0, 3).Draw(t, "more"),
			Approvals: rapid.SliceOfNDistinct(approval, 0, schemas.MaxApprovals, rapid.ID[schemas.Approval]).Draw(t, "approvals"),
			Tell:      rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "tell"),
		}
	})
}

func TestJoin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := opinions().Draw(t, "a"), opinions().Draw(t, "b")
		beforeA, beforeB := text(a), text(b)
		got := a.Join(b)
		if want := schemas.Strictest(a.Outcome, b.Outcome); got.Outcome != want {
			t.Errorf("outcome: got %s, want %s", got.Outcome, want)
		}
		if want := max(a.Risk, b.Risk); got.Risk != want {
			t.Errorf("risk: got %d, want %d", got.Risk, want)
		}
		if diff := cmp.Diff(union(a.Approvals, b.Approvals), got.Approvals); diff != "" {
			t.Errorf("approvals (-want +got):\n%s", diff)
		}
		matched, failed := union(a.Matched, b.Matched), union(a.Failed, b.Failed)
		wantMatched, wantFailed := min(len(matched), schemas.MaxMatches), min(len(failed), schemas.MaxMatches)
		if len(got.Matched) != wantMatched || len(got.Failed) != wantFailed {
			t.Errorf("bounds: got %d matched and %d failed, want %d and %d", len(got.Matched), len(got.Failed), wantMatched, wantFailed)
		}
		if want := a.More + b.More + len(matched) - wantMatched + len(failed) - wantFailed; got.More != want {
			t.Errorf("more: got %d, want %d: no rule is forgotten", got.More, want)
		}
		strictness := func(m schemas.Match) int { return slices.Index(outcomes, m.Outcome) }
		if !slices.IsSortedFunc(got.Matched, func(x, y schemas.Match) int { return strictness(y) - strictness(x) }) {
			t.Errorf("matched: got %v, want the strictest first", got.Matched)
		}
		for _, m := range matched {
			if !slices.Contains(got.Matched, m) && strictness(m) > strictness(got.Matched[len(got.Matched)-1]) {
				t.Errorf("matched: %v was cut, and a less strict one kept", m)
			}
		}
		if a.Outcome != got.Outcome && got.Tell != b.Tell || b.Outcome != got.Outcome && got.Tell != a.Tell {
			t.Errorf("tell: got %q of %q (%s) and %q (%s), want that of the stricter", got.Tell, a.Tell, a.Outcome, b.Tell, b.Outcome)
		}
		if text(a) != beforeA || text(b) != beforeB {
			t.Error("joining changed what was joined")
		}
	})
}

// TestJoinOrder: what decides does not depend on the order of checkpoints.
func TestJoinOrder(t *testing.T) {
	t.Parallel()
	decides := func(o schemas.Opinion) schemas.Opinion {
		o.Approvals = slices.Clone(o.Approvals)
		slices.SortFunc(o.Approvals, func(a, b schemas.Approval) int { return strings.Compare(text(a), text(b)) })
		return schemas.Opinion{Outcome: o.Outcome, Risk: o.Risk, Approvals: o.Approvals}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := opinions().Draw(t, "a"), opinions().Draw(t, "b"), opinions().Draw(t, "c")
		want := decides(a.Join(b).Join(c))
		for _, got := range []schemas.Opinion{a.Join(b.Join(c)), c.Join(a).Join(b), b.Join(c.Join(a))} {
			if diff := cmp.Diff(want, decides(got)); diff != "" {
				t.Errorf("another order (-want +got):\n%s", diff)
			}
		}
		if diff := cmp.Diff(decides(a), decides(a.Join(a))); diff != "" {
			t.Errorf("with itself (-want +got):\n%s", diff)
		}
		if got := a.Join(schemas.Opinion{}); got.Outcome == schemas.Release {
			t.Error("joined with an empty opinion: got release, want at least park")
		}
	})
}

// TestJoinIsNeverLessStrict: votes that satisfy the whole satisfy each part.
func TestJoinIsNeverLessStrict(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := opinions().Draw(t, "a"), opinions().Draw(t, "b")
		votes := drawVotes(t, []string{"a", "b", "c", "any-reviewer"})
		for _, part := range []schemas.Opinion{a, b} {
			if satisfied(a.Join(b).Requirements(), votes) && !satisfied(part.Requirements(), votes) {
				t.Errorf("votes %v satisfy %v and not %v", votes, a.Join(b).Requirements(), part.Requirements())
			}
		}
	})
}

func TestRequirements(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]schemas.Approval{schemas.AnyReviewer()}, schemas.Opinion{}.Requirements()); diff != "" {
		t.Errorf("of nothing (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(approvals(), opinion().Requirements()); diff != "" {
		t.Errorf("of some (-want +got):\n%s", diff)
	}
}

func TestOpinionDeadline(t *testing.T) {
	t.Parallel()
	end := noon.Add(24 * time.Hour)
	approval := func(deadline, remind schemas.Seconds) schemas.Approval {
		return schemas.Approval{ID: "x", Quorum: 1, Deadline: deadline, Remind: remind}
	}
	for name, c := range map[string]struct {
		approvals        []schemas.Approval
		deadline, remind time.Time
	}{
		"none":           {nil, end, time.Time{}},
		"no deadline":    {[]schemas.Approval{approval(0, 0)}, end, time.Time{}},
		"one":            {[]schemas.Approval{approval(3600, 60)}, noon.Add(time.Hour), noon.Add(time.Minute)},
		"earliest":       {[]schemas.Approval{approval(7200, 0), approval(3600, 90), approval(0, 60)}, noon.Add(time.Hour), noon.Add(time.Minute)},
		"after it ended": {[]schemas.Approval{approval(48*3600, 0)}, end, time.Time{}},
	} {
		deadline, remind := schemas.Opinion{Approvals: c.approvals}.Deadline(noon, end)
		if !deadline.Equal(c.deadline) || !remind.Equal(c.remind) {
			t.Errorf("%s: got %s and %s, want %s and %s", name, deadline, remind, c.deadline, c.remind)
		}
	}
}

// union has each of a and b once.
func union[T comparable](a, b []T) []T {
	all := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}
