package schemas_test

import (
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestActivations: as many persons as the bundle before asks for must want the
// same bundle with the same quorum; one of them twice is one.
func TestActivations(t *testing.T) {
	t.Parallel()
	var a schemas.Activations
	seq := uint64(0)
	for i, step := range []struct {
		bundle  string
		quorum  int
		person  string
		effects bool
	}{
		{"one", 0, "pat", true},    // the first needs nobody else
		{"two", 2, "pat", true},    // nor does the second; from now on two
		{"three", 2, "pat", false}, // …
		{"three", 2, "pat", false}, // the same person again
		{"three", 1, "ann", false}, // another quorum is another thing
		{"four", 2, "ann", false},  // and so is another bundle
		{"three", 2, "ann", true},
		{"four", 2, "pat", false}, // what was wanted before counts no more
		{"four", 2, "ann", true},
		{"five", 0, "ann", false},
		{"five", 1, "bo", true}, // 0 is 1
		{"six", 3, "bo", true},
		{"one", 0, "bo", false},
		{"one", 0, "ann", false},
		{"one", 0, "pat", true},
	} {
		seq++
		before := a.Active()
		got := a.Add(seq, schemas.Activation{Bundle: digest(step.bundle), Quorum: step.quorum}, step.person)
		want := before
		if step.effects {
			want = digest(step.bundle)
		}
		if got != step.effects || a.Active() != want {
			t.Errorf("step %d, %s by %s: effective %v and %s is active, want %v and %s", i, step.bundle, step.person, got, a.Active().Short(), step.effects, want.Short())
		}
		if last := a.Past()[0]; last.Seq != seq || last.Effective != step.effects || (last.Missing == 0) != step.effects {
			t.Errorf("step %d is remembered as %+v", i, last)
		}
	}
}
