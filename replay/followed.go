package replay

import "github.com/holdpoint/holdpoint/schemas"

// followed are intents that were parked and would not have been, until it is known
// how they ended. Of more than it keeps, those that wait longest count as open.
type followed struct {
	most  int
	open  map[uint64]move // by sequence in INTENTS
	order []uint64        // a ring of them, the oldest at next
	next  int
	ends  map[move]map[string]int
}

func newFollowed(most int) followed {
	return followed{most: most, open: map[uint64]move{}, ends: map[move]map[string]int{}}
}

// follow waits for the end of an intent that was compared, if it is not known yet.
func (t *changeTally) follow(intent uint64, c *Case, ended string) {
	m := move{c.Old.Outcome, c.New.Outcome}
	switch {
	case m.was != schemas.Park || m.would == schemas.Park:
	case ended != "":
		t.held.count(m, ended)
	default:
		t.held.add(intent, m)
	}
}

// end notes how an intent ended, if it is one of those that are followed.
func (t *changeTally) end(intent uint64, how string) bool {
	m, ok := t.held.open[intent]
	if ok {
		delete(t.held.open, intent)
		t.held.count(m, how)
	}
	return ok
}

func (f *followed) count(m move, how string) {
	if f.ends[m] == nil {
		f.ends[m] = map[string]int{}
	}
	f.ends[m][how]++
}

func (f *followed) add(intent uint64, m move) {
	if len(f.order) < f.most {
		f.order = append(f.order, intent)
	} else {
		f.leave(f.order[f.next])
		f.order[f.next] = intent
		f.next = (f.next + 1) % f.most
	}
	f.open[intent] = m
}

func (f *followed) leave(intent uint64) {
	if m, ok := f.open[intent]; ok {
		delete(f.open, intent)
		f.count(m, apartOpen)
	}
}

// finish ends all of them.
func (f *followed) finish() {
	for _, intent := range f.order {
		f.leave(intent)
	}
	f.order, f.next = nil, 0
}
