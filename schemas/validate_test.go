package schemas_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/holdpoint/holdpoint/schemas"
)

// compiled returns the schema of a message, checked against its metaschema.
func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("v1", name+".schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	schema, err := c.Compile(name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return schema
}

// fits reports what schema says of a body.
func fits(t *testing.T, schema *jsonschema.Schema, body []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return schema.Validate(doc)
}

func TestExamplesFitTheirSchema(t *testing.T) {
	t.Parallel()
	all := examples()
	for name := range messages {
		schema := compiled(t, name)
		if len(all[name]) == 0 {
			t.Errorf("%s: no example", name)
		}
		for i, v := range all[name] {
			if err := fits(t, schema, []byte(normal(t, v))); err != nil {
				t.Errorf("%s %d: %v", name, i, err)
			}
		}
	}
}

// TestSchemaAndDecoderAgree changes every place of every example, and asks the
// schema and the decoder: both take what is left or neither does.
func TestSchemaAndDecoderAgree(t *testing.T) {
	t.Parallel()
	for name, list := range examples() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			schema, refused := compiled(t, name), 0
			for _, v := range list {
				for _, m := range mutants(t, v) {
					bySchema := fits(t, schema, m.body)
					byDecoder := schemas.Unmarshal(m.body, reflect.New(reflect.TypeOf(v)).Interface())
					if (bySchema == nil) != (byDecoder == nil) {
						t.Errorf("%s: the schema says %v, the decoder %v", m.what, bySchema, byDecoder)
					}
					if m.wrong && byDecoder == nil {
						t.Errorf("%s: accepted", m.what)
					}
					if byDecoder != nil {
						refused++
					}
				}
			}
			if refused == 0 {
				t.Error("no mutant was refused")
			}
		})
	}
}

// mutant is an example with one change.
type mutant struct {
	what  string
	body  []byte
	wrong bool // whatever the schema says
}

// mutants returns v with each member removed, and replaced by something of
// another type, and with a member too many in each object.
func mutants(t *testing.T, v any) []mutant {
	t.Helper()
	var tree any
	if err := json.Unmarshal([]byte(normal(t, v)), &tree); err != nil {
		t.Fatal(err)
	}
	var all []mutant
	keep := func(what string, wrong bool) {
		body, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, mutant{what: what, body: body, wrong: wrong})
	}
	walk("", tree, keep)
	return all
}

// walk changes the tree in one place at a time, calls keep, and takes the change
// back. It leaves alone what a sender shapes.
func walk(at string, tree any, keep func(what string, wrong bool)) {
	switch tree := tree.(type) {
	case []any:
		for i, v := range tree {
			walk(at+"/"+strconv.Itoa(i), v, keep)
		}
	case map[string]any:
		tree["surplus"] = 1.0
		keep(at+"/surplus: added", true)
		delete(tree, "surplus")
		for key, v := range tree {
			if key == "params" || key == "result" || key == "header" {
				continue
			}
			delete(tree, key)
			keep(at+"/"+key+": removed", false)
			for _, other := range []any{nil, true, 1.5, []any{1.0}, map[string]any{"a": 1.0}} {
				// Every number of ours is an integer, and 1.5 is not.
				if reflect.TypeOf(other) != reflect.TypeOf(v) || other == 1.5 {
					tree[key] = other
					keep(at+"/"+key+": replaced by "+text(other), true)
				}
			}
			tree[key] = v
			walk(at+"/"+key, v, keep)
		}
	}
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// TestRequiredFieldsAreMissed removes, one by one, the fields that the schema
// requires at the top, and wants them named.
func TestRequiredFieldsAreMissed(t *testing.T) {
	t.Parallel()
	for name, list := range examples() {
		for _, v := range list {
			for _, required := range compiled(t, name).Required {
				var tree map[string]any
				if err := json.Unmarshal([]byte(normal(t, v)), &tree); err != nil {
					t.Fatal(err)
				}
				delete(tree, required)
				err := schemas.Unmarshal([]byte(text(tree)), reflect.New(reflect.TypeOf(v)).Interface())
				if want := "/" + required + ": missing"; err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s without %s: got %v, want %q", name, required, err, want)
				}
			}
		}
	}
}

// TestReadRefusesMutants sends an unknown and a missing field through Read.
func TestReadRefusesMutants(t *testing.T) {
	t.Parallel()
	for name, list := range examples() {
		c, ok := list[0].(schemas.Content)
		if !ok {
			continue
		}
		for what, body := range map[string]string{
			"unknown": strings.Replace(normal(t, c), "{", `{"surplus":1,`, 1),
			"missing": `{}`,
			"null":    `null`,
		} {
			r := record("", 1, c)
			r.Body = []byte(body)
			err := schemas.Read(r, reflect.New(reflect.TypeOf(c)).Interface().(schemas.Content))
			if !isFault(err) {
				t.Errorf("%s, %s field: got %v, want a Fault", name, what, err)
			}
		}
	}
}
