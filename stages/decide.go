package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// Decisions returns the handler of DECISIONS.
func (e *Execute) Decisions() onDecision { return onDecision{e} }

type onDecision struct{ *Execute }

// Handle lets one decision count, or records why it does not.
func (e onDecision) Handle(ctx context.Context, r schemas.Record) error {
	s, err := schemas.ParseSubject(r.Subject)
	if err != nil {
		return e.rejectUnaddressed(ctx, r, s, err)
	}
	return e.judgeMessage(ctx, r, s, e.decide)
}

// Refuse records that r could not be handled. If it counts already, it was what
// follows from it that panicked: that is tried again after a while.
func (e onDecision) Refuse(ctx context.Context, r schemas.Record, _ string) error {
	s, err := schemas.ParseSubject(r.Subject)
	if err != nil {
		return e.rejectUnaddressed(ctx, r, s, err)
	}
	key := schemas.Key{Agent: s.Agent, ID: s.Intent}
	h, _, err := e.hold(ctx, key)
	switch {
	case err != nil && !errors.Is(err, schemas.ErrNotFound):
		return err
	case err == nil && h.Counted(r.Pointer()):
		e.Index.PostponeHold(key, e.now().Add(lookAgain))
		return nil
	default:
		return e.reject(ctx, r, s, schemas.Fault{Code: schemas.CodeInternal})
	}
}

// decide returns why the decision in r does not count, or lets it count. A crash
// after the vote was written and before what follows from it leaves a vote that
// is found when r comes again, and the rest is done then.
func (e *Execute) decide(ctx context.Context, r schemas.Record) (*schemas.Fault, error) {
	var d schemas.Decision
	if err := schemas.Read(r, &d); err != nil {
		return faultOf(err), nil
	}
	h, at, err := e.hold(ctx, d.Key())
	if err != nil && !errors.Is(err, schemas.ErrNotFound) {
		return nil, err
	}
	if err == nil && h.Counted(r.Pointer()) {
		return nil, e.finishHold(ctx, h, at) // what was settled stands, whatever is true now
	}
	reviewer, fault := e.reviewer(d)
	if fault != nil {
		return fault, nil
	}
	if err != nil {
		return e.notHeld(ctx, d)
	}
	if !e.registered(h.Intent.Agent) && !d.Verdict.OnDoubt() {
		return &schemas.Fault{Code: schemas.CodeSettled, Detail: "its agent is not registered any more"}, e.carryOn(ctx, h, at)
	}
	if fault, err := e.checkDecision(ctx, d, reviewer, h, at); fault != nil || err != nil {
		return fault, err
	}
	if d.Verdict.OnDoubt() {
		return nil, e.resolve(ctx, h, at, d, r)
	}
	if settled, _, err := e.settlement(ctx, d.Key()); !errors.Is(err, schemas.ErrNotFound) {
		if err != nil {
			return nil, err
		}
		// The verdict stands, and its hold is not closed yet: too late for a vote.
		return &schemas.Fault{Code: schemas.CodeSettled}, e.closeSettled(ctx, h, at, settled)
	}
	if !e.now().Before(h.Deadline) {
		return &schemas.Fault{Code: schemas.CodeTooLate}, e.expireHold(ctx, h, at)
	}
	return nil, e.vote(ctx, h, at, d, r, reviewer)
}

// notHeld says why there is nothing to decide on.
func (e *Execute) notHeld(ctx context.Context, d schemas.Decision) (*schemas.Fault, error) {
	_, _, err := e.settlement(ctx, d.Key())
	switch {
	case errors.Is(err, schemas.ErrNotFound):
		return &schemas.Fault{Code: schemas.CodeNotFound}, nil
	case err != nil:
		return nil, err
	default:
		return &schemas.Fault{Code: schemas.CodeSettled}, nil
	}
}

