package rules_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"pgregory.net/rapid"
)

// A condition is an expression whose value over properParams is known.
type condition struct {
	text  string
	holds bool
	fails bool
}

const properParams = `{"amount":7,"text":"x","yes":true,"no":false,"minus":-3}`

func conditionsOf(t *rapid.T) condition {
	return rapid.SampledFrom([]condition{
		{text: "", holds: true},
		{text: "params.yes", holds: true},
		{text: "params.amount == 7", holds: true},
		{text: "params.no"},
		{text: "agent.name == 'somebody'"},
		{text: "params.missing", fails: true},
		{text: "params.text", fails: true},
		{text: "params.amount / 0 == 1", fails: true},
		{text: "[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, [0,1,2,3,4,5,6,7,8,9].all(c, a + b + c >= 0)))", fails: true},
	}).Draw(t, "when")
}

func (c condition) yaml() string {
	if c.text == "" {
		return ""
	}
	return fmt.Sprintf(", when: %q", c.text)
}

type genRule struct {
	condition
	id, tell string
	at       rules.Checkpoint
	outcome  schemas.Outcome
}

func (r genRule) String() string {
	return fmt.Sprintf("  - {id: %s, at: %s, actions: [shop.refund], outcome: %s, tell: '%s'%s}\n", r.id, r.at, r.outcome, r.tell, r.yaml())
}

type genRisk struct {
	condition
	id     string
	add    string
	points int
	fails  bool
}

func (r genRisk) String() string {
	return fmt.Sprintf("  - {id: %s, actions: ['shop.*'], add: %s%s}\n", r.id, r.add, r.yaml())
}

type genThreshold struct{ park, refuse int }

func (t genThreshold) String() string {
	return fmt.Sprintf("  - {park_from: %d, refuse_from: %d}\n", t.park, t.refuse)
}

type genApproval struct {
	condition
	id string
}

func (a genApproval) String() string {
	return fmt.Sprintf("  - {id: %s, actions: ['*']%s}\n", a.id, a.yaml())
}

// genPolicy is a policy and, as evaluate says, what it means.
type genPolicy struct {
	rules      []genRule
	risks      []genRisk
	thresholds []genThreshold
	approvals  []genApproval
}

func policies() *rapid.Generator[genPolicy] {
	return rapid.Custom(func(t *rapid.T) genPolicy {
		var p genPolicy
		for i := range rapid.IntRange(0, 6).Draw(t, "rules") {
			p.rules = append(p.rules, ruleOf(t, fmt.Sprintf("rule-%d", i)))
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "risks") {
			r := genRisk{condition: conditionsOf(t), id: fmt.Sprintf("risk-%d", i)}
			switch rapid.IntRange(0, 3).Draw(t, "add") {
			case 0:
				r.points = rapid.IntRange(0, 30).Draw(t, "points")
				r.add = fmt.Sprint(r.points)
			case 1:
				r.add, r.points = "params.amount", 7
			case 2:
				r.add = "params.minus"
			case 3:
				r.add, r.fails = "params.text", true
			}
			p.risks = append(p.risks, r)
		}
		for range rapid.IntRange(0, 2).Draw(t, "thresholds") {
			park := rapid.IntRange(1, 40).Draw(t, "park")
			p.thresholds = append(p.thresholds, genThreshold{park, park + rapid.IntRange(0, 20).Draw(t, "refuse")})
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "approvals") {
			p.approvals = append(p.approvals, genApproval{conditionsOf(t), fmt.Sprintf("approval-%d", i)})
		}
		return p
	})
}

func ruleOf(t *rapid.T, id string) genRule {
	r := genRule{condition: conditionsOf(t), id: id}
	r.at = rapid.SampledFrom([]rules.Checkpoint{rules.Observe, rules.Recommend, rules.Recommend, rules.Execute}).Draw(t, "at")
	outcomes := []schemas.Outcome{schemas.Park, schemas.Refuse}
	if r.at == rules.Recommend {
		outcomes = append(outcomes, schemas.Release, schemas.Release)
	}
	r.outcome = rapid.SampledFrom(outcomes).Draw(t, "outcome")
	r.tell = rapid.SampledFrom([]string{"", "tell " + id}).Draw(t, "tell")
	return r
}

func (p genPolicy) yaml() string {
	var b strings.Builder
	section(&b, "rules", p.rules)
	section(&b, "risk", p.risks)
	section(&b, "thresholds", p.thresholds)
	section(&b, "approvals", p.approvals)
	return b.String()
}

func section[T fmt.Stringer](b *strings.Builder, name string, entries []T) {
	if len(entries) == 0 {
		return
	}
	b.WriteString(name + ":\n")
	for _, e := range entries {
		b.WriteString(e.String())
	}
}

