package rules

import (
	"slices"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
	"go.yaml.in/yaml/v3"
)

// Checkpoint is where a rule is asked. There are three, with different
// knowledge. The zero value is none of them: it parks.
type Checkpoint uint8

// The checkpoints.
const (
	Observe Checkpoint = iota + 1
	Recommend
	Execute
)

func (c Checkpoint) String() string {
	switch c {
	case Observe:
		return "observe"
	case Recommend:
		return "recommend"
	case Execute:
		return "execute"
	default:
		return "nowhere"
	}
}

// entry is what the entries of a policy have in common, as it is written.
type entry struct {
	object
	id      string
	actions []*yaml.Node // patterns; none means every action
	reason  string
}

// expression returns the text of an expression, or nil if there is none.
func (e entry) expression(key string) *yaml.Node {
	n := e.child(key)
	if n != nil && (n.Kind != yaml.ScalarNode || n.Tag == "!!null" || strings.TrimSpace(n.Value) == "") {
		e.mistake(n, "%s: want an expression, this is %s", key, describe(n))
		return nil
	}
	return n
}

// ruleText is a rule as it is written.
type ruleText struct {
	entry
	at          Checkpoint
	when, raise *yaml.Node
	outcome     schemas.Outcome
	tell        string
}

// riskText is a risk as it is written. Without add and raise, it adds points.
type riskText struct {
	entry
	when, add, raise *yaml.Node
	points           int
}

// thresholdText is a threshold as it is written. Levels that it does not have
// are never.
type thresholdText struct {
	entry
	parkFrom, refuseFrom int
	owner, rationale     string
}

// waiver is the decision that findings of a kind may stay.
type waiver struct {
	object
	check, about string // about may be a pattern of actions
	reason       string
}

// highest is the largest sum of contributions, never a level above it.
const (
	highest = maxRisk * maxPerKind
	never   = highest + 1
)

// approvalText is an approval as it is written.
type approvalText struct {
	entry
	when, eligible *yaml.Node
	approval       schemas.Approval
}

// policy is everything that a policy and the files that it includes say, in
// order.
type policy struct {
	rules      []ruleText
	risks      []riskText
	thresholds []thresholdText
	approvals  []approvalText
	budgets    []budgetText
	standings  []standingText
	waivers    []waiver

	// ids are the entries by id: each names one thing.
	ids map[string]entry

	entries int
}

// read reads one file of a policy and returns the files that it includes.
func (p *policy) read(d *document) []*yaml.Node {
	known := []string{"version", "include", "risk", "thresholds", "rules", "approvals", "budgets", "standing", "waivers"}
	if d.path != policyFile {
		known = slices.DeleteFunc(known, func(key string) bool { return key == "include" })
	}
	o, ok := d.object(d.root, "", known...)
	if !ok {
		return nil
	}
	o.version()
	p.each(o, "risk", p.readRisk)
	p.each(o, "thresholds", p.readThreshold)
	p.each(o, "rules", p.readRule)
	p.each(o, "approvals", p.readApproval)
	p.each(o, "budgets", p.readBudget)
	p.each(o, "standing", p.readStanding)
	p.each(o, "waivers", p.readWaiver)
	if d.path != policyFile {
		return nil
	}
	return o.texts("include", maxFiles)
}

// each reads the entries of a list.
func (p *policy) each(o object, key string, read func(*document, *yaml.Node)) {
	for _, n := range o.items(key) {
		if p.entries++; p.entries == maxEntries+1 {
			o.mistake(n, "the policy has more than %d entries", maxEntries)
		}
		if p.entries <= maxEntries {
			read(o.document, n)
		}
	}
}

// entry reads what all entries have, and more keys.
func (p *policy) entry(d *document, n *yaml.Node, about string, more ...string) (entry, bool) {
	o, ok := d.object(n, about, append([]string{"id", "actions"}, more...)...)
	if !ok {
		return entry{}, false
	}
	e := entry{object: o}
	o.must("id", "actions")
	e.actions = o.patterns()
	e.id = o.text("id", maxReason)
	e.reason = o.text("reason", maxReason)
	p.register(e)
	return e, true
}

// register refuses an id that cannot be one, and one that is taken.
func (p *policy) register(e entry) {
	n := e.child("id")
	if n == nil || !isText(n) {
		return
	}
	if !isID(e.id) {
		e.mistake(n, "id: want 1 to 64 of a-z, 0-9 and -, no - first")
		return
	}
	if first, taken := p.ids[e.id]; taken {
		e.mistake(n, "id '%s' is taken by %s in %s:%d", e.id, first.about, first.path, first.child("id").Line)
		return
	}
	p.ids[e.id] = e
}

func isID(id string) bool {
	const characters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	return id != "" && len(id) <= 64 && id[0] != '-' && strings.Trim(id, characters) == ""
}

// patterns returns the patterns of actions that can be patterns.
func (o object) patterns() []*yaml.Node {
	n := o.child("actions")
	if n != nil && n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		o.mistake(n, "actions: name at least one, '*' for all")
	}
	var patterns []*yaml.Node
	for _, pattern := range o.texts("actions", maxPatterns) {
		if schemas.ParsePattern(pattern.Value) != nil {
			o.mistake(pattern, "action pattern '%s': want <system>.<operation>, <system>.* or *", pattern.Value)
			continue
		}
		patterns = append(patterns, pattern)
	}
	return patterns
}

