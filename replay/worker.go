package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

// worker reads records and judges what was observed.
type worker struct {
	backtest *Backtest
	quick    quick
	buf      []byte
}

// read finds out what a batch says.
func (w *worker) read(ctx context.Context, one *batch) error {
	one.records = len(one.entries)
	for _, e := range one.entries {
		if err := w.take(ctx, one, e); err != nil {
			return err
		}
	}
	text := one.piece.text
	if one.piece.long {
		_, text, _ = bytes.Cut(text, []byte("\n"))
		one.lines++
		one.bad = append(one.bad, badLine{one.lines, errTooLong})
	}
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		text = rest
		one.lines++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		one.records++
		if err := w.line(ctx, one, line); err != nil {
			return err
		}
	}
	return nil
}

// line reads one line. What a line says that nobody asks for is not looked at.
func (w *worker) line(ctx context.Context, one *batch, line []byte) error {
	if e, ok := w.quick.head(line); ok {
		if !asked(e.Stream) {
			return nil
		}
		if s, ok, err := w.quickly(ctx, &e, fromLine); ok || err != nil {
			return w.note(one, s, e, err)
		}
	}
	e, err := ParseEntry(line)
	if err != nil {
		if _, other := ParseCall(Line{Text: line}, ""); other == nil {
			err = ErrCalls
		}
		one.bad = append(one.bad, badLine{one.lines, err})
		one.records--
		return nil
	}
	return w.take(ctx, one, e)
}

// asked reports whether records of a stream say what became of an intent first.
func asked(stream schemas.Stream) bool {
	return stream == schemas.Observed || stream == schemas.Recommended || stream == schemas.ParkedHolds || stream == schemas.Settled
}

// note adds what a record says to its batch.
func (w *worker) note(one *batch, s sign, e Entry, err error) error {
	if err != nil || s.intent == 0 || e.Time.Before(w.backtest.Since) || e.Audit < w.backtest.From {
		return err
	}
	s.audit = e.Audit
	one.signs = append(one.signs, s)
	return nil
}

// take reads one record. One that cannot be read is a bad line: a later
// version wrote it, or nobody who should.
func (w *worker) take(ctx context.Context, one *batch, e Entry) error {
	if !asked(e.Stream) {
		return nil
	}
	if s, ok, err := w.quickly(ctx, &e, fromEntry); ok || err != nil {
		return w.note(one, s, e, err)
	}
	s, err := w.strictly(ctx, e)
	if unreadable := new(schemas.Fault); errors.As(err, &unreadable) {
		one.bad = append(one.bad, badLine{one.lines, fmt.Errorf("AUDIT/%d: %s/%d: %w", e.Audit, e.Stream, e.Seq, err)})
		return nil
	}
	return w.note(one, s, e, err)
}

// strictly says what a record says, by the decoders of the gate.
func (w *worker) strictly(ctx context.Context, e Entry) (sign, error) {
	r := e.Record()
	switch r.Stream {
	case schemas.Observed:
		var o schemas.Observation
		if err := schemas.Read(r, &o); err != nil {
			return sign{}, err
		}
		return w.observed(ctx, e.Seq, o)
	case schemas.Recommended:
		var rec schemas.Recommendation
		err := schemas.Read(r, &rec)
		return recommended(rec), err
	case schemas.Settled:
		var s schemas.Settlement
		err := schemas.Read(r, &s)
		return settled(s), err
	default:
		var h schemas.Hold
		err := schemas.Read(r, &h)
		return parked(h), err
	}
}

// quickly says what a record says, if it is plain to see.
func (w *worker) quickly(ctx context.Context, e *Entry, from source) (s sign, ok bool, err error) {
	switch e.Stream {
	case schemas.Observed:
		o, ok := w.observation(e, from)
		if ok {
			s, err = w.observed(ctx, e.Seq, o)
		}
		return s, ok, err
	case schemas.Recommended:
		r, ok := w.recommendation(e, from)
		return recommended(r), ok, nil
	case schemas.Settled:
		settlement, ok := w.settlement(e, from)
		return settled(settlement), ok, nil
	default:
		h, ok := w.hold(e, from)
		return parked(h), ok, nil
	}
}

