package rules_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"go.yaml.in/yaml/v3"
)

// policyCase is one entry of a file in cases/.
type policyCase struct {
	Name     string         `yaml:"name"`
	At       string         `yaml:"at"`
	Action   schemas.Action `yaml:"action"`
	Agent    agentCase      `yaml:"agent"`
	Session  string         `yaml:"session"`
	Exposure exposureCase   `yaml:"exposure"`
	Rate     int            `yaml:"rate"`
	Now      time.Time      `yaml:"now"`
	Params   any            `yaml:"params"`
	Want     opinionCase    `yaml:"want"`
}

type agentCase struct {
	Name   schemas.Name `yaml:"name"`
	Owner  string       `yaml:"owner"`
	Groups []string     `yaml:"groups"`
}

type exposureCase struct {
	Labels  []string         `yaml:"labels"`
	Actions []schemas.Action `yaml:"actions"`
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

func TestCases(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("testdata/cases/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("cases: got %v, %v, want directories", dirs, err)
	}
	for _, dir := range dirs {
		b, err := rules.Load(os.DirFS(dir))
		if err != nil {
			t.Errorf("loading %s: %v", dir, err)
			continue
		}
		for _, c := range readCases(t, dir) {
			t.Run(filepath.Base(dir)+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				got := b.Evaluate(t.Context(), checkpoint(c.At), c.facts(t))
				if diff := cmp.Diff(c.Want, summary(got)); diff != "" {
					t.Errorf("opinion (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func readCases(t *testing.T, dir string) []policyCase {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "cases", "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("cases of %s: got %v, %v, want files", dir, paths, err)
	}
	var all []policyCase
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var cases []policyCase
		d := yaml.NewDecoder(f)
		d.KnownFields(true)
		if err := d.Decode(&cases); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, cases...)
	}
	return all
}

func checkpoint(word string) rules.Checkpoint {
	for _, c := range []rules.Checkpoint{rules.Observe, rules.Recommend, rules.Execute} {
		if c.String() == word {
			return c
		}
	}
	return 0
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
