package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// rulingPatience is how long the answer to "does it count" waits for the message
// to be handled. It looks again after rulingStep, then ever more rarely, up to
// rulingRest: most messages are handled within a millisecond or two. Who waits for
// more than 2 seconds asks again.
const (
	rulingPatience = 1500 * time.Millisecond
	rulingStep     = time.Millisecond
	rulingRest     = 20 * time.Millisecond
)

// progress is how far an intent has come, as the streams say.
type progress struct {
	hold       *schemas.Hold
	settlement *schemas.Settlement
	grant      *schemas.Grant
	granted    schemas.Pointer // names the record of grant
	lapsed     bool
	report     *schemas.Report
}

// progress reads how far an intent has come. It is an ErrNotFound if it was neither
// parked nor settled.
func (e *Execute) progress(ctx context.Context, k schemas.Key) (progress, error) {
	var p progress
	h, _, err := e.hold(ctx, k)
	if err == nil {
		p.hold = &h
	} else if !errors.Is(err, schemas.ErrNotFound) {
		return p, err
	}
	settled, _, err := e.settlement(ctx, k)
	if errors.Is(err, schemas.ErrNotFound) && p.hold != nil {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	p.settlement = &settled
	if p.hold != nil && p.hold.Intent.Digest != settled.Intent.Digest {
		p.hold = nil
	}
	g, at, err := e.lastGrant(ctx, k)
	if errors.Is(err, schemas.ErrNotFound) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	if g == nil {
		p.lapsed = true
		return p, nil
	}
	p.grant, p.granted = g, at.Pointer()
	if p.decided() {
		return p, nil // a report that came after that does not count
	}
	p.report, err = e.reported(ctx, *g, at)
	return p, err
}

// decided reports whether a reviewer said what became of the grant.
func (p progress) decided() bool {
	d := p.doubts()
	return d != nil && (d.Verdict == schemas.WasDone || d.Verdict == schemas.WasNotDone)
}

// doubts returns the doubt about the latest grant, or about the one that is to be
// tried again, or nil.
func (p progress) doubts() *schemas.Doubt {
	if p.hold == nil || p.hold.Doubt == nil || !p.lapsed && p.hold.Doubt.Grant != p.granted {
		return nil
	}
	return p.hold.Doubt
}

// state is where the intent stands.
func (p progress) state() schemas.State {
	switch {
	case p.settlement == nil:
		return schemas.Parked
	case p.settlement.Outcome != schemas.Release:
		return schemas.Refused
	case p.lapsed && (p.doubts() == nil || !p.hold.State.Final()):
		return schemas.Lapsed
	case p.doubts() != nil:
		return p.hold.State // what was said of the grant, or that nobody said it yet
	case p.grant == nil:
		return schemas.Released
	case p.report != nil:
		return p.report.State
	default:
		return schemas.Granted
	}
}

// status answers an agent: the state, a code from a closed list, the text that
// the policy's author wrote for it, the deadline, the result. Nothing of rules,
// scores or voters.
func (a *Answer) status(ctx context.Context, asker schemas.Identity, q schemas.Question) (schemas.Answer, error) {
	k, err := a.key(asker, q)
	if err != nil {
		return schemas.Answer{}, err
	}
	p, err := a.Execute.progress(ctx, k)
	if err != nil {
		return schemas.Answer{}, hide(err, k)
	}
	status := p.status(k)
	status.Gateway = a.Execute.Gateway
	return schemas.Answer{Status: status}, nil
}

func (p progress) status(k schemas.Key) *schemas.Status {
	status := &schemas.Status{Agent: k.Agent, Intent: k.ID, State: p.state()}
	if p.settlement == nil {
		status.Action, status.Digest = p.hold.Intent.Action, p.hold.Intent.Digest
		status.Deadline, status.Tell = p.hold.Deadline, p.hold.Opinion.Tell
		return status
	}
	status.Action, status.Digest = p.settlement.Intent.Action, p.settlement.Intent.Digest
	status.Code, status.Detail, status.Tell = p.settlement.Code, p.settlement.Detail, p.settlement.Tell
	switch status.State {
	case schemas.Released:
		status.Deadline = p.settlement.ExecuteBy
		if p.doubts() != nil {
			status.Deadline = p.hold.Deadline // of the retry
		}
	case schemas.Granted:
		status.Deadline = p.grant.LeaseUntil
	}
	if p.report != nil {
		status.Result, status.Error = p.report.Result, p.report.Error
	}
	return status
}

// ruling says whether a decision or a report counts. It waits a little for the
// message to be handled, and returns an ErrUnavailable if it was not by then.
func (a *Answer) ruling(ctx context.Context, asker schemas.Identity, stream schemas.Stream, q schemas.Question) (schemas.Answer, error) {
	r, err := a.Execute.Log.At(ctx, stream, q.Seq)
	if err != nil {
		return schemas.Answer{}, err
	}
	s, err := schemas.ParseSubject(r.Subject)
	if s.Writer != asker.Name {
		return schemas.Answer{}, fmt.Errorf("%s/%d: %w", stream, q.Seq, schemas.ErrNotFound)
	}
	if err != nil {
		return schemas.Answer{Ruling: &schemas.Ruling{Code: schemas.CodeInvalid, Detail: err.Error()}}, nil
	}
	began := a.Execute.now()
	for step := rulingStep; ; step = min(2*step, rulingRest) {
		ruling, err := a.Execute.ruling(ctx, r, s)
		late := a.Execute.now().Sub(began) > rulingPatience
		if err != nil || ruling != nil && (late || ruling.Waiting != itsRelease) {
			return schemas.Answer{Ruling: ruling}, err
		}
		if late {
			return schemas.Answer{}, fmt.Errorf("%s/%d: %w: not handled yet", stream, q.Seq, schemas.ErrUnavailable)
		}
		if err := pause(ctx, step); err != nil {
			return schemas.Answer{}, err
		}
	}
}

// ruling returns whether the message in r counts, or nil if it was not handled
// yet.
func (e *Execute) ruling(ctx context.Context, r schemas.Record, s schemas.Subject) (*schemas.Ruling, error) {
	key := schemas.Key{Agent: s.Agent, ID: s.Intent}
	rejected, err := e.rejection(ctx, r, s)
	if err != nil || rejected != nil {
		return rejected, err
	}
	now, err := e.progress(ctx, key)
	if errors.Is(err, schemas.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	counts := now.hold != nil && now.hold.Counted(r.Pointer()) && !now.unfinished()
	if r.Stream == schemas.Outcomes {
		counts = now.report != nil && now.report.Grant == reportGrant(r) && now.state() == now.report.State
	}
	switch {
	case !counts:
		return nil, nil
	case now.cameLate(r.Pointer()):
		return &schemas.Ruling{Code: schemas.CodeSettled}, nil
	}
	return &schemas.Ruling{Counts: true, State: now.state(), Waiting: e.missing(ctx, now)}, nil
}

// unfinished reports whether the votes already say what must follow and does not
// follow yet.
func (p progress) unfinished() bool {
	return p.settlement == nil && p.hold != nil &&
		slices.ContainsFunc(p.hold.Votes, func(v schemas.Vote) bool { return v.Verdict == schemas.Deny })
}

// cameLate reports whether a vote came between the verdict and the closing of its
// hold: the verdict, which names the decisions that it rests on, does not name it.
func (p progress) cameLate(decision schemas.Pointer) bool {
	return p.settlement != nil && p.hold != nil &&
		slices.ContainsFunc(p.hold.Votes, func(v schemas.Vote) bool { return v.Decision == decision }) &&
		!slices.Contains(p.settlement.Trail, decision)
}

// rejection returns the ruling that r does not count, or nil if there is none.
func (e *Execute) rejection(ctx context.Context, r schemas.Record, s schemas.Subject) (*schemas.Ruling, error) {
	var ruling *schemas.Ruling
	subject := schemas.Rejection{Of: s.Writer, Agent: s.Agent, Intent: s.Intent}.Subject()
	err := e.Log.Each(ctx, schemas.Rejected, subject, func(at schemas.Record) bool {
		var rejection schemas.Rejection
		if read(at, &rejection) == nil && rejection.Record == r.Pointer() {
			ruling = &schemas.Ruling{Code: rejection.Code, Detail: rejection.Detail}
		}
		return ruling == nil
	})
	return ruling, err
}

func reportGrant(r schemas.Record) schemas.Pointer {
	var report schemas.Report
	if err := schemas.Read(r, &report); err != nil {
		return schemas.Pointer{}
	}
	return report.Grant
}

// itsRelease is what an intent waits for that needs nothing else: it follows on the
// last vote at once, unless nothing can be released now.
const itsRelease = "its release"

// missing says what an intent on hold still waits for.
func (e *Execute) missing(ctx context.Context, p progress) string {
	if p.settlement != nil || p.hold == nil {
		return ""
	}
	if p.hold.Waiting != "" {
		return p.hold.Waiting
	}
	var open []string
	for _, a := range p.hold.Requirements() {
		one := []schemas.Approval{a}
		n, err := e.filled(ctx, *p.hold, one)
		if left := schemas.Places(one) - n; left > 0 || err != nil {
			open = append(open, fmt.Sprintf("%s: %d more", a.ID, left))
		}
	}
	if len(open) == 0 {
		return itsRelease
	}
	return strings.Join(open, ", ")
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