// reviewer returns who made d, if it is somebody who may decide in that queue and
// signed it.
func (e *Execute) reviewer(d schemas.Decision) (schemas.Identity, *schemas.Fault) {
	id, known := e.Names.ByName(d.Reviewer)
	switch {
	case !known || id.Role != schemas.RoleReviewer:
		return id, &schemas.Fault{Code: schemas.CodeUnregistered}
	case !d.Verdict.Valid():
		return id, &schemas.Fault{Code: schemas.CodeInvalid, Detail: "/verdict: want approve, deny, done, not_done or retry"}
	case len(d.Reason) > schemas.MaxReason:
		return id, &schemas.Fault{Code: schemas.CodeInvalid, Detail: fmt.Sprintf("/reason: longer than %d bytes", schemas.MaxReason)}
	case d.Reason == "" && d.Verdict != schemas.Approve:
		return id, &schemas.Fault{Code: schemas.CodeInvalid, Detail: "/reason: missing; only an approval needs none"}
	case d.VerifySignature(id.Key) != nil:
		return id, &schemas.Fault{Code: schemas.CodeBadSignature}
	case !slices.Contains(id.Queues, d.Queue):
		return id, &schemas.Fault{Code: schemas.CodeWrongQueue}
	}
	return id, nil
}

// checkDecision returns why d does not count on the hold h, whose record is at.
func (e *Execute) checkDecision(ctx context.Context, d schemas.Decision, reviewer schemas.Identity, h schemas.Hold, at schemas.Record) (*schemas.Fault, error) {
	if fault := e.misplaced(ctx, d, reviewer, h, at); fault != nil || d.Verdict != schemas.Approve {
		return fault, nil
	}
	helps, err := e.helps(ctx, h, reviewer)
	if err != nil || helps && len(h.Votes) < schemas.MaxVotes {
		return nil, err
	}
	return &schemas.Fault{Code: schemas.CodeNotNeeded}, nil
}

// misplaced returns why d does not count on h, whether or not it helps.
func (e *Execute) misplaced(ctx context.Context, d schemas.Decision, reviewer schemas.Identity, h schemas.Hold, at schemas.Record) *schemas.Fault {
	voted, has := h.Voted(d.Reviewer, reviewer.Principal())
	turns := has && voted.Reviewer == d.Reviewer && voted.Verdict == schemas.Approve && d.Verdict == schemas.Deny
	switch {
	case d.Queue != h.Queue:
		return &schemas.Fault{Code: schemas.CodeWrongQueue}
	case d.Digest != h.Intent.Digest:
		return &schemas.Fault{Code: schemas.CodeWrongDigest}
	case d.Verdict.OnDoubt() && h.State != schemas.InDoubt:
		return &schemas.Fault{Code: schemas.CodeNotInDoubt}
	case !d.Verdict.OnDoubt() && h.State != schemas.Parked:
		return &schemas.Fault{Code: schemas.CodeSettled}
	case d.Shown != at.Hash() && !slices.Contains(h.States, d.Shown):
		return &schemas.Fault{Code: schemas.CodeNotShown}
	case has && !turns && !d.Verdict.OnDoubt():
		return &schemas.Fault{Code: schemas.CodeVoted}
	case !e.mayDecide(ctx, d, reviewer, h):
		return &schemas.Fault{Code: schemas.CodeNotEligible}
	}
	return nil
}

// helps reports whether one more approval, by reviewer, fills a place that is
// still empty.
func (e *Execute) helps(ctx context.Context, h schemas.Hold, reviewer schemas.Identity) (bool, error) {
	without, err := e.filled(ctx, h, h.Requirements())
	if err != nil {
		return false, err
	}
	h.Votes = append(slices.Clone(h.Votes), schemas.Vote{Reviewer: reviewer.Name, Verdict: schemas.Approve})
	with, err := e.filled(ctx, h, h.Requirements())
	return with > without, err
}

