package audit

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// standings are the standing approvals of reviewers, as STANDING says.
type standings struct {
	all     map[uint64]*standing // by sequence, as long as it may be named
	revoked map[mark]revoked     // by queue, agent and id, as long as a gate remembers it
	gone    uint64               // the last sequence that is forgotten
	most    int                  // after which those that are over are forgotten
}

// remembered is for how long a gate remembers what stands in STANDING, at least.
const remembered = schemas.MaxStandingFor + schemas.MaxLifetime

// standing is a standing approval, and when it was given.
type standing struct {
	schemas.Standing
	moment
	hash schemas.Digest
}

// revoked is since when a standing approval has been revoked, and when it was for the
// last time: in between a gate always remembers it.
type revoked struct{ first, last moment }

func newStandings() standings {
	return standings{all: map[uint64]*standing{}, revoked: map[mark]revoked{}, most: plenty}
}

// forget drops what nothing can name any more at a time.
func (s *standings) forget(now time.Time) {
	over := now.Add(-remembered - margin)
	maps.DeleteFunc(s.all, func(seq uint64, a *standing) bool {
		if !a.copied.Before(over) {
			return false
		}
		s.gone = max(s.gone, seq)
		return true
	})
	maps.DeleteFunc(s.revoked, func(_ mark, r revoked) bool { return r.last.copied.Before(over) })
	s.most = max(plenty, 2*(len(s.all)+len(s.revoked)))
}

func standingMark(queue, agent schemas.Name, id schemas.IntentID) mark {
	return markOf(string(queue), string(agent), string(id))
}

// takeStanding takes in a standing approval, or that one is revoked. People from
// outside write them: what does not read says nothing, but a revocation revokes what
// its subject names, whatever it says. When AUDIT was behind, only its writer says since
// when: a reviewer who dates it back has a gate found that did nothing wrong. To go by
// nobody's word would be to find nothing then, whatever a gate does.
func (v *Verifier) takeStanding(at place, s schemas.Subject, r schemas.Record) {
	if len(v.standings.all)+len(v.standings.revoked) > v.standings.most {
		v.standings.forget(v.judged.copied)
	}
	if s.Kind == "revoked" {
		when := moment{at.copied, at.copied}
		var body schemas.Revocation
		if schemas.Read(r, &body) == nil {
			when.said = body.At
		}
		v.standings.revoke(standingMark(s.Queue, s.Agent, s.Intent), when)
		return
	}
	a := &standing{hash: r.Hash()}
	if schemas.Read(r, &a.Standing) == nil {
		a.moment = moment{a.At, at.copied}
		v.standings.all[r.Seq] = a
	}
}

// revoke notes that a standing approval is revoked. One of before counts on, unless a
// gate may have forgotten it.
func (s *standings) revoke(which mark, now moment) {
	r, before := s.revoked[which]
	if !before || max(now.copied.Sub(r.last.copied), now.said.Sub(r.last.said)) > remembered-slack {
		r = revoked{first: now, last: now}
	}
	if now.said.Before(r.last.said) {
		now.said = r.last.said
	}
	r.last = now
	s.revoked[which] = r
}

// castStanding returns who gave the standing approval that a vote of h names, or why it
// does not count.
func (v *Verifier) castStanding(h *hold, vote schemas.Vote) (*member, error) {
	p := vote.Decision
	if err := v.reached(p); err != nil {
		return nil, err
	}
	a := v.standings.all[p.Seq]
	if a == nil && h.unseen && p.Seq <= v.standings.gone {
		return nil, errBefore // a state of before the reading may have counted it in time
	}
	if a == nil || a.hash != p.Hash {
		return nil, fmt.Errorf("counts %s, which says something else", p)
	}
	who, err := v.member(a.Reviewer)
	if err != nil {
		return nil, err
	}
	agent, err := v.member(h.key.Agent)
	if err != nil {
		return nil, err
	}
	switch {
	case a.Agent != h.key.Agent || a.Action != h.action || a.Queue != h.queue:
		return nil, fmt.Errorf("counts %s, which is about something else", p)
	case vote.Verdict != schemas.Approve || vote.Reviewer != a.Reviewer || vote.Person != who.Principal():
		return nil, fmt.Errorf("counts %s as something else than it says", p)
	case who.Role != schemas.RoleReviewer || !slices.Contains(who.Queues, h.queue):
		return nil, fmt.Errorf("counts %s, by %s, who may not decide in queue %s", p, who.Name, h.queue)
	case !who.separate(agent):
		return nil, fmt.Errorf("counts %s, by %s, who answers for %s", p, who.Principal(), agent.Name)
	case a.VerifySignature(who.Key) != nil:
		return nil, fmt.Errorf("counts %s, which %s did not sign", p, who.Name)
	case vote.At.After(a.Until.Add(slack)):
		return nil, fmt.Errorf("counts %s, which was over by then", p)
	case a.Until.Sub(a.copied) > schemas.MaxStandingFor+slack:
		return nil, fmt.Errorf("counts %s, which is for longer than any may be", p)
	case v.revokedBefore(a, moment{vote.At, h.copied}):
		return nil, fmt.Errorf("counts %s, which was revoked by then", p)
	}
	return who, v.used(h, a, p)
}

// revokedBefore reports whether everybody must have known by then that an approval was
// revoked, and remembered it.
func (v *Verifier) revokedBefore(a *standing, at moment) bool {
	r, is := v.standings.revoked[standingMark(a.Queue, a.Agent, a.ID)]
	return is && at.said.After(v.known(r.first, at).Add(slack)) && !at.said.After(v.known(r.last, at).Add(remembered))
}

// revokedVote is revokedBefore for a vote, if it is that of a standing approval.
func (v *Verifier) revokedVote(vote schemas.Vote, at moment) bool {
	a := v.standings.all[vote.Decision.Seq]
	return vote.InAdvance() && a != nil && v.revokedBefore(a, at)
}

// used says why the use of a standing approval by the intent of h is not one of those
// that it has: BUDGETS counts them.
func (v *Verifier) used(h *hold, a *standing, p schemas.Pointer) error {
	s := v.budgets.shares[shareOf(budgetMark(a.Account()), h.key, h.digest)]
	switch {
	case s == nil && v.partial():
		return errBefore
	case s == nil:
		return missingf("counts %s, and BUDGETS does not say that it is used", p)
	case s.beyond:
		return fmt.Errorf("counts %s, which had no use left", p)
	case s.limit > int64(a.Uses):
		return fmt.Errorf("counts %s, which has %d uses, as one that has %d", p, a.Uses, s.limit)
	}
	return nil
}
