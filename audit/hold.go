package audit

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// hold is one state of a hold.
type hold struct {
	at  schemas.Pointer
	key schemas.Key
	matter
	action   schemas.Action
	state    schemas.State
	queue    schemas.Name
	outcome  schemas.Outcome // of its opinion
	risk     int
	needs    []schemas.Approval
	votes    []schemas.Vote
	doubt    *schemas.Doubt
	deadline time.Time
	latest   time.Time // the deadline if its opinion were new
	written  time.Time
	copied   time.Time
	trail    []schemas.Pointer
	inputs   []schemas.Pointer

	// unseen says that there were states before the reading.
	unseen bool
}

func newHold(h schemas.Hold, r schemas.Record) *hold {
	latest, _ := h.Opinion.Deadline(h.At, h.Intent.Expires())
	return &hold{
		at: r.Pointer(), key: h.Intent.Key(), matter: matterOf(h.Intent), action: h.Intent.Action,
		state: h.State, queue: h.Queue,
		outcome: h.Opinion.Outcome, risk: h.Opinion.Risk, needs: h.Requirements(), votes: h.Votes, doubt: h.Doubt,
		deadline: h.Deadline, latest: latest, written: h.At, copied: r.Time, trail: h.Trail, inputs: h.Inputs,
	}
}

// takeHold takes in a state of a hold. What is new in it is judged: that it is
// held, votes, and the end of a doubt.
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

// first reports whether h is the first state of its hold, where before is what was
// read before it.
func (h *hold) first(before *hold) bool { return before.state == "" && !h.unseen }

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
		all = append(all, err, h.once(i))
		if !vote.InAdvance() {
			all = append(all, v.count(t, h, vote.Decision))
		}
	}
	if d, was := h.doubt, before.doubt; d != nil && d.Verdict != "" && (was == nil || was.Decision != d.Decision || was.Grant != d.Grant) {
		all = append(all, v.decided(t, h))
	}
	if before.state != "" || h.first(before) {
		all = append(all, h.changes(before))
	}
	for _, p := range h.inputs {
		if !slices.Contains(before.inputs, p) {
			all = append(all, v.saw(h, p))
		}
	}
	switch {
	case h.doubt != nil:
		all = append(all, v.doubted(t, h, before))
	case h.state == schemas.Parked && h.first(before):
		all = append(all, v.held(t, h))
	case h.state != schemas.Parked:
		all = append(all, v.closed(t, h))
	}
	return worst(all...)
}

// saw says why the opinion of a hold cannot have been formed by what p names: what its
// agent was exposed to, or what was taken of a budget.
func (v *Verifier) saw(h *hold, p schemas.Pointer) error {
	if p.Stream != schemas.Budgets {
		return v.exposed(h.key.Agent, p)
	}
	if err := v.reached(p); err != nil {
		return err
	}
	record, kept := v.budgets.all[p.Seq]
	switch {
	case !kept && h.unseen:
		return errBefore // a state of before the reading may have named it in time
	case !kept:
		return fmt.Errorf("names %s, which has no part in it", p)
	case record.hash != markOf(string(p.Hash)):
		return fmt.Errorf("names %s, which says something else", p)
	}
	return nil
}

// once says why a vote of h may not be the second of its person.
func (h *hold) once(i int) error {
	vote := h.votes[i]
	if slices.ContainsFunc(h.votes[:i], func(b schemas.Vote) bool { return b.Person == vote.Person && b.Verdict == vote.Verdict }) {
		return fmt.Errorf("counts %s twice", vote.Person)
	}
	return nil
}

// changes says why a hold may not become what it is in h from what it was before.
func (h *hold) changes(before *hold) error {
	switch {
	case !h.mayFollow(before):
		return fmt.Errorf("is %s, and was %s before", h.state, cmp.Or(before.state, "nothing"))
	case before.state == "":
		return nil
	case h.matter != before.matter:
		return fmt.Errorf("holds something else than %s", before.at)
	case h.queue != before.queue:
		return fmt.Errorf("stands in queue %s, and %s in queue %s", h.queue, before.at, before.queue)
	case !slices.Equal(h.trail, before.trail):
		return fmt.Errorf("does not follow the trail of %s", before.at)
	case len(h.votes) < len(before.votes) || !slices.EqualFunc(before.votes, h.votes[:len(before.votes)], sameVote):
		return fmt.Errorf("drops a vote of %s", before.at)
	case h.state == schemas.Parked && !h.deadline.Equal(before.deadline) && !h.renewed(before):
		return fmt.Errorf("waits until %s, and %s until %s", clock(h.deadline), before.at, clock(before.deadline))
	}
	return nil
}

