package audit

import (
	"fmt"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// approved says why a hold does not have the approvals that a release needs, or
// may not be released whatever it has.
func (v *Verifier) approved(t *trail, s *verdict, h *hold) error {
	if h == nil {
		return nil
	}
	for _, vote := range h.votes {
		if vote.Verdict == schemas.Deny {
			return fmt.Errorf("releases what %s denied in %s", vote.Reviewer, vote.Decision)
		}
	}
	return v.satisfied(t, h, union(s.needs, h.needs), s.moment)
}

// satisfied says why the votes of a hold do not meet approvals at a moment.
func (v *Verifier) satisfied(t *trail, h *hold, needs []schemas.Approval, at moment) error {
	e, err := v.elect(t, h, schemas.Approve, at)
	if err != nil {
		return err
	}
	if !e.enough(needs) {
		return fmt.Errorf("goes on without the approvals that it needs%s", e.because())
	}
	return nil
}

// stillApproved says why the approvals that a release had do not do for a grant:
// reviewers who were removed meanwhile count no more. What the rules asked for
// beside the recommendation is asked of a grant by the bundle of the release.
func (v *Verifier) stillApproved(t *trail, s *verdict, g *grant) error {
	if _, err := v.named(t, s); unsure(err) {
		return err
	}
	h := t.hold()
	if h == nil || h.digest != s.digest {
		return nil
	}
	needs, err := v.needed(t, s)
	if err != nil {
		return err
	}
	if g.Bundle == s.Bundle {
		needs = union(needs, h.needs)
	}
	return v.satisfied(t, h, needs, g.moment)
}

// needed returns the approvals that the recommendation of a release asks for. One
// that is not the release's is found there.
func (v *Verifier) needed(t *trail, s *verdict) ([]schemas.Approval, error) {
	if s.judged || len(s.Trail) < 3 {
		return s.needs, nil
	}
	rec, err := v.advice(t, s.Trail[2])
	if err != nil {
		return nil, onlyUnsure(err)
	}
	return rec.requirements(), nil
}

// denied says why an intent may not be refused as denied.
func (v *Verifier) denied(t *trail, s *verdict) error {
	h, err := v.named(t, s)
	if err != nil {
		return err
	}
	if h == nil {
		return fmt.Errorf("is refused as denied, and names no hold")
	}
	e, err := v.elect(t, h, schemas.Deny, moment{}) // who denied counts, also if they were removed since
	if err != nil {
		return err
	}
	for i := range e.voters {
		if e.mayDeny(h, i) {
			return nil
		}
	}
	return fmt.Errorf("is refused as denied, and nobody denied it who may%s", e.because())
}

// mayDeny reports whether a voter is eligible for any of the approvals that a hold
// needs.
func (e *election) mayDeny(h *hold, voter int) bool {
	needs := h.needs
	if len(needs) == 0 {
		needs = []schemas.Approval{schemas.AnyReviewer()}
	}
	return slices.ContainsFunc(needs, func(a schemas.Approval) bool { return e.eligible(a, voter) })
}

// elect returns the election of those whose decisions on h say that, as it is at a
// moment.
func (v *Verifier) elect(t *trail, h *hold, says schemas.Verdict, at moment) (*election, error) {
	voters, err := v.voters(t, h, says, at)
	if err != nil {
		return nil, err
	}
	return v.electorate(h, voters)
}

// electorate returns the election of voters on h.
func (v *Verifier) electorate(h *hold, voters []*member) (*election, error) {
	agent, err := v.member(h.key.Agent)
	return &election{Verifier: v, agent: agent, action: h.action, voters: voters, answers: map[ballot]bool{}}, err
}

// voters returns the persons, each once, whose decisions on h say that and count,
// except those who were removed before a moment, or whose standing approval was revoked.
func (v *Verifier) voters(t *trail, h *hold, says schemas.Verdict, at moment) ([]*member, error) {
	var voters []*member
	for _, vote := range h.votes {
		if vote.Verdict != says {
			continue
		}
		who, err := v.cast(t, h, vote)
		if unsure(err) {
			return nil, err
		}
		same := func(other *member) bool { return other.Principal() == who.Principal() }
		if err == nil && !v.gone(who, at) && !v.revokedVote(vote, at) && !slices.ContainsFunc(voters, same) {
			voters = append(voters, who)
		}
	}
	return voters, nil
}

// election asks whether the approvals that an intent needs are met.
type election struct {
	*Verifier
	agent   *member
	action  schemas.Action
	voters  []*member
	answers map[ballot]bool
	err     error // why an expression could not be evaluated
}

// ballot is one voter before one expression.
type ballot struct {
	expr  string
	voter int
}

// enough reports whether all approvals are met at once. One that asks for more
// persons than there are is not, and is not tried: it may ask for any number.
func (e *election) enough(needs []schemas.Approval) bool {
	for _, a := range needs {
		if a.Quorum > len(e.voters) {
			return false
		}
	}
	if schemas.Places(needs) > len(e.voters) {
		return false
	}
	return schemas.Satisfied(needs, len(e.voters), e.eligible)
}

// eligible reports whether a voter counts for one approval.
func (e *election) eligible(a schemas.Approval, voter int) bool {
	if a.Eligible == "" {
		return true
	}
	b := ballot{a.Eligible, voter}
	answer, asked := e.answers[b]
	if !asked {
		answer = e.ask(b)
		e.answers[b] = answer
	}
	return answer
}

func (e *election) ask(b ballot) bool {
	if e.cfg.Eligibility == nil {
		e.err = fmt.Errorf("nothing here evaluates %q", b.expr)
		return false
	}
	ok, err := e.cfg.Eligibility.Eligible(b.expr, e.voters[b.voter].Identity, e.agent.Identity, e.action)
	if err != nil {
		e.err = err
	}
	return ok && err == nil
}

// because ends a sentence with why an expression could not be evaluated.
func (e *election) because() string {
	if e.err == nil {
		return ""
	}
	return ": " + e.err.Error()
}

// union returns the approvals that are in either list, those in both once.
func union(a, b []schemas.Approval) []schemas.Approval {
	all := slices.Clone(a)
	for _, need := range b {
		if !slices.Contains(all, need) {
			all = append(all, need)
		}
	}
	return all
}
