package rules

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"github.com/holdpoint/holdpoint/schemas"
	"go.yaml.in/yaml/v3"
)

// Allowance is how much the policy lets one standing approval be. The zero value
// allows nothing.
type Allowance struct {
	// ID is the entry of the policy that allows it.
	ID string

	// Uses is how many intents may be released by it, For how long after it was
	// given.
	Uses int
	For  time.Duration

	// Approvals are the ids of those that it gives, nil for all.
	Approvals []string
}

// Covers reports whether a standing approval gives the approval with this id.
func (a Allowance) Covers(approvalID string) bool {
	return a.Approvals == nil || slices.Contains(a.Approvals, approvalID)
}

// Standing reports whether the policy lets a standing approval with the condition
// when approve the intent in f now, and how much of one: the first entry about the
// action counts whose condition holds, and then the condition of the approval must
// hold, too. Whatever fails approves nothing.
func (b *Bundle) Standing(ctx context.Context, f Facts, when string) (Allowance, bool, error) {
	p, ok := b.plans[f.Intent.Action]
	if !ok || len(p.standings) == 0 {
		return Allowance{}, false, nil
	}
	own, err := b.conditions.program(p, when)
	if err != nil {
		return Allowance{}, false, fmt.Errorf("compiling the condition of a standing approval: %w: %s", schemas.ErrInvalid, clip(oneLine(err.Error()), maxFailure))
	}
	ctx, cancel := context.WithTimeout(ctx, b.limits.time())
	defer cancel()
	e := evaluation{vars: b.activation(p, f)}
	for _, s := range p.standings {
		holds, err := e.truth(ctx, s.when)
		if err != nil {
			return Allowance{}, false, fmt.Errorf("evaluating %s: %s", s.ID, clip(oneLine(err.Error()), maxFailure))
		}
		if !holds {
			continue
		}
		if holds, err = e.truth(ctx, own); err != nil {
			return Allowance{}, false, fmt.Errorf("evaluating the condition of a standing approval: %s", clip(oneLine(err.Error()), maxFailure))
		}
		if !holds {
			return Allowance{}, false, nil
		}
		return s.allowance(), true, nil
	}
	return Allowance{}, false, nil
}

// CheckStanding returns how much of a standing approval for an action the policy
// allows, or an [schemas.ErrInvalid] that says why it allows none with this
// condition, of so many uses, for so long.
func (b *Bundle) CheckStanding(a schemas.Action, when string, uses int, lifetime time.Duration) (Allowance, error) {
	p, ok := b.plans[a]
	if !ok {
		return Allowance{}, fmt.Errorf("action %s: %w: the catalog has none of that name%s", a, schemas.ErrInvalid, suggest(string(a), texts(b.actions)))
	}
	if len(p.standings) == 0 {
		return Allowance{}, fmt.Errorf("action %s: %w: the policy allows no standing approvals for it", a, schemas.ErrInvalid)
	}
	if _, err := b.conditions.program(p, when); err != nil {
		return Allowance{}, err
	}
	var allowed []string
	for _, s := range p.standings {
		if uses >= 1 && uses <= s.Uses && lifetime > 0 && lifetime <= s.For {
			return s.allowance(), nil
		}
		allowed = append(allowed, fmt.Sprintf("%s allows 1 to %d uses for up to %s", s.ID, s.Uses, span(s.For)))
	}
	return Allowance{}, fmt.Errorf("%d uses for %s: %w: %s", uses, span(lifetime), schemas.ErrInvalid, strings.Join(allowed[:min(len(allowed), maxIssues)], ", "))
}

func texts[T ~string](words []T) []string {
	var all []string
	for _, w := range words {
		all = append(all, string(w))
	}
	return all
}

// standing is an allowance that can be evaluated. Without when it always applies.
type standing struct {
	Allowance
	when *program
}

func (s *standing) allowance() Allowance {
	a := s.Allowance
	a.Approvals = slices.Clone(a.Approvals)
	return a
}

// standingText is an entry about standing approvals as it is written.
type standingText struct {
	entry
	when         *yaml.Node
	approvals    []*yaml.Node
	allowance    Allowance
	irreversible bool
}

