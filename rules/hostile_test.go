package rules_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/holdpoint/holdpoint/rules"
)

// manyActions is a catalog in which each action has other parameters.
func manyActions(n int) string {
	return "version: 1\nsystems:\n  s:\n    queue: q\n    operations:\n" + many(n,
		"      o§: {effect: write, params: {type: object, additionalProperties: false, properties: {a: {type: string}, p§: {type: integer}}}}", "\n") + "\n"
}

// TestHostileBundles refuses bundles that are made to cost too much, with where
// and why. None may take long, which the time-out of the tests sees to.
func TestHostileBundles(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 4000)
	for name, c := range map[string]struct {
		policy string
		more   []string
		want   string
	}{
		"a file of 10 MB":   {"", []string{"data/a.json", `"` + strings.Repeat("x", 10<<20) + `"`}, "data/a.json: larger than 8 MiB"},
		"files of 10 MB":    {"", []string{"data/a.json", `"` + strings.Repeat("x", 5<<20) + `"`, "data/b.json", `"` + strings.Repeat("x", 5<<20) + `"`}, "the bundle is larger than 8 MiB"},
		"a policy of 10 MB": {strings.Repeat("# no end\n", 10<<20/9), nil, "policy.yaml: larger than 8 MiB"},
		"checked too often": {
			"rules:\n" + many(30, fmt.Sprintf("  - {id: r§, at: observe, actions: ['*'], outcome: park, when: \"params.a == '%s'\"}", long), "\n"),
			[]string{"catalog.yaml", manyActions(300)}, "name fewer actions where params are used",
		},
		"too many entries":         {"rules:\n" + many(20_001, "  - {id: r§, at: observe, actions: ['*'], outcome: park}", "\n"), nil, "the policy has more than 20000 entries"},
		"too many for one action":  {"rules:\n" + many(300, "  - {id: r§, at: observe, actions: ['*'], outcome: park}", "\n"), nil, "more than 256 entries of this kind are about"},
		"an endless cycle":         {"include: [policy.yaml]\n", nil, "policy.yaml:2:11: include: 'policy.yaml' is read already"},
		"out of the directory":     {"include: [../../etc/passwd]\n", nil, "policy.yaml:2:11: include: '../../etc/passwd': not a path inside the bundle"},
		"an absolute path":         {"include: [/etc/passwd]\n", nil, "policy.yaml:2:11: include: '/etc/passwd': not a path inside the bundle"},
		"laughs in data":           {"", []string{"data/a.yaml", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"}, "data/a.yaml:1:4: anchors and aliases are refused"},
		"laughs in cases":          {"", []string{"data/b.yaml", "- &a {name: x}\n- *a\n"}, "anchors and aliases are refused"},
		"not UTF-8":                {"# \xff\n", nil, "policy.yaml: not UTF-8"},
		"not UTF-8 in a sheet":     {"", []string{"data/a.csv", "a,b\n\xff,1\n"}, "data/a.csv: not UTF-8"},
		"a schema inside itself":   {"", []string{"data/a.yaml", "{}", "data/a.schema.yaml", "$ref: '#'\n"}, "data/a.schema.yaml:1:1: schema: it recurs"},
		"a schema that fetches":    {"", []string{"data/a.yaml", "{}", "data/a.schema.yaml", "$ref: https://example.com/x\n"}, "references lead nowhere but into the same schema"},
		"a pattern of a schema":    {"", []string{"data/a.yaml", "{}", "data/a.schema.yaml", "pattern: '(a{1,30}){1,30}'\n"}, "exceeds limit"},
		"many columns":             {"", []string{"data/a.csv", many(100_000, "c§", ",") + "\n1\n"}, "data/a.csv:2:1: not CSV: wrong number of fields"},
		"a typo among many fields": {releaseIf("data.a.nothing == 1"), []string{"data/a.yaml", "x: []\n" + many(30_000, "k§: §", "\n")}, "undeclared field 'nothing' of data.a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := rules.Load(files(c.policy, c.more...))
			var mistakes rules.Mistakes
			if !errors.As(err, &mistakes) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %.300v, want %s", err, c.want)
			}
			if len(err.Error()) > 100_000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// TestUnwieldyBundles loads what is large or odd, and still fair.
func TestUnwieldyBundles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy string
		more   []string
	}{
		"records without end": {"", []string{"data/a.json", "[" + many(50_000, `{"k§":1}`, ",") + "]"}},
		"records of all kinds": {
			releaseIf("data.a.exists(r, r.k == 1)"), []string{"data/a.json", "[" + many(2000, `{"k§":1,"k":1}`, ",") + "]"},
		},
		"a table of tables":                    {"", []string{"data/a.json", "{" + many(20_000, `"k§":{"l§":1}`, ",") + "}"}},
		"a deep document":                      {"", []string{"data/a.json", strings.Repeat(`{"a":`, 30) + "1" + strings.Repeat("}", 30)}},
		"a deep document of differing objects": {"", []string{"data/a.json", strings.Repeat(`{"b":{"x":{"c":1}},"a":`, 30) + "1" + strings.Repeat("}", 30)}},
		"many regexes":                         {"rules:\n" + many(50, "  - {id: r§, at: observe, actions: [s.o§], outcome: park, when: \""+many(60, "params.a.matches('^a§(b|c)*$')", " || ")+"\"}", "\n"), []string{"catalog.yaml", manyActions(50)}},
		"an action with types":                 {"rules:\n  - {id: r, at: observe, actions: ['*'], outcome: park, when: \"has(params.a) && params.a == 'x'\"}\n", []string{"catalog.yaml", manyActions(500)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := rules.Check(t.Context(), files(c.policy, c.more...), nil); err != nil {
				t.Errorf("got %.300v, want it to load", err)
			}
		})
	}
}
