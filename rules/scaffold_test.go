package rules_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// mcpTools are as MCP lists them, with everything that catalogs do not have.
const mcpTools = `{"tools": [
	{"name": "search.docs", "title": "Search", "description": "Find text. Fast.", "annotations": {"readOnlyHint": true},
	 "inputSchema": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"q": {"type": "string", "minLength": 12, "x-order": 1}}, "required": ["q"]}},
	{"name": "pay", "description": "Pay: \"now\" # really", "annotations": {"idempotentHint": true},
	 "inputSchema": {"type": "object", "properties": {
		"to": {"anyOf": [{"type": "string", "format": "email"}, {"type": "null"}]}, "sum": {"type": "float", "exclusiveMinimum": 3}, "kind": {"enum": ["a", "b"]},
		"lines": {"type": "array", "minItems": 1, "items": {"type": "dict", "properties": {"n": {"type": "integer", "minimum": 2}}, "required": ["n"]}},
		"session": {"type": "string"}}, "required": ["to", "sum", "kind", "lines", "session"]}},
	{"name": "odd", "class": "generic", "inputSchema": {"type": "object", "properties": {"x": {"type": "string", "pattern": "^z{3}$"}}, "required": ["x"]}}
]}`

// loadFiles loads a bundle that was made, and runs its cases.
func loadFiles(t *testing.T, files map[string][]byte) *rules.Bundle {
	t.Helper()
	dir := fstest.MapFS{}
	for path, text := range files {
		dir[path] = &fstest.MapFile{Data: text}
	}
	b, findings, err := rules.Check(t.Context(), dir, nil)
	if err != nil {
		t.Fatalf("loading: %v", err)
	}
	for _, f := range findings {
		if f.Level == rules.Warning {
			t.Errorf("finding: %s", f)
		}
	}
	results, err := rules.Test(t.Context(), dir)
	if err != nil || results.Failed() > 0 {
		t.Fatalf("testing: %v, %d failed of %+v", err, results.Failed(), results.Cases)
	}
	return b
}

// TestScaffold makes a bundle of tools. What it is must be what bundle.golden
// says.
func TestScaffold(t *testing.T) {
	t.Parallel()
	files, notes, err := rules.Scaffold{System: "desk", Queue: "team", Drop: []string{"session"}}.Files([]byte(mcpTools))
	if err != nil {
		t.Fatal(err)
	}
	b := loadFiles(t, files)
	var text strings.Builder
	for _, path := range []string{"catalog.yaml", "policy.yaml", "cases/first.yaml"} {
		text.WriteString("-- " + path + " --\n" + string(files[path]))
	}
	text.WriteString("-- notes --\n" + strings.Join(notes, "\n") + "\n")
	sameAsGolden(t, "testdata/scaffold/bundle.golden", text.String())
	f := about("desk.pay", `{"kind":"a","lines":[{"n":2}],"sum":4,"to":null}`)
	if err := b.CheckParams("desk.pay", f.Intent.Params); err != nil {
		t.Errorf("params: %v", err)
	}
	for _, params := range []string{`{"kind":"a","lines":[{"n":2,"m":1}],"sum":4,"to":null}`, `{"kind":"a","lines":[{"n":2}],"session":"s","sum":4,"to":null}`} {
		if err := b.CheckParams("desk.pay", []byte(params)); err == nil {
			t.Errorf("%s: got nothing wrong, want a parameter that nobody knows", params)
		}
	}
}

// TestScaffoldForms takes the other forms in which tools are described.
func TestScaffoldForms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]schemas.Action{
		`[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]`:                 "tools.look",
		`[{"name":"look","input_schema":{"type":"object","properties":{"a":{}},"required":["a"]}}]`:       "tools.look",
		`{"suite":"shop","tools":[{"name":"look","class":"read"}]}`:                                       "shop.look",
		`{"suite":"shop","tools":[{"name":"look","action":"other.look","parameters":{"type":"object"}}]}`: "other.look",
	} {
		files, _, err := rules.Scaffold{}.Files([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if _, ok := loadFiles(t, files).Action(want); !ok {
			t.Errorf("%s: no action %s in\n%s", text, want, files["catalog.yaml"])
		}
	}
	for text, want := range map[string]string{
		``: "EOF", `{}`: "want a list", `{"tools":[]}`: "there are none", `[5]`: "tool 1", `[{"description":"x"}]`: "cannot be that of an action",
		`[{"name":"a"},{"name":"a"}]`: "two of the name tools.a", `[{"name":"a","action":"holdpoint.a"}]`: "cannot be", `{"tools":[{"name":"a"`: "EOF",
	} {
		_, _, err := rules.Scaffold{}.Files([]byte(text))
		if !errors.Is(err, schemas.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want invalid: %s", text, err, want)
		}
	}
}

// TestScaffoldOfTraces makes bundles of tools that nobody on this project wrote.
// The calls that real agents made fit them.
func TestScaffoldOfTraces(t *testing.T) {
	t.Parallel()
	for tools, traces := range map[string]string{
		"agentdojo-banking": "agentdojo-banking", "agentdojo-slack": "agentdojo-slack", "tau-retail": "tau-retail", "tau2-retail": "tau2-retail", "bfcl-multiturn": "bfcl-multiturn",
	} {
		t.Run(tools, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("../../shared/data", tools+".tools.json"))
			if err != nil {
				t.Skipf("no traces here: %v", err)
			}
			files, _, err := rules.Scaffold{}.Files(text)
			if err != nil {
				t.Fatal(err)
			}
			b := loadFiles(t, files)
			fit, all := fitting(t, b, filepath.Join("../../shared/data", traces+".jsonl"))
			if all == 0 || fit < all*98/100 {
				t.Errorf("%d of %d calls fit the catalog, want nearly all", fit, all)
			}
		})
	}
}

// fitting counts the calls of a trace whose parameters the catalog takes.
func fitting(t *testing.T, b *rules.Bundle, path string) (fit, all int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var call struct {
			Action schemas.Action
			Params jsontext.Value
		}
		if err := json.Unmarshal(lines.Bytes(), &call); err != nil {
			t.Fatal(err)
		}
		all++
		if err := b.CheckParams(call.Action, call.Params); err == nil {
			fit++
		} else {
			t.Logf("%s: %v", call.Action, err)
		}
	}
	return fit, all
}

// FuzzScaffold makes bundles of any JSON. What is made loads, but for schemas that
// are none.
func FuzzScaffold(f *testing.F) {
	f.Add(mcpTools)
	f.Add(`[{"type":"function","function":{"name":"look","parameters":{"type":"object","properties":{"a: b":{"const":null},"$ref":{"type":["null","tuple"]}}}}}]`)
	f.Fuzz(func(t *testing.T, text string) {
		files, _, err := rules.Scaffold{}.Files([]byte(text))
		if err != nil {
			return
		}
		dir := fstest.MapFS{}
		for path, text := range files {
			dir[path] = &fstest.MapFile{Data: text}
		}
		results, err := rules.Test(t.Context(), dir)
		var mistakes rules.Mistakes
		if errors.As(err, &mistakes) {
			for _, m := range mistakes {
				if m.File == "policy.yaml" || strings.Contains(m.Text, "not YAML") {
					t.Errorf("%s\n%s", m, files[m.File])
				}
			}
			return
		}
		if err != nil || results.Failed() > 0 {
			t.Errorf("testing: %v, %+v", err, results.Cases)
		}
	})
}
