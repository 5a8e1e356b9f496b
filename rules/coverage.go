package rules

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Coverage is what the cases of a bundle exercise of its policy. For each
// condition there are two things to see: that it is true, and that it is false;
// for each entry, that it has a say.
type Coverage struct {
	Seen int   `json:"seen"`
	All  int   `json:"all"`
	Gaps []Gap `json:"gaps"`
}

// Gap is something that no case shows.
type Gap struct {
	Mistake

	// About is the id of the entry.
	About string `json:"about"`
}

// counter counts what the conditions of a policy were, over many evaluations. It
// serves one goroutine.
type counter struct {
	draft  *draft
	tracer tracer
	sites  map[*program]int // in draft.compiler.sites
	seen   []map[int64]*[2]bool
	said   map[string]bool
}

func newCounter(d *draft) *counter {
	n := &counter{draft: d, tracer: tracer{options: cel.OptTrackState}, sites: map[*program]int{}, said: map[string]bool{}}
	for i, s := range d.compiler.sites {
		n.seen = append(n.seen, map[int64]*[2]bool{})
		for _, p := range s.programs {
			if p != nil {
				n.sites[p] = i
			}
		}
	}
	return n
}

// ran implements witness.
func (n *counter) ran(_ context.Context, p *program, vars cel.Activation, _ ref.Val, _ error) {
	at, ok := n.sites[p]
	if !ok {
		return
	}
	value := n.tracer.values(p, vars)
	a := p.checked.NativeRep()
	for _, x := range conditionsOf(a) {
		truth, ok := value(x.ID())
		if b, is := truth.(types.Bool); ok && is {
			n.count(n.seen[at], x.ID(), bool(b))
		}
	}
}

func (n *counter) count(seen map[int64]*[2]bool, id int64, truth bool) {
	if seen[id] == nil {
		seen[id] = &[2]bool{}
	}
	if truth {
		seen[id][1] = true
	} else {
		seen[id][0] = true
	}
}

// conditionsOf returns the whole, if it is true or false, and its parts that are.
func conditionsOf(a *ast.AST) []ast.Expr {
	found := atoms(a)
	if isTruth(a, a.Expr()) && (len(found) != 1 || found[0].ID() != a.Expr().ID()) {
		return append([]ast.Expr{a.Expr()}, found...)
	}
	return found
}

// applied implements witness.
func (n *counter) applied(id string) { n.said[id] = true }

// coverage returns what was seen so far.
func (n *counter) coverage() Coverage {
	c := Coverage{Gaps: []Gap{}}
	for _, e := range n.draft.policy.entriesByID() {
		if n.draft.policy.asideOfCases(e) {
			continue
		}
		c.add(n.said[e.id], e, e.child("id").Line, e.child("id").Column, "no case in which it applies")
	}
	for i, s := range n.draft.compiler.sites {
		if n.draft.policy.asideOfCases(s.entry) {
			continue
		}
		c.addSite(s, n.seen[i])
	}
	slices.SortStableFunc(c.Gaps, func(a, b Gap) int { return a.Mistake.compare(b.Mistake) })
	return c
}

func (c *Coverage) add(seen bool, e entry, line, column int, text string) {
	c.All++
	if seen {
		c.Seen++
		return
	}
	c.Gaps = append(c.Gaps, Gap{About: e.id, Mistake: e.place(line, column, e.about+": "+text)})
}

// addSite counts the conditions of an expression. Those of one variant stand for
// all: they have the same parts.
func (c *Coverage) addSite(s site, seen map[int64]*[2]bool) {
	p := s.first()
	if p == nil {
		return
	}
	a := p.checked.NativeRep()
	for _, x := range conditionsOf(a) {
		was := seen[x.ID()]
		line, column := s.entry.locate(s.node, offsetOf(a, x))
		text := clip(p.write(x), maxReason)
		if was == nil {
			c.All++
			c.add(false, s.entry, line, column, fmt.Sprintf("no case evaluates: %s", text))
			continue
		}
		c.add(was[1], s.entry, line, column, fmt.Sprintf("never true: %s", text))
		c.add(was[0], s.entry, line, column, fmt.Sprintf("never false: %s", text))
	}
}

// first returns one of the programs, always the same.
func (s site) first() *program {
	var first *variant
	for v, p := range s.programs {
		if p != nil && (first == nil || v.name < first.name) {
			first = v
		}
	}
	return s.programs[first]
}

// offsetOf returns where an expression begins.
func offsetOf(a *ast.AST, x ast.Expr) int {
	least := -1
	ast.PreOrderVisit(x, ast.NewExprVisitor(func(e ast.Expr) {
		if r, ok := a.SourceInfo().GetOffsetRange(e.ID()); ok && (least < 0 || int(r.Start) < least) {
			least = int(r.Start)
		}
	}))
	return max(least, 0)
}

// entriesByID returns the entries that have an id, in the order of their ids.
func (p *policy) entriesByID() []entry {
	var entries []entry
	for _, e := range p.ids {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.id, b.id) })
	return entries
}
