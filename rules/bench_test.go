package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// conditions are ten of the kind that policies have. None of them holds but the
// first, so that none cuts the work short.
var conditions = []string{
	"params.amount_cents <= 5000",
	"params.amount_cents > 100000 && params.currency == 'EUR'",
	"agent.owner == 'eve' || 'suspended' in agent.groups",
	"params.currency in ['USD', 'GBP', 'CHF']",
	"'untrusted' in exposure.labels",
	"rate > 30",
	"params.lines.exists(l, l.count > 100)",
	"params.order.startsWith('test_')",
	"params.order.matches('^ord_x[0-9]+$')",
	"params.amount_cents > data.limits.single",
}

// benchPolicy has ten rules about shop.refund, and n about other actions.
func benchPolicy(n int) string {
	var b strings.Builder
	b.WriteString("rules:\n")
	for i, when := range conditions {
		outcome := "park"
		if i == 0 {
			outcome = "release"
		}
		fmt.Fprintf(&b, "  - {id: r%d, at: recommend, actions: [shop.refund], outcome: %s, when: %q}\n", i, outcome, when)
	}
	for i := range n {
		action := fmt.Sprintf("other.op%d", i/100)
		fmt.Fprintf(&b, "  - {id: other-%d, at: recommend, actions: [%s], outcome: park, when: params.amount > %d}\n", i, action, i)
	}
	return b.String()
}

func benchCatalog() string {
	var b strings.Builder
	b.WriteString("\n  other:\n    queue: other\n    operations:\n")
	for i := range 100 {
		fmt.Fprintf(&b, "      op%d: {effect: write, params: {type: object}}\n", i)
	}
	return catalog + b.String()
}

func benchFacts() rules.Facts {
	f := refund(`{"amount_cents":4200,"currency":"EUR","lines":[{"count":2,"price":12.5,"sku":"a-1"},{"count":1,"price":17,"sku":"b-2"}],"note":"arrived broken, photo attached","order":"ord_8xk2"}`)
	f.Exposure = schemas.ExposureFacts{Labels: []string{"customer-text"}, Actions: []schemas.Action{"shop.look"}}
	f.Rate = 3
	return f
}

// BenchmarkEvaluate measures ten rules on the action, with more and more on
// others.
func BenchmarkEvaluate(b *testing.B) {
	for _, others := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			bundle := load(b, benchPolicy(others), "catalog.yaml", benchCatalog(), "data/limits.yaml", "single: 100000\n")
			f := benchFacts()
			if got := bundle.Evaluate(b.Context(), rules.Recommend, f); got.Outcome != schemas.Release || len(got.Failed) > 0 {
				b.Fatalf("opinion: got %+v, want a release without failures", got)
			}
			times := make([]time.Duration, 0, 1<<16)
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				bundle.Evaluate(b.Context(), rules.Recommend, f)
				if len(times) < cap(times) {
					times = append(times, time.Since(start))
				}
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Nanoseconds()), "p50-ns")
			b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds()), "p99-ns")
		})
	}
}

// BenchmarkEvaluateParallel is the same on all processors at once.
func BenchmarkEvaluateParallel(b *testing.B) {
	bundle := load(b, benchPolicy(100), "catalog.yaml", benchCatalog(), "data/limits.yaml", "single: 100000\n")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		f := benchFacts()
		for pb.Next() {
			bundle.Evaluate(b.Context(), rules.Recommend, f)
		}
	})
}

// BenchmarkEvaluateNothing measures a checkpoint without rules.
func BenchmarkEvaluateNothing(b *testing.B) {
	bundle := load(b, benchPolicy(1), "catalog.yaml", benchCatalog(), "data/limits.yaml", "single: 100000\n")
	f := benchFacts()
	b.ReportAllocs()
	for b.Loop() {
		bundle.Evaluate(b.Context(), rules.Observe, f)
	}
}

func BenchmarkCheckParams(b *testing.B) {
	bundle := load(b, benchPolicy(1), "catalog.yaml", benchCatalog(), "data/limits.yaml", "single: 100000\n")
	params := []byte(benchFacts().Intent.Params)
	b.ReportAllocs()
	for b.Loop() {
		if err := bundle.CheckParams("shop.refund", params); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, others := range []int{1, 1000} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			dir := files(benchPolicy(others), "catalog.yaml", benchCatalog(), "data/limits.yaml", "single: 100000\n")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rules.Load(dir); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEligible(b *testing.B) {
	var e rules.Eligibility
	r := rules.Reviewer{Name: "ann", Person: "ann@example.com", Groups: []string{"finance"}}
	b.ReportAllocs()
	for b.Loop() {
		yes, err := e.Eligible(b.Context(), "'finance' in reviewer.groups", r, schemas.AgentFacts{Name: "bot"}, "shop.refund")
		if !yes || err != nil {
			b.Fatalf("eligible: got %v, %v, want true", yes, err)
		}
	}
}