// mayDecide reports whether the reviewer is eligible for any of the approvals
// that the hold needs. On a doubt, separation of duties is all that is asked.
func (e *Execute) mayDecide(ctx context.Context, d schemas.Decision, reviewer schemas.Identity, h schemas.Hold) bool {
	if d.Verdict.OnDoubt() {
		return e.separate(reviewer, h.Intent.Agent)
	}
	needs := h.Requirements()
	if len(needs) == 0 {
		needs = []schemas.Approval{schemas.AnyReviewer()}
	}
	return slices.ContainsFunc(needs, func(a schemas.Approval) bool {
		return e.eligible(ctx, a, reviewer, h.Intent)
	})
}

// separate reports whether a reviewer is somebody else than the one who answers
// for the agent, or did until the agent was removed.
func (e *Execute) separate(reviewer schemas.Identity, agent schemas.Name) bool {
	id, known := e.Names.Ever(agent)
	return known && reviewer.Principal() != "" && reviewer.Principal() != id.Principal()
}

// eligible reports whether a reviewer counts for one requirement. An expression
// that cannot be evaluated makes nobody eligible.
func (e *Execute) eligible(ctx context.Context, a schemas.Approval, reviewer schemas.Identity, in schemas.Intent) bool {
	agent, known := e.Names.ByName(in.Agent)
	if !known || !e.separate(reviewer, in.Agent) {
		return false
	}
	if a.Eligible == "" {
		return true
	}
	who := rules.Reviewer{
		Name:    reviewer.Name,
		Person:  reviewer.Principal(),
		Groups:  reviewer.Groups,
		Service: reviewer.Service,
	}
	ok, err := e.Eligibility.Eligible(ctx, a.Eligible, who, factsOf(agent), in.Action)
	return ok && err == nil
}

// vote writes the vote into the hold, then does what follows from it.
func (e *Execute) vote(ctx context.Context, h schemas.Hold, at schemas.Record, d schemas.Decision, r schemas.Record, reviewer schemas.Identity) error {
	next := h.Next(at.Hash(), e.now())
	next.Votes = append(next.Votes, schemas.Vote{
		Reviewer: d.Reviewer,
		Person:   reviewer.Principal(),
		Verdict:  d.Verdict,
		Decision: r.Pointer(),
		At:       next.At,
	})
	written, err := e.writeHold(ctx, next, at.Seq, traceOf(at))
	if err != nil {
		return err
	}
	return e.carryOn(ctx, next, written)
}

// registered reports whether the agent still is.
func (e *Execute) registered(agent schemas.Name) bool {
	_, known := e.Names.ByName(agent)
	return known
}

// carryOn does what follows from the state of a hold: it refuses what was denied,
// is too old or has lost its agent, and releases what has all its approvals. It
// may be called at any time, and again.
func (e *Execute) carryOn(ctx context.Context, h schemas.Hold, at schemas.Record) error {
	if h.State != schemas.Parked {
		return nil
	}
	if !e.registered(h.Intent.Agent) {
		return e.settleHold(ctx, h, at, refusal(h.Intent, verdict{at: e.now()}, schemas.Fault{Code: schemas.CodeUnregistered}))
	}
	if slices.ContainsFunc(h.Votes, func(v schemas.Vote) bool { return v.Verdict == schemas.Deny }) {
		return e.settleHold(ctx, h, at, refusal(h.Intent, verdict{at: e.now()}, schemas.Fault{Code: schemas.CodeDenied}))
	}
	if !e.now().Before(h.Deadline) {
		return e.expireHold(ctx, h, at)
	}
	if enough, err := e.satisfied(ctx, h, h.Requirements()); err != nil || !enough {
		return err
	}
	return e.releaseHold(ctx, h, at)
}

func (e *Execute) expireHold(ctx context.Context, h schemas.Hold, at schemas.Record) error {
	if h.State != schemas.Parked {
		return nil
	}
	return e.settleHold(ctx, h, at, refusal(h.Intent, verdict{at: e.now()}, schemas.Fault{Code: schemas.CodeExpired}))
}

