package rules_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"pgregory.net/rapid"
)

// byStanding is a policy with two entries about refunds.
const byStanding = `
approvals:
  - {id: desk, actions: [shop.refund]}
  - {id: finance, actions: [shop.refund], quorum: 2}
standing:
  - id: small
    actions: [shop.refund]
    when: params.amount <= 100
    approvals: [desk]
    uses: 20
    for: 8h
    irreversible: true
  - id: any
    actions: [shop.refund]
    when: params.amount <= 1000 && 'untrusted' in exposure.labels == false
    uses: 2
    for: 48h
    irreversible: true
    reason: one at a time
`

var (
	smallOnes = rules.Allowance{ID: "small", Uses: 20, For: 8 * time.Hour, Approvals: []string{"desk"}}
	anyOnes   = rules.Allowance{ID: "any", Uses: 2, For: 48 * time.Hour}
)

// TestStanding: the first entry counts whose condition holds, and then the
// condition of the approval. What fails approves nothing.
func TestStanding(t *testing.T) {
	t.Parallel()
	b := load(t, byStanding, "data/limits.yaml", "small: 50\n")
	read := refund(`{"amount":101}`)
	read.Exposure.Labels = []string{"untrusted"}
	session := refund(`{"amount":1}`)
	session.Intent.Session = "sale"
	for _, c := range []struct {
		facts rules.Facts
		when  string
		want  rules.Allowance
		fails string
	}{
		{refund(`{"amount":100}`), "", smallOnes, ""},
		{refund(`{"amount":101}`), "", anyOnes, ""},
		{refund(`{"amount":1001}`), "", rules.Allowance{}, ""},
		{read, "", rules.Allowance{}, ""},
		{refund(`{"amount":50}`), "params.amount < 51", smallOnes, ""},
		{refund(`{"amount":50}`), "params.amount < 50", rules.Allowance{}, ""},
		{refund(`{"amount":50}`), "params.amount <= data.limits.small", smallOnes, ""},
		{refund(`{"amount":50}`), "agent.owner == 'ann' && 'night' in agent.groups && action.name == 'shop.refund'", smallOnes, ""},
		{refund(`{"amount":50}`), "action.reversible", rules.Allowance{}, ""},
		{refund(`{"amount":50}`), "now < timestamp('2026-03-01T12:00:01Z')", smallOnes, ""},
		{session, "session == 'sale'", smallOnes, ""},
		{refund(`{"amount":50}`), "params.price < 3.0", rules.Allowance{}, "no such key: price"},
		{refund(`{"amount":50}`), "dyn(1)", rules.Allowance{}, "want true or false"},
		{refund(`{"price":50}`), "", rules.Allowance{}, "evaluating small: no such key: amount"},
		{refund(`{"amount":1e400}`), "", rules.Allowance{}, "evaluating small"},
		{about("shop.cancel", `{}`), "", rules.Allowance{}, ""},
		{about("shop.unknown", `{}`), "", rules.Allowance{}, ""},
	} {
		for range 2 { // compiled, then remembered
			got, yes, err := b.Standing(t.Context(), c.facts, c.when)
			if diff := cmp.Diff(c.want, got); diff != "" || yes != (c.want.ID != "") {
				t.Errorf("%s of %s: got %v (-want +got):\n%s", c.when, c.facts.Intent.Params, yes, diff)
			}
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("%s of %s: got %v, want an error that says %q", c.when, c.facts.Intent.Params, err, c.fails)
			}
		}
	}
}