// What follows reads what a record says as [schemas.Read] does, but quickly. What is
// in e, and what is returned, is good for as long as no other is read.

func (w *worker) observation(e *Entry, from source) (o schemas.Observation, ok bool) {
	body, ok := from(w, e, o.Type())
	if !ok {
		return o, false
	}
	o, ok = w.quick.observation(body)
	return o, ok && subjectIs(e.Subject, "observed", string(o.Intent.Agent), string(o.Intent.Action))
}

func (w *worker) recommendation(e *Entry, from source) (r schemas.Recommendation, ok bool) {
	body, ok := from(w, e, r.Type())
	if !ok {
		return r, false
	}
	r, ok = w.quick.recommendation(body)
	return r, ok && subjectIs(e.Subject, "recommended", r.Opinion.Outcome.String(), string(r.Intent.Agent), string(r.Intent.Action))
}

func (w *worker) settlement(e *Entry, from source) (s schemas.Settlement, ok bool) {
	before, want := w.quick, schemas.Released
	body, ok := from(w, e, "intent.released.v1")
	if !ok {
		w.quick, want = before, schemas.Refused
		body, ok = from(w, e, "intent.refused.v1")
	}
	if !ok {
		return s, false
	}
	s, ok = w.quick.settlement(body)
	return s, ok && s.State() == want && subjectIs(e.Subject, string(want), string(s.Intent.ID), string(s.Intent.Agent), string(s.Intent.Action))
}

// subjectIs reports whether a subject has these parts.
func subjectIs(subject string, parts ...string) bool {
	for i, part := range parts {
		rest, ok := strings.CutPrefix(subject, part)
		if i < len(parts)-1 && ok {
			rest, ok = strings.CutPrefix(rest, ".")
		}
		if !ok {
			return false
		}
		subject = rest
	}
	return subject == ""
}

// hold returns no more of a hold that changed than that it is parked no more for the
// first time.
func (w *worker) hold(e *Entry, from source) (h schemas.Hold, ok bool) {
	body, ok := from(w, e, h.Type())
	if !ok || changed(body) {
		return h, ok
	}
	h, ok = w.quick.hold(body)
	return h, ok && subjectIs(e.Subject, "parked", string(h.Intent.ID), string(h.Intent.Agent), string(h.Queue))
}

// source finds the body of an event of a type, if its header is as the gate writes
// it.
type source func(w *worker, e *Entry, kind string) (body []byte, ok bool)

// fromLine reads the line whose head was read.
func fromLine(w *worker, e *Entry, kind string) ([]byte, bool) {
	w.buf = w.quick.rest(e, kind, w.buf)
	return w.buf, !w.quick.off
}

func fromEntry(_ *worker, e *Entry, kind string) ([]byte, bool) {
	return e.Body, plainEvent(e.Header, kind)
}

// observed judges an intent by what was observed of it.
func (w *worker) observed(ctx context.Context, seq uint64, o schemas.Observation) (sign, error) {
	s := sign{intent: intentOf(o.Trail), observed: seq}
	c := &Case{Agent: o.Intent.Agent, Intent: o.Intent.ID, Action: o.Intent.Action, At: o.At, Observed: seq}
	s.seen = c
	switch {
	case o.Intent.Action == schemas.Withdraw:
		s.apart = apartWithdrawal
		return s, nil
	case o.Fault != nil && o.Bundle == "":
		s.apart = string(o.Fault.Code) // before a bundle was asked
		return s, nil
	}
	j, charges, err := w.backtest.judge.JudgeObserved(ctx, o)
	if err != nil {
		return s, fmt.Errorf("OBSERVED/%d: %w", seq, err)
	}
	if len(charges) > 0 {
		o.Intent.Params = bytes.Clone(o.Intent.Params)
		s.charges = &charged{o, j, charges}
	} else {
		c.New = w.backtest.fateOf(j)
	}
	if action, _ := w.backtest.Bundle.Action(c.Action); o.Fault != nil {
		c.Guessed = action.ReadsExposure
	}
	return s, nil
}

