package rules

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types/ref"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// documents are what is in data/, as one value and its shape.
type documents struct {
	values *ordered
	shape  *shape

	// paths are the files of the documents, by name.
	paths map[string]string
}

// datum is one document and the file that describes it, if there is one.
type datum struct {
	content, schema *file
}

// readData returns the documents of a bundle by their names.
func readData(files []file, notes *notebook) *documents {
	d := &documents{shape: newShape(), paths: map[string]string{}}
	d.shape.form, d.shape.closed = objectForm, true
	names, found := gather(files, notes)
	values := map[string]ref.Val{}
	var kept []string
	for _, name := range names {
		datum := found[name]
		if datum.content == nil {
			notes.file(datum.schema.path, "there is no document data.%s that it could describe", name)
			continue
		}
		kept = append(kept, name)
		d.paths[name] = datum.content.path
		values[name], d.shape.fields[name] = datum.read(notes)
		d.shape.required[name] = true
	}
	d.values = newOrdered(kept, values)
	return d
}

// gather finds the documents and their schemas among the files.
func gather(files []file, notes *notebook) (names []string, found map[string]*datum) {
	found = map[string]*datum{}
	for _, f := range files {
		name, isSchema, ok := dataName(f.path, notes)
		if !ok {
			continue
		}
		if found[name] == nil {
			found[name] = &datum{}
			names = append(names, name)
		}
		place := &found[name].content
		if isSchema {
			place = &found[name].schema
		}
		if *place != nil {
			notes.file(f.path, "another file is data.%s already", name)
			continue
		}
		*place = &f
	}
	return names, found
}

// dataName returns the name of a data file in expressions, or notes that it can
// have none.
func dataName(path string, notes *notebook) (name string, isSchema, ok bool) {
	base, ok := strings.CutPrefix(path, dataDir)
	if !ok || strings.HasSuffix(path, ".md") {
		return "", false, false
	}
	name, extension, _ := strings.Cut(base, ".")
	switch extension {
	case "yaml", "yml", "json", "csv":
	case "schema.yaml", "schema.yml", "schema.json":
		isSchema = true
	default:
		notes.file(path, "want .yaml, .json or .csv directly in %s", dataDir)
		return "", false, false
	}
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || name == "" || '0' <= name[0] && name[0] <= '9' {
		notes.file(path, "want a name that an expression can say: a-z, 0-9 and _, no digit first")
		return "", false, false
	}
	return name, isSchema, true
}

// read returns the value of a document and its shape, by its schema or else by
// what is in it. If it cannot be read neither matters: the bundle does not load.
func (d *datum) read(notes *notebook) (ref.Val, *shape) {
	var sh *shape
	var schema *jsonschema.Schema
	if d.schema != nil {
		if schema = readDataSchema(*d.schema, notes); schema == nil {
			return list(nil), newShape()
		}
		sh = shapeOf(schema)
	}
	text, root := readDocument(*d.content, sh, notes)
	if text == nil {
		return list(nil), newShape()
	}
	if schema != nil {
		checkDatum(*d.content, root, text, schema, notes)
	}
	value, err := decodeJSON(text, sh)
	if err == nil && sh == nil {
		sh = inferDocument(*d.content, value)
		value, err = decodeJSON(text, sh) // where one is a fraction, all are
	}
	if err != nil {
		jsonMistake(*d.content, err, notes)
		return list(nil), newShape()
	}
	return indexed(value), sh
}

// readDocument returns a document as JSON, and its root if it is YAML. It returns
// nil with a note if it cannot be read.
func readDocument(f file, sh *shape, notes *notebook) ([]byte, *object) {
	switch {
	case strings.HasSuffix(f.path, ".json"):
		return f.content, nil
	case strings.HasSuffix(f.path, ".csv"):
		return readCSV(f, sh, notes), nil
	}
	d := parse(f, notes)
	if d == nil {
		return nil, nil
	}
	o := object{document: d, node: d.root}
	return o.appendJSON(nil, d.root), &o
}

