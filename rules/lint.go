package rules

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	checkUnreachable check = "unreachable"
	checkShadowed    check = "shadowed"
	checkUngated     check = "ungated"
	checkUntrusted   check = "untrusted-write"
	checkEligible    check = "nobody-eligible"
	checkThreshold   check = "unowned-threshold"
	checkSilent      check = "never-released"
	checkWaiver      check = "stale-waiver"
)

// checks are those that a waiver may name.
var checks = []check{
	checkOptional, checkUnnamed, checkValue, checkLabel, checkAction, checkDyn,
	checkUnreachable, checkShadowed, checkUngated, checkUntrusted, checkEligible, checkThreshold, checkSilent, checkOwnLabel,
}

// untrusted is the label of what anybody may have written.
const untrusted = "untrusted"

// Seat is a reviewer and the queues whose holds they see.
type Seat struct {
	Reviewer
	Queues []schemas.Name
}

// linter looks for what a policy is likely not meant to do.
type linter struct {
	*draft
	seats []Seat
}

func (l *linter) lint(ctx context.Context) {
	for _, t := range l.policy.rules {
		l.rule(t)
	}
	for _, t := range l.policy.risks {
		l.reachable(t.entry, func(p *plan) []*program {
			return []*program{entryOf(p.risks, t.id, func(r *risk) string { return r.id }).when}
		})
	}
	for _, t := range l.policy.approvals {
		l.reachable(t.entry, func(p *plan) []*program {
			return []*program{entryOf(p.approvals, t.id, func(a *approval) string { return a.ID }).when}
		})
		l.eligible(ctx, t)
	}
	for _, t := range l.policy.budgets {
		l.reachable(t.entry, func(p *plan) []*program {
			return []*program{entryOf(p.budgets, t.id, func(b *budget) string { return b.ID }).when}
		})
	}
	for _, t := range l.policy.standings {
		l.standing(t)
	}
	for i, t := range l.policy.thresholds {
		l.threshold(i, t)
	}
	for _, name := range l.catalog.order {
		l.action(l.compiler.plans[name])
	}
}

// entryOf returns the entry with the id. It is there: the plan is about it.
func entryOf[T any](entries []*T, id string, idOf func(*T) string) *T {
	i := slices.IndexFunc(entries, func(e *T) bool { return idOf(e) == id })
	return entries[i]
}

// found notes a finding at a place of an entry.
func (l *linter) found(c check, level Level, about string, place Mistake) {
	l.findings = append(l.findings, Finding{Check: string(c), About: about, Level: level, Mistake: place})
}

// saying returns a text about an entry, at its id or where it begins.
func (e entry) saying(format string, args ...any) Mistake {
	n := e.node
	if id := e.child("id"); id != nil {
		n = id
	}
	return e.place(n.Line, n.Column, e.about+": "+fmt.Sprintf(format, args...))
}

// reachable notes an entry whose conditions never hold, and reports whether they
// can.
func (l *linter) reachable(e entry, when func(*plan) []*program) bool {
	plans := l.compiler.match(e)
	for _, p := range plans {
		var claims []claim
		for _, program := range when(p) {
			claims = append(claims, claimOf(program, true)...)
		}
		if possible(claims) {
			return true
		}
	}
	if len(plans) > 0 {
		l.found(checkUnreachable, Warning, e.id, e.saying("it never applies: its condition contradicts itself, or the schema"))
	}
	return len(plans) == 0
}

func (l *linter) rule(t ruleText) {
	ruleIn := func(p *plan) *rule { return entryOf(p.at(t.at), t.id, func(r *rule) string { return r.id }) }
	if !l.reachable(t.entry, func(p *plan) []*program { return []*program{ruleIn(p).when, ruleIn(p).raise} }) {
		return
	}
	l.ownLabel(t)
	by := ""
	for _, p := range l.compiler.match(t.entry) {
		stricter := shadow(p.at(t.at), ruleIn(p))
		if stricter == nil {
			return
		}
		by = stricter.id
	}
	if by != "" {
		l.found(checkShadowed, Warning, t.id, t.saying("whenever it applies, %s does, too, and is stricter", by))
	}
}

