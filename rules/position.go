package rules

import (
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// locate returns where in the file the character at offset of the text of a
// scalar stands, or the place behind the last one if nothing stands there.
//
// In every style that YAML has, a text and its form in the file have the same
// characters in the same order, apart from white space (indentation, folding)
// and escapes: so the two are walked side by side. Should they differ after all,
// as with the rarer escapes, it is the place where the scalar begins.
func (d *document) locate(n *yaml.Node, offset int) (line, column int) {
	r := d.reader(n)
	for i, want := range []rune(n.Value) {
		if blank(want) && i < offset {
			continue
		}
		if blank(want) {
			break
		}
		got, ok := r.next()
		switch {
		case !ok || got != want:
			return n.Line, n.Column
		case i == offset:
			return r.line, r.column
		}
	}
	if r.line == 0 {
		return n.Line, n.Column
	}
	return r.line, r.column + 1
}

// blank reports whether YAML may add or drop the character between others.
func blank(c rune) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// reader walks a scalar in its file.
type reader struct {
	lines        []string
	style        yaml.Style
	line, column int // where the character stands that next returned
	index        int // of the line that is read
	rest         string
	ahead        int // column of rest
}

// reader returns a reader that stands before the first character of n: behind
// the quote, or in the line below the header of a block.
func (d *document) reader(n *yaml.Node) *reader {
	r := &reader{lines: d.lines, style: n.Style, index: n.Line - 1}
	skip := n.Column - 1
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		r.index, skip = n.Line, 0
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		skip++
	}
	r.begin()
	for range skip {
		r.take()
	}
	return r
}

func (r *reader) begin() {
	r.rest, r.ahead = "", 1
	if r.index < len(r.lines) {
		r.rest = r.lines[r.index]
	}
}

// take returns the next character of the file: a line break at the end of each
// line, and zero at the end of the last.
func (r *reader) take() rune {
	if r.index >= len(r.lines) {
		return 0
	}
	if r.rest == "" {
		r.index++
		r.begin()
		return '\n'
	}
	c, size := utf8.DecodeRuneInString(r.rest)
	r.rest = r.rest[size:]
	r.ahead++
	return c
}

// next returns the next character of the text that is not blank.
func (r *reader) next() (rune, bool) {
	for {
		line, column := r.index+1, r.ahead
		c := r.take()
		switch {
		case c == 0:
			return 0, false
		case c == '\'' && r.style&yaml.SingleQuotedStyle != 0:
			r.take() // the second of two quotes that mean one
		case c == '\\' && r.style&yaml.DoubleQuotedStyle != 0:
			c = r.escape()
		}
		if !blank(c) {
			r.line, r.column = line, column
			return c, true
		}
	}
}

// escape returns what the escape sequence means whose backslash was read.
func (r *reader) escape() rune {
	switch c := r.take(); c {
	case 'n', 't', 'r':
		return ' '
	case 'x':
		return r.code(2)
	case 'u':
		return r.code(4)
	case 'U':
		return r.code(8)
	default:
		return c
	}
}

func (r *reader) code(digits int) rune {
	var number []rune
	for range digits {
		number = append(number, r.take())
	}
	code, err := strconv.ParseUint(string(number), 16, 31)
	if err != nil {
		return utf8.RuneError
	}
	return rune(code)
}
