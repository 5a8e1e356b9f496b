// Package examples_test makes sure that the bundles in this directory load, do
// what their cases say, and are described truly.
package examples_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdpoint/holdpoint/rules"
)

// TestCases runs the cases of every bundle. A bundle without a case for one of its
// entries fails: nobody would notice that the entry does nothing.
func TestCases(t *testing.T) {
	t.Parallel()
	for _, dir := range bundles(t) {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			results, err := rules.Test(t.Context(), os.DirFS(dir))
			if err != nil {
				t.Fatal(err)
			}
			if len(results.Cases) == 0 {
				t.Error("there are no cases")
			}
			for _, c := range results.Cases {
				for _, problem := range c.Problems {
					t.Errorf("%s:%d: %s: %s", c.File, c.Line, c.Name, problem)
				}
			}
			for _, gap := range results.Coverage.Gaps {
				if strings.Contains(gap.Text, "no case in which it applies") {
					t.Error(gap.Mistake)
				}
			}
		})
	}
}

// bundles returns the directories that have a bundle in them.
func bundles(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("*/catalog.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("bundles: got %v, %v, want some", paths, err)
	}
	for i, path := range paths {
		paths[i] = filepath.Dir(path)
	}
	return paths
}

// TestReadmes makes sure that the files that a README names exist, or are made by
// a command before.
func TestReadmes(t *testing.T) {
	t.Parallel()
	for _, dir := range bundles(t) {
		text, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil {
			t.Errorf("every bundle says what it is for: %v", err)
			continue
		}
		made := map[string]bool{}
		for _, line := range commands(string(text)) {
			words := strings.Fields(line)
			for i, word := range words {
				if i > 0 && (words[i-1] == "--out" || words[i-1] == "-o") {
					made[filepath.Clean(word)] = true
				} else if isPath(word) && !made[filepath.Clean(word)] && !exists("..", word) {
					t.Errorf("%s: %s: there is no such file", filepath.Join(dir, "README.md"), word)
				}
			}
		}
		for _, name := range inText(string(text)) {
			if !exists(dir, name) {
				t.Errorf("%s: %s: there is no such file in the bundle", filepath.Join(dir, "README.md"), name)
			}
		}
	}
}

// commands returns the lines of the shell blocks of a text.
func commands(text string) []string {
	var lines []string
	for i, block := range strings.Split(text, "```") {
		if body, ok := strings.CutPrefix(block, "sh\n"); ok && i%2 == 1 {
			lines = append(lines, strings.Split(strings.TrimSpace(body), "\n")...)
		}
	}
	return lines
}

// isPath reports whether a word of a command is meant as a file of ours.
func isPath(word string) bool {
	return strings.HasPrefix(word, "./") || strings.HasPrefix(word, "examples/") || filepath.Ext(word) == ".key"
}

// inText returns the files of the bundle that a text names in passing.
func inText(text string) []string {
	var names []string
	for i, word := range strings.Split(text, "`") {
		if i%2 == 1 && strings.HasPrefix(word, "data/") {
			names = append(names, word)
		}
	}
	return names
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
	return err == nil
}
