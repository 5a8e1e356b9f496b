package rules_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

func TestCatalog(t *testing.T) {
	t.Parallel()
	b, err := rules.Load(os.DirFS("testdata/cases/shop"))
	if err != nil {
		t.Fatal(err)
	}
	want := []schemas.Action{"mail.ping", "mail.send", "shop.read_order", "shop.refund"}
	if diff := cmp.Diff(want, b.Actions()); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"mail", "shop"}, b.Systems()); diff != "" {
		t.Errorf("systems (-want +got):\n%s", diff)
	}
	for _, want := range []rules.Action{
		{
			Name: "shop.refund", Title: "refund an order", Effect: rules.EffectWrite, Idempotent: true,
			Timeout: 2 * time.Minute, ExecuteBy: time.Hour, Queue: "billing", ReadsExposure: true,
		},
		{
			Name: "shop.read_order", Effect: rules.EffectRead, Timeout: time.Minute, ExecuteBy: 15 * time.Minute,
			Queue: "support", Labels: []string{"customer-text", "untrusted"},
		},
	} {
		got, ok := b.Action(want.Name)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%s: got %v (-want +got):\n%s", want.Name, ok, diff)
		}
	}
	if got, ok := b.Action("shop.nothing"); ok {
		t.Errorf("shop.nothing: got %+v, want none", got)
	}
	got, _ := b.Action("shop.read_order")
	got.Labels[0] = "changed"
	if again, _ := b.Action("shop.read_order"); again.Labels[0] != "customer-text" {
		t.Errorf("labels after a caller changed its own: got %v", again.Labels)
	}
}

// TestReadsExposure finds exposure wherever an expression can name it.
func TestReadsExposure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		policy string
		want   bool
	}{
		{"rules: [{id: r, at: execute, actions: [shop.refund], outcome: park, when: \"'x' in exposure.labels\"}]", true},
		{"rules: [{id: r, at: execute, actions: ['*'], outcome: park, when: \"params.l.exists(l, l in exposure.labels)\"}]", true},
		{"risk: [{id: r, actions: [shop.refund], add: size(exposure.actions)}]", true},
		{"risk: [{id: r, actions: [shop.refund], add: 1, when: size(.exposure.actions) > 1}]", true},
		{"approvals: [{id: r, actions: [shop.refund], when: 'exposure.labels == []'}]", true},
		{"rules: [{id: r, at: execute, actions: [shop.cancel], outcome: park, when: \"'x' in exposure.labels\"}]", false},
		{"rules: [{id: r, at: execute, actions: [shop.refund], outcome: park, when: \"'exposure' == session\"}]", false},
		{"rules: [{id: r, at: execute, actions: [shop.refund], outcome: park, when: params.exposure == 1}]", false},
	} {
		action, _ := load(t, c.policy).Action("shop.refund")
		if action.ReadsExposure != c.want {
			t.Errorf("%s: got %v, want %v", c.policy, action.ReadsExposure, c.want)
		}
	}
}

// TestVariables checks what each variable is.
func TestVariables(t *testing.T) {
	t.Parallel()
	f := refund(`{"amount":5,"price":5,"other":5,"half":0.5}`)
	f.Now = f.Now.In(time.FixedZone("far away", -9*3600))
	f.Intent.Session = "s-1"
	f.Exposure = schemas.ExposureFacts{Labels: []string{"l"}, Actions: []schemas.Action{"shop.look"}}
	f.Rate = 4
	for _, when := range []string{
		"agent.name == 'bot' && agent.owner == 'ann' && agent.groups == ['night']",
		"action.name == 'shop.refund' && action.system == 'shop' && action.operation == 'refund'",
		"action.effect == 'write' && !action.reversible && !action.idempotent && action.labels == []",
		"session == 's-1' && rate == 4",
		"exposure.labels == ['l'] && 'shop.look' in exposure.actions",
		"now == timestamp('2026-03-01T12:00:00Z') && string(now) == '2026-03-01T12:00:00Z'",
		"rate < 4.5 && 3.5 < rate && rate >= 4u",
		"data.d.list[0] == 'x' && data.d.n / 2 == 1 && data.j.f == 1.5",
		"type(params.amount) == int && dyn(params.amount) == 5.0 && params.amount < 5.5 && params.amount * 2 == 10",
		"type(params.price) == double && params.price == 5.0 && dyn(params.price) == 5 && params.price < 6 && params.price * 2.0 == 10.0",
		"type(params.other) == int && type(params.half) == double",
		"params.amount in [5] && dyn(params.amount) in [5.0] && params.price in [5.0]",
		"params == params && exposure.labels != agent.groups && has(params.half) && 'half' in dyn(params) && b'x' != bytes(session)",
	} {
		b := load(t, releaseIf(when), "data/d.yaml", "list: [x]\nn: 3\n", "data/j.json", "{\n\t\"f\": 1.5}")
		if got := b.Evaluate(t.Context(), rules.Recommend, f); got.Outcome != schemas.Release {
			t.Errorf("%s: got %+v, want release", when, got)
		}
	}
}