// evaluate is the meaning of a policy, said in another way than the package does.
func (p genPolicy) evaluate(at rules.Checkpoint) opinionCase {
	want := opinionCase{Failed: map[string]string{}}
	outcomes := []schemas.Outcome{schemas.Release}
	released := at != rules.Recommend
	for _, r := range p.rules {
		switch {
		case r.at != at:
		case r.fails:
			want.Failed[r.id] = ""
		case r.holds:
			outcomes = append(outcomes, r.outcome)
			released = released || r.outcome == schemas.Release
		}
	}
	if at == rules.Recommend {
		outcomes = append(outcomes, p.weigh(&want)...)
	}
	if !released || len(want.Failed) > 0 {
		outcomes = append(outcomes, schemas.Park)
	}
	outcome := slices.MaxFunc(outcomes, func(a, b schemas.Outcome) int { return strictness(a) - strictness(b) })
	want.Outcome = outcome.String()
	p.askApprovals(&want)
	i := slices.IndexFunc(p.rules, func(r genRule) bool {
		return r.at == at && r.holds && r.outcome == outcome && r.tell != ""
	})
	if i >= 0 {
		want.Tell = p.rules[i].tell
	}
	return want
}

func (p genPolicy) weigh(want *opinionCase) []schemas.Outcome {
	for _, r := range p.risks {
		switch {
		case r.condition.fails || r.holds && r.fails:
			want.Failed[r.id] = ""
		case r.holds:
			want.Risk += r.points
		}
	}
	var outcomes []schemas.Outcome
	for _, t := range p.thresholds {
		if want.Risk >= t.park {
			outcomes = append(outcomes, schemas.Park)
		}
		if want.Risk >= t.refuse {
			outcomes = append(outcomes, schemas.Refuse)
		}
	}
	return outcomes
}

func (p genPolicy) askApprovals(want *opinionCase) {
	for _, a := range p.approvals {
		if want.Outcome != "park" {
			return
		}
		if a.holds || a.fails {
			want.Approvals = append(want.Approvals, a.id)
		}
		if a.fails {
			want.Failed[a.id] = ""
		}
	}
}

func strictness(o schemas.Outcome) int {
	return slices.Index([]schemas.Outcome{schemas.Release, schemas.Park, schemas.Refuse}, o)
}

// limited is a cost under which the last of the conditions fails.
var limited = rules.Limits{Cost: 2000, Time: time.Minute}

func opinionOf(t *rapid.T, p genPolicy, at rules.Checkpoint, f rules.Facts) schemas.Opinion {
	b, err := limited.Load(files(p.yaml()))
	if err != nil {
		t.Fatalf("loading: %v", err)
	}
	return b.Evaluate(t.Context(), at, f)
}

func anyCheckpoint(t *rapid.T) rules.Checkpoint {
	return rapid.SampledFrom([]rules.Checkpoint{rules.Observe, rules.Recommend, rules.Execute}).Draw(t, "checkpoint")
}

// TestMeaning compares opinions with what the policy means: the strictest of what
// applies, parked where nothing releases and where something fails.
func TestMeaning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, at := policies().Draw(t, "policy"), anyCheckpoint(t)
		want := p.evaluate(at)
		o := opinionOf(t, p, at, refund(properParams))
		if o.More > 0 {
			return // the names of some are cut off
		}
		got := summary(o)
		got.Matched = nil
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want.Failed)), slices.Sorted(maps.Keys(got.Failed))); diff != "" {
			t.Errorf("failed (-want +got):\n%s", diff)
		}
		want.Failed, got.Failed = nil, nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("opinion (-want +got):\n%s\nof\n%s", diff, p.yaml())
		}
	})
}

// TestTightening adds a rule that parks, refuses or fails: the outcome never
// becomes less strict. One that releases lifts nothing but the base.
func TestTightening(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, at := policies().Draw(t, "policy"), anyCheckpoint(t)
		before := opinionOf(t, p, at, refund(properParams))
		added := ruleOf(t, "added")
		place := rapid.IntRange(0, len(p.rules)).Draw(t, "place")
		p.rules = slices.Insert(slices.Clone(p.rules), place, added)
		after := opinionOf(t, p, at, refund(properParams))
		lifted := strictness(after.Outcome) < strictness(before.Outcome)
		if lifted && (added.fails || added.outcome != schemas.Release || added.at != rules.Recommend) {
			t.Errorf("with %v: got %s after %s, want nothing less strict", added, after.Outcome, before.Outcome)
		}
		// An approval that fails is asked for, and parks nothing.
		isRule := func(m schemas.Match) bool { return !strings.HasPrefix(m.Rule, "approval-") }
		if lifted && (before.Outcome == schemas.Refuse || slices.ContainsFunc(before.Failed, isRule)) {
			t.Errorf("with %v: got %s after %s, want what a rule, a threshold or a failure says to stand", added, after.Outcome, before.Outcome)
		}
	})
}

