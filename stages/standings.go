package stages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// mostStandings is how many standing approvals are tried on one hold, the latest
// first: each is an expression to evaluate.
const mostStandings = 32

// mostOfReviewer is how many standing approvals of one reviewer are known, the latest:
// who floods loses only their own.
const mostOfReviewer = 1000

// clockSlack is more than clocks may differ by.
const clockSlack = time.Minute

// Standings are the standing approvals of reviewers, folded from STANDING. They say
// where to look: whether one counts is asked of the stream each time. Its methods
// may be called concurrently.
type Standings struct {
	now func() time.Time

	// mu guards what follows, for the time of one look or one record.
	mu         sync.RWMutex
	byReviewer map[schemas.Name][]standing // the oldest first
}

// standing is a standing approval, and where it stands.
type standing struct {
	schemas.Standing
	at      schemas.Pointer
	since   time.Time    // when the broker accepted it
	revoked schemas.Name // by whom; "" if nobody did
}

// NewStandings returns none.
func NewStandings(now func() time.Time) *Standings {
	return &Standings{now: now, byReviewer: map[schemas.Name][]standing{}}
}

// Apply takes in a record of STANDING. People write them: one that cannot be read, or
// that no policy can allow, is passed over. A revocation revokes what its subject
// names, whatever it says.
func (s *Standings) Apply(r schemas.Record) error {
	subject, err := schemas.ParseSubject(r.Subject)
	if err != nil {
		return nil
	}
	if subject.Kind == "revoked" {
		s.revoke(subject)
		return nil
	}
	var g schemas.Standing
	if schemas.Read(r, &g) != nil || g.Check() != nil || g.Until.Sub(r.Time) > schemas.MaxStandingFor+clockSlack {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := slices.DeleteFunc(s.byReviewer[g.Reviewer], func(have standing) bool { return !s.now().Before(have.Until) })
	kept = slices.Delete(kept, 0, max(0, len(kept)+1-mostOfReviewer))
	s.byReviewer[g.Reviewer] = append(kept, standing{Standing: g, at: r.Pointer(), since: r.Time})
	return nil
}

func (s *Standings) revoke(subject schemas.Subject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, all := range s.byReviewer {
		for i, g := range all {
			if g.ID == subject.Intent && g.Agent == subject.Agent && g.Queue == subject.Queue && g.revoked == "" {
				all[i].revoked = subject.Writer
			}
		}
	}
}

// about returns those that may be about an intent, the latest first.
func (s *Standings) about(in schemas.Intent, queue schemas.Name, at time.Time) []standing {
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []standing
	for _, all := range s.byReviewer {
		for _, g := range all {
			if g.Agent == in.Agent && g.Action == in.Action && g.Queue == queue && g.revoked == "" && at.Before(g.Until) {
				found = append(found, g)
			}
		}
	}
	slices.SortFunc(found, func(a, b standing) int { return cmp.Compare(b.at.Seq, a.at.Seq) })
	return found[:min(len(found), mostStandings)]
}

// in returns those of queues that are not over, the latest first.
func (s *Standings) in(queues []schemas.Name) []standing {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []standing
	for _, all := range s.byReviewer {
		for _, g := range all {
			if slices.Contains(queues, g.Queue) && s.now().Before(g.Until) {
				found = append(found, g)
			}
		}
	}
	slices.SortFunc(found, func(a, b standing) int { return cmp.Compare(b.at.Seq, a.at.Seq) })
	return found
}

// standIn lets standing approvals count on a hold that waits for approvals, as if
// their reviewers decided now, and then does what follows. A crash in between leaves
// uses that are found taken, and votes that are found cast, when the recommendation
// comes again.
func (e *Execute) standIn(ctx context.Context, h schemas.Hold, at schemas.Record) error {
	if h.State != schemas.Parked || h.Opinion.Outcome != schemas.Park || !e.now().Before(h.Deadline) {
		return nil
	}
	for _, g := range e.Standings.about(h.Intent, h.Queue, e.now()) {
		next, err := e.countStanding(ctx, h, at, g)
		if err != nil {
			return err
		}
		if next != nil {
			h, at = *next.hold, next.at
		}
	}
	return e.carryOn(ctx, h, at)
}

// holdState is a state of a hold, and its record.
type holdState struct {
	hold *schemas.Hold
	at   schemas.Record
}

// countStanding lets a standing approval count on a hold if it may, helps and has uses
// left, and returns the next state of the hold, or nil.
func (e *Execute) countStanding(ctx context.Context, h schemas.Hold, at schemas.Record, g standing) (*holdState, error) {
	reviewer, known := e.Names.ByName(g.Reviewer)
	if !known || len(h.Votes) >= schemas.MaxVotes {
		return nil, nil
	}
	if _, voted := h.Voted(g.Reviewer, reviewer.Principal()); voted {
		return nil, nil
	}
	next := h.Next(at.Hash(), e.now())
	next.Votes = append(next.Votes, schemas.Vote{
		Reviewer: g.Reviewer, Person: reviewer.Principal(), Verdict: schemas.Approve, Decision: g.at, At: next.At,
	})
	before, err := e.filled(ctx, h, h.Requirements())
	if err != nil {
		return nil, err
	}
	if after, err := e.filled(ctx, next, next.Requirements()); err != nil || after <= before {
		return nil, err
	}
	if left, err := e.use(ctx, h, g); err != nil || !left {
		return nil, err
	}
	r, err := e.writeHold(ctx, next, at.Seq, traceOf(at))
	return &holdState{&next, r}, err
}

// use takes one of the uses of a standing approval for an intent, and reports
// whether there was one. The same intent takes the same one again.
func (e *Execute) use(ctx context.Context, h schemas.Hold, g standing) (bool, error) {
	allowed, err := e.stands(ctx, h.Intent, g)
	if err != nil || allowed == nil {
		return false, err
	}
	account, since := g.Account(), e.usedSince()
	c := rules.Charge{
		Budget: account.Budget, Key: account.Key, Amount: 1, Limit: int64(min(g.Uses, allowed.Uses)),
		Since: since, Forget: since.Add(-clockSlack), Grain: schemas.MaxStandingFor,
	}
	left := false
	err = e.inTurn(ctx, func() error {
		a, err := e.judging().account(ctx, c, h.Intent, nil)
		if left = a.reserved; err != nil || left || a.beyond() || len(a.budget.Reserved) >= schemas.MaxReserved {
			return err
		}
		v := verdict{at: e.now()}
		err = e.take(ctx, matter{intent: h.Intent, trail: h.Trail}, &v, &a)
		left = err == nil
		return err
	})
	return left, err
}

// usedSince returns since when uses count: from before any standing approval that is
// not over was given. Were it a moment of each, one that is sent again would be as
// good as new.
func (e *Execute) usedSince() time.Time {
	return e.now().Add(-schemas.MaxStandingFor - 2*clockSlack)
}

// stands returns what the policy allows a standing approval to cover of an intent
// now, or nil if that is nothing: it was revoked, not signed by a reviewer of its
// queue, longer than the policy allows, or not for such an intent. What cannot be
// evaluated is nothing.
func (e *Execute) stands(ctx context.Context, in schemas.Intent, g standing) (*rules.Allowance, error) {
	reviewer, known := e.Names.ByName(g.Reviewer)
	agent, registered := e.Names.ByName(in.Agent)
	switch {
	case !known || reviewer.Role != schemas.RoleReviewer || !slices.Contains(reviewer.Queues, g.Queue), !registered:
		return nil, nil
	case agent.At.After(g.since.Add(clockSlack)):
		return nil, nil // whoever took the name since is not who was meant
	case g.Agent != in.Agent || g.Action != in.Action || g.VerifySignature(reviewer.Key) != nil:
		return nil, nil
	}
	_, err := e.Log.Last(ctx, schemas.Standings, schemas.RevocationFilter(g.Queue, g.Agent, g.ID))
	if err == nil || !errors.Is(err, schemas.ErrNotFound) {
		return nil, err
	}
	policy, err := e.Control.Policy(ctx)
	if err != nil {
		return nil, err
	}
	v := verdict{at: e.now()}
	facts := rules.Facts{Intent: in, Agent: factsOf(agent), Now: v.at}
	if v.action, known = policy.Action(in.Action); !known {
		return nil, nil
	}
	if err := e.judging().readExposure(ctx, agent, &v, &facts); err != nil {
		return nil, err
	}
	allowed, ok, err := policy.Standing(ctx, facts, g.When)
	if err != nil || !ok || g.Until.Sub(g.since) > allowed.For+clockSlack {
		return nil, ctx.Err()
	}
	return &allowed, nil
}

// standingVotes returns, for each vote of a hold that is a standing approval's,
// what it may cover now, or nil for one that does not count any more.
func (e *Execute) standingVotes(ctx context.Context, h schemas.Hold) (map[schemas.Pointer]*rules.Allowance, error) {
	var covers map[schemas.Pointer]*rules.Allowance
	for _, v := range h.Votes {
		if !v.InAdvance() {
			continue
		}
		g, err := e.standing(ctx, v.Decision)
		if err != nil {
			return nil, err
		}
		var allowed *rules.Allowance
		if v.Verdict == schemas.Approve && v.Reviewer == g.Reviewer && g.Queue == h.Queue && v.At.Before(g.Until) {
			if allowed, err = e.stands(ctx, h.Intent, g); err != nil {
				return nil, err
			}
		}
		if covers == nil {
			covers = map[schemas.Pointer]*rules.Allowance{}
		}
		covers[v.Decision] = allowed
	}
	return covers, nil
}

// standing reads the standing approval that p names.
func (e *Execute) standing(ctx context.Context, p schemas.Pointer) (standing, error) {
	r, err := e.Log.At(ctx, p.Stream, p.Seq)
	if err != nil {
		return standing{}, fmt.Errorf("reading %s: %w: %v", p, schemas.ErrUnavailable, err)
	}
	g := standing{at: r.Pointer(), since: r.Time}
	err = read(r, &g.Standing)
	return g, err
}

// mostStandingLines is how many standing approvals one answer lists.
const mostStandingLines = 100

// standings answers a reviewer which standing approvals there are in the queues, of
// one agent if it is given, or that of an id.
func (a *Answer) standings(ctx context.Context, asker schemas.Identity, q schemas.Question) (schemas.Answer, error) {
	var lines []schemas.StandingLine
	for _, g := range a.Execute.Standings.in(asker.Queues) {
		if len(lines) == mostStandingLines || len(lines) == q.Limit && q.Limit > 0 {
			break
		}
		if q.Intent != "" && g.ID != q.Intent || q.Agent != "" && g.Agent != q.Agent {
			continue
		}
		b, _, err := a.Execute.budget(ctx, g.Account().Subject())
		if err != nil {
			return schemas.Answer{}, err
		}
		used := int(b.Taken(a.Execute.usedSince(), schemas.Intent{}))
		lines = append(lines, schemas.StandingLine{
			Standing: g.Standing, Used: used, Revoked: g.revoked != "", By: g.revoked, Over: g.revoked != "" || used >= g.Uses,
		})
	}
	return schemas.Answer{Standing: lines}, nil
}
