package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// hold is one state of a hold.
type hold struct {
	at       schemas.Pointer
	key      schemas.Key
	digest   schemas.Digest
	state    schemas.State
	queue    schemas.Name
	needs    []schemas.Approval
	votes    []schemas.Vote
	doubt    *schemas.Doubt
	deadline time.Time
	written  time.Time
	trail    []schemas.Pointer

	// unseen says that there were states before the reading.
	unseen bool
}

func newHold(h schemas.Hold, r schemas.Record) *hold {
	return &hold{
		at: r.Pointer(), key: h.Intent.Key(), digest: h.Intent.Digest, state: h.State, queue: h.Queue,
		needs: h.Requirements(), votes: h.Votes, doubt: h.Doubt, deadline: h.Deadline, written: h.At, trail: h.Trail,
	}
}

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
	return h.doubt != nil && h.doubt.Grant == g.at && h.doubt.Verdict == schemas.Retry && slices.Contains(named, h.doubt.Decision)
}

// takeHold takes in a state of a hold. What is new in it is judged: votes, and the
// end of a doubt.
func (v *Verifier) takeHold(at place, r schemas.Record) {
	var body schemas.Hold
	if !v.read(at, r, &body) {
		return
	}
	v.verify(at, body.Intent)
	h, before := newHold(body, r), new(hold)
	t := v.trail(h.key)
	if t == nil {
		v.pose(at, nil, func() error { return v.countLate(h) })
		return
	}
	if last := t.hold(); last != nil {
		before, h.unseen = last, last.unseen
	} else {
		h.unseen = v.partial() && len(body.States) > 0
	}
	t.holds = append(t.holds, h)
	v.pose(at, t, func() error { return v.follows(t, h, before) })
}

// follows says why a hold may not change from one state to the next. Every
// decision that counts in it is noted, whatever else there is to say: one that
// lies before the reading must not hide the others.
func (v *Verifier) follows(t *trail, h, before *hold) error {
	var all []error
	for i, vote := range h.votes {
		if slices.ContainsFunc(before.votes, func(b schemas.Vote) bool { return b.Decision == vote.Decision }) {
			continue
		}
		_, err := v.cast(t, h, vote)
		all = append(all, v.count(t, h, vote.Decision), err, h.once(i))
	}
	if h.doubt == nil {
		return worst(all...)
	}
	if h.doubt.Verdict != "" && (before.doubt == nil || before.doubt.Decision != h.doubt.Decision) {
		all = append(all, v.decided(t, h))
	}
	return worst(append(all, v.doubted(t, h, before))...)
}

// once says why a vote of h may not be the second of its person.
func (h *hold) once(i int) error {
	vote := h.votes[i]
	if slices.ContainsFunc(h.votes[:i], func(b schemas.Vote) bool { return b.Person == vote.Person && b.Verdict == vote.Verdict }) {
		return fmt.Errorf("counts %s twice", vote.Person)
	}
	return nil
}

