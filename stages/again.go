package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// Again decides once more what the stages decided on an intent: by their code, from
// its records alone, and without streams. What comes of it must be the bytes that
// are on record.
//
// Times, rates, freezes and what observe took an agent for exposed to are on record
// as they were, and are taken from there. That a reviewer said yes, or an agent
// asked for something, needs no deciding. It may be used concurrently.
type Again struct {
	// Policy returns the bundle with that digest.
	Policy func(ctx context.Context, digest schemas.Digest) (Policy, error)

	Eligibility Eligibility

	// Registered knows who was registered when. If nil, records are taken at their
	// word: their agent was, and so was who voted or was granted something.
	Registered Registered

	// Copied says that the times of records are when AUDIT copied them.
	Copied bool
}

// Registered returns the identity of a name, and whether it was registered at that
// time. It is not known if CONTROL, as far as it was read, never speaks of it.
type Registered func(name schemas.Name, at time.Time) (id schemas.Identity, was, known bool)

// Redecision is what came of deciding once more on what a record says.
type Redecision struct {
	Record  schemas.Pointer `json:"record"`
	Subject string          `json:"subject"`

	// Same says that the record is what was decided again, byte for byte. Otherwise
	// Differs is the first difference, or Cannot why it was not decided again.
	Same    bool        `json:"same"`
	Differs *Difference `json:"differs,omitempty"`
	Cannot  string      `json:"cannot,omitzero"`

	// Given is what was taken from the records because there was nothing to hold it
	// against.
	Given []string `json:"given,omitempty"`

	// Asked is what the rules were asked for this decision, Before what they were
	// asked for decisions before it that still count. Partial says that there was
	// more, which is not known.
	Asked   []Asked `json:"-"`
	Before  []Asked `json:"-"`
	Partial bool    `json:"-"`
}

func (r *Redecision) give(what string) {
	if !slices.Contains(r.Given, what) {
		r.Given = append(r.Given, what)
	}
}

// Asked is a checkpoint that was asked, by which bundle, over which facts, and what
// it said.
type Asked struct {
	Bundle  schemas.Digest
	At      rules.Checkpoint
	Facts   rules.Facts
	Opinion schemas.Opinion
}

// registrySlack is how far the clock of a stage may be off that of CONTROL: within that, it
// may have known of a registration or a removal, or not.
const registrySlack = 10 * time.Second

// Decide decides again on every record among records that a stage decided on: what
// was observed, recommended, put on hold, settled and granted. The others are what
// it goes by: all records of one intent and of what these name, in any order.
func (a Again) Decide(ctx context.Context, records []schemas.Record) []Redecision {
	d := a.dossier(records)
	var all []Redecision
	for _, stream := range []schemas.Stream{schemas.Observed, schemas.Recommended, schemas.ParkedHolds, schemas.Settled, schemas.Grants} {
		for _, r := range d.records[stream] {
			all = append(all, d.decide(ctx, r))
		}
	}
	for i := range all {
		d.recollect(all, &all[i])
	}
	return all
}

// decide decides again on one record. Where it hangs on clocks who was registered,
// either is right.
func (d *dossier) decide(ctx context.Context, r schemas.Record) Redecision {
	said := Redecision{Record: r.Pointer(), Subject: r.Subject}
	t, err := d.retrial(r)
	var cannot cannotError
	if errors.As(err, &cannot) {
		said.Cannot = cannot.Error()
		return said
	}
	if err != nil {
		said.Differs = &Difference{Recorded: "what cannot be read: " + err.Error(), Decided: "something"}
		return said
	}
	for i, as := range d.suppositions(t) {
		one := d.attempt(ctx, t, as)
		unread := said.Cannot != "" && as == supposed{budgets: asTaken} // budgets, perhaps
		if i == 0 || one.Same || unread && one.Differs != nil {
			said = one
		}
		if said.Same {
			break
		}
	}
	switch {
	case said.Differs == nil:
	case slices.ContainsFunc(t.failed, rules.TookTooLong):
		said.Differs, said.Cannot = nil, tookTooLong.Error()
	case said.Differs.Path == "" && d.guesses(t.voters):
		said.Differs, said.Cannot = nil, unknownVoter.Error()
	case said.Differs.Path == "" && t.record.Stream == schemas.ParkedHolds && slices.ContainsFunc(t.voters, schemas.Vote.InAdvance):
		said.Differs, said.Cannot = nil, unsaidStanding.Error()
	case t.silent && said.Differs.byRules() && d.readsExposure(ctx, t):
		said.Differs, said.Cannot = nil, unsaidExposure.Error()
	}
	return said
}

