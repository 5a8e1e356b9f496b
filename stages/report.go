package stages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// Reports returns the handler of OUTCOMES.
func (e *Execute) Reports() onReport { return onReport{e} }

type onReport struct{ *Execute }

// Handle takes in what an executor reports, or records why it does not count.
func (e onReport) Handle(ctx context.Context, r schemas.Record) error {
	s, err := schemas.ParseSubject(r.Subject)
	if err != nil {
		return e.rejectUnaddressed(ctx, r, s, err)
	}
	return e.judgeMessage(ctx, r, s, e.report)
}

// Refuse records that r could not be handled. If it is the report on its grant, it
// counts by being there: a doubt that it should have closed is closed later.
func (e onReport) Refuse(ctx context.Context, r schemas.Record, _ string) error {
	s, err := schemas.ParseSubject(r.Subject)
	if err != nil {
		return e.rejectUnaddressed(ctx, r, s, err)
	}
	grant, at, err := e.lastGrant(ctx, schemas.Key{Agent: s.Agent, ID: s.Intent})
	if err != nil && !errors.Is(err, schemas.ErrNotFound) {
		return err
	}
	if err == nil && grant != nil {
		first, err := e.firstReport(ctx, *grant, at)
		if err != nil || first != nil && first.Seq == r.Seq {
			return err
		}
	}
	return e.reject(ctx, r, s, schemas.Fault{Code: schemas.CodeInternal})
}

// report returns why the report in r does not count, or lets it count. What
// counts is the first report of the executor that holds the latest grant; a
// doubt that it comes too late for is closed by it.
func (e *Execute) report(ctx context.Context, r schemas.Record) (*schemas.Fault, error) {
	var report schemas.Report
	if err := checkReport(r, &report); err != nil {
		return faultOf(err), nil
	}
	grant, at, err := e.lastGrant(ctx, report.Key())
	if err != nil && !errors.Is(err, schemas.ErrNotFound) {
		return nil, err
	}
	if err != nil || grant == nil || !reportsOn(report, *grant, at) {
		return &schemas.Fault{Code: schemas.CodeNotGranted}, nil
	}
	first, err := e.firstReport(ctx, *grant, at)
	if err != nil {
		return nil, err
	}
	if first == nil || first.Seq != r.Seq && !bytes.Equal(first.Body, r.Body) {
		return &schemas.Fault{Code: schemas.CodeTooLate, Detail: "reported before"}, nil
	}
	fault, err := e.closeDoubt(ctx, report)
	if fault != nil || err != nil {
		return fault, err
	}
	e.Index.Ended(report.Key(), at.Seq)
	e.Bell.Intent(report.Key(), report.State)
	return nil, nil
}

// checkReport decodes a report and says what is wrong with it.
func checkReport(r schemas.Record, report *schemas.Report) error {
	if err := schemas.Read(r, report); err != nil {
		return err
	}
	switch {
	case report.State != schemas.Done && report.State != schemas.Failed:
		return &schemas.Fault{Code: schemas.CodeInvalid, Detail: "/state: want done or failed"}
	case len(report.Result) > schemas.MaxResultSize:
		return &schemas.Fault{Code: schemas.CodeInvalid, Detail: fmt.Sprintf("/result: longer than %d bytes", schemas.MaxResultSize)}
	}
	return nil
}

func reportsOn(report schemas.Report, g schemas.Grant, at schemas.Record) bool {
	return report.Executor == g.Executor && report.Digest == g.Digest && report.Grant == at.Pointer()
}

// firstReport returns the record of the first report that counts for a grant, or
// nil.
func (e *Execute) firstReport(ctx context.Context, g schemas.Grant, at schemas.Record) (*schemas.Record, error) {
	subject := schemas.Report{Executor: g.Executor, Agent: g.Agent, Intent: g.Intent}.Subject()
	var first *schemas.Record
	err := e.Log.Each(ctx, schemas.Outcomes, subject, func(r schemas.Record) bool {
		var report schemas.Report
		if checkReport(r, &report) == nil && reportsOn(report, g, at) {
			first = &r
		}
		return first == nil
	})
	return first, err
}

// reported returns the report that counts for a grant, or nil.
func (e *Execute) reported(ctx context.Context, g schemas.Grant, at schemas.Record) (*schemas.Report, error) {
	r, err := e.firstReport(ctx, g, at)
	if err != nil || r == nil {
		return nil, err
	}
	var report schemas.Report
	return &report, read(*r, &report)
}

