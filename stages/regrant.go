package stages

import (
	"context"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// granted is about a claim that was granted.
func (d *dossier) granted(r schemas.Record) (*retrial, error) {
	var g schemas.Grant
	if err := schemas.Read(r, &g); err != nil {
		return nil, err
	}
	t := &retrial{record: r, at: g.At, bundle: g.Bundle}
	err := d.released(t, g.Trail)
	d.holdAtClaim(t, g.Trail)
	for _, before := range d.records[schemas.Grants] {
		if before.Seq < r.Seq {
			var earlier schemas.Grant
			t.stood = append(t.stood, before)
			if schemas.Read(before, &earlier) == nil {
				t.inputs = append(t.inputs, paidIn(earlier.Trail)...)
			}
		}
	}
	t.inputs = append(t.inputs, g.Trail...)
	t.decide = func(ctx context.Context, on desk) error {
		_, err := on.execute.Claim(ctx, g.Executor, g.Key(), g.Nonce)
		return err
	}
	return t, err
}

// lapsed is about a release that nobody claimed in time.
func (d *dossier) lapsed(r schemas.Record) (*retrial, error) {
	var l schemas.Lapse
	if err := schemas.Read(r, &l); err != nil {
		return nil, err
	}
	t := &retrial{record: r, at: l.At}
	for _, before := range d.records[schemas.Grants] {
		if before.Seq < r.Seq {
			return t, ofDoubt // it was granted, and to be tried again
		}
	}
	err := d.released(t, l.Trail)
	t.decide = func(ctx context.Context, on desk) error { return on.execute.lapse(ctx, l.Key()) }
	return t, err
}

// released looks up the release that a trail names.
func (d *dossier) released(t *retrial, trail []schemas.Pointer) error {
	at, err := d.named(trail, schemas.Settled)
	if err != nil {
		return err
	}
	var s schemas.Settlement
	if err := schemas.Read(at, &s); err != nil {
		return cannotError("the release that it names cannot be read")
	}
	t.intent, t.stood, t.inputs = s.Intent, append(t.stood, at), paidIn(s.Trail)
	return nil
}

// paidIn returns the budgets that a trail names.
func paidIn(trail []schemas.Pointer) []schemas.Pointer {
	return slices.DeleteFunc(slices.Clone(trail), func(p schemas.Pointer) bool { return p.Stream != schemas.Budgets })
}

// holdAtClaim lets the states of the hold stand that it had at the claim: until it was in
// doubt, or until the decision to try it again, if the trail of the grant names one.
func (d *dossier) holdAtClaim(t *retrial, trail []schemas.Pointer) {
	for _, r := range d.records[schemas.ParkedHolds] {
		var h schemas.Hold
		if schemas.Read(r, &h) != nil || h.Intent.Digest != t.intent.Digest {
			continue
		}
		retry := h.Doubt != nil && h.Doubt.Decision != (schemas.Pointer{}) && slices.Contains(trail, h.Doubt.Decision)
		if h.Doubt == nil || retry && h.State == schemas.Released {
			t.stood, t.voters = append(t.stood, r), h.Votes
		}
	}
}

// basis returns the records whose opinions count for the decision in a record: the
// observation and the recommendation that it names, and the hold before it.
func (d *dossier) basis(of schemas.Pointer) (recommendation []schemas.Pointer, hold schemas.Pointer) {
	r, err := d.find(of)
	if err != nil {
		return nil, hold
	}
	var trail []schemas.Pointer
	switch of.Stream {
	case schemas.Recommended:
		var rec schemas.Recommendation
		_ = schemas.Read(r, &rec)
		trail = rec.Trail
	case schemas.ParkedHolds:
		var h schemas.Hold
		_ = schemas.Read(r, &h)
		if trail = h.Trail; len(h.States) > 0 {
			at, _, err := d.stateBefore(r, h)
			if err == nil {
				hold = at.Pointer()
			}
		}
	case schemas.Settled:
		var s schemas.Settlement
		_ = schemas.Read(r, &s)
		trail = s.Trail
	case schemas.Grants:
		return nil, hold
	}
	for _, p := range trail {
		switch p.Stream {
		case schemas.Observed, schemas.Recommended:
			recommendation = append(recommendation, p)
		case schemas.ParkedHolds:
			hold = p
		}
	}
	return recommendation, hold
}

// holdIn returns the state of a hold that p names.
func (d *dossier) holdIn(p schemas.Pointer) (h schemas.Hold, err error) {
	r, err := d.find(p)
	if err == nil {
		err = schemas.Read(r, &h)
	}
	return h, err
}
