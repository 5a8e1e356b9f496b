package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
)

// Mistake is one thing that must be changed before a bundle loads.
type Mistake struct {
	// File is the path in the bundle; empty if the mistake is about the whole.
	File string `json:"file,omitzero"`

	// Line and Column count characters from 1. They are zero if the mistake is
	// about the file as a whole.
	Line   int `json:"line,omitzero"`
	Column int `json:"column,omitzero"`

	// Text says what is wrong and, if there is one, what to write instead.
	Text string `json:"text"`

	// Source is the line. It is empty if it is too long to print.
	Source string `json:"source,omitzero"`
}

// String returns the mistake with its line and a caret under the place.
func (m Mistake) String() string { return "ERROR: " + m.Place() }

// Place returns the mistake as String does, without saying that it is one.
func (m Mistake) Place() string {
	switch {
	case m.File == "":
		return m.Text
	case m.Line == 0:
		return fmt.Sprintf("%s: %s", m.File, m.Text)
	}
	head := fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.Text)
	if m.Source == "" {
		return head
	}
	shown := strings.TrimLeft(m.Source, " ")
	before := max(0, m.Column-1-(len(m.Source)-len(shown)))
	return head + "\n | " + shown + "\n | " + strings.Repeat(".", before) + "^"
}

// compare orders mistakes by file, in the order in which a person reads them, and
// place.
func (m Mistake) compare(other Mistake) int {
	return cmp.Or(cmp.Compare(rank(m.File), rank(other.File)), cmp.Compare(m.File, other.File),
		cmp.Compare(m.Line, other.Line), cmp.Compare(m.Column, other.Column))
}

// Mistakes is everything that is wrong with a bundle, in the order of its files
// and lines. It is an [schemas.ErrInvalid].
type Mistakes []Mistake

func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes Mistakes an ErrInvalid.
func (Mistakes) Unwrap() error { return schemas.ErrInvalid }

// maxMistakes is how many are reported: a reader who has more has one.
const maxMistakes = 100

// notebook collects mistakes.
type notebook struct {
	found Mistakes
	more  int
}

// full reports whether more mistakes are only counted.
func (n *notebook) full() bool { return len(n.found) == 10*maxMistakes }

func (n *notebook) add(m Mistake) {
	if n.full() {
		n.more++
		return
	}
	m.Text = oneLine(m.Text)
	n.found = append(n.found, m)
}

// file notes a mistake about a file as a whole, or about the bundle.
func (n *notebook) file(path, format string, args ...any) {
	n.add(Mistake{File: path, Text: fmt.Sprintf(format, args...)})
}

// err returns what was found, in order, or nil.
func (n *notebook) err() error {
	if len(n.found) == 0 {
		return nil
	}
	slices.SortStableFunc(n.found, Mistake.compare)
	found := slices.CompactFunc(n.found, func(a, b Mistake) bool { return a == b })
	if more := len(found) - maxMistakes + n.more; more > 0 {
		found = append(found[:maxMistakes:maxMistakes], Mistake{Text: fmt.Sprintf("and %d more", more)})
	}
	return found
}

// rank puts the files in the order in which a person reads them.
func rank(path string) int {
	switch path {
	case "":
		return 0
	case catalogFile:
		return 1
	case policyFile:
		return 2
	default:
		return 3
	}
}