// charged is an intent that takes of budgets, and what is known of it without them.
type charged struct {
	observation schemas.Observation
	judgement   stages.Judgement
	charges     []rules.Charge
}

// charge says what would have become of an intent that takes of budgets, after all
// that were observed before it.
func (b *Backtest) charge(ctx context.Context, s *sign) error {
	if s.charges == nil || s.audit <= b.window.last {
		return nil
	}
	j, err := b.judge.Charge(ctx, s.charges.observation, s.charges.judgement, s.charges.charges, b.purse)
	if err != nil {
		return fmt.Errorf("OBSERVED/%d: %w", s.observed, err)
	}
	s.seen.New = b.fateOf(j)
	return nil
}

func (b *Backtest) fateOf(j stages.Judgement) Fate {
	v := verdictOf(j, b.rules)
	return Fate{Outcome: v.Outcome, Code: v.Code, Detail: v.Detail, By: v.By, Queue: v.Queue, Needs: v.Needs}
}

// recommended says which rules of that time decided.
func recommended(r schemas.Recommendation) sign {
	return sign{intent: intentOf(r.Trail), said: fateOf(r.Opinion)}
}

// settled says what a settlement is: the first thing that was done with the intent,
// or how it ended after it was parked.
func settled(s schemas.Settlement) sign {
	if slices.ContainsFunc(s.Trail, func(p schemas.Pointer) bool { return p.Stream == schemas.ParkedHolds }) {
		end := string(s.Code)
		if s.Outcome == schemas.Release {
			end = string(schemas.Released)
		}
		return sign{intent: intentOf(s.Trail), ended: end}
	}
	did := &Fate{Outcome: s.Outcome, Code: s.Code, Detail: s.Detail}
	apart := ""
	switch s.Code {
	case "", schemas.CodePolicy, schemas.CodeUnknownAction, schemas.CodeInvalid: // by rules or catalog
	default:
		apart = string(s.Code)
	}
	return sign{intent: intentOf(s.Trail), observed: observationOf(s.Trail), did: did, apart: apart}
}

// parked says how an intent was first parked.
func parked(h schemas.Hold) sign {
	if h.State != schemas.Parked || len(h.States) > 0 {
		return sign{}
	}
	did := fateOf(h.Opinion)
	did.Queue, did.Needs = h.Queue, h.Requirements()
	s := sign{intent: intentOf(h.Trail), observed: observationOf(h.Trail), did: did}
	if h.Waiting != "" {
		s.apart = apartWaiting
	}
	return s
}

// fateOf returns what decided as an opinion has it. What a risk rule added is there
// as a release.
func fateOf(o schemas.Opinion) *Fate {
	f := &Fate{Outcome: o.Outcome}
	for _, m := range o.Matched {
		if m.Outcome == o.Outcome && m.Add == 0 {
			f.By = append(f.By, By{Rule: m.Rule, Reason: m.Reason})
		}
	}
	if o.Outcome != schemas.Park {
		return f
	}
	for _, m := range o.Failed {
		f.By = append(f.By, By{Rule: m.Rule, Reason: m.Reason, Failed: true})
	}
	if len(f.By) == 0 {
		f.By = []By{noRule()}
	}
	return f
}

// intentOf and observationOf return the sequences that a trail begins with, or 0.
func intentOf(trail []schemas.Pointer) uint64      { return sequence(trail, 0, schemas.Intents) }
func observationOf(trail []schemas.Pointer) uint64 { return sequence(trail, 1, schemas.Observed) }

func sequence(trail []schemas.Pointer, at int, stream schemas.Stream) uint64 {
	if len(trail) <= at || trail[at].Stream != stream {
		return 0
	}
	return trail[at].Seq
}
