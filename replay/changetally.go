package replay

import (
	"cmp"
	"maps"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// maxToldApart is how many rules, or approvals, of the history are told apart. Those
// of one bundle are far fewer.
const maxToldApart = 20_000

// changeTally counts what would have ended otherwise.
type changeTally struct {
	config  BacktestConfig
	report  BacktestReport
	moves   map[move]*Move
	aparts  map[string]int
	actions map[schemas.Action]*ActionChange
	strange int // actions among them that the catalog does not have
	rules   map[ruleKey]*RuleChange
	old     map[ruleKey]*RuleChange
	days    map[int64]*Day
	load    map[needKey]*needs
	held    followed

	// failed is the error with which Changed ended the backtest.
	failed error
}

type move struct{ was, would schemas.Outcome }

// needs is one approval, and how many votes it needs on each day.
type needs struct {
	Asked
	days map[int64]*Pair
}

func newChangeTally(cfg BacktestConfig) *changeTally {
	return &changeTally{
		config:  cfg,
		report:  BacktestReport{Bundle: cfg.Bundle.Digest()},
		moves:   map[move]*Move{},
		aparts:  map[string]int{},
		actions: map[schemas.Action]*ActionChange{},
		rules:   map[ruleKey]*RuleChange{},
		old:     map[ruleKey]*RuleChange{},
		days:    map[int64]*Day{},
		load:    map[needKey]*needs{},
		held:    newFollowed(maxWindow),
	}
}

// apart counts an intent that is not compared.
func (t *changeTally) apart(why string) { t.aparts[why]++ }

// count counts an intent of which both verdicts are known.
func (t *changeTally) count(c Case) {
	r := &t.report
	r.Intents++
	if r.From.IsZero() || c.At.Before(r.From) {
		r.From = c.At
	}
	if c.At.After(r.To) {
		r.To = c.At
	}
	if c.Guessed {
		r.Guessed++
	}
	r.Was.add(c.Old.Outcome)
	r.Would.add(c.New.Outcome)
	a := t.action(c.Action)
	a.Shift.add(&c)
	a.Was.add(c.Old.Outcome)
	a.Would.add(c.New.Outcome)
	shiftRules(t.old, c.Old, &c)
	shiftRules(t.rules, c.New, &c)
	t.day(&c)
	t.moved(c)
}

// moved notes the change of an intent, if there is one.
func (t *changeTally) moved(c Case) {
	key := move{c.Old.Outcome, c.New.Outcome}
	m := t.moves[key]
	if m == nil {
		m = &Move{Was: key.was, Would: key.would}
		t.moves[key] = m
	}
	m.Intents++
	if m.Was == m.Would {
		return
	}
	t.report.Otherwise++
	if len(m.Examples) < t.config.Examples {
		m.Examples = append(m.Examples, c)
	}
	if t.config.Changed != nil && t.failed == nil {
		t.failed = t.config.Changed(c)
	}
}

// action returns the tally of an action. Agents may have asked for any that are in
// no catalog; these are counted as one when they become too many.
func (t *changeTally) action(name schemas.Action) *ActionChange {
	if at := t.actions[name]; at != nil {
		return at
	}
	if _, known := t.config.Bundle.Action(name); !known {
		if t.strange == maxStrange {
			name = anyAction
		} else {
			t.strange++
		}
	}
	at := t.actions[name]
	if at == nil {
		at = &ActionChange{Action: name}
		t.actions[name] = at
	}
	return at
}

// shiftRules counts an intent for each rule that decided. A fate without any is one
// that the catalog decided, or that is not on record.
func shiftRules(all map[ruleKey]*RuleChange, f Fate, c *Case) {
	by := f.By
	if len(by) == 0 {
		by = []By{{Reason: unruled(f)}}
	}
	for _, b := range by {
		key := ruleKey{b.Rule, f.Outcome, b.Failed}
		if b.Rule == "" {
			key.rule = "\x00" + b.Reason // why there is none is all that is known
		}
		r := all[key]
		if r == nil {
			if len(all) == maxToldApart {
				continue
			}
			r = &RuleChange{Rule: b.Rule, Outcome: f.Outcome, Reason: b.Reason, Failed: b.Failed}
			all[key] = r
		}
		r.Shift.add(c)
	}
}

// unruled says what decided where no rule is named.
func unruled(f Fate) string {
	switch {
	case f.Code == schemas.CodeUnknownAction:
		return "not in the catalog"
	case f.Code == schemas.CodeInvalid:
		return "parameters are not what the catalog wants"
	case f.Outcome == schemas.Refuse:
		return "a rule of execute, which is not on record"
	default:
		return "not on record"
	}
}

// day counts what reviewers have to do.
func (t *changeTally) day(c *Case) {
	at := dayOf(c.At)
	d := t.days[at]
	if d == nil {
		d = &Day{Day: dayName(at)}
		t.days[at] = d
	}
	d.Intents++
	t.ask(at, &c.Old, &d.Parked.Was, &d.Votes.Was, func(p *Pair) *int { return &p.Was })
	t.ask(at, &c.New, &d.Parked.Would, &d.Votes.Would, func(p *Pair) *int { return &p.Would })
}

// ask counts what a parked intent needs, on one side of pairs.
func (t *changeTally) ask(day int64, f *Fate, parked, votes *int, side func(*Pair) *int) {
	if f.Outcome != schemas.Park {
		return
	}
	*parked++
	*votes += schemas.Places(f.Needs)
	for _, a := range f.Needs {
		key := needKey{f.Queue, a.ID, a.Quorum}
		n := t.load[key]
		if n == nil {
			if len(t.load) == maxToldApart {
				continue
			}
			n = &needs{Asked: Asked{Queue: f.Queue, Approval: a.ID, Quorum: max(1, a.Quorum)}, days: map[int64]*Pair{}}
			t.load[key] = n
		}
		if n.days[day] == nil {
			n.days[day] = &Pair{}
		}
		*side(&n.Parked)++
		*side(&n.Votes) += n.Quorum
		today := side(n.days[day])
		*today += n.Quorum
		*side(&n.Most) = max(*side(&n.Most), *today)
	}
}

// finish returns what was counted, in order.
func (t *changeTally) finish() BacktestReport {
	r := t.report
	t.held.finish()
	for key, m := range t.moves {
		m.Then = sorted(t.held.ends[key])
		r.Changes = append(r.Changes, *m)
	}
	slices.SortFunc(r.Changes, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.rank(), a.rank()), cmp.Compare(b.Intents, a.Intents), cmp.Compare(a.Was, b.Was), cmp.Compare(a.Would, b.Would))
	})
	r.Apart = sorted(t.aparts)
	for _, a := range t.actions {
		r.Actions = append(r.Actions, *a)
	}
	slices.SortFunc(r.Actions, func(a, b ActionChange) int {
		return cmp.Or(a.Shift.compare(b.Shift), cmp.Compare(a.Action, b.Action))
	})
	r.Rules, r.OldRules = mostChanged(t.rules), mostChanged(t.old)
	for _, day := range slices.Sorted(maps.Keys(t.days)) {
		r.Days = append(r.Days, *t.days[day])
	}
	for _, n := range t.load {
		r.Load = append(r.Load, n.Asked)
	}
	slices.SortFunc(r.Load, func(a, b Asked) int {
		return cmp.Or(cmp.Compare(b.Votes.Was+b.Votes.Would, a.Votes.Was+a.Votes.Would), cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Approval, b.Approval), cmp.Compare(a.Quorum, b.Quorum))
	})
	return r
}

