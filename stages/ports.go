package stages

import (
	"context"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// Log is the streams as a stage sees them.
//
// Writes to one stream are serializable, across processes and restarts, and
// durable when they return nil. After any error but ErrStale and ErrInvalid the
// caller does not know whether the write happened, and must look. All methods may
// be called concurrently.
type Log interface {
	// Append writes d if expect holds. It returns ErrStale if it does not, or may
	// not in a moment, and an ErrInvalid if the stream can never take d.
	Append(ctx context.Context, d schemas.Draft, expect schemas.Expect) (schemas.Record, error)

	// Last returns the last record of stream that matches filter. It has seen
	// every write that returned before. It returns ErrNotFound if there is none.
	Last(ctx context.Context, stream schemas.Stream, filter string) (schemas.Record, error)

	// At returns the record of stream with that sequence, or ErrNotFound.
	At(ctx context.Context, stream schemas.Stream, seq uint64) (schemas.Record, error)

	// Each hands every record of stream that matches filter to next, in order,
	// until next returns false. It has seen every write that returned before.
	Each(ctx context.Context, stream schemas.Stream, filter string, next func(schemas.Record) bool) error
}

// Bell tells agents and reviewers that something changed. What it says is a hint
// that may be lost.
type Bell interface {
	// Intent rings for the agent of an intent.
	Intent(k schemas.Key, state schemas.State)

	// Hold rings for the reviewers of a queue. What is a state, or "reminder".
	Hold(queue schemas.Name, k schemas.Key, what string)
}

// Directory knows who is registered.
type Directory interface {
	// ByName returns the identity of that name, and false if there is none, or
	// there is none any more.
	ByName(name schemas.Name) (schemas.Identity, bool)

	// Ever returns the identity that has that name or had it, and false if there
	// never was one: no name is given twice.
	Ever(name schemas.Name) (schemas.Identity, bool)
}

// Policy is the active bundle, as a stage uses it. It may be used concurrently.
type Policy interface {
	Digest() schemas.Digest
	Actions() []schemas.Action
	Action(a schemas.Action) (rules.Action, bool)
	Params(a schemas.Action) []byte
	CheckParams(a schemas.Action, params []byte) error
	Budgets() []rules.Budget
	Evaluate(ctx context.Context, at rules.Checkpoint, f rules.Facts) schemas.Opinion
	Charges(ctx context.Context, f rules.Facts) (charges []rules.Charge, unread []schemas.Match)
	Standing(ctx context.Context, f rules.Facts, when string) (rules.Allowance, bool, error)
}

// Eligibility evaluates the expressions that say who may approve.
type Eligibility interface {
	Eligible(ctx context.Context, expr string, r rules.Reviewer, agent schemas.AgentFacts, a schemas.Action) (bool, error)
}

// Health says whether anything may be released now.
type Health interface {
	// Check returns an ErrUnavailable that says why not: the audit lags, the
	// clock is off, or that could not be found out.
	Check() error
}

// Common is what every stage needs. All fields are required except Now.
type Common struct {
	Gateway schemas.Name
	Log     Log
	Control *ControlState
	Names   Directory

	// Now tells the time. If nil, time.Now is used.
	Now func() time.Time
}

// now returns the time as records carry it.
func (c Common) now() time.Time {
	if c.Now != nil {
		return c.Now().UTC()
	}
	return time.Now().UTC()
}

// source is the CloudEvents source of what a stage writes.
func (c Common) source(stage schemas.Role) string {
	return "/gateways/" + string(c.Gateway) + "/" + string(stage)
}
