package replay

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// maxStrange is how many actions are told apart that may not be in the
	// catalog.
	maxStrange = 1000

	// maxBusiest is how many sessions are named.
	maxBusiest = 10
)

// Tally counts verdicts. Its size depends on the bundle and not on how much it has
// counted. It is not safe for concurrent use.
type Tally struct {
	report   Report
	sessions *sessions
	actions  map[schemas.Action]*ActionTally
	strange  int // actions among them that may not be in the catalog
	rules    map[ruleKey]*RuleTally
	stuck    map[ruleKey]*RuleTally
	quiet    map[string]bool // rules that have not applied
	more     bool            // rules may have applied that are not told
	needs    map[needKey]int
	refusals map[refusalKey]*RefusalTally
	days     map[int64]*DayTally
}

type (
	ruleKey struct {
		rule    string
		outcome schemas.Outcome
		failed  bool
	}
	needKey struct {
		queue    schemas.Name
		approval string
		quorum   int
	}
	refusalKey struct {
		code   schemas.Code
		action schemas.Action
	}
)

// NewTally returns a Tally of verdicts by a bundle, or by one that is not known if
// it is nil.
func NewTally(bundle *rules.Bundle) *Tally {
	t := &Tally{
		actions:  map[schemas.Action]*ActionTally{},
		rules:    map[ruleKey]*RuleTally{},
		stuck:    map[ruleKey]*RuleTally{},
		needs:    map[needKey]int{},
		refusals: map[refusalKey]*RefusalTally{},
		days:     map[int64]*DayTally{},
		quiet:    map[string]bool{},
	}
	if bundle != nil {
		t.report.Bundle = bundle.Digest()
		for _, id := range bundle.Rules() {
			t.quiet[id] = true
		}
	}
	t.sessions = newSessions(maxSessions, t.endSession)
	return t
}

// Enter returns the session of c, and gives c its number in it if the log has
// none. Calls enter in the order of the log.
func (t *Tally) Enter(c *Call) *Session { return t.sessions.of(c) }

// Bad counts a line that is no call.
func (t *Tally) Bad() { t.report.BadLines++ }

// Count counts the verdict on c, a call of the session of.
func (t *Tally) Count(of *Session, c Call, v Verdict) {
	t.report.Totals.add(v.Outcome)
	of.tally.Totals.add(v.Outcome)
	t.action(c.Action, v.Code).add(v.Outcome)
	if v.Outcome == schemas.Refuse && len(v.By) == 0 {
		t.refusal(c, v)
	}
	for _, b := range v.By {
		countRule(t.rules, b, v.Outcome)
		delete(t.quiet, b.Rule)
	}
	for _, b := range v.Stuck {
		countRule(t.stuck, b, v.Outcome)
		delete(t.quiet, b.Rule)
	}
	for _, id := range v.Applied {
		delete(t.quiet, id)
	}
	t.more = t.more || v.More
	for _, a := range v.Needs {
		t.needs[needKey{v.Queue, a.ID, a.Quorum}]++
	}
	if !c.Time.IsZero() {
		t.day(c.Time, v)
	}
}

// day counts a call on its day.
func (t *Tally) day(at time.Time, v Verdict) {
	day := dayOf(at)
	d := t.days[day]
	if d == nil {
		d = &DayTally{Day: dayName(day)}
		t.days[day] = d
	}
	d.Calls++
	if v.Outcome == schemas.Park {
		d.Parked++
		d.Votes += schemas.Places(v.Needs)
	}
}

// dayOf returns the day of a moment, counted, and dayName how it is written.
func dayOf(at time.Time) int64 {
	return at.Truncate(24*time.Hour).Unix() / int64(24*time.Hour/time.Second)
}

func dayName(day int64) string {
	return time.Unix(day*int64(24*time.Hour/time.Second), 0).UTC().Format(time.DateOnly)
}

