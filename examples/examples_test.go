// Package examples_test makes sure that the bundles in this directory load, do
// what their cases say, and are described truly.
package examples_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestCases runs the cases of every bundle. A bundle without a case for one of its
// rules fails: nobody would notice that the rule does nothing.
func TestCases(t *testing.T) {
	t.Parallel()
	for _, dir := range bundles(t) {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			b, err := rules.Load(os.DirFS(dir))
			if err != nil {
				t.Fatalf("loading: %v", err)
			}
			matched := map[string]bool{}
			for _, c := range readCases(t, dir) {
				got := summary(b.Evaluate(t.Context(), checkpoints[c.At], c.facts(t)))
				if diff := cmp.Diff(c.Want, got); diff != "" {
					t.Errorf("%s: opinion (-want +got):\n%s", c.Name, diff)
				}
				if err := b.CheckParams(c.Action, c.facts(t).Intent.Params); err != nil {
					t.Errorf("%s: params: %v", c.Name, err)
				}
				for _, id := range slices.Concat(got.Matched, got.Approvals) {
					matched[id] = true
				}
			}
			for _, id := range entries(t, dir) {
				if !matched[id] {
					t.Errorf("no case in which %s applies", id)
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

// policyCase is one entry of a file in cases/, in the words of rules/testdata.
type policyCase struct {
	Name   string         `yaml:"name"`
	At     string         `yaml:"at"`
	Action schemas.Action `yaml:"action"`
	Agent  struct {
		Name   schemas.Name `yaml:"name"`
		Owner  string       `yaml:"owner"`
		Groups []string     `yaml:"groups"`
	} `yaml:"agent"`
	Session  string `yaml:"session"`
	Exposure struct {
		Labels  []string         `yaml:"labels"`
		Actions []schemas.Action `yaml:"actions"`
	} `yaml:"exposure"`
	Rate   int         `yaml:"rate"`
	Now    time.Time   `yaml:"now"`
	Params any         `yaml:"params"`
	Want   opinionCase `yaml:"want"`
}

// opinionCase is an opinion by the names of what is in it.
type opinionCase struct {
	Outcome   string            `yaml:"outcome"`
	Risk      int               `yaml:"risk"`
	Matched   []string          `yaml:"matched"`
	Failed    map[string]string `yaml:"failed"`
	Approvals []string          `yaml:"approvals"`
	Tell      string            `yaml:"tell"`
}

var checkpoints = map[string]rules.Checkpoint{
	rules.Observe.String():   rules.Observe,
	rules.Recommend.String(): rules.Recommend,
	rules.Execute.String():   rules.Execute,
}

func readCases(t *testing.T, dir string) []policyCase {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "cases", "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("cases of %s: got %v, %v, want files", dir, paths, err)
	}
	var all []policyCase
	for _, path := range paths {
		var cases []policyCase
		decode(t, path, true, &cases)
		all = append(all, cases...)
	}
	return all
}

// entries returns the ids of what the policy of a bundle says.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	type entry struct {
		ID string `yaml:"id"`
	}
	var policy struct{ Risk, Rules, Approvals []entry }
	decode(t, filepath.Join(dir, "policy.yaml"), false, &policy)
	var ids []string
	for _, e := range slices.Concat(policy.Risk, policy.Rules, policy.Approvals) {
		ids = append(ids, e.ID)
	}
	return ids
}

func decode(t *testing.T, path string, strict bool, into any) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := yaml.NewDecoder(f)
	d.KnownFields(strict)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func (c policyCase) facts(t *testing.T) rules.Facts {
	t.Helper()
	params, err := json.Marshal(c.Params)
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := schemas.Canonical(params)
	if err != nil {
		t.Fatal(err)
	}
	return rules.Facts{
		Intent:   schemas.Intent{Agent: c.Agent.Name, Action: c.Action, Params: canonical, Session: c.Session},
		Agent:    schemas.AgentFacts{Name: c.Agent.Name, Owner: c.Agent.Owner, Groups: c.Agent.Groups},
		Exposure: schemas.ExposureFacts{Labels: c.Exposure.Labels, Actions: c.Exposure.Actions},
		Rate:     c.Rate,
		Now:      c.Now,
	}
}

func summary(o schemas.Opinion) opinionCase {
	s := opinionCase{Outcome: o.Outcome.String(), Risk: o.Risk, Tell: o.Tell}
	for _, m := range o.Matched {
		s.Matched = append(s.Matched, m.Rule)
	}
	for _, m := range o.Failed {
		if s.Failed == nil {
			s.Failed = map[string]string{}
		}
		s.Failed[m.Rule] = m.Reason
	}
	for _, a := range o.Approvals {
		s.Approvals = append(s.Approvals, a.ID)
	}
	return s
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
