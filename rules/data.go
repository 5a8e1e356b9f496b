package rules

import (
	"errors"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types/ref"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/holdpoint/holdpoint/schemas"
	"go.yaml.in/yaml/v3"
)

// readData returns the documents of a bundle as one value, by their names.
func readData(files []file, notes *notebook) *ordered {
	var names []string
	values := map[string]ref.Val{}
	for _, f := range files {
		name, ok := dataName(f.path, notes)
		if !ok {
			continue
		}
		if _, twice := values[name]; twice {
			notes.file(f.path, "another file is data.%s already", name)
			continue
		}
		names = append(names, name)
		values[name] = readDatum(f, notes)
	}
	return newOrdered(names, values)
}

// dataName returns the name of a data file in expressions, or notes that it can
// have none.
func dataName(path string, notes *notebook) (string, bool) {
	base, ok := strings.CutPrefix(path, dataDir)
	if !ok || strings.HasSuffix(path, ".md") {
		return "", false
	}
	name, extension, _ := strings.Cut(base, ".")
	if extension != "yaml" && extension != "yml" && extension != "json" {
		notes.file(path, "want .yaml or .json directly in %s", dataDir)
		return "", false
	}
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || name == "" || '0' <= name[0] && name[0] <= '9' {
		notes.file(path, "want a name that an expression can say: a-z, 0-9 and _, no digit first")
		return "", false
	}
	return name, true
}

// readDatum returns the content of a data file. If it cannot be read the value
// does not matter: the bundle does not load.
func readDatum(f file, notes *notebook) ref.Val {
	text := f.content
	if !strings.HasSuffix(f.path, ".json") {
		d := parse(f, notes)
		if d == nil {
			return list(nil)
		}
		text = object{document: d}.appendJSON(nil, d.root)
	}
	value, err := decodeJSON(text, nil)
	if err != nil {
		jsonMistake(f, err, notes)
		return list(nil)
	}
	return value
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
