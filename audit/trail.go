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
	reports []*sent

	proposals []uint64 // sequences in INTENTS that OBSERVED takes for this intent
	decisions []uint64 // sequences in DECISIONS that count on it

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

// forget drops an intent that is over and of which every record was judged. What
// remains tells a further verdict, and a report that says the same once more.
func (v *Verifier) forget(t *trail) {
	if t.unjudged > 0 || !t.isOver() && !t.isEmpty() {
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
	v.counts.end(t)
	v.over[markOfKey(t.key)] = t.lastWord()
}

// isEmpty reports whether the gate said nothing of the intent: all that there is
// somebody from outside sent.
func (t *trail) isEmpty() bool {
	return len(t.advice) == 0 && len(t.holds) == 0 && t.verdict == nil && len(t.grants) == 0 && !t.lapsed
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
		if first := t.firstReport(g); first != nil && !first.rejected {
			return first.report.State
		}
	}
	return ""
}

// firstReport returns the first report on a grant, or nil.
func (t *trail) firstReport(g *grant) *sent {
	for _, s := range t.reports {
		if s.on(g) {
			return s
		}
	}
	return nil
}

// lastWord stands for what the report says that ended the intent: who sends the
// same again is not answered. It is 0 if there is none.
func (t *trail) lastWord() uint64 {
	for _, g := range slices.Backward(t.grants) {
		if first := t.firstReport(g); first != nil {
			return first.body
		}
	}
	return 0
}
