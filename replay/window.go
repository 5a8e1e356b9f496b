package replay

import "github.com/holdpoint/holdpoint/schemas"

// maxWindow is how many intents may lie between what two records say of one. AUDIT
// is copied from several streams side by side, in whatever order among them.
const maxWindow = 1 << 16

// Why no policy is behind what became of an intent, or nothing can be compared,
// beside the codes of refusals.
const (
	apartWithdrawal = "withdrawal" // it takes another back
	apartWaiting    = "waiting"    // only a freeze or an outage held what the rules release
	apartOpen       = "open"       // nothing was done with it up to the end
	apartUnanswered = "unanswered" // nothing was done with it for long
	apartUnobserved = "unobserved" // what was observed of it is not there
	apartBefore     = "before"     // it was observed before the beginning
	apartAgain      = "again"      // it was observed before, because of a crash
)

// window joins what records say of intents, in whatever order they come. It keeps
// those of the last intents; an older one must have been heard of in full.
type window struct {
	most  int
	tally *changeTally
	open  map[uint64]*joint // by sequence in INTENTS
	order []uint64          // a ring of them, the oldest at next
	next  int

	last  uint64 // in AUDIT
	first uint64 // in OBSERVED
}

// joint is what was heard of one intent.
type joint struct {
	seen []*Case // each time it was observed
	said *Fate
	did  *sign
	over bool // it was counted

	ended string // how, after it was parked
}

func newWindow(most int, tally *changeTally) *window {
	return &window{most: most, tally: tally, open: make(map[uint64]*joint, most)}
}

// add takes in what one record says. A record that came before says nothing new.
func (w *window) add(s sign) {
	if s.audit <= w.last {
		w.tally.report.Repeated++
		return
	}
	w.last = s.audit
	if s.ended != "" && w.tally.end(s.intent, s.ended) {
		return
	}
	j := w.of(s.intent)
	if j.over {
		if s.seen != nil && s.seen.Observed > 0 {
			w.tally.apart(apartAgain)
		}
		return
	}
	switch {
	case s.seen != nil:
		if w.first == 0 {
			w.first = s.observed
		}
		if s.apart != "" {
			j.end(w.tally, s.apart)
			return
		}
		j.seen = append(j.seen, s.seen)
	case s.ended != "":
		j.ended = s.ended
	case s.said != nil:
		j.said = s.said
	case s.did != nil && j.did == nil:
		j.did = &s
		if s.observed < w.first {
			j.end(w.tally, apartBefore)
			return
		}
	}
	if j.did != nil && (j.said != nil || j.did.did.Outcome == schemas.Park) {
		j.compare(w.tally)
	}
}

// of returns what was heard of an intent. If that is nothing, the oldest intent
// leaves the window.
func (w *window) of(intent uint64) *joint {
	if j := w.open[intent]; j != nil {
		return j
	}
	if len(w.order) < w.most {
		w.order = append(w.order, intent)
	} else {
		w.leave(w.order[w.next], apartUnanswered)
		w.order[w.next] = intent
		w.next = (w.next + 1) % w.most
	}
	j := &joint{}
	w.open[intent] = j
	return j
}

// leave ends an intent, of which nothing more is expected.
func (w *window) leave(intent uint64, unanswered string) {
	j := w.open[intent]
	delete(w.open, intent)
	if j == nil || j.over {
		return
	}
	j.compare(w.tally)
	switch {
	case j.over:
	case j.did != nil && j.did.observed < w.first:
		j.end(w.tally, apartBefore)
	case j.did != nil:
		j.end(w.tally, apartUnobserved)
	case len(j.seen) > 0:
		j.end(w.tally, unanswered)
	}
}

// finish ends all intents, in their order.
func (w *window) finish() {
	for i := range w.order {
		w.leave(w.order[(w.next+i)%len(w.order)], apartOpen)
	}
	w.order, w.next = nil, 0
}

// compare counts the intent, if the observation is there from which its verdict was
// made.
func (j *joint) compare(t *changeTally) {
	if j.did == nil {
		return
	}
	for _, c := range j.seen {
		if c.Observed != j.did.observed {
			continue
		}
		for range len(j.seen) - 1 {
			t.apart(apartAgain)
		}
		if j.did.apart != "" {
			j.end(t, j.did.apart)
			return
		}
		c.Old = *j.did.did
		if said := j.said; said != nil && len(c.Old.By) == 0 && said.Outcome == c.Old.Outcome {
			c.Old.By = said.By
		}
		t.count(*c)
		t.follow(j.did.intent, c, j.ended)
		*j = joint{over: true}
		return
	}
}

// end counts the intent apart.
func (j *joint) end(t *changeTally, why string) {
	t.apart(why)
	*j = joint{over: true}
}