// shadow returns a stricter rule that applies whenever r does, or nil.
func shadow(rules []*rule, r *rule) *rule {
	for _, s := range rules {
		stricter := s.outcome != r.outcome && schemas.Strictest(s.outcome, r.outcome) == s.outcome
		if stricter && s.raise == nil && !possible(claimOf(r.when, true), claimOf(r.raise, true), negation(s)) {
			return s
		}
	}
	return nil
}

func (l *linter) threshold(i int, t thresholdText) {
	var missing []string
	if t.owner == "" {
		missing = append(missing, "owner")
	}
	if t.rationale == "" {
		missing = append(missing, "rationale")
	}
	if len(missing) > 0 {
		l.found(checkThreshold, Warning, fmt.Sprintf("thresholds/%d", i+1), t.saying("it has no %s: nobody can say whether it is still right", strings.Join(missing, " and no ")))
	}
}

// action looks at everything that is said about one action.
func (l *linter) action(p *plan) {
	op := l.catalog.operations[p.Name]
	at := func(format string, args ...any) Mistake {
		return op.document.place(op.node.Line, op.node.Column, fmt.Sprintf("%s: ", p.Name)+fmt.Sprintf(format, args...))
	}
	releases := slices.DeleteFunc(slices.Clone(p.recommend), func(r *rule) bool {
		return r.outcome != schemas.Release || !possible(claimOf(r.when, true))
	})
	switch {
	case len(releases) == 0:
		l.found(checkSilent, Note, string(p.Name), at("no rule releases it: each intent waits for a person"))
	case p.Effect == EffectWrite && l.ungated(p, releases):
		l.found(checkUngated, Warning, string(p.Name), at("it changes something, and each intent is released: nothing gates it"))
	case p.Effect == EffectWrite && l.catalog.labels[untrusted]:
		if r := released(p, releases); r != nil {
			l.found(checkUntrusted, Warning, string(p.Name), at("%s releases it although the agent may have been given what is %s: only a rule at execute sees that for certain", r.id, untrusted))
		}
	}
}

// ungated reports whether each intent is released.
func (l *linter) ungated(p *plan, releases []*rule) bool {
	always := slices.ContainsFunc(releases, func(r *rule) bool { return !possible(negation(r)) })
	if !always || len(p.budgets) > 0 || len(p.thresholds) > 0 && len(p.risks) > 0 {
		return false
	}
	for _, at := range []Checkpoint{Observe, Recommend, Execute} {
		for _, r := range p.at(at) {
			if r.outcome != schemas.Release && possible(claimOf(r.when, true), claimOf(r.raise, true)) {
				return false
			}
		}
	}
	return true
}

// released returns a rule that releases the action after the agent was given
// something untrusted, or nil.
func released(p *plan, releases []*rule) *rule {
	var held []claim
	for _, at := range []Checkpoint{Observe, Recommend, Execute} {
		for _, r := range p.at(at) {
			if r.outcome == schemas.Release || r.raise != nil {
				continue
			}
			for _, c := range negation(r) {
				c.stale = at != Execute
				held = append(held, c)
			}
		}
	}
	for _, r := range releases {
		claims := claimOf(r.when, true)
		for i := range claims {
			claims[i].stale = true
		}
		if possible(exposedTo(untrusted), claims, held) {
			return r
		}
	}
	return nil
}

// eligible notes an approval that too few of the known reviewers can give.
func (l *linter) eligible(ctx context.Context, t approvalText) {
	var e Eligibility
	for _, p := range l.compiler.match(t.entry) {
		persons := map[string]bool{}
		for _, s := range l.seats {
			if !slices.Contains(s.Queues, p.Queue) {
				continue
			}
			if yes, err := e.Eligible(ctx, t.approval.Eligible, s.Reviewer, schemas.AgentFacts{}, p.Name); yes && err == nil {
				persons[s.Person] = true
			}
		}
		if l.seats != nil && len(persons) < t.approval.Quorum {
			l.found(checkEligible, Warning, t.id, t.saying("of those who see the queue %s, %d can give it for %s, and it needs %d", p.Queue, len(persons), p.Name, t.approval.Quorum))
			return
		}
	}
}
