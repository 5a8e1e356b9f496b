package rules_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestExplain explains every case of a bundle. What it says must be what
// explained.golden says, and the opinion the one that Evaluate forms.
func TestExplain(t *testing.T) {
	t.Parallel()
	b, err := rules.Load(os.DirFS("testdata/runner/shop"))
	if err != nil {
		t.Fatal(err)
	}
	cases, err := b.Cases()
	if err != nil || len(cases) == 0 {
		t.Fatalf("cases: got %v, %v, want some", cases, err)
	}
	var text strings.Builder
	for _, c := range cases {
		at := []rules.Checkpoint{c.At}
		if c.At == 0 {
			at = nil
		}
		e := b.Explain(t.Context(), c.Facts, at...)
		describeExplanation(&text, c.Name, e)
		for _, x := range e.Checkpoints {
			if diff := cmp.Diff(b.Evaluate(t.Context(), checkpoint(x.At), c.Facts), x.Opinion); diff != "" {
				t.Errorf("%s at %s (-evaluated +explained):\n%s", c.Name, x.At, diff)
			}
		}
	}
	sameAsGolden(t, "testdata/runner/explained.golden", text.String())
}

func describeExplanation(w *strings.Builder, name string, e rules.Explanation) {
	fmt.Fprintf(w, "%s: %s, risk %d\n", name, e.Opinion.Outcome, e.Opinion.Risk)
	for _, c := range e.Checkpoints {
		fmt.Fprintf(w, " at %s: %s\n", c.At, c.Opinion.Outcome)
		for _, x := range c.Considered {
			fmt.Fprintf(w, "  %s %s: applies %t, outcome %q, add %d, failed %q\n", x.Kind, x.ID, x.Applies, x.Outcome, x.Add, x.Failed)
			for _, p := range x.Parts {
				fmt.Fprintf(w, "   %s%s: %s\n", strings.Repeat("  ", p.Depth), p.Expression, p.Value)
			}
		}
	}
	for _, f := range e.Flips {
		fmt.Fprintf(w, " %s\n", f.Text)
	}
}

