package broker

import (
	"testing"
	"time"
)

// TestRefusals: only refusals in a row add up. A broker that is not there does not
// say that it does not know anybody.
func TestRefusals(t *testing.T) {
	t.Parallel()
	began := time.Unix(0, 0)
	type step struct {
		at           time.Duration // negative: the broker did not refuse
		first, final bool
	}
	for what, c := range map[string]struct {
		patience time.Duration
		steps    []step
	}{
		"a gate that has just started": {time.Minute, []step{{at: 0, first: true}, {at: 59 * time.Second}}},
		"a name that was removed":      {time.Minute, []step{{at: 0, first: true}, {at: 30 * time.Second}, {at: time.Minute, final: true}}},
		"a gate that starts, ends, and starts": {
			time.Minute, []step{{at: 0, first: true}, {at: -1}, {at: time.Hour, first: true}, {at: time.Hour + time.Minute, final: true}},
		},
		"one of the gate's own": {0, []step{{at: 0, first: true}, {at: time.Hour}, {at: 1000 * time.Hour}}},
	} {
		r := refusals{patience: c.patience}
		for i, s := range c.steps {
			if s.at < 0 {
				r.over()
				continue
			}
			first, final := r.add(began.Add(s.at))
			if first != s.first || final != s.final || r.isFinal() != s.final {
				t.Errorf("%s, step %d: first %t, final %t, want %t, %t", what, i+1, first, final, s.first, s.final)
			}
		}
	}
}
