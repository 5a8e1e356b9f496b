package stages

import (
	"context"
	"errors"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// claimAgain is for how long a granted, idempotent action whose executor said
// nothing may be claimed by another. Then it is in doubt like any other.
const claimAgain = 15 * time.Minute

// lookAtHold does what is due for a hold: its reviewers may be reminded, it may be
// over, go on after a thaw, or have been settled by somebody who crashed.
func (e *Execute) lookAtHold(ctx context.Context, k schemas.Key) error {
	line, remind := e.Index.Line(k)
	if e.waits(line) {
		e.lookLater(k)
		return nil
	}
	if !remind.IsZero() && !e.now().Before(remind) && e.now().Before(line.Deadline) {
		e.Bell.Hold(line.Queue, k, "reminder")
		e.Index.Reminded(k)
	}
	h, at, err := e.hold(ctx, k)
	if errors.Is(err, schemas.ErrNotFound) {
		e.Index.NotHeld(k)
		return nil
	}
	if err != nil {
		return err
	}
	e.Index.Held(h, at.Seq)
	if err := e.finishHold(ctx, h, at); err != nil {
		return err
	}
	e.lookLater(k)
	return nil
}

// lookLater sets when a hold is looked at next, if it is parked and not over: at its
// next moment, and soon if it waits for a thaw, which might be missed.
func (e *Execute) lookLater(k schemas.Key) {
	line, remind := e.Index.Line(k)
	next := earliest(line.Deadline, remind)
	if line.Waiting != "" {
		next = earliest(line.Deadline, e.now().Add(lookAgain))
	}
	if line.State == schemas.Parked && e.now().Before(next) {
		e.Index.PostponeHold(k, next)
	}
}

// finishHold closes a hold that is settled, or in doubt and reported on, and else
// does what follows from its state.
func (e *Execute) finishHold(ctx context.Context, h schemas.Hold, at schemas.Record) error {
	switch h.State {
	case schemas.InDoubt:
		return e.closeReported(ctx, h)
	case schemas.Parked:
	default:
		return nil
	}
	settled, _, err := e.settlement(ctx, h.Intent.Key())
	switch {
	case errors.Is(err, schemas.ErrNotFound):
		return e.carryOn(ctx, h, at)
	case err != nil:
		return err
	default:
		return e.closeSettled(ctx, h, at, settled)
	}
}

// lookAtWork does what is due for an intent that waits for an executor.
func (e *Execute) lookAtWork(ctx context.Context, k schemas.Key) error {
	if e.Index.working(k) == schemas.Granted {
		return e.endLease(ctx, k)
	}
	return e.lapse(ctx, k)
}

// lapse records that nobody claimed a release in time. If the release does not
// wait for that any more, the index learns what became of it.
func (e *Execute) lapse(ctx context.Context, k schemas.Key) error {
	c, err := e.released(ctx, k)
	if errors.Is(err, schemas.ErrNotFound) || errors.Is(err, schemas.ErrClosed) {
		e.Index.NotReleased(k)
		return nil
	}
	if err != nil {
		return err
	}
	grant, at, err := e.lastGrant(ctx, k)
	switch {
	case err != nil && !errors.Is(err, schemas.ErrNotFound):
		return err
	case err == nil && grant == nil:
		e.Index.Ended(k, at.Seq)
	case err == nil && !c.retries(at):
		e.Index.Granted(*grant, at.Pointer())
		if c.hold != nil {
			e.Index.Held(*c.hold, c.held)
		}
	case e.now().Before(c.executeBy()):
		e.Index.PostponeWork(k, c.executeBy())
	case grant != nil:
		return e.lapseRetry(ctx, c, *grant, at)
	default:
		return e.writeLapse(ctx, c, at)
	}
	return nil
}

// lapseRetry records that nobody tried again in time, unless the executor that was
// in doubt did report.
func (e *Execute) lapseRetry(ctx context.Context, c claim, g schemas.Grant, at schemas.Record) error {
	report, err := e.reported(ctx, g, at)
	if err != nil {
		return err
	}
	if report == nil {
		return e.writeLapse(ctx, c, at)
	}
	_, err = e.closeDoubt(ctx, *report)
	return err
}

func (e *Execute) writeLapse(ctx context.Context, c claim, last schemas.Record) error {
	in := c.settlement.Intent
	l := schemas.Lapse{
		Agent:  in.Agent,
		Intent: in.ID,
		Action: in.Action,
		Digest: in.Digest,
		At:     e.now(),
		Trail:  []schemas.Pointer{c.at.Pointer()},
	}
	r, err := e.append(ctx, l, l.At, traceOf(c.at), schemas.Expect{Filter: schemas.GrantFilter(in.Key()), Last: last.Seq})
	if err != nil {
		return err
	}
	e.Index.Ended(in.Key(), r.Seq)
	e.Bell.Intent(in.Key(), schemas.Lapsed)
	return nil
}

// endLease does what is due when an executor said nothing in time: another may
// try an idempotent action for a while; anything else is in doubt.
func (e *Execute) endLease(ctx context.Context, k schemas.Key) error {
	g, at, err := e.lastGrant(ctx, k)
	switch {
	case errors.Is(err, schemas.ErrNotFound):
		e.Index.NotReleased(k)
		return nil
	case err != nil:
		return err
	case g == nil:
		e.Index.Ended(k, at.Seq)
		return nil
	}
	e.Index.Granted(*g, at.Pointer())
	report, err := e.reported(ctx, *g, at)
	if err != nil {
		return err
	}
	switch again := g.LeaseUntil.Add(claimAgain); {
	case report != nil:
		e.Index.Ended(k, at.Seq)
	case e.now().Before(g.LeaseUntil):
		e.Index.PostponeWork(k, g.LeaseUntil)
	case g.Idempotent && e.now().Before(again):
		e.Index.ClaimAgain(k, at.Pointer(), again)
	default:
		return e.doubt(ctx, *g, at)
	}
	return nil
}