// TestNumbers gives the numbers of JSON the types that the schema says, by all the
// ways in which it can say so.
func TestNumbers(t *testing.T) {
	t.Parallel()
	b := load(t, `
rules:
  - id: r
    at: recommend
    actions: [shop.refund]
    outcome: release
    when: |
      [params.named, params.list[0], params.first[0], params.rest[1], params.ref.n, params.both, params.nested.deep.n,
       params.known.any, params.other].map(n, type(n)) == [double, double, double, int, double, double, double, double, int]
      && [params.first[1], params.either, params.open.n].map(n, type(n)) == [int, int, int]
      && params.whole == 100 && type(params.whole) == int && type(params.text) == string && params.none == null
`, "catalog.yaml", `version: 1
systems:
  shop:
    queue: q
    operations:
      refund:
        effect: write
        params:
          type: object
          properties:
            named: {type: number}
            list: {type: array, items: {type: number}}
            first: {type: array, prefixItems: [{type: number}]}
            rest: {type: array, prefixItems: [{type: number}], items: {type: integer}}
            ref: {$ref: "#/$defs/n"}
            both: {allOf: [{minimum: 1}, {type: [number, "null"]}]}
            nested: {properties: {deep: {$ref: "#/$defs/n"}}}
            known: {additionalProperties: {type: number}}
            either: {anyOf: [{type: number}, {type: string}]}
            whole: {type: integer}
          $defs:
            n: {type: object, properties: {n: {type: number}}}
`)
	f := refund(`{"both":1,"either":1,"first":[1,1],"known":{"any":1},"list":[1],"named":1,"nested":{"deep":{"n":1}},
		"none":null,"open":{"n":1},"other":1,"ref":{"n":1},"rest":[1,1],"text":"1","whole":1e2}`)
	if got := b.Evaluate(t.Context(), rules.Recommend, f); got.Outcome != schemas.Release {
		t.Errorf("opinion: got %+v, want release", got)
	}
}

// TestTells tells the agent what the first of the strictest rules says, and
// nothing that belongs to another outcome.
func TestTells(t *testing.T) {
	t.Parallel()
	release := "{id: a, at: recommend, actions: [shop.refund], outcome: release, tell: released}"
	park := "{id: b, at: recommend, actions: [shop.refund], outcome: park, tell: parked}"
	silent := "{id: c, at: recommend, actions: [shop.refund], outcome: park}"
	later := "{id: d, at: recommend, actions: [shop.refund], outcome: park, tell: later}"
	fails := "{id: e, at: recommend, actions: [shop.refund], outcome: refuse, tell: refused, when: params.none}"
	for _, c := range []struct {
		rules []string
		want  string
	}{
		{[]string{release}, "released"},
		{[]string{release, park, later}, "parked"},
		{[]string{later, park, release}, "later"},
		{[]string{silent, park}, "parked"},
		{[]string{release, fails}, ""},
		{[]string{release, silent}, ""},
		{nil, ""},
	} {
		b := load(t, "rules: ["+strings.Join(c.rules, ", ")+"]\n")
		if got := b.Evaluate(t.Context(), rules.Recommend, refund(`{}`)); got.Tell != c.want {
			t.Errorf("%v: got %q, want %q", c.rules, got.Tell, c.want)
		}
	}
}

// TestOrderOfFiles declares rules in the order in which policy.yaml includes.
func TestOrderOfFiles(t *testing.T) {
	t.Parallel()
	more := func(id string) string {
		return fmt.Sprintf("version: 1\nrules: [{id: %s, at: recommend, actions: [shop.refund], outcome: park, tell: %s}]\n", id, id)
	}
	b := load(t, "include: [z.yaml, a.yaml]\n", "a.yaml", more("a"), "z.yaml", more("z"))
	got := summary(b.Evaluate(t.Context(), rules.Recommend, refund(`{}`)))
	want := opinionCase{Outcome: "park", Matched: []string{"z", "a"}, Tell: "z"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("opinion (-want +got):\n%s", diff)
	}
}

