package schemas_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/holdpoint/holdpoint/schemas"
)

// vote is, in these tests, the ids of the approvals that it counts for. Every vote
// counts for any-reviewer.
type vote []string

func (v vote) counts(a schemas.Approval) bool {
	return a.ID == schemas.AnyReviewer().ID || slices.Contains(v, a.ID)
}

func satisfied(approvals []schemas.Approval, votes []vote) bool {
	return schemas.Satisfied(approvals, len(votes), func(a schemas.Approval, i int) bool { return votes[i].counts(a) })
}

func drawVotes(t *rapid.T, ids []string) []vote {
	ballot := rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 0, len(ids), rapid.ID[string])
	var votes []vote
	for range rapid.IntRange(0, 6).Draw(t, "votes") {
		votes = append(votes, vote(ballot.Draw(t, "vote")))
	}
	return votes
}

func TestSatisfied(t *testing.T) {
	t.Parallel()
	need := func(of ...any) []schemas.Approval {
		var all []schemas.Approval
		for i := 0; i < len(of); i += 2 {
			all = append(all, schemas.Approval{ID: of[i].(string), Quorum: of[i+1].(int)})
		}
		return all
	}
	for name, c := range map[string]struct {
		need  []schemas.Approval
		votes string // a word for each vote: the letters it counts for
		want  bool
	}{
		"nothing needed":               {nil, "", true},
		"nobody voted":                 {need("a", 1), "", false},
		"one of one":                   {need("a", 1), "a", true},
		"one of two":                   {need("a", 2), "a", false},
		"two of two":                   {need("a", 2), "a a", true},
		"not eligible":                 {need("a", 1), "b b b", false},
		"one vote for one requirement": {need("a", 1, "b", 1), "ab", false},
		"each its own":                 {need("a", 1, "b", 1), "ab a", true},
		"the other way round":          {need("a", 1, "b", 1), "a ab", true},
		"greedy would fail":            {need("a", 1, "b", 1, "c", 1), "abc ab a", true},
		"greedy would fail, reversed":  {need("c", 1, "b", 1, "a", 1), "a ab abc", true},
		"no quorum is one":             {need("a", 0), "", false},
		"negative quorum is one":       {need("a", -3), "b", false},
		"the same twice":               {need("a", 1, "a", 1), "a", false},
		"more than needed":             {need("a", 1), "b a a", true},
	} {
		var votes []vote
		for _, letters := range strings.Fields(c.votes) {
			votes = append(votes, strings.Split(letters, ""))
		}
		if got := satisfied(c.need, votes); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestSatisfiedAgainstOracle tries every way to give each vote to one requirement
// or to none.
func TestSatisfiedAgainstOracle(t *testing.T) {
	t.Parallel()
	ids := []string{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		var need []schemas.Approval
		for _, id := range rapid.SliceOfN(rapid.SampledFrom(ids), 0, 4).Draw(t, "approvals") {
			need = append(need, schemas.Approval{ID: id, Quorum: rapid.IntRange(0, 3).Draw(t, "quorum")})
		}
		votes := drawVotes(t, ids)
		want := bruteForce(need, votes, make([]int, len(need)))
		if got := satisfied(need, votes); got != want {
			t.Errorf("%v by %v: got %v, want %v", need, votes, got, want)
		}
		if got := satisfied(rapid.Permutation(need).Draw(t, "other need"), rapid.Permutation(votes).Draw(t, "other votes")); got != want {
			t.Errorf("%v by %v in another order: got %v, want %v", need, votes, got, want)
		}
		if want && !satisfied(need, append(votes, vote(ids))) {
			t.Errorf("%v by %v: satisfied, and one more vote changes that", need, votes)
		}
	})
}

// bruteForce gives the first vote to each requirement that it counts for, or to
// none, and then the others. Given counts what each requirement has.
func bruteForce(need []schemas.Approval, votes []vote, given []int) bool {
	if len(votes) == 0 {
		for i, a := range need {
			if given[i] < max(1, a.Quorum) {
				return false
			}
		}
		return true
	}
	for i, a := range need {
		if votes[0].counts(a) {
			given[i]++
			ok := bruteForce(need, votes[1:], given)
			given[i]--
			if ok {
				return true
			}
		}
	}
	return bruteForce(need, votes[1:], given)
}
