package rules_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestFormat formats a file in which everything is out of order.
func TestFormat(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/format/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := rules.Format("policy.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	sameAsGolden(t, "testdata/format/formatted.golden", string(got))
	again, err := rules.Format("policy.yaml", got)
	if err != nil || !bytes.Equal(again, got) {
		t.Errorf("formatted again: %v\n%s", err, again)
	}
}

// TestFormatKeepsMeaning formats every policy that there is. It loads as before:
// the same actions are decided in the same way.
func TestFormatKeepsMeaning(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../examples/*/policy.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("policies: got %v, %v, want some", paths, err)
	}
	for _, path := range append(paths, "testdata/cases/shop/policy.yaml", "testdata/findings/lint/policy.yaml") {
		dir := bundleFiles(t, filepath.Dir(path))
		delete(dir, "findings.golden")
		before, err := rules.Test(t.Context(), dir)
		if err != nil && !strings.Contains(path, "cases") {
			t.Fatalf("%s: %v", path, err)
		}
		formatted, err := rules.Format("policy.yaml", dir["policy.yaml"].Data)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		dir["policy.yaml"].Data = formatted
		after, err := rules.Test(t.Context(), dir)
		if err != nil && !strings.Contains(path, "cases") {
			t.Errorf("%s: %v\n%s", path, err, formatted)
		}
		if before.Failed() != after.Failed() || before.Coverage.Seen != after.Coverage.Seen {
			t.Errorf("%s: got %d failed and %d seen, want %d and %d", path, after.Failed(), after.Coverage.Seen, before.Failed(), before.Coverage.Seen)
		}
	}
}

// TestFormatMistakes leaves alone what is no YAML of a bundle.
func TestFormatMistakes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a: [", "a: &x 1\nb: *x\n", "a: 1\na: 2\n", "\xff", "a: 1\n---\nb: 2\n"} {
		if got, err := rules.Format("policy.yaml", []byte(text)); err == nil {
			t.Errorf("%q: got %q, want a mistake", text, got)
		}
	}
}

// FuzzFormat formats any text. What is formatted has one form; the formatter makes
// sure of the rest itself, or refuses.
func FuzzFormat(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*/*/policy.yaml")
	for _, path := range append(paths, "testdata/format/policy.yaml", "../examples/banking/policy.yaml", "../examples/slack/policy.yaml") {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("a: # x\n  - # y\n    b: 'c\n\n  d' # z\n#end")
	f.Add("rules:\n  - id: a # b\n    when: |+\n      x\n\n\n  - [a, {b: c}, # d\n e]\n")
	f.Fuzz(func(t *testing.T, text string) {
		formatted, err := rules.Format("policy.yaml", []byte(text))
		if err != nil {
			return
		}
		again, err := rules.Format("policy.yaml", formatted)
		if err != nil || !bytes.Equal(again, formatted) {
			t.Errorf("formatted again: %v\n%q\n%q", err, formatted, again)
		}
		if strings.Contains(string(formatted), "\n\n\n") && !strings.Contains(text, "\n\n\n") {
			t.Errorf("two blank lines in\n%s", formatted)
		}
		if _, err := schemas.Marshal(string(formatted)); err != nil {
			t.Errorf("not UTF-8: %q", formatted)
		}
	})
}