// TestFactsOfFile reads an intent as an author writes it down.
func TestFactsOfFile(t *testing.T) {
	t.Parallel()
	b, err := rules.Load(os.DirFS("testdata/runner/shop"))
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		"i.yaml": "action: shop.refund\nagent: bot\nparams: {order: a, amount: 20000}\ngoal: urgent\nexposure: {labels: [untrusted]}\n",
		"i.json": `{"action":"shop.refund","agent":{"name":"bot"},"params":{"amount":20000,"order":"a"},"goal":"urgent","exposure":{"labels":["untrusted"]}}`,
	} {
		f, err := b.Facts(path, []byte(text))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		e := b.Explain(t.Context(), f)
		if string(f.Intent.Params) != `{"amount":20000,"order":"a"}` || f.Agent.Name != "bot" || e.Opinion.Risk != 60 || !slices.Equal(f.Exposure.Labels, []string{"untrusted"}) {
			t.Errorf("%s: got %+v, risk %d", path, f, e.Opinion.Risk)
		}
	}
	for text, want := range map[string]string{
		"":                                       "i.yaml: empty",
		"[]":                                     "want a mapping",
		"action: shop.refnud":                    "did you mean 'shop.refund'?",
		"action: shop.refund\nwant: {}":          "unknown key 'want'",
		"params: {}":                             "'action' is missing",
		"action: shop.refund\nparams: {a: .inf}": "I-JSON",
		"action: \xff":                           "not UTF-8",
	} {
		_, err := b.Facts("i.yaml", []byte(text))
		var mistakes rules.Mistakes
		if !errors.As(err, &mistakes) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// TestExplainEachCheckpoint: what each checkpoint is asked about counts for it alone,
// in what was considered and in what would have changed the outcome.
func TestExplainEachCheckpoint(t *testing.T) {
	t.Parallel()
	const catalog = `
version: 1
systems:
  s:
    queue: q
    operations:
      o:
        effect: write
        params: {type: object, required: [n], properties: {n: {type: integer, minimum: 0, maximum: 1000}}}
      r: {effect: read, labels: [untrusted]}
`
	load := func(policy string) *rules.Bundle {
		t.Helper()
		b, err := rules.Load(fstest.MapFS{"catalog.yaml": {Data: []byte(catalog)}, "policy.yaml": {Data: []byte(policy)}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := load(`
version: 1
rules:
  - {id: hurry, at: observe, actions: [s.o], when: rate > 3, outcome: park}
  - {id: flows, at: recommend, actions: [s.o], when: params.n <= 100, outcome: release}
  - {id: tainted, at: execute, actions: [s.o], when: "'untrusted' in exposure.labels && params.n > 10", outcome: park}
  - {id: night, at: execute, actions: [s.o], when: now.getHours() < 6, outcome: refuse}
`)
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	then := rules.Facts{Intent: schemas.Intent{Action: "s.o", Params: []byte(`{"n":50}`)}, Rate: 1, Now: noon}
	now := then
	now.Rate, now.Exposure = 0, schemas.ExposureFacts{Labels: []string{"untrusted"}, Actions: []schemas.Action{"s.r"}}
	ask := func(b *rules.Bundle, at rules.Checkpoint, f rules.Facts) rules.Question {
		return rules.Question{Bundle: b, At: at, Facts: f}
	}
	before := []rules.Question{ask(b, rules.Observe, then), ask(b, rules.Recommend, then)}
	night := now
	night.Now = noon.Add(14 * time.Hour)
	other := load("version: 1\nrules:\n  - {id: few, at: recommend, actions: [s.o], when: params.n < 20, outcome: release}\n")
	for name, c := range map[string]struct {
		last  []rules.Question
		want  schemas.Outcome
		flips []string
	}{
		"as it was":            {[]rules.Question{ask(b, rules.Execute, then)}, schemas.Release, []string{"parked if params.n ≥ 101"}},
		"exposed meanwhile":    {[]rules.Question{ask(b, rules.Execute, now)}, schemas.Park, []string{"released if params.n ≤ 10"}},
		"at night":             {[]rules.Question{ask(b, rules.Execute, night)}, schemas.Refuse, nil},
		"by other rules, too":  {[]rules.Question{ask(other, rules.Execute, now), ask(other, rules.Recommend, now)}, schemas.Park, []string{"released if params.n ≤ 19"}},
		"that know it nowhere": {[]rules.Question{ask(load("version: 1\n"), rules.Recommend, now)}, schemas.Park, nil},
	} {
		e := rules.Explain(t.Context(), append(slices.Clone(before), c.last...)...)
		var flips []string
		for _, f := range e.Flips {
			flips = append(flips, f.Text)
		}
		if e.Opinion.Outcome != c.want || !slices.Equal(flips, c.flips) {
			t.Errorf("%s: got %s and %q, want %s and %q", name, e.Opinion.Outcome, flips, c.want, c.flips)
		}
		if got := e.Checkpoints[2]; got.Bundle != c.last[0].Bundle.Digest() || len(e.Checkpoints) != 2+len(c.last) {
			t.Errorf("%s: got %+v, want the bundle that was asked", name, e.Checkpoints)
		}
	}
}

// TestTookTooLong tells a rule that was cut off by time from one that fails.
func TestTookTooLong(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"catalog.yaml": {Data: []byte("version: 1\nsystems:\n  s:\n    queue: q\n    operations:\n      o: {effect: write, params: {type: object}}\n")},
		"policy.yaml":  {Data: []byte("version: 1\nrules:\n  - {id: r, at: recommend, actions: [s.o], when: params.n > 1, outcome: release}\n")},
	}
	f := rules.Facts{Intent: schemas.Intent{Action: "s.o", Params: []byte(`{}`)}}
	for limit, want := range map[time.Duration]bool{time.Nanosecond: true, time.Minute: false} {
		b, err := rules.Limits{Time: limit}.Load(files)
		if err != nil {
			t.Fatal(err)
		}
		failed := b.Evaluate(t.Context(), rules.Recommend, f).Failed
		if len(failed) != 1 || rules.TookTooLong(failed[0]) != want {
			t.Errorf("with %s: got %v, want that it took too long: %t", limit, failed, want)
		}
		if patient := b.Patient().Evaluate(t.Context(), rules.Recommend, f).Failed; len(patient) != 1 || rules.TookTooLong(patient[0]) {
			t.Errorf("with patience: got %v, want that it fails", patient)
		}
	}
}
