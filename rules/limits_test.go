package rules_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// laughs makes a small value of which 4,096 parts are the same.
var laughs = strings.Repeat(".map(x, [x, x, x, x, x, x, x, x])", 4)

// bombs are expressions that a policy may hold and an agent's parameters set off.
// params.list has 8,000 numbers, params.text 30,000 characters.
var bombs = map[string]string{
	"nested loops":        "params.list.all(a, params.list.all(b, a + b >= 0))",
	"three nested loops":  "params.list.all(a, params.list.all(b, params.list.all(c, a + b + c >= 0)))",
	"doubling text":       "(" + strings.Repeat("params.text + ", 200) + "'').size() == 1",
	"doubling list":       "params.list.map(x, params.list + params.list).map(x, x + x).map(x, x + x) == params.list.map(x, [params.list])",
	"pairs of a set":      "sets.contains(params.list, params.list.map(x, x + 1))",
	"equivalent sets":     "sets.equivalent(params.list, params.list)",
	"intersecting sets":   "sets.intersects(params.list, params.list.map(x, x + 100000))",
	"distinct":            "params.list.distinct().size() > 1",
	"list of lists":       "params.list.map(x, params.list) == params.list.map(x, params.list)",
	"unequal lists":       "params.list.map(x, params.list) != params.list.map(x, params.list)",
	"membership":          "params.list.map(x, params.list) in [params.list.map(x, params.list)].map(x, x)",
	"laughs":              "[params.list]" + laughs + " == [params.list]" + laughs,
	"flattened":           "params.list.map(x, params.list).flatten().size() > 1",
	"replaced":            "params.text.replace('a', params.text).size() > 1",
	"joined":              "params.list.map(x, 'a').join(params.text).size() > 1",
	"a large range":       "lists.range(1000000000).size() > 1",
	"loop over a range":   "lists.range(10000).all(a, lists.range(10000).all(b, a + b >= 0))",
	"agent's regex":       "params.text.matches(params.regex)",
	"agent's large regex": "params.text.matches(params.large)",
	"quadratic text":      "params.list.all(a, params.text.contains('b' + string(a)) == false)",
	"optional of a lot":   "optional.of(params.list.map(x, params.list)) == optional.of(params.list.map(x, params.list))",
}

// loaded are the parameters that set off the bombs.
func loaded() rules.Facts {
	return refund(fmt.Sprintf(`{"large":"a{1000}","list":[%s],"regex":"(((a*)*)*)*(b{1,400}){1,400}","text":%q}`,
		many(8000, "§", ","), strings.Repeat("a", 30_000)))
}

// TestBombs makes sure that what costs too much is cut off, parks and says so.
func TestBombs(t *testing.T) {
	t.Parallel()
	f := loaded()
	for name, when := range bombs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := load(t, releaseIf(when))
			start := time.Now()
			got := b.Evaluate(t.Context(), rules.Recommend, f)
			if got.Outcome != schemas.Park || len(got.Failed) != 1 {
				t.Errorf("opinion: got %+v, want a park with a failure", got)
			}
			if took := time.Since(start); took > stuck {
				t.Errorf("took %s, want it cut off", took)
			}
			if len(got.Failed) == 1 {
				t.Logf("%s: %s (%s)", name, got.Failed[0].Reason, time.Since(start).Round(time.Millisecond))
			}
		})
	}
}

// stuck is longer than anything takes that is bounded, however busy the machine is.
const stuck = time.Minute

// TestBoundedCalls makes sure that one call cannot take long, however much it may
// cost: CEL finds out what it cost when it is over.
func TestBoundedCalls(t *testing.T) {
	t.Parallel()
	f := loaded()
	for _, name := range []string{
		"pairs of a set", "equivalent sets", "intersecting sets", "distinct", "list of lists", "unequal lists",
		"membership", "laughs", "flattened", "replaced", "joined", "doubling list", "optional of a lot",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := loadWith(t, rules.Limits{Cost: 1 << 60, Time: time.Hour}, releaseIf(bombs[name]))
			start := time.Now()
			got := b.Evaluate(t.Context(), rules.Recommend, f)
			if len(got.Failed) != 1 || !strings.Contains(got.Failed[0].Reason, "of too much at once") {
				t.Errorf("opinion: got %+v, want a failure, of too much at once", got)
			}
			if took := time.Since(start); took > stuck {
				t.Errorf("took %s, want it refused", took)
			}
		})
	}
}

// TestLaughs refuses to load what could grow without end.
func TestLaughs(t *testing.T) {
	t.Parallel()
	for _, loop := range []string{".map(x, [x, x])", ".map(x, x + x)"} {
		_, err := rules.Load(files(releaseIf("[params.a]" + strings.Repeat(loop, 60) + " == [params.a]")))
		if err == nil || !strings.Contains(err.Error(), "nesting limit") {
			t.Errorf("%s: got %v, want a mistake about nesting", loop, err)
		}
	}
}

