package stages

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
)

// judgeMessage lets a decision or a report count, or records why it does not. What
// was rejected once stays so: it may come again when it would count.
func (e *Execute) judgeMessage(ctx context.Context, r schemas.Record, s schemas.Subject, judge func(context.Context, schemas.Record) (*schemas.Fault, error)) error {
	rejected, err := e.rejection(ctx, r, s)
	if err != nil || rejected != nil {
		return err
	}
	fault, err := judge(ctx, r)
	if err != nil || fault == nil {
		return err
	}
	return e.reject(ctx, r, s, *fault)
}

// reject records that r, a decision or a report, does not count. Whoever sent it
// can ask for the record.
func (e *Execute) reject(ctx context.Context, r schemas.Record, s schemas.Subject, f schemas.Fault) error {
	rejection := schemas.Rejection{
		Of:     s.Writer,
		Agent:  s.Agent,
		Intent: s.Intent,
		Record: r.Pointer(),
		Code:   f.Code,
		Detail: clip(f.Detail),
		At:     e.now(),
	}
	for {
		var have schemas.Rejection
		at, err := e.last(ctx, schemas.Rejected, rejection.Subject(), &have)
		if err != nil && !errors.Is(err, schemas.ErrNotFound) {
			return err
		}
		if err == nil && have.Record == rejection.Record {
			return nil // written before, and r came again
		}
		_, err = e.append(ctx, rejection, rejection.At, traceOf(r), schemas.Expect{Filter: rejection.Subject(), Last: at.Seq})
		if !errors.Is(err, schemas.ErrStale) {
			return err
		}
	}
}

// rejectUnaddressed records that r does not count, although its subject names no
// intent that can be: the record stands under the sequence of r in its place.
func (e *Execute) rejectUnaddressed(ctx context.Context, r schemas.Record, s schemas.Subject, cause error) error {
	if s.Writer == "" {
		return fmt.Errorf("rejecting %s: %w", r.Pointer(), cause)
	}
	if s.Agent == "" {
		s.Agent = nobody
	}
	s.Intent = schemas.SequenceID(r.Seq)
	return e.reject(ctx, r, s, *faultOf(cause))
}

// nobody stands where the name of an agent should have been.
const nobody schemas.Name = "nobody"

// clip keeps a detail short enough for every record.
func clip(s string) string {
	const most = 1 << 10
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}