func (p *policy) readRule(d *document, n *yaml.Node) {
	e, ok := p.entry(d, n, "rule", "at", "when", "raise", "outcome", "reason", "tell")
	if !ok {
		return
	}
	e.must("at", "outcome")
	r := ruleText{entry: e, when: e.expression("when"), raise: e.expression("raise"), tell: e.text("tell", maxTell)}
	switch e.word("at", "observe", "recommend", "execute") {
	case "observe":
		r.at = Observe
	case "recommend":
		r.at = Recommend
	case "execute":
		r.at = Execute
	}
	// A word that is not known leaves the outcome at park, and is a mistake.
	_ = r.outcome.UnmarshalText([]byte(e.word("outcome", "release", "park", "refuse")))
	if r.outcome == schemas.Release && r.at != Recommend && r.at != 0 {
		e.mistake(e.child("outcome"), "only a rule at recommend releases: at %s, rules park or refuse", r.at)
	}
	if r.outcome == schemas.Release && r.raise != nil {
		e.mistake(r.raise, "raise: prose releases nothing: a rule with raise parks or refuses")
	}
	p.rules = append(p.rules, r)
}

func (p *policy) readRisk(d *document, n *yaml.Node) {
	e, ok := p.entry(d, n, "risk", "when", "add", "raise", "reason")
	if !ok {
		return
	}
	r := riskText{entry: e, when: e.expression("when"), add: e.expression("add"), raise: e.expression("raise")}
	if (e.child("add") == nil) == (e.child("raise") == nil) {
		e.mistake(n, "want 'add', or 'raise' for what may ask for the agent's prose")
	}
	if r.add != nil && r.add.Tag == "!!int" {
		r.add, r.points = nil, e.integer("add", 0, maxRisk, 0)
	}
	p.risks = append(p.risks, r)
}

func (p *policy) readThreshold(d *document, n *yaml.Node) {
	o, ok := d.object(n, "threshold", "actions", "park_from", "refuse_from", "owner", "rationale")
	if !ok {
		return
	}
	t := thresholdText{
		entry:      entry{object: o, actions: o.patterns()},
		parkFrom:   o.integer("park_from", 0, highest, never),
		refuseFrom: o.integer("refuse_from", 0, highest, never),
	}
	switch park, refuse := o.child("park_from"), o.child("refuse_from"); {
	case park == nil && refuse == nil:
		o.mistake(n, "'park_from' or 'refuse_from' is missing")
	case park != nil && refuse != nil && t.refuseFrom < t.parkFrom:
		o.mistake(refuse, "refuse_from: lower than park_from, which then never counts")
	}
	t.owner, t.rationale = o.text("owner", maxOwner), o.text("rationale", maxRationale)
	t.reason = thresholdReason(t.owner, t.rationale)
	p.thresholds = append(p.thresholds, t)
}

// thresholdReason is as much of who set a threshold, and why, as a record takes.
func thresholdReason(owner, rationale string) string {
	reason := "risk threshold"
	if owner != "" {
		reason += " of " + owner
	}
	if rationale != "" {
		reason += ": " + rationale
	}
	return clip(oneLine(reason), maxReason)
}

func (p *policy) readApproval(d *document, n *yaml.Node) {
	e, ok := p.entry(d, n, "approval", "when", "eligible", "quorum", "deadline", "remind")
	if !ok {
		return
	}
	a := approvalText{entry: e, when: e.expression("when"), eligible: e.expression("eligible")}
	deadline := e.duration("deadline", maxDeadline, 0)
	remind := e.duration("remind", maxDeadline, 0)
	if deadline > 0 && remind >= deadline {
		e.mistake(e.child("remind"), "remind: not before the deadline")
	}
	a.approval = schemas.Approval{
		ID:       e.id,
		Quorum:   e.integer("quorum", 1, schemas.MaxVotes, 1),
		Deadline: schemas.Seconds(deadline / time.Second),
		Remind:   schemas.Seconds(remind / time.Second),
	}
	if a.eligible != nil {
		a.approval.Eligible = strings.TrimSpace(a.eligible.Value)
		if size := encodedSize(a.approval.Eligible); size > maxEligible {
			e.mistake(a.eligible, "eligible: %d bytes as JSON, at most %d", size, maxEligible)
		}
	}
	p.approvals = append(p.approvals, a)
}

func (p *policy) readWaiver(d *document, n *yaml.Node) {
	o, ok := d.object(n, "waiver", "check", "about", "reason")
	if !ok {
		return
	}
	o.must("check", "about", "reason")
	var known []string
	for _, c := range checks {
		known = append(known, string(c))
	}
	w := waiver{object: o, check: o.word("check", known...), about: o.text("about", maxReason), reason: o.text("reason", maxRationale)}
	if n := o.child("reason"); n != nil && isText(n) && w.reason == "" {
		o.mistake(n, "reason: say why it may stay")
	}
	p.waivers = append(p.waivers, w)
}