// doubted says why there can be no doubt about the grant that a hold names, or why
// it may not end as by a report. The hold does not name the report, so it may
// still come.
func (v *Verifier) doubted(t *trail, h, before *hold) error {
	p := h.doubt.Grant
	if err := v.reached(p); err != nil {
		return err
	}
	i := slices.IndexFunc(t.grants, func(g *grant) bool { return g.at == p })
	if i < 0 {
		return fmt.Errorf("names %s, which grants nothing of the kind", p)
	}
	if !h.byReport() || before.resolved() {
		return nil
	}
	if first := t.firstReport(t.grants[i]); first == nil || first.report.State != h.state {
		return missingf("becomes %s, and no report on %s says so", h.state, p)
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

// countLate notes the decisions that count on a hold of an intent that is over.
func (v *Verifier) countLate(h *hold) error {
	named := make([]schemas.Pointer, 0, len(h.votes)+1)
	for _, vote := range h.votes {
		named = append(named, vote.Decision)
	}
	if h.doubt != nil && h.doubt.Verdict != "" {
		named = append(named, h.doubt.Decision)
	}
	for _, p := range named {
		if err := v.reached(p); err != nil {
			return err
		}
		if s := v.decisions.kept[p.Seq]; s != nil && s.hash == p.Hash && s.at.key == h.key {
			v.decisions.count(s)
			delete(v.decisions.kept, p.Seq)
		}
	}
	return nil
}

// count notes that a decision counts on h.
func (v *Verifier) count(t *trail, h *hold, p schemas.Pointer) error {
	s, err := v.decision(h, p)
	if err != nil {
		return err
	}
	if !s.answered {
		t.decisions = append(t.decisions, p.Seq)
	}
	v.decisions.count(s)
	return nil
}

// decision returns the decision that counts on h under the pointer p.
func (v *Verifier) decision(h *hold, p schemas.Pointer) (*sent, error) {
	if p.Stream != schemas.Decisions {
		return nil, fmt.Errorf("counts %s, which is no decision", p)
	}
	if err := v.reached(p); err != nil {
		return nil, err
	}
	s := v.decisions.kept[p.Seq]
	switch {
	case v.decisions.rejected.has(p.Seq):
		return nil, fmt.Errorf("counts %s, which REJECTED says does not count", p)
	case s == nil || s.hash != p.Hash || s.decision == nil:
		return nil, fmt.Errorf("counts %s, which says something else", p)
	case s.decision.Key() != h.key || s.decision.Digest != h.digest:
		return nil, fmt.Errorf("counts %s, which is about something else", p)
	}
	return s, nil
}

// cast returns who cast a vote of h, or why it does not count.
func (v *Verifier) cast(t *trail, h *hold, vote schemas.Vote) (*member, error) {
	s, err := v.decision(h, vote.Decision)
	if err != nil {
		return nil, err
	}
	who, err := v.signed(t, h, s)
	switch {
	case err != nil:
		return nil, err
	case s.decision.Verdict != vote.Verdict || s.decision.Reviewer != vote.Reviewer || who.Principal() != vote.Person:
		return nil, fmt.Errorf("counts %s as something else than it says", vote.Decision)
	}
	return who, nil
}

// signed returns the reviewer who made a decision, if it was one who may decide in
// the queue of h, was shown h in an earlier state, and signed.
func (v *Verifier) signed(t *trail, h *hold, s *sent) (*member, error) {
	who, err := v.member(s.decision.Reviewer)
	if err != nil {
		return nil, err
	}
	agent, err := v.member(h.key.Agent)
	if err != nil {
		return nil, err
	}
	p := schemas.Pointer{Stream: s.at.stream, Seq: s.at.seq}
	switch {
	case who.Role != schemas.RoleReviewer || s.decision.Queue != h.queue || !slices.Contains(who.Queues, h.queue):
		return nil, fmt.Errorf("counts %s, by %s, who may not decide in queue %s", p, who.Name, h.queue)
	case !who.separate(agent):
		return nil, fmt.Errorf("counts %s, by %s, who answers for %s", p, who.Principal(), agent.Name)
	case !t.showed(s.decision.Shown, h):
		return nil, fmt.Errorf("counts %s, which is about a view of the hold that never was", p)
	case s.decision.VerifySignature(who.Key) != nil:
		return nil, fmt.Errorf("counts %s, which %s did not sign", p, who.Name)
	}
	return who, nil
}

// showed reports whether there was a state of the hold with that hash before h.
func (t *trail) showed(hash schemas.Digest, h *hold) bool {
	return h.unseen || slices.ContainsFunc(t.earlier(h), func(state *hold) bool { return state.at.Hash == hash })
}

// earlier returns the states of the hold before h.
func (t *trail) earlier(h *hold) []*hold { return t.holds[:max(0, slices.Index(t.holds, h))] }
