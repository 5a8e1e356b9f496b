package rules

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
	"go.yaml.in/yaml/v3"
)

// PolicyFiles returns the paths of policy.yaml and of what it includes, as far as
// they are there.
func PolicyFiles(dir fs.FS) ([]string, error) {
	text, err := fs.ReadFile(dir, policyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	notes := &notebook{}
	d := parse(file{path: policyFile, content: text}, notes)
	if d == nil {
		return nil, notes.err()
	}
	paths := []string{policyFile}
	for _, n := range (object{document: d, node: d.root}).texts("include", maxFiles) {
		if checkPath(n.Value) == "" && !slices.Contains(paths, n.Value) {
			if _, err := fs.Stat(dir, n.Value); err == nil {
				paths = append(paths, n.Value)
			}
		}
	}
	return paths, notes.err()
}

// Format returns a file of a policy in the one form that there is for it: keys of
// an entry in the order of the reference, two spaces deep, one blank line where
// there were some, quotes where they are needed, comments where they were. What it
// says stays the same, and formatting it again changes nothing. An error is
// [Mistakes] if the file is not YAML as bundles have it.
func Format(path string, text []byte) ([]byte, error) {
	formatted, comments, err := format(path, text)
	if err != nil {
		return nil, err
	}
	again, kept, err := format(path, formatted)
	switch {
	case err != nil || !sameContent(text, formatted):
		return nil, fmt.Errorf("formatting %s: %w: it would not say the same", path, schemas.ErrInvalid)
	case !slices.Equal(comments, kept):
		return nil, fmt.Errorf("formatting %s: %w: a comment would be lost: put each on a line above what it is about", path, schemas.ErrInvalid)
	case !bytes.Equal(again, formatted):
		return nil, fmt.Errorf("formatting %s: %w: it has no stable form: put each comment on a line above what it is about", path, schemas.ErrInvalid)
	}
	return formatted, nil
}

// format returns the formatted text and the comments in it, sorted.
func format(path string, text []byte) ([]byte, []string, error) {
	notes := &notebook{}
	c := &collection{files: []file{{path: path, content: bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))}}, notes: notes}
	files := c.done()
	if err := notes.err(); err != nil {
		return nil, nil, err
	}
	d := parse(files[0], notes)
	if d == nil {
		return nil, nil, notes.err()
	}
	remarks := readRemarks(d)
	p := &printer{document: d, remarks: remarks}
	p.node(d.root, 0, "")
	for _, line := range remarks.last {
		p.line(0, line)
	}
	return []byte(strings.TrimLeft(p.text.String(), "\n")), remarks.all(), nil
}

// sameContent reports whether two files say the same, but for the order of keys.
func sameContent(a, b []byte) bool {
	var first, second any
	return yaml.Unmarshal(a, &first) == nil && yaml.Unmarshal(b, &second) == nil && fmt.Sprintf("%#v", first) == fmt.Sprintf("%#v", second)
}

// keyOrder is the order of the keys of the entries under a key.
var keyOrder = map[string][]string{
	"risk":       {"id", "actions", "when", "add", "raise", "reason"},
	"thresholds": {"actions", "park_from", "refuse_from", "owner", "rationale"},
	"rules":      {"id", "at", "actions", "when", "raise", "outcome", "reason", "tell"},
	"approvals":  {"id", "actions", "when", "eligible", "quorum", "deadline", "remind"},
	"budgets":    {"id", "actions", "when", "key", "amount", "limit", "window", "calendar", "beyond", "reason", "tell"},
	"standing":   {"id", "actions", "when", "approvals", "uses", "for", "irreversible", "reason"},
	"waivers":    {"check", "about", "reason"},
}

// maxWidth is how long a line with a list or an entry may be.
const maxWidth = 100

// printer writes the nodes of a document.
type printer struct {
	*document
	remarks *remarks
	text    strings.Builder
}

func (p *printer) line(indent int, text string) {
	p.text.WriteString(strings.Repeat(" ", indent) + text + "\n")
}

