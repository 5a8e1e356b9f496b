package rules

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// Result is what became of a case.
type Result struct {
	Case

	// Problems are what is otherwise than the case wants. None means passed.
	Problems []string      `json:"problems,omitempty"`
	Took     time.Duration `json:"-"`
}

// Results are those of all cases of a bundle.
type Results struct {
	Digest   schemas.Digest `json:"digest"`
	Cases    []Result       `json:"cases"`
	Coverage Coverage       `json:"coverage"`
}

// Failed counts the cases that did not pass.
func (r Results) Failed() int {
	failed := 0
	for _, c := range r.Cases {
		if len(c.Problems) > 0 {
			failed++
		}
	}
	return failed
}

// Test runs the cases of the bundle in a directory, with the default limits. An
// error is [Mistakes], in the bundle or in its cases, unless the directory cannot
// be read or ctx ended.
func Test(ctx context.Context, dir fs.FS) (Results, error) {
	notes := &notebook{}
	files, err := readDir(dir, notes)
	if err != nil {
		return Results{}, err
	}
	d, err := Limits{}.draft(files, notes)
	if err != nil {
		return Results{}, err
	}
	cases := readCases(files, d.vocabulary(), notes)
	if err := notes.err(); err != nil {
		return Results{}, err
	}
	b, err := d.bundle()
	if err != nil {
		return Results{}, err
	}
	results := Results{Digest: b.Digest(), Cases: []Result{}}
	count := newCounter(d)
	for _, c := range cases {
		if err := ctx.Err(); err != nil {
			return Results{}, err
		}
		results.Cases = append(results.Cases, count.run(ctx, b.Patient(), c))
	}
	results.Coverage = count.coverage()
	return results, nil
}

// run runs one case.
func (n *counter) run(ctx context.Context, b *Bundle, c Case) Result {
	start := time.Now()
	r := Result{Case: c}
	if err := b.CheckParams(c.Facts.Intent.Action, c.Facts.Intent.Params); err != nil {
		r.Problems = append(r.Problems, fmt.Sprintf("no intent gets that far with these parameters: %v", err))
	}
	o := n.opinion(ctx, b, c)
	r.Problems = append(r.Problems, c.want.compare(o)...)
	r.Took = time.Since(start)
	return r
}

// opinion forms the opinion of one checkpoint, or of all.
func (n *counter) opinion(ctx context.Context, b *Bundle, c Case) schemas.Opinion {
	var joined schemas.Opinion
	for i, at := range checkpointsOf(c.At) {
		if o := b.evaluate(ctx, at, c.Facts, n); i == 0 {
			joined = o
		} else {
			joined = joined.Join(o)
		}
	}
	return joined
}

func checkpointsOf(at Checkpoint) []Checkpoint {
	if at == 0 {
		return []Checkpoint{Observe, Recommend, Execute}
	}
	return []Checkpoint{at}
}

// compare returns what is otherwise than wanted.
func (x expectation) compare(o schemas.Opinion) []string {
	var problems []string
	differ := func(key string, got, want any) {
		if x.named[key] && fmt.Sprint(got) != fmt.Sprint(want) {
			problems = append(problems, fmt.Sprintf("%s: got %v, want %v", key, got, want))
		}
	}
	differ("outcome", o.Outcome, x.outcome)
	differ("risk", o.Risk, x.risk)
	differ("matched", names(o.Matched), x.matched)
	differ("failed", slices.Sorted(slices.Values(names(o.Failed))), x.failed)
	var approvals []string
	for _, a := range o.Approvals {
		approvals = append(approvals, a.ID)
	}
	differ("approvals", approvals, x.approvals)
	differ("tell", o.Tell, x.tell)
	if !x.named["failed"] && len(o.Failed) > 0 {
		var reasons []string
		for _, m := range o.Failed {
			reasons = append(reasons, m.Rule+": "+m.Reason)
		}
		problems = append(problems, "failed: "+strings.Join(reasons, "; "))
	}
	return problems
}

func names(matches []schemas.Match) []string {
	var names []string
	for _, m := range matches {
		names = append(names, m.Rule)
	}
	return names
}
