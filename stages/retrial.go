package stages

import (
	"context"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// retrial is what it takes to decide again on what a record says.
type retrial struct {
	record schemas.Record
	intent schemas.Intent
	at     time.Time

	// bundle and shadow are what the rules were taken from, waiting the freeze that
	// the record speaks of.
	bundle, shadow schemas.Digest
	waiting        string

	// inputs are records that it names as what it was decided by, stood what else
	// stood in the streams that matters.
	inputs []schemas.Pointer
	stood  []schemas.Record

	exposure     given          // as observe saw it
	unregistered bool           // as the record says of the agent
	voters       []schemas.Vote // whose registration it hangs on
	failed       []schemas.Match
	taken        []schemas.Taken
	silent       bool // it is a hold without inputs

	decide func(context.Context, desk) error
}

// Why something is not decided again.
const (
	afterPanic   cannotError = "a process failed on it"
	ofDoubt      cannotError = "it is about what became of its execution, which no rule decides"
	ofTarget     cannotError = "a withdrawal follows from what had become of the intent that it is about"
	ofOtherID    cannotError = "its id was used for another intent, which decided it"
	ofOthers     cannotError = "how many intents of its agent waited is on no record"
	withoutTrail cannotError = "its trail does not lead to what it was decided on"
	tookTooLong  cannotError = "a rule took too long then"
	unknownVoter cannotError = "which votes count hangs on who is registered, which is not known here; an auditor knows"

	// A standing approval counts by the rules of that moment, and until it is revoked.
	unsaidStanding cannotError = "by which rules a standing approval counted is not on record"

	// Gates before these inputs were written down.
	unsaidExposure cannotError = "what its agent was exposed to is not on record"
	unsaidBundle   cannotError = "which bundle it goes by is not on record"
)

// retrial returns what it takes to decide again on r, a cannotError, or why r
// cannot be read.
func (d *dossier) retrial(r schemas.Record) (*retrial, error) {
	switch r.Stream {
	case schemas.Observed:
		return d.observed(r)
	case schemas.Recommended:
		return d.recommended(r)
	case schemas.ParkedHolds:
		return d.held(r)
	case schemas.Settled:
		return d.settled(r)
	default:
		s, _ := schemas.ParseSubject(r.Subject)
		if s.Kind == "lapsed" {
			return d.lapsed(r)
		}
		return d.granted(r)
	}
}

// named returns the record that trail names in stream.
func (d *dossier) named(trail []schemas.Pointer, stream schemas.Stream) (schemas.Record, error) {
	i := slices.IndexFunc(trail, func(p schemas.Pointer) bool { return p.Stream == stream })
	if i < 0 {
		return schemas.Record{}, withoutTrail
	}
	return d.find(trail[i])
}

func (d *dossier) observed(r schemas.Record) (*retrial, error) {
	var o schemas.Observation
	if err := schemas.Read(r, &o); err != nil {
		return nil, err
	}
	if panicked(o.Fault) {
		return nil, afterPanic
	}
	proposed, err := d.named(o.Trail, schemas.Intents)
	if err != nil {
		return nil, err
	}
	if d.Copied {
		proposed.Time = o.Intent.Proposed
	}
	return &retrial{
		record: r, intent: o.Intent, at: o.At, bundle: o.Bundle, failed: o.Opinion.Failed,
		exposure:     exposedTo(o.Exposure),
		unregistered: o.Fault != nil && o.Fault.Code == schemas.CodeUnregistered,
		decide: func(ctx context.Context, at desk) error {
			in, unreadable := schemas.ReadIntent(d.gateway, proposed)
			return at.observe.handle(ctx, proposed, in, unreadable, o.Rate)
		},
	}, nil
}

// exposedTo returns an exposure that amounts to f at any time and in every session.
func exposedTo(f schemas.ExposureFacts) given {
	var e schemas.Exposure
	for _, a := range f.Actions {
		e.Seen = append(e.Seen, schemas.Seen{Action: a, Labels: f.Labels, Until: time.Unix(1<<40, 0)})
	}
	return given(e)
}

func (d *dossier) recommended(r schemas.Record) (*retrial, error) {
	var rec schemas.Recommendation
	if err := schemas.Read(r, &rec); err != nil {
		return nil, err
	}
	at, err := d.named(rec.Trail, schemas.Observed)
	if err != nil {
		return nil, err
	}
	var o schemas.Observation
	if schemas.Read(at, &o) == nil && panicked(rec.Fault) && !panicked(o.Fault) {
		return nil, afterPanic
	}
	t := &retrial{
		record: r, intent: rec.Intent, at: rec.At, bundle: rec.Bundle, failed: rec.Opinion.Failed,
		decide: func(ctx context.Context, on desk) error { return on.recommend.Handle(ctx, at) },
	}
	if rec.Shadow != nil {
		t.shadow = rec.Shadow.Bundle
	}
	return t, nil
}

// held is about a state of a hold: the first one, another vote, the end of it, or
// what was found when it was evaluated again.
func (d *dossier) held(r schemas.Record) (*retrial, error) {
	var h schemas.Hold
	if err := schemas.Read(r, &h); err != nil {
		return nil, err
	}
	if h.Doubt != nil {
		return nil, ofDoubt
	}
	t := &retrial{
		record: r, intent: h.Intent, at: h.At, bundle: h.Bundle, waiting: h.Waiting, inputs: h.Inputs,
		voters: h.Votes, failed: h.Opinion.Failed, silent: len(h.Inputs) == 0, taken: h.Taken,
	}
	if len(h.States) == 0 {
		return t, d.onRecommendation(t, h.Trail)
	}
	at, before, err := d.stateBefore(r, h)
	if err != nil {
		return t, err
	}
	t.stood = append(t.stood, at)
	switch {
	case h.State != schemas.Parked:
		return t, d.closing(t, before, at)
	case len(h.Votes) > len(before.Votes):
		return t, d.voting(t, h.Votes[len(h.Votes)-1], before, at)
	}
	t.decide = func(ctx context.Context, on desk) error { return on.execute.carryOn(ctx, before, at) }
	return t, nil
}

// stateBefore returns the state of a hold before the one in r.
func (d *dossier) stateBefore(r schemas.Record, h schemas.Hold) (at schemas.Record, before schemas.Hold, err error) {
	for _, other := range d.records[schemas.ParkedHolds] {
		if other.Seq < r.Seq && other.Hash() == h.States[len(h.States)-1] {
			err = schemas.Read(other, &before)
			return other, before, err
		}
	}
	return at, before, cannotError("the state of the hold before it is not to be had")
}

func (d *dossier) onRecommendation(t *retrial, trail []schemas.Pointer) error {
	at, err := d.named(trail, schemas.Recommended)
	if err != nil {
		return err
	}
	if _, err := d.named(trail, schemas.Intents); err != nil {
		return err
	}
	t.decide = func(ctx context.Context, on desk) error { return on.execute.Recommendations().Handle(ctx, at) }
	return nil
}

// closing ends a hold whose intent has its verdict.
func (d *dossier) closing(t *retrial, h schemas.Hold, at schemas.Record) error {
	for _, r := range d.records[schemas.Settled] {
		var s schemas.Settlement
		if schemas.Read(r, &s) != nil || s.Intent.Key() != h.Intent.Key() {
			continue
		}
		if s.Intent.Digest != h.Intent.Digest {
			return ofOtherID
		}
		t.stood = append(t.stood, r)
	}
	t.decide = func(ctx context.Context, on desk) error { return on.execute.finishHold(ctx, h, at) }
	return nil
}

// voting lets a vote count on the hold h, whose record is held.
func (d *dossier) voting(t *retrial, v schemas.Vote, h schemas.Hold, held schemas.Record) error {
	if d.guesses([]schemas.Vote{v}) {
		return unknownVoter
	}
	if v.InAdvance() {
		t.decide = func(ctx context.Context, on desk) error {
			g, err := on.execute.standing(ctx, v.Decision)
			if err != nil {
				return err
			}
			_, err = on.execute.countStanding(ctx, h, held, g)
			return err
		}
		return nil
	}
	at, err := d.find(v.Decision)
	t.decide = func(ctx context.Context, on desk) error { return on.execute.Decisions().Handle(ctx, at) }
	return err
}

func (d *dossier) settled(r schemas.Record) (*retrial, error) {
	var s schemas.Settlement
	if err := schemas.Read(r, &s); err != nil {
		return nil, err
	}
	t := &retrial{
		record: r, intent: s.Intent, at: s.At, bundle: s.Bundle, inputs: s.Trail,
		unregistered: s.Code == schemas.CodeUnregistered,
	}
	switch {
	case s.Code == schemas.CodeDuplicateID:
		return t, ofOtherID
	case s.Code == schemas.CodeTooManyOpen:
		return t, ofOthers
	case s.Intent.Action == schemas.Withdraw && (s.Outcome == schemas.Release || s.Code == schemas.CodeTooLate || s.Code == schemas.CodeNotFound):
		return t, ofTarget
	case s.Code == schemas.CodeInternal && !panicked(d.foundAtFault(s.Trail)):
		return t, afterPanic
	case s.Bundle == "" && (s.Code == schemas.CodeUnknownAction || s.Code == schemas.CodeInvalid) && d.foundAtFault(s.Trail) == nil:
		return t, unsaidBundle
	case !slices.ContainsFunc(s.Trail, func(p schemas.Pointer) bool { return p.Stream == schemas.ParkedHolds }):
		return t, d.onRecommendation(t, s.Trail)
	}
	at, err := d.named(s.Trail, schemas.ParkedHolds)
	if err != nil {
		return t, err
	}
	var h schemas.Hold
	if err := schemas.Read(at, &h); err != nil {
		return t, cannotError("the hold that it names cannot be read")
	}
	t.stood, t.voters, t.failed = append(t.stood, at), h.Votes, h.Opinion.Failed
	t.decide = func(ctx context.Context, on desk) error { return on.execute.carryOn(ctx, h, at) }
	if s.Code == schemas.CodeWithdrawn {
		return t, d.withdrawing(t, s)
	}
	return t, nil
}

// withdrawing is what came of a withdrawal, which is another intent.
func (d *dossier) withdrawing(t *retrial, s schemas.Settlement) error {
	at, err := d.find(s.Trail[len(s.Trail)-1])
	if err != nil {
		return err
	}
	in, _ := schemas.ReadIntent(d.gateway, at)
	target, err := withdrawalOf(in)
	t.decide = func(ctx context.Context, on desk) error {
		if err != nil || target != s.Intent.Key() {
			return schemas.ErrInvalid // nothing takes it back
		}
		_, err := on.execute.takeBack(ctx, matter{intent: in, trail: []schemas.Pointer{at.Pointer()}}, target)
		return err
	}
	return nil
}

// foundAtFault returns the fault that the recommendation speaks of that a trail names,
// or nil.
func (d *dossier) foundAtFault(trail []schemas.Pointer) *schemas.Fault {
	var rec schemas.Recommendation
	if at, err := d.named(trail, schemas.Recommended); err != nil || schemas.Read(at, &rec) != nil {
		return nil
	}
	return rec.Fault
}

func panicked(f *schemas.Fault) bool { return f != nil && f.Code == schemas.CodeInternal }
