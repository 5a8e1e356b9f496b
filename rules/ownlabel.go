package rules

import (
	"slices"
	"strconv"

	"github.com/holdpoint/holdpoint/schemas"
)

// checkOwnLabel is about a rule at execute that holds because of the very release
// that it lets through: an agent counts as exposed to what an action gives it from
// the release on, and the rule is asked again at the claim.
const checkOwnLabel check = "own-label"

// ownLabel notes a rule at execute under which what is released can never be claimed.
func (l *linter) ownLabel(t ruleText) {
	if t.at != Execute {
		return
	}
	for _, p := range l.compiler.match(t.entry) {
		r := entryOf(p.execute, t.id, func(r *rule) string { return r.id })
		if len(p.Labels) > 0 && r.stopsOwn(p) {
			l.found(checkOwnLabel, Warning, t.id, t.saying("%s exposes the agent to that itself, from its release on: then this rule holds at the claim, and the release lapses", p.Name))
			return
		}
	}
}

// stopsOwn reports whether r holds only after p was released, and stops it then. A
// rule that parks stops only what was released without a person.
func (r *rule) stopsOwn(p *plan) bool {
	applies := slices.Concat(claimOf(r.when, true), claimOf(r.raise, true))
	if possible(applies, traces(p, false)) || !possible(applies, traces(p, true)) {
		return false
	}
	return r.outcome == schemas.Refuse || slices.ContainsFunc(p.recommend, func(release *rule) bool {
		when := claimOf(release.when, true)
		for i := range when {
			when[i].stale = true
		}
		return release.outcome == schemas.Release && possible(when, applies)
	})
}

// traces claims that the exposure has all that p leaves there, or nothing of it.
func traces(p *plan, there bool) []claim {
	all := []claim{{key: strconv.Quote(string(p.Name)) + " in exposure.actions", truth: there}}
	for _, label := range p.Labels {
		all = append(all, claim{key: exposedTo(label)[0].key, truth: there})
	}
	return all
}
