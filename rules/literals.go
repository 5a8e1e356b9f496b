package rules

import (
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"github.com/holdpoint/holdpoint/schemas"
)

// unknown finds the labels and actions that an expression asks the exposure for
// and that the catalog does not have: it would never find them.
func (c *compiler) unknown(p *program) []issue {
	if p == nil || !p.exposure {
		return nil
	}
	s := survey{program: p, ast: p.checked.NativeRep()}
	ast.PreOrderVisit(s.ast.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if args := callOf(e, operators.In); args != nil {
			switch pathOf(args[1]) {
			case "exposure.labels":
				c.unknownLabel(&s, args[0])
			case "exposure.actions":
				c.unseen(&s, args[0])
			}
		}
		if args := callOf(e, sawFunction); args != nil {
			c.unseen(&s, args[1])
		}
	}))
	return s.issues
}

func (c *compiler) unknownLabel(s *survey, e ast.Expr) {
	label, ok := textOf(e)
	if ok && !c.catalog.labels[label] {
		known := make([]string, 0, len(c.catalog.labels))
		for l := range c.catalog.labels {
			known = append(known, l)
		}
		slices.Sort(known)
		s.warn(checkLabel, s.offset(e), "no action exposes an agent to '%s'%s", label, suggest(label, known))
	}
}

// unseen notes an action that exposes an agent to nothing: it is not remembered.
func (c *compiler) unseen(s *survey, e ast.Expr) {
	pattern, ok := textOf(e)
	if !ok {
		return
	}
	found := c.matching(pattern)
	switch {
	case len(found) == 0:
		s.warn(checkAction, s.offset(e), "no action of the catalog is '%s'%s", pattern, c.nearest(pattern))
	case !slices.ContainsFunc(found, func(p *plan) bool { return len(p.Labels) > 0 }):
		s.warn(checkAction, s.offset(e), "%s has no labels, so that nobody remembers who was given its result", schemas.Action(pattern))
	}
}