// node writes a node that begins on a line of its own. Its entries are those of
// the section.
func (p *printer) node(n *yaml.Node, indent int, section string) {
	switch {
	case n.Kind == yaml.MappingNode && len(n.Content) > 0:
		p.mapping(n, indent, "", section)
	case n.Kind == yaml.SequenceNode && len(n.Content) > 0:
		p.sequence(n, indent, section)
	default:
		p.above(n, indent)
		p.line(indent, p.inline(n, false)+p.beside(n))
	}
}

// above writes the comments above a unit, and the blank line before them.
func (p *printer) above(n *yaml.Node, indent int) {
	for _, remark := range p.remarks.above[n] {
		p.line(indent, remark)
	}
}

// beside returns the comment at the end of the line of a unit.
func (p *printer) beside(n *yaml.Node) string {
	if remark := p.remarks.beside[n]; remark != "" {
		return " " + remark
	}
	return ""
}

// mapping writes the keys of a mapping. The first follows what is on its line
// already, if lead is that.
func (p *printer) mapping(n *yaml.Node, indent int, lead, section string) {
	for i, pair := range p.pairs(n, section) {
		key, value := pair[0], pair[1]
		if indent == 0 && section == "" && i > 0 && (value.Kind != yaml.ScalarNode && key.Value != "include" || p.remarks.blank[key]) {
			p.line(0, "")
		}
		start := strings.Repeat(" ", indent)
		if i == 0 && lead != "" {
			start = lead
		} else {
			p.above(key, indent)
		}
		under := section
		if indent == 0 && section == "" {
			under = key.Value
		}
		p.pair(start, key, value, indent, under)
	}
}

// pair writes a key and its value.
func (p *printer) pair(start string, key, value *yaml.Node, indent int, section string) {
	head := start + p.inline(key, false) + ":"
	switch {
	case value.Kind == yaml.ScalarNode && strings.Contains(value.Value, "\n") && p.isBlock(value):
		p.block(head, value, indent, p.beside(key))
	case p.fits(value, len([]rune(head))+1, section):
		p.text.WriteString(head + " " + p.inlineIn(value, section) + p.beside(key) + "\n")
	default:
		p.text.WriteString(head + p.beside(key) + "\n")
		p.node(value, indent+2, section)
	}
}

// fits reports whether a value is written on the line on which it begins.
func (p *printer) fits(n *yaml.Node, column int, section string) bool {
	if n.Kind == yaml.ScalarNode || len(n.Content) == 0 {
		return !p.remarks.inside(n)
	}
	return n.Style&yaml.FlowStyle != 0 && !p.remarks.inside(n) && column+len([]rune(p.inlineIn(n, section))) <= maxWidth
}

func (p *printer) sequence(n *yaml.Node, indent int, section string) {
	for i, item := range n.Content {
		if i > 0 && p.remarks.blank[item] {
			p.line(0, "")
		}
		p.above(item, indent)
		lead := strings.Repeat(" ", indent) + "- "
		switch {
		case item.Kind == yaml.ScalarNode && strings.Contains(item.Value, "\n") && p.isBlock(item):
			p.block(strings.TrimRight(lead, " "), item, indent, p.beside(item))
		case p.fits(item, len(lead), section):
			p.text.WriteString(lead + p.inlineIn(item, section) + p.beside(item) + "\n")
		case item.Kind == yaml.MappingNode:
			p.item(item, indent, lead, section)
		default:
			p.text.WriteString(strings.TrimRight(lead, " ") + p.beside(item) + "\n")
			p.node(item, indent+2, section)
		}
	}
}

// item writes a mapping that is an item. The comment beside it goes above: behind
// its first key it would be about that.
func (p *printer) item(n *yaml.Node, indent int, lead, section string) {
	if remark := p.remarks.beside[n]; remark != "" {
		p.line(indent, remark)
	}
	first := p.pairs(n, section)[0][0]
	p.above(first, indent)
	p.mapping(n, indent+2, lead, section)
}