// TestStandingKnowsLess: the condition of a standing approval asks for what an intent
// is, not for what its agent says nor for what the gate thinks of it.
func TestStandingKnowsLess(t *testing.T) {
	t.Parallel()
	b := loadWith(t, rules.Limits{Cost: 1000}, byStanding)
	loop := "[1,2,3,4,5,6,7,8,9,10]"
	for when, names := range map[string]string{
		"risk < 3": "knows params", "exposure.labels == []": "knows params", "rate < 3": "knows params", "reviewer.name == 'ann'": "knows params",
		"budget.x.left > 1": "knows params", "goal == ''": "prose", "reason == ''": "prose", " ": "syntax", "params.amount": "want true or false",
		"params.amount <": "syntax", "agent.nam == 'x'": "did you mean 'name'",
		strings.Repeat("(", 1024): "recursion limit", strings.Repeat(" ", 1025): "longer than 1024 bytes",
		fmt.Sprintf("%s.all(a, %s.all(b, %s.all(c, a + b + c > 0)))", loop, loop, loop): "costs more",
	} {
		for range 2 {
			a, yes, err := b.Standing(t.Context(), refund(`{"amount":50}`), when)
			if yes || a.Uses != 0 || err == nil || len(err.Error()) > 300 {
				t.Errorf("%.60q: got %+v, %v, %v, want a short error", when, a, yes, err)
			}
			_, err = b.CheckStanding("shop.refund", when, 1, time.Hour)
			if names != "costs more" && (!errors.Is(err, schemas.ErrInvalid) || !strings.Contains(err.Error(), names)) {
				t.Errorf("%.60q: checked: got %v, want an ErrInvalid that says %q", when, err, names)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, yes, err := b.Standing(ctx, refund(`{"amount":50}`), "true"); yes || err == nil {
		t.Errorf("interrupted: got %v, %v, want an error", yes, err)
	}
}

// TestCheckStanding: who gives a standing approval is told what the policy allows.
func TestCheckStanding(t *testing.T) {
	t.Parallel()
	b := load(t, byStanding)
	for _, c := range []struct {
		action schemas.Action
		when   string
		uses   int
		span   time.Duration
		want   string // the entry, or what the error says
	}{
		{"shop.refund", "", 20, 8 * time.Hour, "small"},
		{"shop.refund", "params.amount < 3", 2, 48 * time.Hour, "any"},
		{"shop.refund", "", 21, time.Hour, "21 uses for 1h: invalid: small allows 1 to 20 uses for up to 8h, any allows 1 to 2 uses for up to 48h"},
		{"shop.refund", "", 3, 9 * time.Hour, "3 uses for 9h"},
		{"shop.refund", "", 0, time.Hour, "0 uses"},
		{"shop.refund", "", 1, 0, "1 uses for 0s"},
		{"shop.refund", "", 1, -time.Hour, "1 uses for -1h"},
		{"shop.cancel", "", 1, time.Hour, "action shop.cancel: invalid: the policy allows no standing approvals for it"},
		{"shop.refnd", "", 1, time.Hour, "the catalog has none of that name (did you mean 'shop.refund'?)"},
		{"shop.refund", "params.amount < 3 &&\n  agent.nam == 'é'", 1, time.Hour,
			"ERROR: when:2:9: undeclared field 'nam' of agent (did you mean 'name'?)\n | agent.nam == 'é'\n | ......^"},
	} {
		a, err := b.CheckStanding(c.action, c.when, c.uses, c.span)
		if err == nil && a.ID != c.want || err != nil && (!errors.Is(err, schemas.ErrInvalid) || a.ID != "" || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s, %q, %d, %s: got %+v, %v, want %s", c.action, c.when, c.uses, c.span, a, err, c.want)
		}
	}
	a, _ := b.CheckStanding("shop.refund", "", 1, time.Hour)
	a.Approvals[0] = "finance"
	if a, _ := b.CheckStanding("shop.refund", "", 1, time.Hour); a.Covers("finance") {
		t.Error("the bundle changed")
	}
}

// TestStandingIsNoGap: cases do not give standing approvals, so that none counts as
// missing; what never holds is found nevertheless.
func TestStandingIsNoGap(t *testing.T) {
	t.Parallel()
	cases := "- {name: one, action: shop.refund, params: {amount: 1}, want: {outcome: park, approvals: [desk, finance]}}\n"
	results, err := rules.Test(t.Context(), files(byStanding, "cases/a.yaml", cases))
	if err != nil || results.Failed() > 0 || len(results.Coverage.Gaps) > 0 || results.Coverage.All != 2 {
		t.Errorf("got %+v, %v, want two of two and no gaps", results, err)
	}
	for name, c := range map[string]struct{ policy, check, about string }{
		"a contradiction":        {strings.Replace(byStanding, "params.amount <= 100\n", "params.amount < 5 && params.amount > 5\n", 1), "unreachable", "small"},
		"without when before it": {strings.Replace(byStanding, "    when: params.amount <= 100\n", "", 1), "shadowed", "any"},
		"a wider one before it":  {strings.Replace(byStanding, "params.amount <= 100\n", "params.amount <= 1000\n", 1), "shadowed", "any"},
		"what is fine":           {byStanding, "", ""},
	} {
		_, found, err := rules.Check(t.Context(), files(c.policy), seats)
		if err != nil {
			t.Fatal(err)
		}
		about := map[string]string{}
		for _, f := range found {
			if f.Check == "shadowed" || f.Check == "unreachable" {
				about[f.About] = f.Check
			}
		}
		if c.check == "" && len(about) > 0 || c.check != "" && about[c.about] != c.check {
			t.Errorf("%s: got %v, want %s of %s", name, found, c.check, c.about)
		}
	}
}

// TestStandingTogether: many ask at once for the first time.
func TestStandingTogether(t *testing.T) {
	t.Parallel()
	b := load(t, byStanding)
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			when := fmt.Sprintf("params.amount > %d", i%4)
			if a, yes, err := b.Standing(t.Context(), refund(`{"amount":50}`), when); !yes || err != nil || a.ID != "small" {
				t.Errorf("%s: got %+v, %v, %v", when, a, yes, err)
			}
		})
	}
	group.Wait()
}

// TestStandingHoldsBoth: what a standing approval is said to approve is what the
// first entry that holds, and its own condition, are true of.
func TestStandingHoldsBoth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(conditionsOf), 1, 3).Draw(rt, "entries")
		own := conditionsOf(rt)
		var policy strings.Builder
		policy.WriteString("standing:\n")
		for i, e := range entries {
			fmt.Fprintf(&policy, "  - {id: e%d, actions: [shop.refund], uses: %d, for: 1h, irreversible: true%s}\n", i, i+1, e.yaml())
		}
		a, yes, err := loadWith(t, rules.Limits{Cost: 2000, Time: time.Minute}, policy.String()).Standing(t.Context(), refund(properParams), own.text)
		want, fails := rules.Allowance{}, false
		for i, e := range entries {
			if fails = e.fails; fails {
				break
			}
			if e.holds {
				if fails = own.fails; own.holds {
					want = rules.Allowance{ID: fmt.Sprintf("e%d", i), Uses: i + 1, For: time.Hour}
				}
				break
			}
		}
		if diff := cmp.Diff(want, a); diff != "" || yes != (want.ID != "") || (err != nil) != fails {
			rt.Errorf("%s by %q: got %v, %v, want failing %v (-want +got):\n%s", policy.String(), own.text, yes, err, fails, diff)
		}
	})
}
