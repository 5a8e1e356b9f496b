package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/holdpoint/holdpoint/schemas"
)

// fault is what goes wrong with a write.
type fault int

const (
	none      fault = iota
	lost            // an error, and it did not happen
	landed          // an error, and it did happen
	crashed         // the process ends before the write
	died            // the process ends after the write
	bugBefore       // the stage panics before the write, and lives on
	bugAfter        // the stage panics after the write
	lastFault
)

// faults breaks one write of a process: the one after so many others.
type faults struct {
	mu    sync.Mutex
	after int
	what  fault

	// meanwhile happens once, before a write that it wants to precede.
	meanwhile func(schemas.Draft) (do func())
}

func (f *faults) set(after int, what fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.after, f.what = after, what
}

// spare lets none of those faults happen.
func (f *faults) spare(what ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(what, f.what) {
		f.what = none
	}
}

// next returns what goes wrong with the write that comes now.
func (f *faults) next() fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.what == none {
		return none
	}
	if f.after--; f.after >= 0 {
		return none
	}
	what := f.what
	f.what = none
	return what
}

// hit reports whether the fault happened.
func (f *faults) hit() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.what == none
}

var (
	errCrash = errors.New("crash") // what a process panics with when it ends
	errBug   = errors.New("bug")   // and when it does not
)

// faulty is a stage's log with its faults.
type faulty struct {
	Log
	sim    *sim
	faults *faults
}

func (l faulty) Append(ctx context.Context, d schemas.Draft, expect schemas.Expect) (schemas.Record, error) {
	if f := l.faults.meanwhile; f != nil {
		if do := f(d); do != nil {
			l.faults.meanwhile = nil
			do()
		}
	}
	if l.sim.never != "" && strings.HasPrefix(d.Subject, l.sim.never) {
		return schemas.Record{}, fmt.Errorf("%w: %s", schemas.ErrInvalid, d.Subject)
	}
	what := l.faults.next()
	if what != none {
		l.sim.sites.note(what)
	}
	if what == lost || what == crashed || what == bugBefore {
		return schemas.Record{}, l.fail(what, d)
	}
	r, err := l.Log.Append(ctx, d, expect)
	if err == nil {
		l.sim.wrote(r.Stream, r.Seq)
		l.sim.traced(r.Stream)
	}
	if what != none {
		return schemas.Record{}, l.fail(what, d)
	}
	return r, err
}

func (l faulty) fail(what fault, d schemas.Draft) error {
	switch what {
	case crashed, died:
		panic(errCrash)
	case bugBefore, bugAfter:
		panic(errBug)
	}
	return fmt.Errorf("%w: injected: %s", schemas.ErrUnavailable, d.Subject)
}