func (p *policy) readStanding(d *document, n *yaml.Node) {
	e, ok := p.entry(d, n, "standing", "when", "approvals", "uses", "for", "irreversible", "reason")
	if !ok {
		return
	}
	e.must("uses", "for")
	t := standingText{
		entry: e, when: e.expression("when"), irreversible: e.boolean("irreversible"),
		approvals: e.texts("approvals", schemas.MaxApprovals),
		allowance: Allowance{ID: e.id, Uses: e.integer("uses", 1, schemas.MaxStandingUses, 0), For: e.duration("for", schemas.MaxStandingFor, 0)},
	}
	if n := e.child("approvals"); n != nil && n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		e.mistake(n, "approvals: name at least one, or leave it out for all")
	}
	for _, a := range t.approvals {
		t.allowance.Approvals = append(t.allowance.Approvals, a.Value)
	}
	p.standings = append(p.standings, t)
}

// asideOfCases reports whether no case can make an entry have a say: standing
// approvals are given while the gate runs.
func (p *policy) asideOfCases(e entry) bool {
	return slices.ContainsFunc(p.standings, func(t standingText) bool { return t.node == e.node })
}

func (c *compiler) standing(t standingText) {
	plans := c.match(t.entry)
	when := c.program(t.entry, t.when, use{conditions, truth, nil}, plans)
	t.checkKnown(when)
	t.checkApprovals(plans)
	t.checkReversible(plans)
	for _, p := range plans {
		p.standings = append(p.standings, &standing{Allowance: t.allowance, when: when.of(p)})
		t.crowded(p, len(p.standings))
	}
}

// checkKnown notes a condition on what nobody knows when a standing approval is
// used, which is at execute: there it would be zero, and allow too much.
func (t standingText) checkKnown(when programs) {
	for _, p := range when {
		if p == nil {
			continue
		}
		a := p.checked.NativeRep()
		ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
			if x.Kind() != ast.IdentKind || x.AsIdent() != "rate" && x.AsIdent() != "risk" {
				return
			}
			line, column := t.locate(t.when, offsetOf(a, x))
			t.mistakeAt(line, column, fmt.Sprintf("%s: the %s is not known when a standing approval is used", t.about, x.AsIdent()))
		}))
		return // the programs of one expression say the same
	}
}

// checkApprovals notes what is no approval about one of the actions.
func (t standingText) checkApprovals(plans []*plan) {
	var known []string
	for _, p := range plans {
		for _, a := range p.approvals {
			known = append(known, a.ID)
		}
	}
	for _, n := range t.approvals {
		if !slices.Contains(known, n.Value) && len(plans) > 0 && !t.notes.full() {
			t.mistake(n, "approvals: no approval '%s' is about %s%s%s", n.Value, plans[0].Name, andMore(len(plans)-1), suggest(n.Value, known))
		}
	}
}

// checkReversible notes actions that cannot be undone, unless the entry says that
// it is for such.
func (t standingText) checkReversible(plans []*plan) {
	final := slices.DeleteFunc(slices.Clone(plans), func(p *plan) bool { return p.Reversible })
	if len(final) > 0 && !t.irreversible {
		t.mistake(t.node, "by the catalog, %s%s cannot be undone: write 'irreversible: true' to allow standing approvals all the same", final[0].Name, andMore(len(final)-1))
	}
}

// standing looks at an entry about standing approvals.
func (l *linter) standing(t standingText) {
	entryIn := func(p *plan) int {
		return slices.IndexFunc(p.standings, func(s *standing) bool { return s.ID == t.id })
	}
	if !l.reachable(t.entry, func(p *plan) []*program { return []*program{p.standings[entryIn(p)].when} }) {
		return
	}
	by := ""
	for _, p := range l.compiler.match(t.entry) {
		at := entryIn(p)
		first := slices.IndexFunc(p.standings[:at], func(s *standing) bool {
			return s.when == nil || !possible(claimOf(p.standings[at].when, true), claimOf(s.when, false))
		})
		if first < 0 {
			return
		}
		by = p.standings[first].ID
	}
	if by != "" {
		l.found(checkShadowed, Warning, t.id, t.saying("whenever it applies, %s does, too, and stands before it", by))
	}
}

// standingConditions compiles the conditions of standing approvals, for the actions
// of one bundle.
type standingConditions struct {
	limits Limits
	data   *documents

	// mu guards what follows. It is held while a condition is compiled, so that many
	// who ask the same at once compile it once.
	mu       sync.Mutex
	base     *environment
	envs     map[*variant]*environment
	compiled map[conditionFor]condition
}