// readDataSchema returns the schema of a document, or nil with a note.
func readDataSchema(f file, notes *notebook) *jsonschema.Schema {
	d := parse(f, notes)
	if d == nil {
		return nil
	}
	o := object{document: d, node: d.root, about: "schema"}
	doc := o.schemaOf("", d.root)
	if doc == nil {
		return nil
	}
	schema, err := compileSchema(doc)
	if err != nil {
		o.schemaMistakes("", d.root, err)
		return nil
	}
	if (unfolding{}).size(schema) > maxSchema {
		o.mistake(d.root, "it recurs, or has more than %d parts with its references followed", maxSchema)
		return nil
	}
	return schema
}

// checkDatum notes where a document is not what its schema says.
func checkDatum(f file, root *object, text []byte, schema *jsonschema.Schema, notes *notebook) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return // decoding it says what is wrong, and where
	}
	var violation *jsonschema.ValidationError
	if !errors.As(schema.Validate(doc), &violation) {
		return
	}
	for _, leaf := range leaves(violation) {
		if root != nil {
			root.mistake(findNode(root.node, leaf.InstanceLocation), "%s", complaint(leaf))
		} else {
			notes.file(f.path, "%s: %s", pointer(leaf.InstanceLocation), complaint(leaf))
		}
	}
}

// jsonMistake notes what is wrong with a JSON file, at its place if it has one.
func jsonMistake(f file, err error, notes *notebook) {
	var syntactic *jsontext.SyntacticError
	if !errors.As(err, &syntactic) || syntactic.ByteOffset > int64(len(f.content)) {
		notes.file(f.path, "%v", err)
		return
	}
	d := &document{path: f.path, lines: strings.Split(string(f.content), "\n"), notes: notes}
	before := strings.Split(string(f.content[:syntactic.ByteOffset]), "\n")
	column := len([]rune(before[len(before)-1])) + 1
	d.mistakeAt(len(before), column, "not JSON: "+syntactic.Err.Error())
}

// appendJSON appends a YAML node as JSON, in the same order.
func (o object) appendJSON(b []byte, n *yaml.Node) []byte {
	switch n.Kind {
	case yaml.MappingNode:
		b = append(b, '{')
		for i := 0; i < len(n.Content); i += 2 {
			b = comma(b, i)
			b = appendText(b, n.Content[i].Value)
			b = append(b, ':')
			b = o.appendJSON(b, n.Content[i+1])
		}
		return append(b, '}')
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, item := range n.Content {
			b = comma(b, i)
			b = o.appendJSON(b, item)
		}
		return append(b, ']')
	}
	switch n.Tag {
	case "!!null":
		return append(b, "null"...)
	case "!!bool":
		return append(b, strings.ToLower(n.Value)...)
	case "!!int", "!!float":
		return o.appendNumber(b, n)
	default:
		return appendText(b, n.Value)
	}
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}

// appendText appends a text, which is UTF-8, or else the file would be refused.
func appendText(b []byte, text string) []byte {
	b, err := jsontext.AppendQuote(b, text)
	if err != nil {
		return append(b, `""`...)
	}
	return b
}

// appendNumber appends a number with the digits that it has. Numbers that not
// everyone reads alike are mistakes, as in the parameters of an intent.
func (o object) appendNumber(b []byte, n *yaml.Node) []byte {
	text := n.Value
	var whole int64
	var fraction float64
	if !jsontext.Value(text).IsValid() {
		switch {
		case n.Decode(&whole) == nil:
			text = strconv.FormatInt(whole, 10)
		case n.Decode(&fraction) == nil:
			text = strconv.FormatFloat(fraction, 'g', -1, 64)
		}
	}
	var value jsontext.Value
	if err := schemas.Unmarshal([]byte(text), &value); err != nil {
		o.mistake(n, "number %s is outside what JSON readers agree on (I-JSON)", clip(n.Value, 40))
		return append(b, '0')
	}
	return append(b, text...)
}
