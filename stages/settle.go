package stages

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// append writes c as the execute stage's.
func (e *Execute) append(ctx context.Context, c schemas.Content, at time.Time, trace string, expect schemas.Expect) (schemas.Record, error) {
	return e.Log.Append(ctx, schemas.Write(c, e.source(schemas.RoleExecute), at, trace), expect)
}

// settle writes the one verdict on an intent that was in state from. It returns
// nil if s is the verdict now, whoever wrote it, and errOther if another one is.
//
// A conditional write that lost says look, not settled: the write it lost to may
// still come to nothing.
func (e *Execute) settle(ctx context.Context, from schemas.State, s schemas.Settlement, trace string) error {
	key := s.Intent.Key()
	if next, err := after(from, eventOf(from, s)); err != nil || next != s.State() {
		return fmt.Errorf("settling %s: %w: %s after %s", key, schemas.ErrInvalid, s.State(), from)
	}
	_, err := e.append(ctx, s, s.At, trace, schemas.Expect{Filter: schemas.SettlementFilter(key)})
	if err == nil {
		e.Index.Settled(s)
		e.Bell.Intent(key, s.State())
		return nil
	}
	if !errors.Is(err, schemas.ErrStale) {
		return err
	}
	have, _, err := e.settlement(ctx, key)
	switch {
	case errors.Is(err, schemas.ErrNotFound):
		return schemas.ErrStale
	case err != nil:
		return err
	case have.SameVerdict(s):
		return nil
	default:
		return errOther
	}
}

// settlement returns the verdict on an intent, or an ErrNotFound.
func (e *Execute) settlement(ctx context.Context, k schemas.Key) (schemas.Settlement, schemas.Record, error) {
	var s schemas.Settlement
	r, err := e.last(ctx, schemas.Settled, schemas.SettlementFilter(k), &s)
	return s, r, err
}

// hold returns the current state of the hold on an intent, or an ErrNotFound.
func (e *Execute) hold(ctx context.Context, k schemas.Key) (schemas.Hold, schemas.Record, error) {
	var h schemas.Hold
	r, err := e.last(ctx, schemas.ParkedHolds, schemas.HoldFilter(k), &h)
	return h, r, err
}

// last reads the last record of stream that matches filter into c.
func (e *Execute) last(ctx context.Context, stream schemas.Stream, filter string, c schemas.Content) (schemas.Record, error) {
	r, err := e.Log.Last(ctx, stream, filter)
	if err != nil {
		return r, err
	}
	return r, read(r, c)
}

// read decodes a record that the gate wrote. One that it cannot decode, because
// a later version wrote it, is no reason to give up the message at hand, nor that
// record if it is the message: it waits for somebody who can.
func read(r schemas.Record, c schemas.Content) error {
	if err := schemas.Read(r, c); err != nil {
		return fmt.Errorf("reading %s: %w: %v", r.Pointer(), schemas.ErrUnavailable, err)
	}
	return nil
}

// writeHold writes the next state of a hold whose last record has the sequence
// last. An ErrStale means that the hold changed meanwhile.
func (e *Execute) writeHold(ctx context.Context, h schemas.Hold, last uint64, trace string) (schemas.Record, error) {
	r, err := e.append(ctx, h, h.At, trace, schemas.Expect{Filter: schemas.HoldFilter(h.Intent.Key()), Last: last})
	if err != nil {
		return r, err
	}
	e.Index.Held(h, r.Seq)
	if h.Waiting == "" {
		e.Bell.Hold(h.Queue, h.Intent.Key(), string(h.State))
	}
	// A further state of what is parked is nothing new to its agent: it could count
	// the votes.
	if h.State == schemas.Parked && len(h.States) == 0 || h.State == schemas.InDoubt {
		e.Bell.Intent(h.Intent.Key(), h.State)
	}
	return r, nil
}

// settleHold settles an intent that is on hold, and closes the hold. A crash
// between the two leaves a hold that is open and settled: whoever touches it next
// comes here again, finds the verdict, and closes it.
func (e *Execute) settleHold(ctx context.Context, h schemas.Hold, r schemas.Record, s schemas.Settlement) error {
	s.Trail = append(holdTrail(h, r), s.Trail...)
	err := e.settle(ctx, h.State, s, traceOf(r))
	if err != nil && !errors.Is(err, errOther) {
		return err
	}
	settled, _, err := e.settlement(ctx, h.Intent.Key())
	if err != nil {
		return err
	}
	return e.closeSettled(ctx, h, r, settled)
}

// closeSettled closes a hold whose id has its verdict.
func (e *Execute) closeSettled(ctx context.Context, h schemas.Hold, r schemas.Record, s schemas.Settlement) error {
	if s.Intent.Digest != h.Intent.Digest {
		return e.closeDuplicate(ctx, h, r)
	}
	return e.closeHold(ctx, h, r, s.State())
}

// holdTrail is the trail of a settlement that a hold led to: the intent, the
// observation, the recommendation, the hold, and the decisions that count.
func holdTrail(h schemas.Hold, r schemas.Record) []schemas.Pointer {
	trail := append([]schemas.Pointer{}, h.Trail...)
	trail = append(trail, r.Pointer())
	for _, v := range h.Votes {
		trail = append(trail, v.Decision)
	}
	return trail
}

func (e *Execute) closeHold(ctx context.Context, h schemas.Hold, r schemas.Record, state schemas.State) error {
	next := h.Next(r.Hash(), e.now())
	next.State, next.Waiting = state, ""
	_, err := e.writeHold(ctx, next, r.Seq, traceOf(r))
	return err
}

// closeDuplicate ends a hold whose id was settled for another intent of the same
// agent, before either could know of the other.
func (e *Execute) closeDuplicate(ctx context.Context, h schemas.Hold, r schemas.Record) error {
	m := matter{intent: h.Intent, queue: h.Queue, trail: h.Trail, trace: traceOf(r)}
	if err := e.refuseDuplicate(ctx, m); err != nil {
		return err
	}
	return e.closeHold(ctx, h, r, schemas.Refused)
}

// take decodes the record at hand. One with headers that no version of the gate
// writes was forged with a stolen key, and is an ErrInvalid: nobody waits for it.
func take(r schemas.Record, c schemas.Content) error {
	if err := schemas.CheckHeaders(r); err != nil {
		return fmt.Errorf("reading %s: %w", r.Pointer(), err)
	}
	return read(r, c)
}
