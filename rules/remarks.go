package rules

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// remarks are the comments of a document, each with the key or the item that it is
// about: the next that begins below it, or the first that begins on its line.
type remarks struct {
	above  map[*yaml.Node][]string
	beside map[*yaml.Node]string
	last   []string // below everything

	// blank are the keys and items before which, or before whose comments, a line
	// is blank.
	blank map[*yaml.Node]bool
}

// remarkReader finds the comments of a document in its lines.
type remarkReader struct {
	*document
	units []*yaml.Node // keys and items, as they stand

	// within are the lines that are inside a text, and from where on they are not.
	within map[int]int
}

func readRemarks(d *document) *remarks {
	r := &remarkReader{document: d, within: map[int]int{}}
	r.collect(d.root, d.root.Kind == yaml.ScalarNode)
	slices.SortStableFunc(r.units, func(a, b *yaml.Node) int { return a.Line - b.Line })
	found := &remarks{above: map[*yaml.Node][]string{}, beside: map[*yaml.Node]string{}, blank: map[*yaml.Node]bool{}}
	var waiting []string
	blank := false
	for i := range d.lines {
		comment, alone := r.comment(i)
		unit := r.unitOn(i + 1)
		switch {
		case strings.TrimSpace(d.lines[i]) == "" && !r.inText(i):
			blank = true
		case alone:
			waiting = append(waiting, comment)
		case unit != nil:
			found.above[unit], waiting = waiting, nil
			found.blank[unit], blank = blank, false
		}
		if comment != "" && !alone {
			found.put(r.unitBefore(i+1), comment)
		}
	}
	found.last = waiting
	return found
}

// put notes a comment at the end of a line.
func (r *remarks) put(unit *yaml.Node, comment string) {
	switch {
	case unit == nil:
		r.last = append(r.last, comment)
	case r.beside[unit] != "":
		r.above[unit] = append(r.above[unit], comment)
	default:
		r.beside[unit] = comment
	}
}

// all returns every comment, sorted.
func (r *remarks) all() []string {
	all := slices.Clone(r.last)
	for _, comments := range r.above {
		all = append(all, comments...)
	}
	for _, comment := range r.beside {
		all = append(all, comment)
	}
	slices.Sort(all)
	return all
}

// inside reports whether there are comments about a part of n.
func (r *remarks) inside(n *yaml.Node) bool {
	return slices.ContainsFunc(n.Content, func(part *yaml.Node) bool {
		return len(r.above[part]) > 0 || r.beside[part] != "" || r.inside(part)
	})
}

// collect finds the units, and the lines inside texts. Of a key, the value is no
// unit.
func (r *remarkReader) collect(n *yaml.Node, unit bool) {
	if unit {
		r.units = append(r.units, n)
	}
	if n.Kind == yaml.ScalarNode {
		r.text(n)
	}
	for i, part := range n.Content {
		r.collect(part, n.Kind == yaml.SequenceNode || i%2 == 0)
	}
}

// text notes the lines that a scalar covers.
func (r *remarkReader) text(n *yaml.Node) {
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		depth, last := -1, n.Line-1
		for i := n.Line; i < len(r.lines); i++ {
			line := strings.TrimRight(r.lines[i], " ")
			indent := len(line) - len(strings.TrimLeft(line, " "))
			if line != "" && depth < 0 {
				depth = indent
			}
			if line != "" && indent < max(depth, 1) {
				break
			}
			if line != "" || strings.HasSuffix(n.Value, "\n\n") {
				last = i
			}
		}
		for i := n.Line; i <= last; i++ {
			r.within[i] = len(r.lines[i])
		}
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		r.quoted(n)
	}
}

// quoted notes the lines of a text in quotes, and where it ends.
func (r *remarkReader) quoted(n *yaml.Node) {
	quote := byte('\'')
	if n.Style&yaml.DoubleQuotedStyle != 0 {
		quote = '"'
	}
	column := len(string([]rune(r.lines[n.Line-1])[:n.Column-1])) + 1
	for i := n.Line - 1; i < len(r.lines); i++ {
		line := r.lines[i]
		for ; column < len(line); column++ {
			switch {
			case quote == '"' && line[column] == '\\':
				column++
			case line[column] == quote && quote == '\'' && column+1 < len(line) && line[column+1] == quote:
				column++
			case line[column] == quote:
				r.within[i] = max(r.within[i], column+1)
				return
			}
		}
		r.within[i] = len(line)
		column = 0
	}
}

// inText reports whether a line is inside a text altogether.
func (r *remarkReader) inText(i int) bool {
	end, ok := r.within[i]
	return ok && end >= len(r.lines[i])
}

// comment returns the comment in a line, and whether there is nothing else.
func (r *remarkReader) comment(i int) (comment string, alone bool) {
	line := strings.TrimRight(r.lines[i], " \t\r")
	for at := r.within[i]; at < len(line); at++ {
		if line[at] == '#' && (at == 0 || line[at-1] == ' ' || line[at-1] == '\t') {
			return line[at:], strings.TrimSpace(line[:at]) == ""
		}
	}
	return "", false
}

// unitOn returns the first unit that begins on a line, or nil.
func (r *remarkReader) unitOn(line int) *yaml.Node {
	i, ok := slices.BinarySearchFunc(r.units, line, func(n *yaml.Node, line int) int { return n.Line - line })
	if !ok {
		return nil
	}
	return r.units[i]
}

// unitBefore returns the unit that a comment at the end of a line is about: the
// first that begins on it, or the last before.
func (r *remarkReader) unitBefore(line int) *yaml.Node {
	if n := r.unitOn(line); n != nil {
		return n
	}
	i, _ := slices.BinarySearchFunc(r.units, line, func(n *yaml.Node, line int) int { return n.Line - line })
	if i == 0 {
		return nil
	}
	return r.units[i-1]
}
