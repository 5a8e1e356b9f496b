package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
	"go.yaml.in/yaml/v3"
)

// variant are the actions whose parameters have the same types. An expression is
// compiled once for each that it is about.
type variant struct {
	name  schemas.Action // of the first of them
	shape *shape
	envs  [purposes]*environment
}

func (c *compiler) variantOf(op *operation) *variant {
	key := op.shape.signature()
	v, ok := c.variants[key]
	if !ok {
		v = &variant{name: op.Name, shape: op.shape}
		c.variants[key] = v
	}
	return v
}

// environment returns the environment of expressions with a purpose about v.
func (c *compiler) environment(k purpose, v *variant) (*environment, error) {
	if v.envs[k] == nil {
		env, err := c.bases[k].of(string(v.name), v.shape)
		if err != nil {
			return nil, err
		}
		v.envs[k] = env
	}
	return v.envs[k], nil
}

// programs are those of one expression.
type programs map[*variant]*program

// site is an expression where it stands.
type site struct {
	entry    entry
	node     *yaml.Node
	programs programs
}

// of returns the program for the action of a plan, or nil if there is none.
func (ps programs) of(p *plan) *program { return ps[p.variant] }

// use is what an expression is for, what it must give, and the condition without
// which it does not run.
type use struct {
	purpose purpose
	want    gives
	given   programs
}

// program compiles an expression of an entry about the actions of the plans. It
// gives no program if there is no expression, or if it is mistaken.
func (c *compiler) program(e entry, n *yaml.Node, u use, plans []*plan) programs {
	if n == nil {
		return nil
	}
	compiled := programs{}
	var said issuesOf
	for _, v := range variantsOf(plans) {
		if c.exhausted(e, n) {
			break
		}
		p, issues := c.compileFor(v, u, n.Value)
		said.add(v, issues)
		compiled[v] = p
		if p != nil && !p.params {
			compiled.share(p, plans) // the same for every action
			break
		}
	}
	e.note(n, said.merged(plans), c.findings)
	c.sites = append(c.sites, site{entry: e, node: n, programs: compiled})
	for _, plan := range plans {
		if p := compiled.of(plan); p != nil {
			plan.ReadsExposure = plan.ReadsExposure || p.exposure
			plan.asksRisk = plan.asksRisk || p.risk
		}
	}
	return compiled
}

// exhausted counts what is checked, and notes the expression that is too much.
func (c *compiler) exhausted(e entry, n *yaml.Node) bool {
	before := c.checked
	c.checked += len(n.Value)
	if before <= maxChecked && c.checked > maxChecked {
		e.mistake(n, "expressions, counted once for each type of params that they are checked with, have more than %d MiB: name fewer actions where params are used", maxChecked>>20)
	}
	return c.checked > maxChecked
}

// share makes p the program for all plans.
func (ps programs) share(p *program, plans []*plan) {
	for _, plan := range plans {
		ps[plan.variant] = p
	}
}

func (c *compiler) compileFor(v *variant, u use, text string) (*program, []issue) {
	env, err := c.environment(u.purpose, v)
	if err != nil {
		return nil, []issue{{text: err.Error()}}
	}
	p, issues := env.compile(text, u.want, u.given[v])
	return p, slices.Concat(issues, c.unknown(p))
}

// variantsOf returns the variants of the plans, or one of which nothing is known.
func variantsOf(plans []*plan) []*variant {
	if len(plans) == 0 {
		return []*variant{{name: "params", shape: newShape()}}
	}
	var variants []*variant
	seen := map[*variant]bool{}
	for _, p := range plans {
		if !seen[p.variant] {
			variants = append(variants, p.variant)
		}
		seen[p.variant] = true
	}
	return variants
}

// issuesOf are the issues of one expression with each of its variants.
type issuesOf []issueOf

type issueOf struct {
	issue
	of []*variant
}

func (s *issuesOf) add(v *variant, issues []issue) {
	for _, i := range issues {
		at := slices.IndexFunc(*s, func(o issueOf) bool { return o.offset == i.offset && o.check == i.check })
		if at < 0 {
			*s = append(*s, issueOf{issue: i})
			at = len(*s) - 1
		}
		o := &(*s)[at]
		if !strings.Contains(o.text, "did you mean") && len(o.of) > 0 && strings.Contains(i.text, "did you mean") {
			o.text = i.text
		}
		o.of = append(o.of, v)
	}
}

// merged returns each issue once. A mistake that is none for some of the actions
// says so.
func (s issuesOf) merged(plans []*plan) []issue {
	var issues []issue
	for _, o := range s {
		failing, holding := 0, 0
		for _, p := range plans {
			if slices.Contains(o.of, p.variant) {
				failing++
			} else {
				holding++
			}
		}
		if o.check == "" && holding > 0 {
			o.text += fmt.Sprintf(" (it must hold for each of %d actions: this is %s%s)", failing+holding, o.of[0].name, andMore(failing-1))
		}
		issues = append(issues, o.issue)
	}
	return issues
}

func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// note turns the issues of an expression into mistakes and findings at their
// places.
func (e entry) note(n *yaml.Node, issues []issue, findings *[]Finding) {
	for _, i := range issues {
		line, column := e.locate(n, i.offset)
		if i.check == "" {
			e.mistakeAt(line, column, e.about+": "+i.text)
			continue
		}
		*findings = append(*findings, Finding{Check: string(i.check), About: e.id, Level: Warning, Mistake: e.place(line, column, e.about+": "+i.text)})
	}
}
