package rules

import (
	"bytes"
	"testing"

	"cel.dev/cel-go/cel"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// typeFor returns the type of values of a schema, and why it is dyn if it is.
func typeFor(t *testing.T, schema string) (string, string) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(schema)))
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	compiled, err := compileSchema(map[string]any{"properties": map[string]any{"x": doc}})
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	sh := shapeOf(compiled).fields["x"]
	reason := ""
	sh.untyped("x", func(path, why string) { reason += path + ": " + why + ";" })
	return cel.FormatCELType(records{}.typeOf(sh, "x")), reason
}

// TestTypes is the table of what becomes of the constructs of JSON Schema.
func TestTypes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ schema, want, why string }{
		{`{"type":"string"}`, "string", ""},
		{`{"type":"integer"}`, "int", ""},
		{`{"type":"number"}`, "double", ""},
		{`{"type":"boolean"}`, "bool", ""},
		{`{"type":"null"}`, "null", ""},
		{`{"type":["string","null"]}`, "wrapper(string)", ""},
		{`{"type":["integer","number"]}`, "double", ""},
		{`{"type":["integer","number","null"]}`, "wrapper(double)", ""},
		{`{"type":["string","integer"]}`, "dyn", "x: it may be integer or string;"},
		{`{"type":"string","format":"date-time"}`, "string", ""},
		{`{"enum":["a","b"]}`, "string", ""},
		{`{"enum":[1,2]}`, "int", ""},
		{`{"enum":[1,2.5]}`, "double", ""},
		{`{"enum":["a",null]}`, "wrapper(string)", ""},
		{`{"enum":["a",1]}`, "dyn", "x: it may be string or integer, by enum;"},
		{`{"const":true}`, "bool", ""},
		{`{}`, "dyn", "x: its schema gives no type;"},
		{`true`, "dyn", "x: its schema gives no type;"},
		{`{"minimum":5}`, "dyn", "x: its schema gives no type;"},
		{`{"type":"array","items":{"type":"string"}}`, "list(string)", ""},
		{`{"type":"array","items":{"type":["integer","null"]}}`, "list(wrapper(int))", ""},
		{`{"type":["array","null"],"items":{"type":"string"}}`, "dyn", "x: it may be array or null;"},
		{`{"type":"array"}`, "list(dyn)", "x[]: its schema gives no items;"},
		{`{"type":"array","prefixItems":[{"type":"string"}],"items":false}`, "list(dyn)", "x[]: prefixItems gives items of several types;x[]: its schema gives no type;"},
		{`{"type":"object"}`, "map(string, dyn)", "x.*: its schema allows fields that it does not name;"},
		{`{"type":"object","additionalProperties":{"type":"integer"}}`, "map(string, int)", ""},
		{`{"type":"object","patternProperties":{"^a":{"type":"integer"}}}`, "map(string, dyn)", "x.*: its schema allows fields that it does not name;"},
		{`{"type":"object","additionalProperties":false}`, "object x", ""},
		{`{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}`, "object x", ""},
		{`{"type":"object","properties":{"a":{"type":"string"}}}`, "object x", "x.*: its schema allows fields that it does not name;"},
		{`{"type":["object","null"],"properties":{"a":{"type":"string"}},"additionalProperties":false}`, "object x", ""},
		{`{"type":"object","properties":{"a":{}},"unevaluatedProperties":false}`, "object x", "x.a: its schema gives no type;"},
		{`{"anyOf":[{"type":"string"},{"type":"string","maxLength":3}]}`, "string", ""},
		{`{"anyOf":[{"type":"string"},{"type":"null"}]}`, "wrapper(string)", ""},
		{`{"anyOf":[{"type":"null"},{"type":"integer"}]}`, "wrapper(int)", ""},
		{`{"oneOf":[{"type":"integer"},{"type":"number"}]}`, "double", ""},
		{`{"oneOf":[{"type":"string"},{"type":"array"}]}`, "dyn", "x: it may be string or array, by oneOf;"},
		{`{"type":"string","anyOf":[{"minLength":1},{"const":""}]}`, "string", ""},
		{`{"allOf":[{"type":"string"},{"minLength":1}]}`, "string", ""},
		{`{"type":"integer","not":{"const":5}}`, "int", ""},
	} {
		got, why := typeFor(t, c.schema)
		if got != c.want || why != c.why {
			t.Errorf("%s:\n got %s, %q\nwant %s, %q", c.schema, got, why, c.want, c.why)
		}
	}
}

// TestAlternatives looks into objects that have one form or another.
func TestAlternatives(t *testing.T) {
	t.Parallel()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(`{
		"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}},
		"oneOf": [
			{"required": ["iban"], "properties": {"iban": {"type": "string"}, "sum": {"type": "integer"}}},
			{"required": ["card", "sum"], "properties": {"card": {"type": "string"}, "sum": {"type": "string"}}}],
		"if": {"properties": {"kind": {"const": "x"}}}, "then": {"properties": {"more": {"type": "boolean"}}, "required": ["more"]},
		"unevaluatedProperties": false}`)))
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := compileSchema(doc.(map[string]any))
	if err != nil {
		t.Fatal(err)
	}
	r := records{}
	r.typeOf(shapeOf(compiled), "x")
	rec := r["object x"]
	for name, want := range map[string]string{"kind": "string", "iban": "string", "card": "string", "sum": "dyn", "more": "bool"} {
		got, ok := rec.fieldType(name)
		if !ok || cel.FormatCELType(got) != want || rec.required[name] != (name == "kind") {
			t.Errorf("%s: got %v, %v, required %v, want %s", name, got, ok, rec.required[name], want)
		}
	}
	if _, ok := rec.fieldType("other"); ok {
		t.Errorf("other: got a field, want none")
	}
}