// satisfied reports whether the votes that count now meet the requirements: those
// of reviewers who are still registered, in the queue, and eligible.
func (e *Execute) satisfied(ctx context.Context, h schemas.Hold, needs []schemas.Approval) (bool, error) {
	n, err := e.filled(ctx, h, needs)
	return n == schemas.Places(needs) && err == nil, err
}

// filled returns how many places of the requirements those votes fill.
func (e *Execute) filled(ctx context.Context, h schemas.Hold, needs []schemas.Approval) (int, error) {
	covers, err := e.standingVotes(ctx, h)
	if err != nil {
		return 0, err
	}
	return schemas.Filled(needs, len(h.Votes), func(a schemas.Approval, vote int) bool {
		v := h.Votes[vote]
		reviewer, known := e.Names.ByName(v.Reviewer)
		if v.InAdvance() && (covers[v.Decision] == nil || !covers[v.Decision].Covers(a.ID)) {
			return false
		}
		return known && v.Verdict == schemas.Approve && reviewer.Role == schemas.RoleReviewer &&
			slices.Contains(reviewer.Queues, h.Queue) && e.eligible(ctx, a, reviewer, h.Intent)
	}), nil
}

// releaseHold releases an intent that has the approvals it was known to need, if
// that is still so when everything is evaluated again. Otherwise the hold says
// what is missing now.
func (e *Execute) releaseHold(ctx context.Context, h schemas.Hold, at schemas.Record) error {
	return e.inTurn(ctx, func() error { return e.releaseAsThingsAre(ctx, h, at) })
}

func (e *Execute) releaseAsThingsAre(ctx context.Context, h schemas.Hold, at schemas.Record) error {
	v, err := e.judge(ctx, h.Intent, said{opinion: h.Opinion, binding: h.Binding(), bundle: h.Bundle})
	if err != nil {
		return err
	}
	next := h.Next(at.Hash(), v.at)
	next.Opinion, next.Taken, next.Bundle, next.Waiting, next.Inputs = v.opinion, v.taken, v.bundle, v.waiting, v.inputs()
	enough, err := e.satisfied(ctx, next, next.Requirements())
	if err != nil {
		return err
	}
	switch {
	case v.fault != nil:
		return e.settleHold(ctx, h, at, refusal(h.Intent, v, *v.fault))
	case v.opinion.Outcome == schemas.Refuse:
		return e.settleHold(ctx, h, at, refusal(h.Intent, v, schemas.Fault{Code: schemas.CodePolicy}))
	case !enough:
		next.Waiting = ""
		return e.holdOn(ctx, h, at, next)
	case v.waiting != "":
		return e.holdOn(ctx, h, at, next)
	}
	if err := e.Health.Check(); err != nil {
		return err
	}
	m := matter{intent: h.Intent, queue: h.Queue, trail: h.Trail, trace: traceOf(at)}
	if err := e.provide(ctx, m, &v); err != nil {
		return err
	}
	return e.settleHold(ctx, h, at, release(h.Intent, v))
}

// holdOn writes the next state of a hold that goes on waiting, unless nothing
// about it changed. One that needs approvals only now gets its deadline now.
func (e *Execute) holdOn(ctx context.Context, h schemas.Hold, at schemas.Record, next schemas.Hold) error {
	if next.Waiting == h.Waiting && next.Bundle == h.Bundle && next.Opinion.Outcome == h.Opinion.Outcome &&
		slices.Equal(next.Opinion.Approvals, h.Opinion.Approvals) {
		return nil
	}
	if h.Opinion.Outcome == schemas.Release && next.Opinion.Outcome == schemas.Park {
		next.Deadline, next.Remind = next.Opinion.Deadline(next.At, h.Intent.Expires())
	}
	_, err := e.writeHold(ctx, next, at.Seq, traceOf(at))
	return err
}