// TestHarmless makes sure that the limits let pass what rules need.
func TestHarmless(t *testing.T) {
	t.Parallel()
	f := loaded()
	for name, when := range map[string]string{
		"one loop":              "params.list.all(a, a >= 0)",
		"constant set":          "sets.contains([1, 2, 3], [3])",
		"small set":             "sets.contains(params.list, [7999])",
		"member of a list":      "7999 in params.list",
		"same list":             "params.list == params.list",
		"other list":            "params.list != params.list.map(x, x + 1)",
		"member of large data":  "'key-59999' in data.large",
		"field of large data":   "data.large['key-59999'] == 59999",
		"text":                  "params.text.contains('aaa') && !params.text.contains('b')",
		"regex":                 "params.text.matches('^a+$')",
		"extensions":            "'A,b'.lowerAscii().split(',').distinct().join('-') == 'a-b' && math.greatest(1, 2) == 2",
		"sorted":                "[3, 1, 2].sort() == [1, 2, 3] && params.list.slice(0, 2) == [0, 1]",
		"optional":              "params.?nothing.orValue('x') == 'x' && !has(params.nothing)",
		"comparison of numbers": "params.list[1] == 1.0 && params.list[1] < 1.5 && 1u == params.list[1]",
		"local time":            "now.getHours('Europe/Berlin') == 13 && now.getHours() == 12 && now.getDayOfWeek() == 0",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size := 1
			if strings.HasSuffix(name, "large data") {
				size = 60_000
			}
			b := loadWith(t, rules.Limits{Time: time.Hour}, releaseIf(when), "data/large.yaml", many(size, "key-§: §", "\n"))
			if got := b.Evaluate(t.Context(), rules.Recommend, f); got.Outcome != schemas.Release {
				t.Errorf("opinion: got %+v, want a release", got)
			}
		})
	}
}

// TestTimeIsUp gives no time, or too little for a loop whose cost is no limit.
func TestTimeIsUp(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]rules.Limits{
		"before the first rule": {Time: 1},
		"in a loop":             {Time: 5 * time.Millisecond, Cost: 1 << 60},
	} {
		b := loadWith(t, limits, releaseIf("params.list.all(a, params.list.all(b, a + b >= 0))"))
		start := time.Now()
		got := b.Evaluate(t.Context(), rules.Recommend, loaded())
		if got.Outcome != schemas.Park || len(got.Failed) != 1 || !strings.Contains(got.Failed[0].Reason, "takes too long") {
			t.Errorf("%s: got %+v, want a park because it takes too long", name, got)
		}
		if took := time.Since(start); took > stuck {
			t.Errorf("%s: took %s, want it interrupted", name, took)
		}
	}
}

// TestEnded parks when the caller gives up.
func TestEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := load(t, releaseIf("1 == 1")).Evaluate(ctx, rules.Recommend, refund(`{}`))
	if got.Outcome != schemas.Park || len(got.Failed) != 1 || got.Failed[0].Reason != "interrupted" {
		t.Errorf("opinion: got %+v, want a park, interrupted", got)
	}
}

// TestOneBudget shares the time among all rules of an opinion.
func TestOneBudget(t *testing.T) {
	t.Parallel()
	slow := "params.list.all(a, params.list.all(b, a + b >= 0))"
	policy := "rules:\n" + many(30, fmt.Sprintf("  - {id: r§, at: recommend, actions: [shop.refund], outcome: release, when: %q}", slow), "\n")
	b := loadWith(t, rules.Limits{Cost: 1 << 60, Time: 20 * time.Millisecond}, policy)
	start := time.Now()
	got := b.Evaluate(t.Context(), rules.Recommend, loaded())
	if took := time.Since(start); took > stuck {
		t.Errorf("took %s, want 20ms for all", took)
	}
	if len(got.Failed) != schemas.MaxMatches || got.More != 30-schemas.MaxMatches {
		t.Errorf("opinion: got %d failures and %d more, want %d and %d", len(got.Failed), got.More, schemas.MaxMatches, 30-schemas.MaxMatches)
	}
}

// TestFailureTexts keeps what an agent can put into a failure short and printable.
func TestFailureTexts(t *testing.T) {
	t.Parallel()
	for _, key := range []string{strings.Repeat("\\u202e\\n\\u0000é\\\"", 200), strings.Repeat("\\\"", 90)} {
		checkFailureTexts(t, key)
	}
}

func checkFailureTexts(t *testing.T, key string) {
	t.Helper()
	for _, when := range []string{"dyn(params)[params.key] == 1", "duration(params.key) == now - now", "params.key.foo == 1", "int(params.key) == 1"} {
		got := recommend(t, when, refund(`{"key":"`+key+`"}`))
		if len(got.Failed) != 1 {
			t.Errorf("%s: got %+v, want a failure", when, got)
			continue
		}
		reason := got.Failed[0].Reason
		encoded, _ := schemas.Marshal(reason)
		if len(encoded) > 122 || strings.ContainsAny(reason, "\n\x00\u202e") {
			t.Errorf("%s: got %q, want one printable line of 120 bytes as JSON", when, reason)
		}
	}
}

// TestDeepNesting refuses expressions, parameters and YAML that nest too deep.
func TestDeepNesting(t *testing.T) {
	t.Parallel()
	for what, when := range map[string]string{
		"recursion":  strings.Repeat("(", 1500) + "true" + strings.Repeat(")", 1500),
		"Recursion":  strings.Repeat("[", 1500) + strings.Repeat("]", 1500) + " == []",
		"depth":      "params" + strings.Repeat(".a", 1900) + " == 1",
		"size":       "true ||" + strings.Repeat(" ", 5000) + "true",
		"node count": "[" + strings.Repeat("1,", 2020) + "1] == []",
	} {
		_, err := rules.Load(files(releaseIf(when)))
		if err == nil || !strings.Contains(err.Error(), strings.ToLower(what)) || len(err.Error()) > 20_000 {
			t.Errorf("%.20s…: got %v, want a mistake about %s", when, err, what)
		}
	}
	if got := recommend(t, "has(params.a)", refund(strings.Repeat(`{"a":`, 100)+"1"+strings.Repeat("}", 100))); got.Outcome != schemas.Park {
		t.Errorf("deep parameters: got %+v, want a park", got)
	}
	for _, text := range []string{
		strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		strings.Repeat("a: {", 20_000),
		strings.Repeat("- ", 20_000) + "x",
	} {
		if _, err := rules.Load(files("rules: []", "data/deep.yaml", text)); err == nil {
			t.Errorf("%.10s…: loads, want a mistake", text)
		}
	}
}
