package rules

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
)

// check is what a finding is an instance of. Waivers name it.
type check string

const (
	checkOptional check = "optional-field"
	checkUnnamed  check = "unnamed-field"
	checkValue    check = "impossible-value"
	checkLabel    check = "unknown-label"
	checkAction   check = "unknown-action"
	checkDyn      check = "untyped"
)

// Level says how much a finding matters.
type Level string

// The levels.
const (
	Warning Level = "warning" // something is likely meant otherwise
	Note    Level = "note"    // something cannot be checked
)

// Finding is what the author of a bundle should know, though it loads.
type Finding struct {
	// Check is the kind of the finding, and About the id or the action that it is
	// about: a waiver names both.
	Check string `json:"check"`
	About string `json:"about,omitzero"`
	Level Level  `json:"level"`

	Mistake

	// Waived is the reason of whoever decided that it may stay.
	Waived string `json:"waived,omitzero"`
}

// String returns the finding with its line and a caret under the place.
func (f Finding) String() string {
	head := strings.ToUpper(string(f.Level))
	if f.Waived != "" {
		head = "WAIVED"
	}
	text := fmt.Sprintf("%s: [%s] %s", head, f.Check, f.Place())
	if f.Waived != "" {
		text += "\n | waived: " + f.Waived
	}
	return text
}

// Check loads a bundle as [Load] does, and returns what its author should know
// beside. Whether somebody can give an approval is said only if the seats are
// given.
func Check(ctx context.Context, dir fs.FS, seats []Seat) (*Bundle, []Finding, error) {
	notes := &notebook{}
	files, err := readDir(dir, notes)
	if err != nil {
		return nil, nil, err
	}
	d, err := Limits{}.draft(files, notes)
	if err != nil {
		return nil, nil, err
	}
	b, err := d.bundle()
	if err != nil {
		return nil, nil, err
	}
	d.untyped()
	l := linter{draft: d, seats: seats}
	l.lint(ctx)
	d.waive()
	return b, sortFindings(d.findings), nil
}

// waive marks what somebody decided may stay, and notes decisions about nothing.
func (d *draft) waive() {
	for _, w := range d.policy.waivers {
		used := false
		for i, f := range d.findings {
			if f.Check == w.check && (f.About == w.about || schemas.MatchAction(w.about, schemas.Action(f.About))) {
				d.findings[i].Waived, used = w.reason, true
			}
		}
		if !used {
			place := w.place(w.node.Line, w.node.Column, fmt.Sprintf("waiver: there is nothing of %s about %s to waive", w.check, w.about))
			d.findings = append(d.findings, Finding{Check: string(checkWaiver), About: w.about, Level: Warning, Mistake: place})
		}
	}
}

// untyped notes the parameters and data whose types are not known.
func (d *draft) untyped() {
	for _, name := range d.catalog.order {
		op := d.catalog.operations[name]
		op.shape.untyped("params", func(path, why string) {
			place := op.document.place(op.node.Line, op.node.Column, fmt.Sprintf("%s: %s is dyn: %s", name, path, why))
			d.findings = append(d.findings, Finding{Check: string(checkDyn), About: string(name), Level: Note, Mistake: place})
		})
	}
	for _, name := range d.data.values.keys {
		d.data.shape.fields[name].untyped("data."+name, func(path, why string) {
			place := Mistake{File: d.data.paths[name], Text: fmt.Sprintf("%s is dyn: %s", path, why)}
			d.findings = append(d.findings, Finding{Check: string(checkDyn), About: "data." + name, Level: Note, Mistake: place})
		})
	}
}

// sortFindings orders findings by file and place.
func sortFindings(found []Finding) []Finding {
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(a.Mistake.compare(b.Mistake), cmp.Compare(a.Check, b.Check), cmp.Compare(a.About, b.About))
	})
	return slices.Compact(found)
}
