package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// plan is everything that the policy says about one action, so that the cost of
// an opinion does not depend on what it says about others.
type plan struct {
	Action
	value  any // the action as expressions see it
	schema *jsonschema.Schema
	shape  *shape
	text   []byte

	observe, recommend, execute []*rule

	risks      []*risk
	thresholds []*threshold
	approvals  []*approval
}

// at returns the rules of a checkpoint.
func (p *plan) at(c Checkpoint) []*rule {
	switch c {
	case Observe:
		return p.observe
	case Recommend:
		return p.recommend
	case Execute:
		return p.execute
	default:
		return nil
	}
}

// silent reports whether nothing is said at the checkpoint about the action.
func (p *plan) silent(c Checkpoint) bool {
	return len(p.at(c))+len(p.approvals) == 0 && (c != Recommend || len(p.risks)+len(p.thresholds) == 0)
}

// rule is a rule that can be evaluated. Without when it always applies.
type rule struct {
	id      string
	when    *program
	outcome schemas.Outcome
	reason  string
	tell    string
}

// risk is a contribution to the risk: what add gives, or else points.
type risk struct {
	id     string
	when   *program
	add    *program
	points int
	reason string
}

// threshold says from which risk on an action is parked or refused.
type threshold struct {
	name                 string
	parkFrom, refuseFrom int
	reason               string
}

// approval says who must agree, when it applies.
type approval struct {
	schemas.Approval
	when *program
}

// compiler turns what is written into plans. What is wrong goes into the notes
// of the documents.
type compiler struct {
	rules, eligible *environment

	catalog *catalog
	data    *ordered
	plans   map[schemas.Action]*plan
}

func newCompiler(l Limits, c *catalog, data *ordered) (*compiler, error) {
	rules, err := ruleEnvironment(l)
	if err != nil {
		return nil, err
	}
	eligible, err := eligibleEnvironment(l)
	if err != nil {
		return nil, err
	}
	compiler := &compiler{rules: rules, eligible: eligible, catalog: c, data: data, plans: map[schemas.Action]*plan{}}
	for name, op := range c.operations {
		compiler.plans[name] = &plan{
			Action: op.Action,
			value:  rules.value(newAction(op.Action)),
			schema: op.schema,
			shape:  op.shape,
			text:   op.text,
		}
	}
	return compiler, nil
}

func (c *compiler) compile(p *policy) {
	for _, t := range p.rules {
		c.rule(t)
	}
	for _, t := range p.risks {
		c.risk(t)
	}
	for i, t := range p.thresholds {
		c.threshold(i, t)
	}
	for _, t := range p.approvals {
		c.approval(t)
	}
}

func (c *compiler) rule(t ruleText) {
	plans := c.match(t.entry)
	r := &rule{id: t.id, outcome: t.outcome, reason: t.reason, tell: t.tell}
	r.when = c.program(t.entry, t.when, truth, plans)
	for _, p := range plans {
		switch t.at {
		case Observe:
			p.observe = append(p.observe, r)
		case Recommend:
			p.recommend = append(p.recommend, r)
		case Execute:
			p.execute = append(p.execute, r)
		}
		t.crowded(p, len(p.observe)+len(p.recommend)+len(p.execute))
	}
}

func (c *compiler) risk(t riskText) {
	plans := c.match(t.entry)
	r := &risk{id: t.id, points: t.points, reason: t.reason}
	r.when = c.program(t.entry, t.when, truth, plans)
	r.add = c.program(t.entry, t.add, integer, plans)
	for _, p := range plans {
		p.risks = append(p.risks, r)
		t.crowded(p, len(p.risks))
	}
}

func (c *compiler) threshold(i int, t thresholdText) {
	entry := &threshold{
		// Not a name that an id can have.
		name:       fmt.Sprintf("thresholds/%d", i+1),
		parkFrom:   t.parkFrom,
		refuseFrom: t.refuseFrom,
		reason:     t.reason,
	}
	for _, p := range c.match(t.entry) {
		p.thresholds = append(p.thresholds, entry)
		t.crowded(p, len(p.thresholds))
	}
}

func (c *compiler) approval(t approvalText) {
	plans := c.match(t.entry)
	a := &approval{Approval: t.approval}
	a.when = c.program(t.entry, t.when, truth, plans)
	if t.eligible != nil {
		_, issues := c.eligible.compile(t.eligible.Value, truth)
		t.note(t.eligible, issues)
	}
	for _, p := range plans {
		before := p.places()
		p.approvals = append(p.approvals, a)
		if len(p.approvals) == schemas.MaxApprovals+1 {
			t.mistake(t.node, "more than %d approvals are about %s", schemas.MaxApprovals, p.Name)
		}
		if before <= schemas.MaxVotes && p.places() > schemas.MaxVotes {
			t.mistake(t.node, "the quorums about %s add up to more than %d", p.Name, schemas.MaxVotes)
		}
	}
}

