package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// Limits of the execute stage.
type Limits struct {
	// OpenHolds is how many intents of one agent may wait for reviewers. Each
	// process counts what it knows of: where several park at the same moment, there
	// may be that many more.
	OpenHolds int

	// Exposure is for how long an agent counts as exposed to what it was given.
	Exposure time.Duration
}

// DefaultLimits are the limits of a gate that is not told others.
func DefaultLimits() Limits { return Limits{OpenHolds: 100, Exposure: 24 * time.Hour} }

// Execute is the third stage: it alone parks, settles and grants. It may run in
// several processes at once; what one of them writes excludes what the others
// would write in its place.
type Execute struct {
	Common
	Bell        Bell
	Eligibility Eligibility
	Health      Health
	Index       *Index
	Standings   *Standings
	Turns       *Turns // may be nil
	Limits      Limits

	takings takings // what was taken of budgets, if it is not what the streams say
}

// Recommendations returns the handler of RECOMMENDED.
func (e *Execute) Recommendations() onRecommendation { return onRecommendation{e} }

type onRecommendation struct{ *Execute }

// Handle settles or parks the intent that one record of RECOMMENDED is about.
func (e onRecommendation) Handle(ctx context.Context, r schemas.Record) error {
	var rec schemas.Recommendation
	if err := take(r, &rec); err != nil {
		return err
	}
	m := e.matterOf(rec, r)
	if err := e.checkProposed(ctx, m); err != nil {
		return err
	}
	switch {
	case rec.Fault != nil:
		return e.refuseFirst(ctx, m, *rec.Fault)
	case rec.Intent.Action == schemas.Withdraw:
		return e.withdraw(ctx, m)
	}
	err := e.first(ctx, m, rec)
	if errors.Is(err, schemas.ErrInvalid) {
		// What would have been written can never be: no reason to lose the intent.
		return e.refuseFirst(ctx, m, schemas.Fault{Code: schemas.CodeInternal})
	}
	return err
}

// Refuse refuses the intent, because handling it panicked.
func (e onRecommendation) Refuse(ctx context.Context, r schemas.Record, _ string) error {
	var rec schemas.Recommendation
	if err := take(r, &rec); err != nil {
		return err
	}
	return e.refuseFirst(ctx, e.matterOf(rec, r), schemas.Fault{Code: schemas.CodeInternal})
}

// matter is an intent before execute, with the trail that leads to it.
type matter struct {
	intent schemas.Intent
	queue  schemas.Name
	trail  []schemas.Pointer
	trace  string
}

// origin names the intent itself, which every trail begins with.
func (m matter) origin() []schemas.Pointer { return m.trail[:min(1, len(m.trail))] }

func (e *Execute) matterOf(rec schemas.Recommendation, r schemas.Record) matter {
	return matter{
		intent: rec.Intent,
		queue:  rec.Queue,
		trail:  append(slices.Clone(rec.Trail), r.Pointer()),
		trace:  traceOf(r),
	}
}

// checkProposed makes sure that the agent proposed exactly this: it reads the
// intent again from INTENTS, which only the agent can write. So neither observe
// nor recommend can invent an intent, or change one.
func (e *Execute) checkProposed(ctx context.Context, m matter) error {
	if len(m.trail) == 0 || m.trail[0].Stream != schemas.Intents {
		return fmt.Errorf("%w: the trail of %s does not begin with an intent", schemas.ErrInvalid, m.intent.Key())
	}
	r, err := e.Log.At(ctx, schemas.Intents, m.trail[0].Seq)
	if errors.Is(err, schemas.ErrNotFound) {
		return fmt.Errorf("%w: %s was never proposed, or is forgotten", schemas.ErrInvalid, m.intent.Key())
	}
	if err != nil {
		return err
	}
	in, _ := schemas.ReadIntent(e.Gateway, r)
	if in.Key() != m.intent.Key() || in.Digest != m.intent.Digest || r.Hash() != m.trail[0].Hash {
		return fmt.Errorf("%w: %s is not what its agent proposed", schemas.ErrInvalid, m.intent.Key())
	}
	return nil
}

// first decides on an intent that comes for the first time, or again because a
// crash or a lost answer left it unfinished.
func (e *Execute) first(ctx context.Context, m matter, rec schemas.Recommendation) error {
	var held *holdState
	err := e.inTurn(ctx, func() (err error) {
		held, err = e.firstAsThingsAre(ctx, m, rec)
		return err
	})
	if err != nil || held == nil {
		return err
	}
	return e.standIn(ctx, *held.hold, held.at) // it takes turns of its own
}

// firstAsThingsAre settles the intent, or returns the hold on it.
func (e *Execute) firstAsThingsAre(ctx context.Context, m matter, rec schemas.Recommendation) (*holdState, error) {
	v, err := e.judge(ctx, m.intent, said{opinion: rec.Opinion, binding: rec.Opinion, bundle: rec.Bundle})
	if err != nil {
		return nil, err
	}
	if v.fault != nil {
		return nil, e.settleFirst(ctx, m, refusal(m.intent, v, *v.fault))
	}
	switch v.outcome() {
	case schemas.Refuse:
		return nil, e.settleFirst(ctx, m, refusal(m.intent, v, schemas.Fault{Code: schemas.CodePolicy}))
	case schemas.Release:
		return nil, e.releaseFirst(ctx, m, v)
	default:
		return e.park(ctx, m, v, rec)
	}
}

