package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// document is one YAML file of a bundle, and where its mistakes go.
type document struct {
	path  string
	lines []string
	root  *yaml.Node
	notes *notebook
}

// parse reads a YAML file. It returns nil, with what is wrong in notes, if
// nothing can be said about the content.
func parse(f file, notes *notebook) *document {
	d := &document{path: f.path, lines: strings.Split(string(f.content), "\n"), notes: notes}
	decoder := yaml.NewDecoder(bytes.NewReader(f.content))
	var root, second yaml.Node
	if err := decoder.Decode(&root); err != nil {
		d.syntax(err)
		return nil
	}
	if err := decoder.Decode(&second); err == nil {
		d.mistake(&second, "want one document in a file")
		return nil
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
		return nil
	}
	if len(root.Content) == 0 {
		d.syntax(io.EOF)
		return nil
	}
	d.root = root.Content[0]
	if !d.check(d.root, 1) {
		return nil
	}
	return d
}

// syntax notes an error of the YAML library, which knows the line at best.
func (d *document) syntax(err error) {
	if errors.Is(err, io.EOF) {
		d.notes.file(d.path, "empty")
		return
	}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		number, what, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			line, text = n, what
		}
	}
	d.mistakeAt(line, 1, "not YAML: "+text)
}

// mistake notes a mistake at a node.
func (d *document) mistake(at *yaml.Node, format string, args ...any) {
	d.mistakeAt(at.Line, at.Column, fmt.Sprintf(format, args...))
}

// mistakeAt notes a mistake at a line and a column, in characters from 1.
func (d *document) mistakeAt(line, column int, text string) { d.notes.add(d.place(line, column, text)) }

// place returns a text about a line and a column as a mistake.
func (d *document) place(line, column int, text string) Mistake {
	m := Mistake{File: d.path, Line: max(1, line), Column: max(1, column), Text: text}
	if m.Line <= len(d.lines) {
		if source := strings.TrimRight(d.lines[m.Line-1], "\r"); utf8.RuneCountInString(source) <= 200 {
			m.Source = oneLine(source)
		}
	}
	return m
}

// check refuses what makes YAML mean more than it says: anchors, aliases and
// tags, keys given twice, keys that are no text, and deep nesting. It returns
// false if reading on would go wrong.
func (d *document) check(n *yaml.Node, depth int) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.mistake(n, "anchors and aliases are refused: say it twice")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		d.mistake(n, "tags such as %s are refused", n.Tag)
		return false
	case depth > maxNesting:
		d.mistake(n, "nested deeper than %d", maxNesting)
		return false
	}
	ok := n.Kind != yaml.MappingNode || d.checkKeys(n)
	for _, child := range n.Content {
		ok = d.check(child, depth+1) && ok
	}
	return ok
}

func (d *document) checkKeys(n *yaml.Node) bool {
	first := make(map[string]int, len(n.Content)/2)
	ok := true
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		switch line, twice := first[key.Value]; {
		case key.Kind == yaml.AliasNode:
		case key.Kind != yaml.ScalarNode || key.Tag != "!!str":
			d.mistake(key, "a key is text: put it in quotes")
			ok = false
		case twice:
			d.mistake(key, "key '%s' is given twice, first in line %d", key.Value, line)
		default:
			first[key.Value] = key.Line
		}
	}
	return ok
}

// isText reports whether n is a text. Quotes make everything one.
func isText(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!str" }

// describe says what n is, in the words of YAML.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!int", n.Tag == "!!float":
		return "a number"
	case n.Tag == "!!bool":
		return "true or false"
	case n.Tag == "!!null":
		return "nothing"
	case n.Tag == "!!timestamp":
		return "a time"
	default:
		return "text"
	}
}