// pairs returns the keys and values of a mapping in their order.
func (p *printer) pairs(n *yaml.Node, section string) [][2]*yaml.Node {
	var pairs [][2]*yaml.Node
	for i := 0; i < len(n.Content); i += 2 {
		pairs = append(pairs, [2]*yaml.Node{n.Content[i], n.Content[i+1]})
	}
	order := keyOrder[section]
	place := func(pair [2]*yaml.Node) int {
		if i := slices.Index(order, pair[0].Value); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(pairs, func(a, b [2]*yaml.Node) int { return place(a) - place(b) })
	return pairs
}

// inlineIn returns a node on one line, as an entry of a section.
func (p *printer) inlineIn(n *yaml.Node, section string) string {
	if n.Kind != yaml.MappingNode {
		return p.inline(n, false)
	}
	var parts []string
	for _, pair := range p.pairs(n, section) {
		parts = append(parts, p.inline(pair[0], true)+": "+p.inline(pair[1], true))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// inline returns a node on one line, inside a list or a mapping on that line or
// not.
func (p *printer) inline(n *yaml.Node, inside bool) string {
	switch n.Kind {
	case yaml.SequenceNode:
		var parts []string
		for _, item := range n.Content {
			parts = append(parts, p.inline(item, true))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case yaml.MappingNode:
		return p.inlineIn(n, "")
	}
	if n.Tag != "!!str" {
		return n.Value
	}
	return quote(n.Value, inside)
}

// quote returns a text in the plainest form that means it.
func quote(text string, inside bool) string {
	for _, form := range []string{text, `"` + text + `"`, "'" + strings.ReplaceAll(text, "'", "''") + "'"} {
		if means(form, text, inside) {
			return form
		}
	}
	return string(appendText(nil, text))
}

// means reports whether YAML reads a form as the text, in a key, a value and a
// list.
func means(form, text string, inside bool) bool {
	if strings.ContainsAny(form, "\n\t") || form != strings.TrimSpace(form) || form == "" {
		return false
	}
	line := "- " + form + " # x\n"
	if inside {
		line = "[" + form + ", {" + form + ": " + form + "}]\n"
	}
	var root yaml.Node
	if yaml.Unmarshal([]byte(line), &root) != nil || len(root.Content) != 1 || len(root.Content[0].Content) == 0 {
		return false
	}
	is := func(n *yaml.Node) bool { return isText(n) && n.Value == text }
	list := root.Content[0].Content
	if !inside {
		return len(list) == 1 && is(list[0])
	}
	return len(list) == 2 && is(list[0]) && len(list[1].Content) == 2 && is(list[1].Content[0]) && is(list[1].Content[1])
}

// isBlock reports whether a text of several lines can be written as such.
func (p *printer) isBlock(n *yaml.Node) bool {
	var root yaml.Node
	text := "x: " + blockOf(n.Value, 2)
	if yaml.Unmarshal([]byte(text), &root) != nil || len(root.Content) != 1 || len(root.Content[0].Content) != 2 {
		return false
	}
	return root.Content[0].Content[1].Value == n.Value
}

// block writes a text of several lines.
func (p *printer) block(head string, n *yaml.Node, indent int, beside string) {
	header, body, _ := strings.Cut(blockOf(n.Value, indent+2), "\n")
	p.text.WriteString(head + " " + header + beside + "\n" + body)
}

// blockOf returns a text as a literal block with its header.
func blockOf(text string, indent int) string {
	header := "|-"
	switch trimmed := strings.TrimRight(text, "\n"); len(text) - len(trimmed) {
	case 0:
	case 1:
		header = "|"
	default:
		header = "|+"
	}
	var b strings.Builder
	b.WriteString(header + "\n")
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line != "" {
			b.WriteString(strings.Repeat(" ", indent) + line)
		}
		b.WriteString("\n")
	}
	return b.String()
}