// TestFailureNeverLowers makes one rule fail: the outcome is a park at least, and
// no less strict than without that rule.
func TestFailureNeverLowers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, at := policies().Draw(t, "policy"), anyCheckpoint(t)
		without := opinionOf(t, p, at, refund(properParams))
		failing := ruleOf(t, "failing")
		failing.at, failing.condition = at, condition{text: "params.missing == 1", fails: true}
		if at != rules.Recommend && failing.outcome == schemas.Release {
			failing.outcome = schemas.Park
		}
		p.rules = append(p.rules, failing)
		with := opinionOf(t, p, at, refund(properParams))
		if strictness(with.Outcome) < max(strictness(without.Outcome), strictness(schemas.Park)) {
			t.Errorf("got %s, and %s without the failing rule", with.Outcome, without.Outcome)
		}
	})
}

// TestProseHasNoEffect changes what the agent says about its intent, where no rule raises. No opinion
// may change with it.
func TestProseHasNoEffect(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, at := policies().Draw(t, "policy"), anyCheckpoint(t)
		b, err := limited.Load(files(p.yaml()))
		if err != nil {
			t.Fatalf("loading: %v", err)
		}
		f := refund(properParams)
		silent := b.Evaluate(t.Context(), at, f)
		f.Intent.Reason = rapid.String().Draw(t, "reason")
		f.Intent.Goal = rapid.SampledFrom([]string{"release", "ignore all rules", rapid.String().Draw(t, "goal")}).Draw(t, "goal")
		if diff := cmp.Diff(silent, b.Evaluate(t.Context(), at, f)); diff != "" {
			t.Errorf("opinion with prose (-without +with):\n%s", diff)
		}
	})
}

// TestRepeatable forms the same opinion again from the same facts, also about
// objects with many fields.
func TestRepeatable(t *testing.T) {
	t.Parallel()
	b := load(t, `
rules:
  - {id: walk, at: recommend, actions: [shop.refund], outcome: release, when: "params.m.map(k, k) == ['z', 'b', 'a', 'y'] && params.m.map(k, params.m[k]) == [1, 2, 3, 4]"}
  - {id: data, at: recommend, actions: [shop.refund], outcome: park, when: "data.d.map(k, k) != ['q', 'c', 'x']"}
  - {id: sum, at: recommend, actions: [shop.refund], outcome: park, when: "params.m.exists(k, params.m[k] / (params.m[k] - 1) > 100)"}
  - {id: key, at: recommend, actions: [shop.refund], outcome: park, when: "dyn(params)[dyn(params.m)] == 1"}
  - {id: keys, at: recommend, actions: [shop.refund], outcome: park, when: "dyn(params)[dyn([params.m, {'z': params.m, 'a': 1}])] == 1"}
  - {id: agent, at: recommend, actions: [shop.refund], outcome: park, when: "dyn(params)[dyn(agent)] == 1"}
`, "data/d.yaml", "q: 1\nc: 2\nx: 3\n")
	f := refund(`{"m":{"z":1,"b":2,"a":3,"y":4}}`)
	first := b.Evaluate(t.Context(), rules.Recommend, f)
	if got := summary(first); len(got.Failed) != 4 || got.Failed["sum"] == "" || !slices.Contains(got.Matched, "walk") {
		t.Fatalf("opinion: got %+v, want walk to match and sum to fail", got)
	}
	for range 200 {
		if diff := cmp.Diff(first, b.Evaluate(t.Context(), rules.Recommend, f)); diff != "" {
			t.Fatalf("opinion the next time (-first +next):\n%s", diff)
		}
	}
}

func TestZeroValuesPark(t *testing.T) {
	t.Parallel()
	b := load(t, `rules: [{id: r, at: recommend, actions: ["*"], outcome: release}]`)
	for name, got := range map[string]schemas.Opinion{
		"no checkpoint":      b.Evaluate(t.Context(), 0, refund(`{}`)),
		"another checkpoint": b.Evaluate(t.Context(), 9, refund(`{}`)),
		"no facts":           b.Evaluate(t.Context(), rules.Recommend, rules.Facts{}),
		"no action":          b.Evaluate(t.Context(), rules.Execute, about("shop.nothing", `{}`)),
		"a built-in action":  b.Evaluate(t.Context(), rules.Execute, about(schemas.Withdraw, `{}`)),
	} {
		if diff := cmp.Diff(schemas.Opinion{}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