// mayFollow reports whether a hold can become h. Of two things at once, one may go
// unwritten: that it was closed, before it is in doubt.
func (h *hold) mayFollow(before *hold) bool {
	was := before.state
	switch h.state {
	case schemas.Parked:
		return h.doubt == nil && (was == "" || was == schemas.Parked)
	case schemas.Refused:
		return h.doubt == nil && was == schemas.Parked
	case schemas.Released:
		return h.doubt == nil && was == schemas.Parked || h.doubt != nil && was == schemas.InDoubt
	case schemas.InDoubt:
		return h.doubt != nil && (was == "" || was == schemas.Parked || was == schemas.Released)
	case schemas.Done, schemas.Failed:
		return h.doubt != nil && (was == schemas.InDoubt || was == schemas.Released && before.doubt != nil)
	}
	return false
}

func sameVote(a, b schemas.Vote) bool {
	return a.Decision == b.Decision && a.Verdict == b.Verdict && a.Reviewer == b.Reviewer && a.Person == b.Person
}

// renewed reports whether h waits for reviewers only now, and so has a deadline of
// its own.
func (h *hold) renewed(before *hold) bool {
	return before.outcome == schemas.Release && h.outcome != schemas.Release && h.deadline.Equal(h.latest)
}

// held says why an intent may not be held as it is in the first state of its hold:
// the recommendation says otherwise.
func (v *Verifier) held(t *trail, h *hold) error {
	if t.advised {
		return nil
	}
	if len(h.trail) != 3 || h.trail[2].Stream != schemas.Recommended {
		return fmt.Errorf("holds without naming a recommendation")
	}
	rec, err := v.advice(t, h.trail[2])
	switch {
	case err != nil:
		return err
	case rec.matter != h.matter:
		return fmt.Errorf("holds something else than %s is about", rec.at)
	case !slices.Equal(rec.trail, h.trail[:2]):
		return fmt.Errorf("does not follow the trail of %s", rec.at)
	case rec.queue != h.queue:
		return fmt.Errorf("stands in queue %s, and %s says %s", h.queue, rec.at, rec.queue)
	case h.risk < rec.risk:
		return fmt.Errorf("shows a risk of %d, and %s says %d", h.risk, rec.at, rec.risk)
	case !h.deadline.Equal(h.latest):
		return fmt.Errorf("waits until %s, and its rules say %s", clock(h.deadline), clock(h.latest))
	}
	return nil
}

// closed says why a hold may not be closed as it is.
func (v *Verifier) closed(t *trail, h *hold) error {
	s := t.verdict
	switch {
	case s == nil && v.partial():
		return errBefore
	case s == nil:
		return missingf("is %s, and nothing in SETTLED says so", h.state)
	case s.digest != h.digest && h.state == schemas.Refused:
		return nil // its id was used for something else
	case s.digest != h.digest || s.State() != h.state:
		return fmt.Errorf("is %s, and %s is not", h.state, s.at)
	}
	return nil
}

// countLate notes the decisions that count on a hold of an intent that is over.
func (v *Verifier) countLate(h *hold) error {
	named := make([]schemas.Pointer, 0, len(h.votes)+1)
	for _, vote := range h.votes {
		if vote.Decision.Stream == schemas.Decisions {
			named = append(named, vote.Decision)
		}
	}
	if h.doubt != nil && h.doubt.Verdict != "" {
		named = append(named, h.doubt.Decision)
	}
	for _, p := range named {
		if err := v.reached(p); err != nil {
			return err
		}
		if s := v.decisions.kept[p.Seq]; s != nil && s.hash == p.Hash && s.at.key == h.key {
			v.decisions.count(s, h.copied)
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
	v.decisions.count(s, h.copied)
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
	if vote.InAdvance() {
		return v.castStanding(h, vote)
	}
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
	case !s.signedBy(who):
		return nil, fmt.Errorf("counts %s, which %s did not sign", p, who.Name)
	}
	return who, nil
}

// showed reports whether there was a state of the hold with that hash before h.
func (t *trail) showed(hash schemas.Digest, h *hold) bool {
	return h.unseen || slices.ContainsFunc(t.earlier(h), func(state *hold) bool { return state.at.Hash == hash })
}

// earlier returns the states of the hold before h: all of them, if h is yet to come.
func (t *trail) earlier(h *hold) []*hold {
	if i := slices.Index(t.holds, h); i >= 0 {
		return t.holds[:i]
	}
	return t.holds
}