// action returns the tally of the action of a call. Actions that may not be in the
// catalog are counted as one when they become too many.
func (t *Tally) action(name schemas.Action, code schemas.Code) *ActionTally {
	strange := code != "" && code != schemas.CodePolicy
	if strange && t.actions[name] == nil && t.strange == maxStrange {
		name = anyAction
	}
	at := t.actions[name]
	if at == nil {
		at = &ActionTally{Action: name}
		t.actions[name] = at
		if strange && name != anyAction {
			t.strange++
		}
	}
	at.Unknown = at.Unknown || code == schemas.CodeUnknownAction
	return at
}

// anyAction stands for the actions that are not told apart.
const anyAction schemas.Action = "*.*"

func countRule(all map[ruleKey]*RuleTally, b By, outcome schemas.Outcome) {
	key := ruleKey{b.Rule, outcome, b.Failed}
	if all[key] == nil {
		all[key] = &RuleTally{Rule: b.Rule, Outcome: outcome, Reason: b.Reason, Failed: b.Failed}
	}
	all[key].Calls++
}

// refusal counts a refusal that no rule is behind. That an action is unknown is in
// the tally of the action.
func (t *Tally) refusal(c Call, v Verdict) {
	if v.Code == schemas.CodeUnknownAction {
		return
	}
	key := refusalKey{v.Code, c.Action}
	if t.refusals[key] == nil && len(t.refusals) >= maxStrange {
		key.action = anyAction
	}
	if t.refusals[key] == nil {
		t.refusals[key] = &RefusalTally{Code: v.Code, Action: key.action, Line: c.Line.String(), Detail: v.Detail}
	}
	t.refusals[key].Calls++
}

func (t *Tally) endSession(s *Session) {
	all := &t.report.Sessions
	all.Sessions++
	switch {
	case s.tally.Parked == 0 && s.tally.Refused == 0:
		all.Free++
	case s.tally.Parked > 0:
		all.Parked++
	default:
		all.Refused++
	}
	if s.tally.Cut {
		all.Cut++
	}
	if s.tally.Parked > 0 {
		all.Busiest = append(all.Busiest, s.tally)
		slices.SortStableFunc(all.Busiest, func(a, b SessionTally) int { return b.Parked - a.Parked })
		all.Busiest = all.Busiest[:min(len(all.Busiest), maxBusiest)]
	}
}

// Report ends all sessions and returns what was counted.
func (t *Tally) Report() Report {
	t.sessions.endSilent(0)
	r := t.report
	for _, a := range t.actions {
		r.Actions = append(r.Actions, *a)
	}
	slices.SortFunc(r.Actions, func(a, b ActionTally) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Action, b.Action))
	})
	if !t.more {
		r.Quiet = slices.Sorted(maps.Keys(t.quiet))
	}
	r.Rules, r.Stuck = busiest(t.rules), busiest(t.stuck)
	for k, n := range t.needs {
		r.Needs = append(r.Needs, NeedTally{Queue: k.queue, Approval: k.approval, Quorum: k.quorum, Calls: n, Votes: n * max(1, k.quorum)})
	}
	slices.SortFunc(r.Needs, func(a, b NeedTally) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Approval, b.Approval), cmp.Compare(a.Quorum, b.Quorum))
	})
	for _, day := range slices.Sorted(maps.Keys(t.days)) {
		r.Days = append(r.Days, *t.days[day])
	}
	for _, f := range t.refusals {
		r.Refusals = append(r.Refusals, *f)
	}
	slices.SortFunc(r.Refusals, func(a, b RefusalTally) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Action, b.Action))
	})
	return r
}

func busiest(all map[ruleKey]*RuleTally) []RuleTally {
	var rules []RuleTally
	for _, r := range all {
		rules = append(rules, *r)
	}
	slices.SortFunc(rules, func(a, b RuleTally) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Outcome, b.Outcome))
	})
	return rules
}
