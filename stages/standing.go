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

// standing is what the streams say of one intent.
type standing struct {
	hold       *schemas.Hold
	settlement *schemas.Settlement
	grant      *schemas.Grant
	granted    schemas.Pointer // names the record of grant
	lapsed     bool
	report     *schemas.Report
}

// standing reads what the streams say of an intent, or an ErrNotFound if it was
// neither parked nor settled.
func (e *Execute) standing(ctx context.Context, k schemas.Key) (standing, error) {
	var s standing
	h, _, err := e.hold(ctx, k)
	if err == nil {
		s.hold = &h
	} else if !errors.Is(err, schemas.ErrNotFound) {
		return s, err
	}
	settled, _, err := e.settlement(ctx, k)
	if errors.Is(err, schemas.ErrNotFound) && s.hold != nil {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.settlement = &settled
	if s.hold != nil && s.hold.Intent.Digest != settled.Intent.Digest {
		s.hold = nil
	}
	g, at, err := e.lastGrant(ctx, k)
	if errors.Is(err, schemas.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if g == nil {
		s.lapsed = true
		return s, nil
	}
	s.grant, s.granted = g, at.Pointer()
	if s.decided() {
		return s, nil // a report that came after that does not count
	}
	s.report, err = e.reported(ctx, *g, at)
	return s, err
}

// decided reports whether a reviewer said what became of the grant.
func (s standing) decided() bool {
	d := s.doubts()
	return d != nil && (d.Verdict == schemas.WasDone || d.Verdict == schemas.WasNotDone)
}

// doubts returns the doubt about the latest grant, or about the one that is to be
// tried again, or nil.
func (s standing) doubts() *schemas.Doubt {
	if s.hold == nil || s.hold.Doubt == nil || !s.lapsed && s.hold.Doubt.Grant != s.granted {
		return nil
	}
	return s.hold.Doubt
}

// state is where the intent stands.
func (s standing) state() schemas.State {
	switch {
	case s.settlement == nil:
		return schemas.Parked
	case s.settlement.Outcome != schemas.Release:
		return schemas.Refused
	case s.lapsed && (s.doubts() == nil || !s.hold.State.Final()):
		return schemas.Lapsed
	case s.doubts() != nil:
		return s.hold.State // what was said of the grant, or that nobody said it yet
	case s.grant == nil:
		return schemas.Released
	case s.report != nil:
		return s.report.State
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
	s, err := a.Execute.standing(ctx, k)
	if err != nil {
		return schemas.Answer{}, hide(err, k)
	}
	status := s.status(k)
	status.Gateway = a.Execute.Gateway
	return schemas.Answer{Status: status}, nil
}

func (s standing) status(k schemas.Key) *schemas.Status {
	status := &schemas.Status{Agent: k.Agent, Intent: k.ID, State: s.state()}
	if s.settlement == nil {
		status.Action, status.Digest = s.hold.Intent.Action, s.hold.Intent.Digest
		status.Deadline, status.Tell = s.hold.Deadline, s.hold.Opinion.Tell
		return status
	}
	status.Action, status.Digest = s.settlement.Intent.Action, s.settlement.Intent.Digest
	status.Code, status.Detail, status.Tell = s.settlement.Code, s.settlement.Detail, s.settlement.Tell
	switch status.State {
	case schemas.Released:
		status.Deadline = s.settlement.ExecuteBy
		if s.doubts() != nil {
			status.Deadline = s.hold.Deadline // of the retry
		}
	case schemas.Granted:
		status.Deadline = s.grant.LeaseUntil
	}
	if s.report != nil {
		status.Result, status.Error = s.report.Result, s.report.Error
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
	now, err := e.standing(ctx, key)
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
func (s standing) unfinished() bool {
	return s.settlement == nil && s.hold != nil &&
		slices.ContainsFunc(s.hold.Votes, func(v schemas.Vote) bool { return v.Verdict == schemas.Deny })
}

// cameLate reports whether a vote came between the verdict and the closing of its
// hold: the verdict, which names the decisions that it rests on, does not name it.
func (s standing) cameLate(decision schemas.Pointer) bool {
	return s.settlement != nil && s.hold != nil &&
		slices.ContainsFunc(s.hold.Votes, func(v schemas.Vote) bool { return v.Decision == decision }) &&
		!slices.Contains(s.settlement.Trail, decision)
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
func (e *Execute) missing(ctx context.Context, s standing) string {
	if s.settlement != nil || s.hold == nil {
		return ""
	}
	if s.hold.Waiting != "" {
		return s.hold.Waiting
	}
	var open []string
	for _, a := range s.hold.Requirements() {
		one := []schemas.Approval{a}
		n, err := e.filled(ctx, *s.hold, one)
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
