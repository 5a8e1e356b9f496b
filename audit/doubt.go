package audit

import (
	"fmt"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// doubts reports whether h is about what became of g.
func (h *hold) doubts(g *grant) bool { return h.doubt != nil && h.doubt.Grant == g.at }

// resolved reports whether the intent was in doubt, and it was said whether it was
// executed.
func (h *hold) resolved() bool {
	return h.doubt != nil && (h.state == schemas.Done || h.state == schemas.Failed)
}

// byReport reports whether it was the executor who said so, late, rather than a
// reviewer.
func (h *hold) byReport() bool {
	return h.resolved() && (h.doubt.Verdict == "" || h.doubt.Verdict == schemas.Retry)
}

// retries reports whether a reviewer said to try again after g, in a decision
// that is among those named.
func (h *hold) retries(g *grant, named []schemas.Pointer) bool {
	return h.doubts(g) && h.doubt.Verdict == schemas.Retry && slices.Contains(named, h.doubt.Decision)
}

// doubted says why there can be no doubt about the grant that a hold names, or why
// it may not end as by a report. The hold does not name the report, so it may
// still come.
func (v *Verifier) doubted(t *trail, h, before *hold) error {
	if err := v.reached(h.doubt.Grant); err != nil {
		return err
	}
	i := slices.IndexFunc(t.grants, func(g *grant) bool { return h.doubts(g) })
	if i < 0 {
		return fmt.Errorf("names %s, which grants nothing of the kind", h.doubt.Grant)
	}
	g := t.grants[i]
	begins := h.first(before) || before.state != "" && !before.doubts(g)
	switch {
	case h.doubt.Executor != g.Executor:
		return fmt.Errorf("says that it was %s who claimed it, and %s says %s", h.doubt.Executor, g.at, g.Executor)
	case begins && h.state != schemas.InDoubt:
		return fmt.Errorf("ends a doubt about %s that there was not", g.at)
	case begins && h.written.Add(slack).Before(g.LeaseUntil):
		return fmt.Errorf("is in doubt before the lease of %s ends", g.at)
	case h.state == schemas.Released && h.doubt.Verdict != schemas.Retry:
		return fmt.Errorf("is released again after %s, and nobody said so", g.at)
	case !h.byReport() || before.resolved():
		return nil
	}
	if first := t.firstReport(g); first == nil || first.report.State != h.state {
		return missingf("becomes %s, and no report on %s says so", h.state, g.at)
	}
	return nil
}

// decided says why the decision that a hold names may not end its doubt.
func (v *Verifier) decided(t *trail, h *hold) error {
	p := h.doubt.Decision
	if err := v.count(t, h, p); err != nil {
		return err
	}
	s, err := v.decision(h, p)
	switch {
	case err != nil:
		return err
	case s.decision.Verdict != h.doubt.Verdict || !ends(h.doubt.Verdict, h.state):
		return fmt.Errorf("becomes %s by %s, which says %q", h.state, p, s.decision.Verdict)
	}
	for _, other := range t.earlier(h) {
		if other.doubt != nil && other.doubt.Decision == p && other.doubt.Grant != h.doubt.Grant {
			return fmt.Errorf("ends another doubt by %s", p)
		}
	}
	_, err = v.signed(t, h, s)
	return err
}

// ends reports whether a doubt ends in that state by that verdict.
func ends(v schemas.Verdict, s schemas.State) bool {
	switch v {
	case schemas.WasDone:
		return s == schemas.Done
	case schemas.WasNotDone:
		return s == schemas.Failed
	default:
		return v == schemas.Retry && s == schemas.Released
	}
}