// places is how many votes satisfy all approvals of the action.
func (p *plan) places() int {
	places := 0
	for _, a := range p.approvals {
		places += a.Quorum
	}
	return places
}

// crowded notes the entry that is one too many for an action.
func (e entry) crowded(p *plan, entries int) {
	if entries == maxPerKind+1 {
		e.mistake(e.node, "more than %d entries of this kind are about %s", maxPerKind, p.Name)
	}
}

// match returns the plans of the actions that an entry is about, each once. A
// pattern that matches nothing is a mistake: it is most likely misspelt.
func (c *compiler) match(e entry) []*plan {
	if e.child("actions") == nil {
		return c.matching("*")
	}
	var plans []*plan
	seen := map[*plan]bool{}
	for _, pattern := range e.actions {
		found := c.matching(pattern.Value)
		if len(found) == 0 && c.catalog.readable && !e.notes.full() {
			e.mistake(pattern, "action pattern '%s' matches no action of the catalog%s", pattern.Value, c.nearest(pattern.Value))
		}
		for _, p := range found {
			if !seen[p] {
				plans = append(plans, p)
			}
			seen[p] = true
		}
	}
	return plans
}

// matching returns the plans of the actions that match, in the order of names.
func (c *compiler) matching(pattern string) []*plan {
	if p, ok := c.plans[schemas.Action(pattern)]; ok {
		return []*plan{p}
	}
	if !strings.Contains(pattern, "*") {
		return nil
	}
	var plans []*plan
	for _, name := range c.catalog.order {
		if schemas.MatchAction(pattern, name) {
			plans = append(plans, c.plans[name])
		}
	}
	return plans
}

func (c *compiler) nearest(pattern string) string {
	var candidates []string
	for _, name := range c.catalog.order {
		candidates = append(candidates, string(name))
	}
	for _, system := range c.catalog.systems {
		candidates = append(candidates, system+".*")
	}
	return suggest(pattern, candidates)
}

// program compiles an expression of an entry about the actions of the plans. It
// returns nil if there is none, or if it is mistaken.
func (c *compiler) program(e entry, n *yaml.Node, want gives, plans []*plan) *program {
	if n == nil {
		return nil
	}
	p, issues := c.rules.compile(n.Value, want)
	e.note(n, issues)
	if p == nil {
		return nil
	}
	e.note(n, c.unknownFields(p, plans))
	e.note(n, c.unknownDocuments(p))
	for _, plan := range plans {
		plan.ReadsExposure = plan.ReadsExposure || p.exposure
	}
	return p
}

// note turns the issues of an expression into mistakes at their places.
func (e entry) note(n *yaml.Node, issues []issue) {
	for _, i := range issues {
		line, column := e.locate(n, i.offset)
		e.mistakeAt(line, column, e.about+": "+i.text)
	}
}

// unknownFields finds the parameters that none of the actions can have.
func (c *compiler) unknownFields(p *program, plans []*plan) []issue {
	var issues []issue
	for _, m := range p.fields {
		possible := func(p *plan) bool { return p.shape.has(m.name) }
		if len(plans) == 0 || slices.ContainsFunc(plans, possible) {
			continue
		}
		var names []string
		for _, plan := range plans {
			names = append(names, plan.shape.names()...)
		}
		slices.Sort(names)
		issues = append(issues, issue{m.offset, fmt.Sprintf("undeclared field '%s' of %s%s", m.name, about(plans), suggest(m.name, names))})
	}
	return issues
}

func about(plans []*plan) string {
	if len(plans) == 1 {
		return string(plans[0].Name)
	}
	return fmt.Sprintf("%s and %d more", plans[0].Name, len(plans)-1)
}

// unknownDocuments finds the documents that the bundle does not have.
func (c *compiler) unknownDocuments(p *program) []issue {
	var issues []issue
	for _, m := range p.documents {
		if _, ok := c.data.FindStringKey(m.name); !ok {
			issues = append(issues, issue{m.offset, fmt.Sprintf("undeclared document '%s' of data%s", m.name, suggest(m.name, c.data.keys))})
		}
	}
	return issues
}
