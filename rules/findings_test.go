package rules_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestFindings checks every directory of testdata/findings. What is found must be
// what its findings.golden says; -update writes that.
func TestFindings(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("testdata/findings/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("findings: got %v, %v, want directories", dirs, err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			bundle := bundleFiles(t, dir)
			delete(bundle, "findings.golden")
			_, found, err := rules.Check(t.Context(), bundle, seats)
			if err != nil {
				t.Fatalf("checking: %v", err)
			}
			var lines []string
			for _, f := range found {
				lines = append(lines, strings.Split(f.String(), "\n")...)
			}
			sameAsGolden(t, filepath.Join(dir, "findings.golden"), strings.Join(lines, "\n")+"\n")
		})
	}
}

// sameAsGolden compares with a file, or writes it with -update.
func sameAsGolden(t *testing.T, golden, got string) {
	t.Helper()
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
}

// seats are those of two persons, one of whom has two, and of a program.
var seats = []rules.Seat{
	{Reviewer: rules.Reviewer{Name: "ann", Person: "ann@example.com", Groups: []string{"finance"}}, Queues: []schemas.Name{"billing"}},
	{Reviewer: rules.Reviewer{Name: "ann-too", Person: "ann@example.com", Groups: []string{"finance"}}, Queues: []schemas.Name{"billing"}},
	{Reviewer: rules.Reviewer{Name: "bob", Person: "bob@example.com", Groups: []string{"finance"}}, Queues: []schemas.Name{"other"}},
	{Reviewer: rules.Reviewer{Name: "bot", Person: "carl@example.com", Service: true}, Queues: []schemas.Name{"billing"}},
}