// readsExposure reports whether rules of the action look at what its agent was exposed
// to.
func (d *dossier) readsExposure(ctx context.Context, t *retrial) bool {
	p, err := d.policy(ctx, t.bundle)
	if err != nil || p == nil {
		return false
	}
	action, known := p.Action(t.intent.Action)
	return known && action.ReadsExposure
}

// supposed is what is taken for true: of who is registered, that they were that much
// earlier or later, and that an agent of which nothing else is known declares its
// sessions; and how budgets stood.
type supposed struct {
	off      time.Duration
	sessions string
	budgets  books
}

// books are how budgets stood when an intent was judged.
type books uint8

const (
	asNamed      books = iota // as in the records that are named
	withoutShare              // the same, before the intent took its share
	asTaken                   // as the hold says: of others it is not known which were refused
)

// suppositions returns what may have been so when a record was written.
func (d *dossier) suppositions(t *retrial) []supposed {
	all := []supposed{{}}
	if d.Registered != nil {
		all = append(all, supposed{off: -registrySlack}, supposed{off: registrySlack})
	}
	if _, known := d.registered(t.intent.Agent, t.at); !known {
		all = append(all, supposed{sessions: schemas.SessionsDeclared})
	}
	switch takes := slices.ContainsFunc(t.inputs, func(p schemas.Pointer) bool { return p.Stream == schemas.Budgets }); {
	case len(t.taken) > 0:
		return slices.Concat(all, withBudgets(all, asTaken))
	case takes:
		return slices.Concat(withBudgets(all, withoutShare), all)
	}
	return all
}

func withBudgets(all []supposed, budgets books) []supposed {
	all = slices.Clone(all)
	for i := range all {
		all[i].budgets = budgets
	}
	return all
}

// registered returns the identity of a name if it is known who was registered.
func (d *dossier) registered(name schemas.Name, at time.Time) (tenure, bool) {
	if d.Registered == nil {
		return tenure{}, false
	}
	id, was, known := d.Registered(name, at)
	return tenure{id, was}, known
}

// tenure is an identity, and whether it was registered at a time.
type tenure struct {
	schemas.Identity
	was bool
}

// attempt decides with what is supposed.
func (d *dossier) attempt(ctx context.Context, t *retrial, as supposed) Redecision {
	said := Redecision{Record: t.record.Pointer(), Subject: t.record.Subject}
	policy, missing := d.policy(ctx, t.bundle) // which matters only if it is asked
	desk, log, err := d.desk(ctx, t, policy, as, &said)
	if err == nil {
		err = t.decide(ctx, desk)
	}
	var cannot cannotError
	switch {
	case log != nil && log.wrote != nil:
		said.Differs = differ(t.record, *log.wrote)
		said.Same = said.Differs == nil
	case ctx.Err() != nil:
		said.Cannot = ctx.Err().Error()
	case errors.As(err, &cannot):
		said.Cannot = cannot.Error()
	case errors.Is(err, errNoPolicy) && missing != nil:
		said.Cannot = missing.Error()
	case errors.Is(err, errNoPolicy):
		said.Differs = &Difference{Path: "/bundle", Recorded: "none", Decided: "the rules would have been asked"}
	case err != nil:
		said.Differs = &Difference{Recorded: t.record.Subject, Decided: err.Error()}
	default:
		said.Differs = &Difference{Recorded: t.record.Subject, Decided: "nothing"}
	}
	return said
}

// desk is the stages as they were when a record was written, with a log that has what
// they read then and takes what they would write.
type desk struct {
	observe   *Observe
	recommend *Recommend
	execute   *Execute
}