// rank puts what would be released before what is looser otherwise, that before what
// is stricter, and what stays as it is last.
func (m Move) rank() int {
	switch {
	case m.Was == m.Would:
		return 0
	case !m.Looser():
		return 1
	case m.Would != schemas.Release:
		return 2
	default:
		return 3
	}
}

// compare orders what changes most first.
func (s Shift) compare(o Shift) int {
	return cmp.Or(cmp.Compare(o.Looser+o.Stricter, s.Looser+s.Stricter), cmp.Compare(o.Intents, s.Intents))
}

// sorted returns what was counted, what there is most of first.
func sorted(counts map[string]int) []Apart {
	var all []Apart
	for why, n := range counts {
		all = append(all, Apart{why, n})
	}
	slices.SortFunc(all, func(a, b Apart) int {
		return cmp.Or(cmp.Compare(b.Intents, a.Intents), cmp.Compare(a.Why, b.Why))
	})
	return all
}

func mostChanged(all map[ruleKey]*RuleChange) []RuleChange {
	var rules []RuleChange
	for _, r := range all {
		rules = append(rules, *r)
	}
	slices.SortFunc(rules, func(a, b RuleChange) int {
		return cmp.Or(a.Shift.compare(b.Shift), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Reason, b.Reason))
	})
	return rules
}
