package audit

import (
	"errors"
	"fmt"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// check is a question about one record, asked when AUDIT had time to copy what
// the answer depends on.
type check struct {
	at    place
	trail *trail // may be nil
	since time.Time

	// ask returns nil, what is wrong, a missing error if that cannot be said yet, or
	// errBefore if it never can. It may be called more than once.
	ask func() error

	// then is called when the record is judged, and nothing needs to be known any
	// more of what led to it. It may be nil.
	then func()
}

// missing is an error that the next records may mend.
type missing struct {
	text string

	// quiet says that it is nobody's fault if they do not: somebody from outside
	// may name what never was.
	quiet bool
}

func (m *missing) Error() string { return m.text }

func missingf(format string, args ...any) error { return &missing{text: fmt.Sprintf(format, args...)} }

func isMissing(err error) bool {
	_, ok := errors.AsType[*missing](err)
	return ok
}

// errBefore says that the answer lies before the reading.
var errBefore = errors.New("names what is from before the reading")

// unsure reports whether err says nothing about what was asked.
func unsure(err error) bool { return isMissing(err) || errors.Is(err, errBefore) }

// onlyUnsure returns err unless it is a finding, which somebody else makes.
func onlyUnsure(err error) error {
	if unsure(err) {
		return err
	}
	return nil
}

// worst returns the first of errs that is a finding, else the first of what is
// missing, else that something lies before the reading.
func worst(errs ...error) error {
	var unknown error
	for _, err := range errs {
		switch {
		case err == nil:
		case !unsure(err):
			return err
		case unknown == nil, isMissing(err) && !isMissing(unknown):
			unknown = err
		}
	}
	return unknown
}

// queue holds checks in the order in which they are due.
type queue struct {
	items []check
	head  int
}

func (q *queue) push(c check) { q.items = append(q.items, c) }

// pop returns the first check that has waited since before a moment.
func (q *queue) pop(before time.Time) (c check, ok bool) {
	if q.head == len(q.items) || !q.items[q.head].since.Before(before) {
		return check{}, false
	}
	c, q.items[q.head] = q.items[q.head], check{}
	if q.head++; q.head > 1024 && q.head > len(q.items)/2 {
		q.items = append([]check(nil), q.items[q.head:]...)
		q.head = 0
	}
	return c, true
}

// pose asks about a record when its time has come. Until then the trail is kept.
func (v *Verifier) pose(at place, t *trail, ask func() error) { v.poseThen(at, t, ask, nil) }

func (v *Verifier) poseThen(at place, t *trail, ask func() error, then func()) {
	if t != nil {
		t.unjudged++
	}
	v.queue.push(check{at: at, trail: t, since: at.copied, ask: ask, then: then})
}

// judgeDue judges every record whose time has come. What is still missing then is
// waited for: an origin may stand still for long.
func (v *Verifier) judgeDue() {
	due := v.now.Add(-v.cfg.Lag)
	for c, ok := v.queue.pop(due); ok; c, ok = v.queue.pop(due) {
		err := c.ask()
		switch {
		case isMissing(err):
			c.since = v.now
			v.queue.push(c)
			continue
		case errors.Is(err, errBefore):
			v.counts.Unchecked++
		case err != nil:
			v.find(c.at, err.Error())
		}
		if c.then != nil {
			c.then()
		}
		if c.trail != nil {
			c.trail.unjudged--
			v.forget(c.trail)
		}
	}
}

// progress is how far AUDIT was read: when the latest record was copied, and when the
// latest of BUDGETS among them was written.
type progress struct{ copied, told time.Time }

// advance moves on what is judged. What was written by v.next is copied within the lag
// after that, and judged within another.
func (v *Verifier) advance() {
	if v.now.Sub(v.next.copied) <= 2*v.cfg.Lag {
		return
	}
	v.judged, v.next = v.next, progress{v.now, v.budgets.told}
	v.budgets.forgetReplaced(v.judged.told)
}

// lane is one stream, as far as it was read.
type lane struct {
	stream schemas.Stream
	first  uint64 // the first sequence; 0 while that is not known
	next   uint64 // the sequence that must come next
}

func newLane(stream schemas.Stream, first uint64) *lane {
	return &lane{stream: stream, first: first, next: first}
}

// advance takes in the sequence of the next record. It says what is wrong with
// it, and whether the record is one that was not read yet.
func (l *lane) advance(seq uint64) (fresh bool, err error) {
	if l.first == 0 {
		l.first, l.next = seq, seq
	}
	switch {
	case seq < l.next:
		return false, fmt.Errorf("stands behind %s/%d: it is there twice, or out of order", l.stream, l.next-1)
	case seq == l.next+1:
		err = fmt.Errorf("has %s/%d missing before it", l.stream, l.next)
	case seq > l.next:
		err = fmt.Errorf("has %s/%d to %d missing before it", l.stream, l.next, seq-1)
	}
	l.next = seq + 1
	return true, err
}

// reached returns nil if the record that p names was read, or passed because it
// is missing.
func (v *Verifier) reached(p schemas.Pointer) error {
	l, known := v.lanes[p.Stream]
	switch {
	case !known:
		return fmt.Errorf("names %s, of a stream that AUDIT does not copy", p)
	case v.partial() && (l.first == 0 || p.Seq < l.first):
		return errBefore
	case p.Seq >= l.next:
		return missingf("names %s, which is not in AUDIT", p)
	}
	return nil
}
