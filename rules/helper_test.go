package rules_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// catalog is what tests that are about policies use. Its parameters are open, so
// that a test can name any.
const catalog = `version: 1
systems:
  shop:
    queue: billing
    operations:
      refund:
        effect: write
        params:
          type: object
          properties:
            amount: {type: integer}
            price: {type: number}
      cancel: {effect: write, params: {type: object}}
      look: {effect: read, labels: [untrusted], params: {type: object}}
  mail:
    queue: desk
    operations:
      send: {effect: write, params: {type: object}}
`

// files makes a bundle of a policy and, in pairs, the paths and contents of more
// files.
func files(policy string, more ...string) fstest.MapFS {
	dir := fstest.MapFS{
		"catalog.yaml": {Data: []byte(catalog)},
		"policy.yaml":  {Data: []byte("version: 1\n" + policy)},
	}
	for i := 0; i < len(more); i += 2 {
		dir[more[i]] = &fstest.MapFile{Data: []byte(more[i+1])}
	}
	return dir
}

// load loads a bundle that must be without mistakes. It has more time than a
// gateway gives: what a test finds must not depend on how busy the machine is.
func load(t testing.TB, policy string, more ...string) *rules.Bundle {
	t.Helper()
	return loadWith(t, rules.Limits{Time: time.Minute}, policy, more...)
}

func loadWith(t testing.TB, l rules.Limits, policy string, more ...string) *rules.Bundle {
	t.Helper()
	b, err := l.Load(files(policy, more...))
	if err != nil {
		t.Fatalf("loading: %v", err)
	}
	return b
}

// refund returns the facts of an intent for shop.refund with these parameters.
func refund(params string) rules.Facts { return about("shop.refund", params) }

func about(action schemas.Action, params string) rules.Facts {
	return rules.Facts{
		Intent: schemas.Intent{Agent: "bot", Action: action, Params: jsontext.Value(params)},
		Agent:  schemas.AgentFacts{Name: "bot", Owner: "ann", Groups: []string{"night"}},
		Now:    time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

// recommend evaluates one release rule with the condition.
func recommend(t testing.TB, when string, f rules.Facts) schemas.Opinion {
	t.Helper()
	b := load(t, releaseIf(when))
	return b.Evaluate(t.Context(), rules.Recommend, f)
}

func releaseIf(when string) string {
	quoted, _ := json.Marshal(when)
	return "rules:\n  - {id: r, at: recommend, actions: [shop.refund], outcome: release, when: " + string(quoted) + "}\n"
}

// many returns n elements, made of a pattern in which § is the number.
func many(n int, pattern, between string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(between)
		}
		b.WriteString(strings.ReplaceAll(pattern, "§", itoa(i)))
	}
	return b.String()
}

func itoa(i int) string {
	text, _ := json.Marshal(i)
	return string(text)
}
