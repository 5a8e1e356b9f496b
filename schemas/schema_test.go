package schemas_test

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/schemas"
)

var update = flag.Bool("update", false, "write v1/*.schema.json as the Go types want them")

// messages are the bodies that travel, by the name of their schema.
var messages = map[string]any{
	"proposal":       schemas.Proposal{},
	"observation":    schemas.Observation{},
	"recommendation": schemas.Recommendation{},
	"hold":           schemas.Hold{},
	"decision":       schemas.Decision{},
	"standing":       schemas.Standing{},
	"revocation":     schemas.Revocation{},
	"settlement":     schemas.Settlement{},
	"grant":          schemas.Grant{},
	"lapse":          schemas.Lapse{},
	"report":         schemas.Report{},
	"rejection":      schemas.Rejection{},
	"exposure":       schemas.Exposure{},
	"budget":         schemas.Budget{},
	"identity":       schemas.Identity{},
	"removal":        schemas.Removal{},
	"freeze":         schemas.Freeze{},
	"thaw":           schemas.Thaw{},
	"activation":     schemas.Activation{},
	"shadow":         schemas.Shadow{},
	"stream":         schemas.StreamMade{},
	"question":       schemas.Question{},
	"answer":         schemas.Answer{},
}

// TestSchemas holds v1/*.schema.json against the Go types: the files are exactly
// what the types, their comments and their constants say. It is not parallel, so
// that with -update it is done before other tests read the files.
func TestSchemas(t *testing.T) {
	src := readSource(t)
	want := make(map[string]string)
	for name, v := range messages {
		g := generator{src: src, defs: make(map[string]object)}
		want[name+".schema.json"] = g.file(t, name, reflect.TypeOf(v))
	}
	if *update {
		for name, text := range want {
			if err := os.WriteFile(filepath.Join("v1", name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := make(map[string]string)
	files, err := os.ReadDir("v1")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join("v1", f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name()] = string(text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("v1 differs from the Go types; go test ./schemas -update writes it (-want +got):\n%s", diff)
	}
}

// TestEveryContentHasASchema finds the types that are published in the source, so
// that a new one cannot be forgotten here.
func TestEveryContentHasASchema(t *testing.T) {
	t.Parallel()
	var got []string
	for _, v := range messages {
		if _, ok := v.(schemas.Content); ok {
			got = append(got, reflect.TypeOf(v).Name())
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(readSource(t).contents, got); diff != "" {
		t.Errorf("types with a schema (-in the source +got):\n%s", diff)
	}
}

// TestConstraintsExist keeps the hand-written constraints about fields that exist.
func TestConstraintsExist(t *testing.T) {
	t.Parallel()
	src := readSource(t)
	for name := range constraints {
		if !src.fields[name] {
			t.Errorf("constraint on %s: no such field", name)
		}
	}
}

// generator makes the schema of one message.
type generator struct {
	src  *source
	defs map[string]object
}

func (g generator) file(t *testing.T, name string, of reflect.Type) string {
	t.Helper()
	schema := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", "https://holdpoint.dev/schemas/v1/" + name + ".schema.json"},
		{"title", of.Name()},
		{"description", g.src.docs[of.Name()]},
	}
	schema = append(schema, g.object(of)...)
	var defs object
	for name, def := range g.defs {
		defs = append(defs, pair{name, def})
	}
	slices.SortFunc(defs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	if len(defs) > 0 {
		schema = append(schema, pair{"$defs", defs})
	}
	text, err := json.Marshal(schema, jsontext.WithIndent("  "))
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

// object is the schema of a struct: no member but its fields, and all of those
// that it always writes.
func (g generator) object(of reflect.Type) object {
	var properties object
	required := []string{}
	for f := range of.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
		properties = append(properties, pair{name, g.field(of, f)})
	}
	schema := object{{"type", "object"}, {"properties", properties}}
	if len(required) > 0 {
		schema = append(schema, pair{"required", required})
	}
	return append(schema, pair{"additionalProperties", false})
}

func (g generator) field(of reflect.Type, f reflect.StructField) object {
	key := of.Name() + "." + f.Name
	var schema object
	if doc := g.src.docs[key]; doc != "" {
		schema = object{{"description", doc}}
	}
	schema = append(schema, g.value(f.Type)...)
	for _, c := range constraints[key] {
		schema = slices.DeleteFunc(schema, func(p pair) bool { return p.key == c.key })
		schema = append(schema, c)
	}
	return schema
}

// value is the schema of a field or an element: of a named type a reference.
func (g generator) value(of reflect.Type) object {
	switch {
	case of == reflect.TypeFor[time.Time]():
		return object{{"type", "string"}, {"format", "date-time"}}
	case of == reflect.TypeFor[jsontext.Value]():
		return nil
	case of == reflect.TypeFor[[]byte]():
		return object{{"type", "string"}, {"contentEncoding", "base64"}}
	case of.Kind() == reflect.Pointer:
		return g.value(of.Elem())
	case of.PkgPath() != "":
		if _, ok := g.defs[of.Name()]; !ok {
			g.defs[of.Name()] = nil // begun: a type may contain itself
			g.defs[of.Name()] = append(object{{"description", g.src.docs[of.Name()]}}, g.named(of)...)
		}
		return object{{"$ref", "#/$defs/" + of.Name()}}
	}
	return g.plain(of)
}

func (g generator) named(of reflect.Type) object {
	switch words := g.src.words(of); {
	case of.Kind() == reflect.Struct:
		return g.object(of)
	case patterns[of] != "":
		return object{{"type", "string"}, {"pattern", patterns[of]}}
	case len(words) > 0:
		return object{{"type", "string"}, {"enum", words}}
	}
	return g.plain(of)
}

func (g generator) plain(of reflect.Type) object {
	switch of.Kind() {
	case reflect.String:
		return object{{"type", "string"}}
	case reflect.Bool:
		return object{{"type", "boolean"}}
	case reflect.Int, reflect.Int64:
		return object{{"type", "integer"}}
	case reflect.Uint64:
		return object{{"type", "integer"}, {"minimum", 0}}
	case reflect.Slice:
		return object{{"type", "array"}, {"items", g.value(of.Elem())}}
	case reflect.Map:
		return object{{"type", "object"}, {"additionalProperties", g.value(of.Elem())}}
	}
	panic("no schema for " + of.String())
}

// object is a JSON object whose members stay in order.
type object []pair

type pair struct {
	key   string
	value any
}

func (o object) MarshalJSONTo(e *jsontext.Encoder) error {
	if err := e.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, p := range o {
		if err := e.WriteToken(jsontext.String(p.key)); err != nil {
			return err
		}
		if err := json.MarshalEncode(e, p.value); err != nil {
			return err
		}
	}
	return e.WriteToken(jsontext.EndObject)
}
