package rules_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/holdpoint/holdpoint/rules"
)

// TestRunner runs the cases of a bundle, passing and failing ones. What is said
// about them, and what they do not cover, must be what results.golden says.
func TestRunner(t *testing.T) {
	t.Parallel()
	dir := "testdata/runner/shop"
	got, err := rules.Test(t.Context(), os.DirFS(dir))
	if err != nil {
		t.Fatalf("testing: %v", err)
	}
	sameAsGolden(t, "testdata/runner/results.golden", describeResults(got))
	if want := 2; got.Failed() != want {
		t.Errorf("failed: got %d, want %d", got.Failed(), want)
	}
}

func describeResults(r rules.Results) string {
	var b strings.Builder
	for _, c := range r.Cases {
		fmt.Fprintf(&b, "%s:%d: %s\n", c.File, c.Line, c.Name)
		for _, p := range c.Problems {
			fmt.Fprintf(&b, "  %s\n", p)
		}
	}
	fmt.Fprintf(&b, "seen %d of %d\n", r.Coverage.Seen, r.Coverage.All)
	for _, g := range r.Coverage.Gaps {
		fmt.Fprintf(&b, "%s:%d:%d: %s\n", g.File, g.Line, g.Column, g.Text)
	}
	return b.String()
}

// TestCaseMistakes points at what is wrong in cases.
func TestCaseMistakes(t *testing.T) {
	t.Parallel()
	dir := "testdata/runner/mistakes"
	_, err := rules.Test(t.Context(), bundleFiles(t, dir))
	var mistakes rules.Mistakes
	if !errors.As(err, &mistakes) {
		t.Fatalf("testing: got %v, want mistakes", err)
	}
	sameAsGolden(t, filepath.Join(dir, "..", "mistakes.golden"), mistakes.Error()+"\n")
}

// TestCoverageIsComplete adds the cases that are missing: then there are no gaps.
func TestCoverageIsComplete(t *testing.T) {
	t.Parallel()
	cases := `
- name: all
  at: recommend
  action: shop.refund
  table:
    - {params: {a: 1}, want: {outcome: release}}
    - {params: {a: 2, b: 1}, want: {outcome: park}}
    - {params: {a: 2, b: 2}, want: {outcome: release}}
    - {params: {a: 2}, want: {outcome: park}}
`
	policy := "rules: [{id: r, at: recommend, actions: [shop.refund], outcome: release, when: \"params.a == 1 || has(params.b) && params.b == 2\"}]\napprovals: [{id: a, actions: ['*']}]\n"
	got, err := rules.Test(t.Context(), files(policy, "cases/c.yaml", cases))
	if err != nil {
		t.Fatal(err)
	}
	if got.Failed() > 0 || len(got.Coverage.Gaps) > 0 || got.Coverage.Seen != got.Coverage.All {
		t.Errorf("got %d failed, coverage %+v, want all passed and seen", got.Failed(), got.Coverage)
	}
	for i := range 4 {
		less := without(t, files(policy, "cases/c.yaml", cases), i)
		got, err := rules.Test(t.Context(), less)
		if err != nil || len(got.Coverage.Gaps) == 0 && i < 3 {
			t.Errorf("without row %d: got %+v, %v, want a gap", i, got.Coverage, err)
		}
	}
}

// without leaves out one row of the table.
func without(t *testing.T, dir fstest.MapFS, row int) fstest.MapFS {
	t.Helper()
	lines := strings.Split(string(dir["cases/c.yaml"].Data), "\n")
	dir["cases/c.yaml"] = &fstest.MapFile{Data: []byte(strings.Join(slices.Delete(lines, 5+row, 6+row), "\n"))}
	return dir
}