// conditionFor is a condition on actions whose parameters have the same types.
type conditionFor struct {
	variant *variant
	text    string
}

// condition is a condition that was compiled, or why it is none.
type condition struct {
	program *program
	err     error
}

// program returns the program of a condition on an action, nil if there is no
// condition. What cannot be compiled is remembered too.
func (c *standingConditions) program(p *plan, text string) (*program, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > schemas.MaxStandingWhen {
		return nil, fmt.Errorf("when: %w: longer than %d bytes", schemas.ErrInvalid, schemas.MaxStandingWhen)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := conditionFor{p.variant, text}
	if found, ok := c.compiled[key]; ok {
		return found.program, found.err
	}
	env, err := c.environment(p.variant)
	if err != nil {
		return nil, err
	}
	found := condition{err: env.shallow(text)}
	if found.err == nil {
		var issues []issue
		if found.program, issues = env.compile(text, truth, nil); found.program == nil {
			found.err = mistaken(text, issues)
		}
	}
	if c.compiled == nil || len(c.compiled) == maxCompiled {
		c.compiled = map[conditionFor]condition{}
	}
	c.compiled[key] = found
	return found.program, found.err
}

// maxDepth is how deep what stands in a condition may stand in other things. To check
// the types of lists in lists costs the cube of it: seconds for a few hundred bytes.
const maxDepth = 40

// shallow returns an error for a condition that is nested too deeply.
func (e *environment) shallow(text string) error {
	parsed, problems := e.env.Parse(text)
	if problems.Err() != nil {
		return nil // which is said with its place
	}
	deepest := 0
	ast.MatchDescendants(ast.NavigateAST(parsed.NativeRep()), func(x ast.NavigableExpr) bool {
		deepest = max(deepest, x.Depth())
		return false
	})
	if deepest > maxDepth {
		return fmt.Errorf("when: %w: nested more than %d deep", schemas.ErrInvalid, maxDepth)
	}
	return nil
}

// environment returns what a condition on actions of the variant may ask.
func (c *standingConditions) environment(v *variant) (*environment, error) {
	if env, ok := c.envs[v]; ok {
		return env, nil
	}
	if c.base == nil {
		base, err := standingEnvironment(c.limits, c.data)
		if err != nil {
			return nil, err
		}
		c.base, c.envs = base, map[*variant]*environment{}
	}
	env, err := c.base.of(string(v.name), v.shape)
	if err != nil {
		return nil, err
	}
	c.envs[v] = env
	return env, nil
}

const onlyParams = "the condition of a standing approval knows params, agent, action, session, data and now"

// standingEnvironment knows what the condition of a standing approval may depend on,
// but for params: what an intent is, and not what the gate thinks of it.
func standingEnvironment(l Limits, d *documents) (*environment, error) {
	l.Cost = max(1, l.cost()/8) // people from outside write them, and many are tried
	e, err := newEnvironment(environment{
		limits: l,
		data:   d.values,
		absent: map[string]string{
			"goal": noProse, "reason": noProse, "intent": "write params, agent, action or session",
			"risk": onlyParams, "exposure": onlyParams, "rate": onlyParams, "budget": onlyParams, "reviewer": onlyParams,
		},
	},
		native[agentValue]("Agent"), native[actionValue]("Action"),
		cel.Variable("agent", cel.ObjectType("Agent")),
		cel.Variable("action", cel.ObjectType("Action")),
		cel.Variable("session", cel.StringType),
		cel.Variable("now", cel.TimestampType),
	)
	if err != nil {
		return nil, err
	}
	return e.extend("data", d.shape, "data")
}

// mistaken returns what is wrong with a condition, each with its place in it.
func mistaken(text string, issues []issue) error {
	var found Mistakes
	for _, i := range issues {
		if i.check != "" {
			continue
		}
		before := string([]rune(text)[:min(i.offset, len([]rune(text)))])
		line := strings.Count(before, "\n")
		column := len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
		m := Mistake{File: "when", Line: line + 1, Column: column + 1, Text: oneLine(i.text)}
		if source := strings.Split(text, "\n")[line]; utf8.RuneCountInString(source) <= 200 {
			m.Source = oneLine(source)
		}
		found = append(found, m)
	}
	return found
}
