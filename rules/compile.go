package rules

import (
	"fmt"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// plan is everything that the policy says about one action, so that the cost of
// an opinion does not depend on what it says about others.
type plan struct {
	Action
	value   any // the action as expressions see it
	schema  *jsonschema.Schema
	variant *variant
	text    []byte

	observe, recommend, execute []*rule

	risks      []*risk
	thresholds []*threshold
	approvals  []*approval
	budgets    []*budget
	standings  []*standing

	// asksRisk says that a rule or an approval asks for the risk.
	asksRisk bool
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
	more := len(p.approvals)
	switch c {
	case Recommend:
		more += len(p.risks) + len(p.thresholds)
	case Execute:
		more += len(p.budgets)
	}
	return len(p.at(c))+more == 0
}

// rule is a rule that can be evaluated. Without when and raise it always applies.
type rule struct {
	id      string
	when    *program
	raise   *program
	outcome schemas.Outcome
	reason  string
	tell    string
}

// risk is a contribution to the risk: what add or raise gives, or else points.
type risk struct {
	id     string
	when   *program
	add    *program
	raise  *program
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
// of the documents, and what its author should know into findings.
type compiler struct {
	bases    [purposes]*environment
	eligible *environment

	catalog  *catalog
	plans    map[schemas.Action]*plan
	variants map[string]*variant
	sites    []site
	checked  int // bytes of expressions
	findings *[]Finding
}

func newCompiler(l Limits, c *catalog, d *documents, p *policy, findings *[]Finding) (*compiler, error) {
	compiler := &compiler{catalog: c, plans: map[schemas.Action]*plan{}, variants: map[string]*variant{}, findings: findings}
	var err error
	if compiler.bases, err = ruleEnvironments(l, d, budgetShape(p.budgets)); err != nil {
		return nil, err
	}
	if compiler.eligible, err = eligibleEnvironment(l); err != nil {
		return nil, err
	}
	for _, name := range c.order {
		op := c.operations[name]
		compiler.plans[name] = &plan{
			Action:  op.Action,
			value:   compiler.bases[conditions].value(newAction(op.Action)),
			schema:  op.schema,
			variant: compiler.variantOf(op),
			text:    op.text,
		}
	}
	return compiler, nil
}

func (c *compiler) compile(p *policy) {
	for _, t := range p.budgets {
		c.budget(t)
	}
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
	for _, t := range p.standings { // after the approvals that they name
		c.standing(t)
	}
}

func (c *compiler) rule(t ruleText) {
	plans := c.match(t.entry)
	purpose := conditions
	if t.at == Execute {
		purpose = lateConditions
	}
	when := c.program(t.entry, t.when, use{purpose, truth, nil}, plans)
	raise := c.program(t.entry, t.raise, use{prose, truth, when}, plans)
	c.checkBudgets(t.entry, t.when, when, plans)
	for _, p := range plans {
		r := &rule{id: t.id, outcome: t.outcome, reason: t.reason, tell: t.tell, when: when.of(p), raise: raise.of(p)}
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
	when := c.program(t.entry, t.when, use{weights, truth, nil}, plans)
	add := c.program(t.entry, t.add, use{weights, integer, when}, plans)
	raise := c.program(t.entry, t.raise, use{prose, integer, when}, plans)
	for _, p := range plans {
		r := &risk{id: t.id, points: t.points, reason: t.reason, when: when.of(p), add: add.of(p), raise: raise.of(p)}
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
	when := c.program(t.entry, t.when, use{conditions, truth, nil}, plans)
	if t.eligible != nil {
		_, issues := c.eligible.compile(t.eligible.Value, truth, nil)
		t.note(t.eligible, issues, c.findings)
	}
	for _, p := range plans {
		before := p.places()
		p.approvals = append(p.approvals, &approval{Approval: t.approval, when: when.of(p)})
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