// closeDoubt ends the doubt about an intent whose executor did report, late. It
// returns a fault if a reviewer ended it before.
func (e *Execute) closeDoubt(ctx context.Context, report schemas.Report) (*schemas.Fault, error) {
	h, at, err := e.hold(ctx, report.Key())
	switch {
	case errors.Is(err, schemas.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case h.Doubt == nil || h.Doubt.Grant != report.Grant:
		return nil, nil
	case h.State == report.State && (h.Doubt.Verdict == "" || h.Doubt.Verdict == schemas.Retry):
		return nil, nil // closed before, by this report
	case h.State != schemas.InDoubt && h.State != schemas.Released:
		return &schemas.Fault{Code: schemas.CodeTooLate, Detail: "a reviewer decided before"}, nil
	}
	happened := reportDone
	if report.State == schemas.Failed {
		happened = reportFailed
	}
	state, err := after(stateOf(h), happened)
	if err != nil {
		return nil, err
	}
	return nil, e.closeHold(ctx, h, at, state)
}

// closeReported ends a doubt that a report came just before: whoever took in the
// report saw no doubt, and whoever wrote the doubt saw no report.
func (e *Execute) closeReported(ctx context.Context, h schemas.Hold) error {
	g, at, err := e.lastGrant(ctx, h.Intent.Key())
	if errors.Is(err, schemas.ErrNotFound) || err == nil && (g == nil || at.Pointer() != h.Doubt.Grant) {
		return nil
	}
	if err != nil {
		return err
	}
	report, err := e.reported(ctx, *g, at)
	if err != nil || report == nil {
		return err
	}
	_, err = e.closeDoubt(ctx, *report)
	return err
}

// resolve ends a doubt by a reviewer's word.
func (e *Execute) resolve(ctx context.Context, h schemas.Hold, at schemas.Record, d schemas.Decision, r schemas.Record) error {
	happened := map[schemas.Verdict]event{schemas.WasDone: wasDone, schemas.WasNotDone: wasNotDone, schemas.Retry: retry}[d.Verdict]
	state, err := after(h.State, happened)
	if err != nil {
		return err
	}
	next := h.Next(at.Hash(), e.now())
	doubt := *h.Doubt
	doubt.Decision, doubt.Verdict = r.Pointer(), d.Verdict
	next.State, next.Doubt = shown(state), &doubt
	if d.Verdict == schemas.Retry {
		policy, err := e.Control.Policy(ctx)
		if err != nil {
			return err
		}
		action, _ := policy.Action(h.Intent.Action)
		next.Deadline = next.At.Add(max(action.ExecuteBy, defaultLease))
	}
	_, err = e.writeHold(ctx, next, at.Seq, traceOf(at))
	return err
}

// doubt puts an intent whose executor said nothing in time before the reviewers.
// If that was done before, the index learns it.
func (e *Execute) doubt(ctx context.Context, g schemas.Grant, at schemas.Record) error {
	settled, settledAt, err := e.settlement(ctx, g.Key())
	if err != nil {
		return err
	}
	h, holdAt, err := e.hold(ctx, g.Key())
	if err != nil && !errors.Is(err, schemas.ErrNotFound) {
		return err
	}
	own := err == nil && h.Intent.Digest == settled.Intent.Digest
	switch {
	case own && h.Doubt != nil && h.Doubt.Grant == at.Pointer():
		e.Index.Held(h, holdAt.Seq)
		return nil
	case own:
		return e.writeDoubt(ctx, h.Next(holdAt.Hash(), e.now()), holdAt.Seq, g, at)
	case err == nil && h.Open():
		// Another intent of that id is on hold, and has not been refused yet.
		if err := e.closeSettled(ctx, h, holdAt, settled); err != nil {
			return err
		}
		return e.doubt(ctx, g, at)
	}
	h = schemas.Hold{
		Intent:  settled.Intent,
		Opinion: schemas.Opinion{Outcome: schemas.Release},
		Bundle:  g.Bundle,
		Trail:   []schemas.Pointer{settledAt.Pointer(), at.Pointer()},
		At:      e.now(),
	}
	if h.Queue, err = e.queueOf(ctx, g.Action); err != nil {
		return err
	}
	return e.writeDoubt(ctx, h, holdAt.Seq, g, at)
}

// writeDoubt writes next as the state of a hold, the last record of which has the
// sequence last: the grant whose record is at is in doubt.
func (e *Execute) writeDoubt(ctx context.Context, next schemas.Hold, last uint64, g schemas.Grant, at schemas.Record) error {
	next.State, next.Waiting = schemas.InDoubt, ""
	next.Doubt = &schemas.Doubt{Grant: at.Pointer(), Executor: g.Executor, Since: next.At}
	next.Deadline, next.Remind, next.Inputs = time.Time{}, time.Time{}, nil
	_, err := e.writeHold(ctx, next, last, traceOf(at))
	return err
}

// queueOf returns the queue of an action as cataloged now, or the default one.
func (e *Execute) queueOf(ctx context.Context, a schemas.Action) (schemas.Name, error) {
	policy, err := e.Control.Policy(ctx)
	if err != nil {
		return "", err
	}
	action, known := policy.Action(a)
	if !known {
		return schemas.DefaultQueue, nil
	}
	return action.Queue, nil
}
