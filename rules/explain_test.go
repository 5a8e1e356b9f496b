package rules_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/holdpoint/holdpoint/rules"
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
