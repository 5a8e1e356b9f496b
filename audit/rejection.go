package audit

import (
	"fmt"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// rejection is the gate's word that a decision or a report does not count.
type rejection struct {
	schemas.Rejection
	moment
	of *sent // what is rejected, as soon as that was read
}

// takeRejection takes in that a decision or a report does not count.
func (v *Verifier) takeRejection(at place, r schemas.Record) {
	x := &rejection{}
	if !v.read(at, r, &x.Rejection) {
		return
	}
	x.moment = moment{x.At, at.copied}
	t := v.trails[at.key] // if there is one, it is not to be forgotten before
	switch x.Record.Stream {
	case schemas.Decisions:
		v.pose(at, t, func() error { return v.rejects(&v.decisions, x, v.overruled) })
	case schemas.Outcomes:
		v.pose(at, t, func() error { return v.rejects(&v.outcomes, x, v.disowned) })
	default:
		v.find(at, fmt.Sprintf("rejects %s, which is neither a decision nor a report", x.Record))
	}
}

// rejects says why a record may not be rejected: it counts, or by wrongly, which is
// asked of one about an intent that is not over. It is known by its sequence: the
// hash adds nothing.
func (v *Verifier) rejects(in *inbox, x *rejection, wrongly func(*trail, *rejection) error) error {
	if err := v.reached(x.Record); err != nil {
		return err
	}
	if x.of == nil {
		x.of = in.kept[x.Record.Seq]
	}
	switch {
	case in.counted.has(x.Record.Seq):
		return fmt.Errorf("rejects %s, which counts", x.Record)
	case x.of != nil && x.of.writer != x.Of:
		return fmt.Errorf("rejects %s, and says so to %s instead of %s", x.Record, x.Of, x.of.writer)
	case x.of != nil && x.of.report != nil && !x.of.rejected:
		in.reject(x.Record.Seq, x.copied)
		if t := v.trails[x.of.at.key]; t != nil {
			t.disown()
		}
	default:
		in.reject(x.Record.Seq, x.copied)
	}
	if x.of == nil || v.trails[x.of.at.key] == nil {
		return nil
	}
	return wrongly(v.trails[x.of.at.key], x)
}

// mostShown is how many states of a hold the gate remembers to have shown.
const mostShown = 16

// overruled says why a denial may not be rejected: one by an eligible reviewer ends
// an intent, unless it comes too late or the same person has voted before. Why the
// gate says it does not count is nothing to go by.
func (v *Verifier) overruled(t *trail, x *rejection) error {
	d, last := x.of.decision, t.hold()
	if d == nil || d.Verdict != schemas.Deny || d.Reason == "" || len(d.Reason) > schemas.MaxReason {
		return nil
	}
	if last == nil || last.unseen || last.digest != d.Digest || len(t.holds) > mostShown || t.tooLate(x) {
		return nil
	}
	next := *last
	who, err := v.signed(t, &next, x.of)
	if unsure(err) {
		return err
	}
	if err != nil || v.unknown(who, x) || v.unknown(v.members.byName[d.Agent], x) || last.voted(who) {
		return nil
	}
	e, err := v.electorate(last, []*member{who})
	if err != nil || slices.ContainsFunc(t.holds, func(h *hold) bool { return !e.mayDeny(h, 0) }) {
		return err
	}
	return missingf("rejects %s, a denial that counts", x.Record)
}

// tooLate reports whether an intent was settled by then, was to be decided by then,
// or was not even held.
func (t *trail) tooLate(x *rejection) bool {
	then := x.At.Add(slack)
	return t.verdict != nil && t.verdict.At.Before(then) || t.holds[0].written.After(x.At.Add(-slack)) ||
		slices.ContainsFunc(t.holds, func(h *hold) bool { return h.deadline.Before(then) })
}

// unknown reports whether the gate may not have known somebody then: not yet, or
// not any more.
func (v *Verifier) unknown(who *member, x *rejection) bool {
	return v.known(who.since, x.moment).Add(v.cfg.Lag).After(x.At) || who.removed != nil && who.removed.earliest().Before(x.At.Add(slack))
}

// voted reports whether somebody has a vote on h.
func (h *hold) voted(who *member) bool {
	return slices.ContainsFunc(h.votes, func(vote schemas.Vote) bool {
		return vote.Reviewer == who.Name || vote.Person == who.Principal()
	})
}

// disowned says why a report may not be rejected: it is the first on the latest
// grant, and no reviewer said before what became of that.
func (v *Verifier) disowned(t *trail, x *rejection) error {
	if x.of.report == nil {
		return nil
	}
	then := x.At.Add(slack)
	i := slices.IndexFunc(t.grants, x.of.on)
	if i < 0 || t.lapsed || slices.ContainsFunc(t.grants[i+1:], func(g *grant) bool { return g.At.Before(then) }) {
		return nil
	}
	g := t.grants[i]
	if first := t.firstReport(g); first != nil && first.at.seq < x.of.at.seq {
		return nil
	}
	if slices.ContainsFunc(t.holds, func(h *hold) bool { return h.doubts(g) && h.resolved() && !h.byReport() && h.written.Before(then) }) {
		return nil
	}
	return missingf("rejects %s, the report on %s", x.Record, g.at)
}
