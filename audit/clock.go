package audit

import (
	"fmt"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// slack is how far the times of two records may disagree: each clock may be five
// seconds off.
const slack = 10 * time.Second

// moment is when a record was written: when it says, and when AUDIT got it.
type moment struct{ said, copied time.Time }

// earliest returns when a record may have had an effect already: not later than
// AUDIT got it, whatever its writer's clock said.
func (m moment) earliest() time.Time {
	if m.copied.Before(m.said) {
		return m.copied
	}
	return m.said
}

// An operator's clock is nobody's to rely on. So a control record is taken to be of
// the time at which AUDIT got it; unless AUDIT was behind when it got what depends
// on that, and all there is to go by is what the records say.

// known returns from when on whoever writes at a moment must have known of a
// control record.
func (v *Verifier) known(control, at moment) time.Time {
	if v.behind(at) {
		return control.earliest()
	}
	return control.copied
}

// possible returns from when on whoever writes at a moment may have known of it.
func (v *Verifier) possible(control, at moment) time.Time {
	if lagging := control.copied.Add(-v.cfg.Lag); !v.behind(at) && lagging.After(control.said) {
		return lagging
	}
	return control.earliest()
}

func (v *Verifier) behind(at moment) bool { return at.copied.Sub(at.said) > v.cfg.Lag }

// dates is what the latest record of a stream says, of those that execute writes
// only while its clock agrees with the broker's.
type dates map[schemas.Stream]date

type date struct {
	said time.Time
	seq  uint64
}

// dated makes sure that such a record was written when it says: not after AUDIT
// got it, and not long before one that stands before it.
func (v *Verifier) dated(at place, said time.Time) {
	last := v.dates[at.stream]
	switch {
	case said.After(at.copied.Add(slack)):
		v.find(at, fmt.Sprintf("is dated %s, and AUDIT got it before", clock(said)))
	case last.said.Sub(said) > v.cfg.Lag:
		v.find(at, fmt.Sprintf("is dated %s, and %s/%d, which stands before it, %s", clock(said), at.stream, last.seq, clock(last.said)))
	case said.After(last.said):
		v.dates[at.stream] = date{said, at.seq}
	}
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