// refuseFirst refuses an intent that no rule needs to judge.
func (e *Execute) refuseFirst(ctx context.Context, m matter, f schemas.Fault) error {
	return e.settleFirst(ctx, m, refusal(m.intent, verdict{at: e.now()}, f))
}

func (e *Execute) releaseFirst(ctx context.Context, m matter, v verdict) error {
	if err := e.Health.Check(); err != nil {
		return err
	}
	if err := e.provide(ctx, m, &v); err != nil {
		return err
	}
	return e.settleFirst(ctx, m, release(m.intent, v))
}

// settleFirst settles an intent that has no hold. If it has one, or its id was
// used before, that decides.
func (e *Execute) settleFirst(ctx context.Context, m matter, s schemas.Settlement) error {
	hold, _, err := e.hold(ctx, m.intent.Key())
	switch {
	case err == nil && hold.Intent.Digest == m.intent.Digest:
		return nil // parked before: this is the same recommendation again
	case err == nil:
		return e.refuseDuplicate(ctx, m)
	case !errors.Is(err, schemas.ErrNotFound):
		return err
	}
	s.Trail = append(slices.Clone(m.trail), s.Trail...)
	err = e.settle(ctx, schemas.Proposed, s, m.trace)
	if errors.Is(err, errOther) {
		return e.refuseDuplicate(ctx, m)
	}
	return err
}

// refuseDuplicate refuses an intent whose id its agent has used for something
// else. It is settled under the sequence of the intent, because its id is taken.
// If the id is settled for this very intent, that was the verdict, whatever this
// one would be.
func (e *Execute) refuseDuplicate(ctx context.Context, m matter) error {
	settled, _, err := e.settlement(ctx, m.intent.Key())
	if err == nil && settled.Intent.Digest == m.intent.Digest {
		return nil
	}
	if err != nil && !errors.Is(err, schemas.ErrNotFound) {
		return err
	}
	in := m.intent
	in.ID = schemas.SequenceID(m.trail[0].Seq)
	in.Digest = schemas.DigestOf(in)
	s := refusal(in, verdict{at: e.now()}, schemas.Fault{Code: schemas.CodeDuplicateID, Detail: "id " + string(m.intent.ID) + " was used for another intent"})
	s.Trail = m.trail
	return e.settle(ctx, schemas.Proposed, s, m.trace)
}

// park puts an intent into the holding stream, and returns its hold if it has one.
func (e *Execute) park(ctx context.Context, m matter, v verdict, rec schemas.Recommendation) (*holdState, error) {
	settled, _, err := e.settlement(ctx, m.intent.Key())
	switch {
	case err == nil && settled.Intent.Digest == m.intent.Digest:
		return nil, nil // settled before: this is the same recommendation again
	case err == nil:
		return nil, e.refuseDuplicate(ctx, m)
	case !errors.Is(err, schemas.ErrNotFound):
		return nil, err
	}
	if v.opinion.Outcome != schemas.Release {
		v.waiting = "" // it waits for approvals first
	}
	if v.waiting == "" {
		if !e.Index.Admit(m.intent.Key(), e.Limits.OpenHolds) {
			return nil, e.refuseFirst(ctx, m, schemas.Fault{Code: schemas.CodeTooManyOpen, Detail: fmt.Sprintf("%d intents wait for reviewers", e.Limits.OpenHolds)})
		}
		defer e.Index.Admitted(m.intent.Key())
	}
	h := parked(m, v, rec)
	at, err := e.writeHold(ctx, h, 0, m.trace)
	switch {
	case errors.Is(err, schemas.ErrStale):
		return e.parkedBefore(ctx, m)
	case err != nil:
		return nil, err
	default:
		return &holdState{&h, at}, nil
	}
}

// parked returns the first state of a hold.
func parked(m matter, v verdict, rec schemas.Recommendation) schemas.Hold {
	h := schemas.Hold{
		Intent:  m.intent,
		State:   schemas.Parked,
		Waiting: v.waiting,
		Queue:   m.queue,
		Opinion: v.opinion,
		Taken:   v.taken,
		Bundle:  v.bundle,
		At:      v.at,
		Trail:   m.trail,
		Inputs:  v.inputs(),
	}
	if rec.Opinion.Outcome == schemas.Park {
		h.Recommended = rec.Opinion.Requirements()
	}
	h.Deadline, h.Remind = h.Opinion.Deadline(v.at, m.intent.Expires())
	return h
}

// parkedBefore looks at what stands where park wanted to write.
func (e *Execute) parkedBefore(ctx context.Context, m matter) (*holdState, error) {
	hold, at, err := e.hold(ctx, m.intent.Key())
	switch {
	case errors.Is(err, schemas.ErrNotFound):
		return nil, schemas.ErrStale // a write was under way and came to nothing
	case err != nil:
		return nil, err
	case hold.Intent.Digest == m.intent.Digest:
		return &holdState{&hold, at}, nil
	default:
		return nil, e.refuseDuplicate(ctx, m)
	}
}
