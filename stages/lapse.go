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
	if line, remind := e.Index.Line(k); !remind.IsZero() && !e.now().Before(remind) && e.now().Before(line.Deadline) {
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
	if line, _ := e.Index.Line(k); line.State == schemas.Parked {
		e.Index.PostponeHold(k, line.Deadline)
	}
	return nil
}

// finishHold closes a hold that is settled, and else does what follows from its
// state.
func (e *Execute) finishHold(ctx context.Context, h schemas.Hold, at schemas.Record) error {
	if h.State != schemas.Parked {
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

// lapse records that nobody claimed a release in time.
func (e *Execute) lapse(ctx context.Context, k schemas.Key) error {
	c, err := e.released(ctx, k)
	if errors.Is(err, schemas.ErrNotFound) || errors.Is(err, schemas.ErrClosed) {
		e.Index.Ended(k)
		return nil
	}
	if err != nil {
		return err
	}
	if by := c.executeBy(); e.now().Before(by) {
		e.Index.PostponeWork(k, by)
		return nil
	}
	grant, at, err := e.lastGrant(ctx, k)
	switch {
	case errors.Is(err, schemas.ErrNotFound), err == nil && grant != nil && c.retries(at):
		return e.writeLapse(ctx, c, at)
	case err != nil:
		return err
	case grant == nil:
		e.Index.Ended(k)
	default:
		e.Index.Granted(*grant, at.Pointer())
	}
	return nil
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
	if _, err := e.append(ctx, l, l.At, traceOf(c.at), schemas.Expect{Filter: schemas.GrantFilter(in.Key()), Last: last.Seq}); err != nil {
		return err
	}
	e.Index.Ended(in.Key())
	e.Bell.Intent(in.Key(), schemas.Lapsed)
	return nil
}

// endLease does what is due when an executor said nothing in time: another may
// try an idempotent action for a while; anything else is in doubt.
func (e *Execute) endLease(ctx context.Context, k schemas.Key) error {
	g, at, err := e.lastGrant(ctx, k)
	if errors.Is(err, schemas.ErrNotFound) || err == nil && g == nil {
		e.Index.Ended(k)
		return nil
	}
	if err != nil {
		return err
	}
	report, err := e.reported(ctx, *g, at)
	if err != nil {
		return err
	}
	switch again := g.LeaseUntil.Add(claimAgain); {
	case report != nil:
		e.Index.Ended(k)
	case e.now().Before(g.LeaseUntil):
		e.Index.PostponeWork(k, g.LeaseUntil)
	case g.Idempotent && e.now().Before(again):
		e.Index.ClaimAgain(k, again)
	default:
		return e.doubt(ctx, *g, at)
	}
	return nil
}
