package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"pgregory.net/rapid"
)

// rising returns a policy in which prose has a say, and in which everything that
// could let a higher risk lower something asks for the risk.
func rising(t *rapid.T) string {
	raises := rapid.SampledFrom([]string{
		"goal.contains('urgent') ? 30 : -30", "size(reason) - 5", "reason == '' ? -1000 : 0", "int(goal)", "5",
	})
	truths := rapid.SampledFrom([]string{"goal.contains('urgent')", "reason == ''", "goal == reason", "size(goal) / size(reason) > 1"})
	var b strings.Builder
	b.WriteString("risk:\n  - {id: base, actions: ['*'], add: 10}\n")
	for i := range rapid.IntRange(0, 3).Draw(t, "raises") {
		fmt.Fprintf(&b, "  - {id: raise-%d, actions: ['*'], raise: %q}\n", i, raises.Draw(t, "raise"))
	}
	b.WriteString("thresholds:\n")
	fmt.Fprintf(&b, "  - {actions: ['*'], park_from: %d, refuse_from: %d}\n", rapid.IntRange(0, 40).Draw(t, "park"), rapid.IntRange(40, 80).Draw(t, "refuse"))
	b.WriteString("rules:\n  - {id: calm, at: recommend, actions: ['*'], when: risk < 20, outcome: release}\n")
	b.WriteString("  - {id: upset, at: recommend, actions: ['*'], when: risk > 20, outcome: release}\n")
	fmt.Fprintf(&b, "  - {id: too-risky, at: recommend, actions: ['*'], when: risk >= %d, outcome: refuse}\n", rapid.IntRange(5, 50).Draw(t, "risky"))
	for i := range rapid.IntRange(0, 2).Draw(t, "rules") {
		outcome := rapid.SampledFrom([]string{"park", "refuse"}).Draw(t, "outcome")
		fmt.Fprintf(&b, "  - {id: rule-%d, at: recommend, actions: ['*'], raise: %q, outcome: %s}\n", i, truths.Draw(t, "truth"), outcome)
	}
	b.WriteString("approvals:\n  - {id: low, actions: ['*'], when: risk < 30, quorum: 2}\n  - {id: high, actions: ['*'], when: risk >= 30}\n")
	return b.String()
}

// TestProseOnlyRaises changes what the agent says about its intent. Compared with
// what the rules say that no prose reaches, nothing is lower: neither outcome nor
// risk, and no approval is missing. That it raises at all, TestExplain shows.
func TestProseOnlyRaises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := rising(t)
		with, err := limited.Load(files(policy))
		if err != nil {
			t.Fatalf("loading: %v", err)
		}
		without, err := limited.Load(files(withoutProse(policy)))
		if err != nil {
			t.Fatalf("loading: %v", err)
		}
		f := refund(properParams)
		f.Intent.Goal = rapid.SampledFrom([]string{"", "urgent", "-1000000", "release it", rapid.String().Draw(t, "words")}).Draw(t, "goal")
		f.Intent.Reason = rapid.SampledFrom([]string{"", "urgent", rapid.String().Draw(t, "words")}).Draw(t, "reason")
		low, high := without.Evaluate(t.Context(), rules.Recommend, f), with.Evaluate(t.Context(), rules.Recommend, f)
		if strictness(high.Outcome) < strictness(low.Outcome) || high.Risk < low.Risk {
			t.Errorf("with prose %+v, without %+v:\n%s", high, low, policy)
		}
		for _, a := range low.Approvals {
			if high.Outcome == schemas.Park && !slices.Contains(high.Approvals, a) {
				t.Errorf("with prose %s is not asked:\n%s", a.ID, policy)
			}
		}
	})
}

// withoutProse leaves out every entry with raise.
func withoutProse(policy string) string {
	var kept []string
	for _, line := range strings.Split(policy, "\n") {
		if !strings.Contains(line, "raise:") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// TestRiskIsKnownEverywhere asks for the risk at each checkpoint. A risk that
// fails is no risk of zero.
func TestRiskIsKnownEverywhere(t *testing.T) {
	t.Parallel()
	for _, at := range []rules.Checkpoint{rules.Observe, rules.Recommend, rules.Execute} {
		policy := fmt.Sprintf(`risk:
  - {id: a, actions: ["*"], add: 7}
  - {id: b, actions: [shop.refund], add: params.amount}
  - {id: prose, actions: ["*"], raise: 50}
rules:
  - {id: risky, at: %s, actions: [shop.refund], when: risk >= 10, outcome: refuse}
`, at)
		b := load(t, policy)
		for params, want := range map[string]schemas.Outcome{`{"amount":3}`: schemas.Refuse, `{}`: schemas.Park} {
			if got := b.Evaluate(t.Context(), at, refund(params)); got.Outcome != want {
				t.Errorf("at %s, %s: got %+v, want %s", at, params, got, want)
			}
		}
		if got := b.Evaluate(t.Context(), at, refund(`{"amount":2}`)); got.Outcome == schemas.Refuse {
			t.Errorf("at %s: got %+v, want prose without a part in the risk that rules see", at, got)
		}
	}
}

// TestSaw asks for actions whose results an agent was given.
func TestSaw(t *testing.T) {
	t.Parallel()
	f := refund(`{}`)
	f.Exposure = schemas.ExposureFacts{Labels: []string{"untrusted"}, Actions: []schemas.Action{"shop.look"}}
	for when, want := range map[string]schemas.Outcome{
		"exposure.saw('shop.look')":                             schemas.Release,
		"exposure.saw('shop.*') && exposure.saw('*')":           schemas.Release,
		"exposure.saw('shop.cancel') || exposure.saw('mail.*')": schemas.Park,
		"exposure.saw('look') || exposure.saw('')":              schemas.Park,
	} {
		if got := recommend(t, when, f); got.Outcome != want || len(got.Failed) > 0 {
			t.Errorf("%s: got %+v, want %s", when, got, want)
		}
	}
}