// TestLargestOpinion forms the largest opinion that a bundle can have. With the
// largest intent it must fit a record.
func TestLargestOpinion(t *testing.T) {
	t.Parallel()
	id := func(i int) string { return fmt.Sprintf("%02d", i) + strings.Repeat("a", 62) }
	var policy strings.Builder
	policy.WriteString("rules:\n")
	for i := range 40 {
		when := ""
		if i >= 20 {
			when = ", when: 'dyn(params)[params.key] == 1'"
		}
		fmt.Fprintf(&policy, "  - {id: %s, at: recommend, actions: ['*'], outcome: park, reason: %q, tell: %q%s}\n",
			id(i), strings.Repeat("r", 160), strings.Repeat("t", 280), when)
	}
	policy.WriteString("approvals:\n")
	for i := range schemas.MaxApprovals {
		fmt.Fprintf(&policy, "  - {id: %s, actions: ['*'], quorum: 3, deadline: 71h, remind: 70h, eligible: %q}\n",
			id(50+i), "reviewer.name != '"+strings.Repeat("e", 280)+"'")
	}
	b := load(t, policy.String())
	got := b.Evaluate(t.Context(), rules.Recommend, refund(`{"key":"`+strings.Repeat(`\"`, 1000)+`"}`))
	most := schemas.MaxMatches
	if len(got.Matched) != most || len(got.Failed) != most || len(got.Approvals) != 4 || got.More != 40-2*most || got.Tell == "" {
		t.Fatalf("opinion: got %+v, want everything full", got)
	}
	encoded, err := schemas.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if len(encoded) > 8<<10 {
		t.Errorf("largest opinion: got %d bytes, want at most 8 KiB", len(encoded))
	}
	for _, m := range slices.Concat(got.Matched, got.Failed) {
		if text, err := schemas.Marshal(m.Reason); err != nil || len(text) > 162 {
			t.Errorf("reason of %s: got %d bytes, want at most 160", m.Rule, len(text)-2)
		}
	}
}

// TestCrowds refuses what an action cannot have more of.
func TestCrowds(t *testing.T) {
	t.Parallel()
	entry := "  - {id: r§, at: recommend, actions: [shop.refund], outcome: park}"
	for name, c := range map[string]struct{ policy, catalog, want string }{
		"rules":   {"rules:\n" + many(257, entry, "\n"), catalog, "more than 256 entries"},
		"labels":  {"", catalogOf(17, "labels: [l§]"), "more than 16 distinct labels"},
		"labeled": {"", catalogOf(33, "labels: [l]"), "more than 32 actions with labels"},
		"actions": {"", catalogOf(4097, "title: x"), "more than 4096 actions"},
		"schemas": {"", catalogOf(150, "params: {type: object, $defs: {a: {allOf: ["+many(30, "{}", ",")+"]}}, allOf: ["+many(30, "{$ref: '#/$defs/a'}", ",")+"]}"), "schemas of the catalog"},
	} {
		_, err := rules.Load(files(c.policy, "catalog.yaml", c.catalog))
		if err == nil || strings.Count(err.Error(), c.want) != 1 {
			t.Errorf("%s: got %.300v, want %q once", name, err, c.want)
		}
	}
	if _, err := rules.Load(files("rules:\n" + many(256, entry, "\n"))); err != nil {
		t.Errorf("256 rules: %v", err)
	}
	_, err := rules.Load(files("rules:\n" + many(500, "  - {id: r§, at: recommend, actions: [shop.refund], outcome: park, when: x}", "\n")))
	if mistakes, ok := err.(rules.Mistakes); !ok || len(mistakes) != 101 || !strings.Contains(mistakes[100].Text, "and ") {
		t.Errorf("501 mistakes: got %.300v, want 100 and how many more", err)
	}
}

func catalogOf(n int, key string) string {
	return "version: 1\nsystems:\n  s:\n    queue: q\n    operations:\n" +
		many(n, "      o§: {effect: read, "+key+"}", "\n") + "\n"
}

// TestConcurrently uses one bundle from many sides at once.
func TestConcurrently(t *testing.T) {
	t.Parallel()
	b, err := rules.Load(os.DirFS("testdata/cases/shop"))
	if err != nil {
		t.Fatal(err)
	}
	cases := readCases(t, "testdata/cases/shop")
	var shared []rules.Facts
	for _, c := range cases {
		shared = append(shared, c.facts(t))
	}
	var e rules.Eligibility
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i, c := range cases {
				f := shared[i]
				got := b.Evaluate(t.Context(), checkpoint(c.At), f)
				if diff := cmp.Diff(c.Want, summary(got)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", c.Name, diff)
				}
				_ = b.CheckParams(c.Action, f.Intent.Params)
				expr := fmt.Sprintf("reviewer.name == 'r%d'", i)
				if yes, err := e.Eligible(t.Context(), expr, rules.Reviewer{Name: "r1"}, f.Agent, c.Action); err != nil || yes != (i == 1) {
					t.Errorf("%s: got %v, %v", expr, yes, err)
				}
			}
		})
	}
	all.Wait()
}
