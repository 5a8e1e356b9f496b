package audit

import (
	"crypto/sha256"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// trail is what was read of one intent that is not over, or not for long.
type trail struct {
	key     schemas.Key
	advice  []advice
	holds   []*hold
	verdict *verdict
	grants  []*grant
	lapsed  bool
	reports []*sent // in order; those that are rejected go by and by

	held    *hold // the first state of the hold, when that was judged
	advised bool  // the verdict was judged, and nothing asks for advice any more
	gone    int   // how many of reports are rejected

	proposals []uint64 // sequences in INTENTS that OBSERVED takes for this intent
	decisions []uint64 // sequences in DECISIONS that count on it
	shares    []mark   // of budgets

	unjudged int // records that wait for their check
}

// mark stands for something that has to be known again and nothing else.
type mark [16]byte

func markOf(parts ...string) (m mark) {
	h := sha256.New()
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	copy(m[:], h.Sum(nil))
	return m
}

func markOfKey(k schemas.Key) mark { return markOf(string(k.Agent), string(k.ID)) }

// trail returns what is known of an intent, or nil if the intent is over and was
// forgotten.
func (v *Verifier) trail(k schemas.Key) *trail {
	t := v.trails[k]
	if t != nil || v.isOver(k) {
		return t
	}
	t = &trail{key: k}
	v.trails[k] = t
	return t
}

func (v *Verifier) isOver(k schemas.Key) bool {
	_, over := v.over[markOfKey(k)]
	return over
}

// forget drops what nothing asks for any more, when every record of an intent was
// judged: the whole of it if it is over. What remains tells a further verdict, and
// a report that says the same once more.
func (v *Verifier) forget(t *trail) {
	if t.unjudged > 0 {
		return
	}
	switch {
	case t.verdict != nil:
		t.advice, t.advised = nil, true
	case t.held == nil && len(t.holds) > 0 && t.holds[0].state == schemas.Parked:
		v.keepTo(t, t.holds[0])
	}
	if !t.isOver() && !t.isEmpty() {
		return
	}
	delete(v.trails, t.key)
	for _, seq := range t.decisions {
		delete(v.decisions.kept, seq)
	}
	for _, s := range t.reports {
		if s.answered {
			delete(v.outcomes.kept, s.at.seq)
		}
	}
	if t.isEmpty() {
		return
	}
	for _, seq := range t.proposals {
		delete(v.proposals, seq)
	}
	for _, m := range t.shares {
		v.budgets.over(m)
	}
	v.counts.end(t)
	over := markOfKey(t.key)
	v.over[over] = t.lastWord()
	delete(v.withdrawals, over)
}

// isEmpty reports whether the gate said nothing of the intent: all that there is
// somebody from outside sent.
func (t *trail) isEmpty() bool {
	return len(t.advice) == 0 && len(t.holds) == 0 && t.verdict == nil && len(t.grants) == 0 && len(t.shares) == 0 && !t.lapsed
}

// isOver reports whether nothing can happen to the intent any more, except that
// somebody repeats what was said.
func (t *trail) isOver() bool {
	h := t.hold()
	switch {
	case h != nil && h.state == schemas.InDoubt:
		return false
	case h != nil && h.resolved():
		return true
	case t.verdict != nil && (t.verdict.Outcome != schemas.Release || t.verdict.Intent.Action == schemas.Withdraw):
		return true
	}
	return t.lapsed || len(t.grants) > 0 && t.firstReport(t.grant()) != nil
}

// hold returns the latest state of the hold, or nil.
func (t *trail) hold() *hold {
	if len(t.holds) == 0 {
		return nil
	}
	return t.holds[len(t.holds)-1]
}

// outcome returns done or failed if that is how the intent ended, by the word of
// a reviewer or of its executor, and else nothing.
func (t *trail) outcome() schemas.State {
	if h := t.hold(); h != nil && h.resolved() {
		return h.state
	}
	for _, g := range slices.Backward(t.grants) {
		if first := t.firstReport(g); first != nil {
			return first.report.State
		}
	}
	return ""
}

// firstReport returns the first report on a grant that is not rejected, or nil.
func (t *trail) firstReport(g *grant) *sent {
	for _, s := range t.reports {
		if !s.rejected && s.on(g) {
			return s
		}
	}
	return nil
}

// disown notes that a report of the intent does not count. It may be one of very
// many that an executor sends: of those that are rejected, the first on each grant
// is kept, which says that something was heard of it.
func (t *trail) disown() {
	if t.gone++; t.gone < 64 || t.gone < len(t.reports)/2 {
		return
	}
	t.gone = 0
	heard := map[schemas.Pointer]bool{}
	t.reports = slices.DeleteFunc(t.reports, func(s *sent) bool {
		g := t.reportedOn(s)
		if g == nil {
			return s.rejected
		}
		first := !heard[g.at]
		heard[g.at] = true
		return s.rejected && !first
	})
}

// reportedOn returns the grant that a report is on, or nil.
func (t *trail) reportedOn(s *sent) *grant {
	if i := slices.IndexFunc(t.grants, s.on); i >= 0 {
		return t.grants[i]
	}
	return nil
}

// How an intent ended, as far as that has to be known again: that it was withdrawn,
// or refused otherwise, or else what stands for the report that ended it.
const (
	wasWithdrawn = 1
	wasRefused   = 2
)

// lastWord returns how the intent ended: who sends the same report again is not
// answered. It is 0 if there is nothing to know.
func (t *trail) lastWord() uint64 {
	if t.verdict != nil && t.verdict.Code == schemas.CodeWithdrawn {
		return wasWithdrawn
	}
	if t.verdict != nil && t.verdict.Outcome != schemas.Release {
		return wasRefused
	}
	for _, g := range slices.Backward(t.grants) {
		if first := t.firstReport(g); first != nil {
			return first.body
		}
	}
	return 0
}