func (d *dossier) desk(ctx context.Context, t *retrial, p Policy, as supposed, said *Redecision) (desk, *recalled, error) {
	log, err := d.recall(t, as.budgets)
	if err != nil {
		return desk{}, nil, err
	}
	names := &formerly{dossier: d, at: t.at.Add(as.off), sessions: as.sessions, without: t.unregistered, by: said}
	control, err := d.control(ctx, t, names)
	if err != nil {
		return desk{}, nil, err
	}
	if p != nil {
		control.bundles.Add(1, schemas.Activation{Bundle: t.bundle}, "")
		control.policy = overheard{p, said}
	}
	common := Common{Gateway: d.gateway, Log: log, Control: control, Names: names, Now: func() time.Time { return t.at }}
	eligibility := d.Eligibility
	if d.guesses(t.voters) {
		eligibility = everyone{}
	}
	execute := &Execute{
		Common: common, Bell: mute{}, Eligibility: eligibility, Health: well{},
		Index: NewIndex(common.Now), Limits: DefaultLimits(),
	}
	if as.budgets == asTaken {
		execute.takings = toldBooks{t}
		said.give("what others had taken of budgets")
	}
	return desk{
		observe:   &Observe{Common: common, Exposures: t.exposure},
		recommend: &Recommend{Common: common},
		execute:   execute,
	}, log, nil
}

// control is what CONTROL said when a record was written, as far as the record
// says so, but for the active bundle.
func (d *dossier) control(ctx context.Context, t *retrial, names Directory) (*ControlState, error) {
	c := NewControlState(names)
	c.patience = 0
	if t.shadow != "" {
		p, err := d.policy(ctx, t.shadow)
		if err != nil {
			return nil, err
		}
		c.wanted, c.shadow = t.shadow, p
	}
	in := t.intent
	for _, s := range []schemas.Scope{{All: true}, {Agent: in.Agent}, {Action: in.Action}, {System: in.Action.System()}} {
		if t.waiting == frozenBy(s) {
			c.freezes[s] = schemas.Freeze{Scope: s}
		}
	}
	return c, nil
}

// policy returns the bundle with that digest, or nil for none.
func (d *dossier) policy(ctx context.Context, digest schemas.Digest) (Policy, error) {
	if digest == "" {
		return nil, nil
	}
	p, err := d.Policy(ctx, digest)
	if err == nil && p.Digest() != digest {
		err = fmt.Errorf("bundle %s: %w: what is there is %s", digest.Short(), schemas.ErrInvalid, p.Digest().Short())
	}
	if err != nil {
		return nil, cannotError(fmt.Sprintf("its rules are not to be had: %v", err))
	}
	return p, nil
}

// recollect notes what was asked for decisions before one that counts for it, too.
// Those stand before it.
func (d *dossier) recollect(all []Redecision, of *Redecision) {
	recommendation, hold := d.basis(of.Record)
	h, err := d.holdIn(hold)
	switch {
	case err != nil: // there is none
	case len(of.Asked) == 0 || of.Asked[0].Bundle == h.Bundle:
		of.recall(all, hold)
		return
	case len(h.Recommended) == 0:
		return
	}
	for _, p := range recommendation {
		of.recall(all, p)
	}
}

// recall adds what was asked for the decision that p names, and before it.
func (r *Redecision) recall(all []Redecision, p schemas.Pointer) {
	i := slices.IndexFunc(all, func(one Redecision) bool { return one.Record == p })
	if i < 0 || all[i].Cannot != "" && len(all[i].Asked) == 0 {
		r.Partial = true
		return
	}
	for _, a := range slices.Concat(all[i].Before, all[i].Asked) {
		if !slices.ContainsFunc(r.Before, a.same) {
			r.Before = append(r.Before, a)
		}
	}
	r.Partial = r.Partial || all[i].Partial
}

// same reports whether two asked the same.
func (a Asked) same(b Asked) bool {
	return a.Bundle == b.Bundle && a.At == b.At && a.Facts.Now.Equal(b.Facts.Now)
}
