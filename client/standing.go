package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// standingPatience is for how long a reviewer waits to see a standing approval, or
// its end, in effect.
const standingPatience = 5 * time.Second

// GiveStanding gives a standing approval, of what s says: it fills in the reviewer's
// name and the time and, if s has none, an id; signs and sends it, and returns it when
// the gate lists it. Whether the policy lets it approve anything is asked at each use.
func (r Reviewer) GiveStanding(ctx context.Context, s schemas.Standing) (schemas.Standing, error) {
	s.Reviewer, s.At, s.Until = r.Name(), time.Now().Round(0).UTC(), s.Until.Round(0).UTC()
	if s.ID == "" {
		s.ID = schemas.NewIntentID(s.At)
	}
	op := fmt.Sprintf("giving standing approval %s", s.Key())
	if err := s.Check(); err != nil {
		return s, err
	}
	s, err := s.Sign(r.key.Key)
	if err != nil {
		return s, err
	}
	return s, r.stand(ctx, op, s, func(schemas.StandingLine) bool { return true })
}

// Revoke ends a standing approval of anybody's in one of the reviewer's queues, and
// returns when the gate says so. Revoking it again is safe.
func (r Reviewer) Revoke(ctx context.Context, of schemas.Standing, reason string) (schemas.Revocation, error) {
	revocation := schemas.Revocation{ID: of.ID, Reviewer: r.Name(), Queue: of.Queue, Agent: of.Agent, Reason: reason, At: time.Now().UTC()}
	if err := revocation.Check(); err != nil {
		return revocation, err
	}
	revocation, err := revocation.Sign(r.key.Key)
	if err != nil {
		return revocation, err
	}
	return revocation, r.stand(ctx, fmt.Sprintf("revoking standing approval %s", of.Key()), revocation, func(l schemas.StandingLine) bool { return l.Revoked })
}

// stand sends what begins or ends a standing approval, and waits until the gate lists
// it so. What is not acknowledged may have been kept all the same: the list says so.
func (r Reviewer) stand(ctx context.Context, op string, c standingContent, so func(schemas.StandingLine) bool) error {
	ctx, stop := context.WithTimeout(ctx, standingPatience)
	defer stop()
	_, sent := r.broker.Send(ctx, schemas.Write(c, r.source(), time.Now(), ""))
	if sent != nil && !errors.Is(sent, schemas.ErrUnavailable) {
		return fmt.Errorf("%s: %w", op, sent)
	}
	for {
		lines, err := r.standing(ctx, schemas.Question{Agent: c.Key().Agent, Intent: c.Key().ID})
		if slices.ContainsFunc(lines, func(l schemas.StandingLine) bool { return l.Key() == c.Key() && so(l) }) {
			return nil
		}
		if err == nil || errors.Is(err, schemas.ErrUnavailable) {
			err = pause(ctx, 10*time.Millisecond)
		}
		switch {
		case err == nil:
		case sent != nil:
			return fmt.Errorf("%s: %w", op, sent)
		default:
			return fmt.Errorf("%s: %w: %w", op, errNotSeen, err)
		}
	}
}

// standingContent is what a reviewer says about a standing approval.
type standingContent interface {
	schemas.Content
	Key() schemas.Key
}

// Standing returns the standing approvals in the reviewer's queues that the gate
// still keeps, the latest first, at most limit of them.
func (r Reviewer) Standing(ctx context.Context, limit int) ([]schemas.StandingLine, error) {
	return r.standing(ctx, schemas.Question{Limit: limit})
}

// StandingOf returns the standing approval of a key, in which the agent may be left
// out.
func (r Reviewer) StandingOf(ctx context.Context, k schemas.Key) (schemas.StandingLine, error) {
	lines, err := r.standing(ctx, schemas.Question{Agent: k.Agent, Intent: k.ID})
	if err != nil {
		return schemas.StandingLine{}, err
	}
	lines = slices.DeleteFunc(lines, func(l schemas.StandingLine) bool {
		return l.ID != k.ID || k.Agent != "" && l.Agent != k.Agent
	})
	if len(lines) == 0 {
		return schemas.StandingLine{}, fmt.Errorf("standing approval %s: %w", k.ID, schemas.ErrNotFound)
	}
	if slices.ContainsFunc(lines, func(l schemas.StandingLine) bool { return l.Agent != lines[0].Agent }) {
		return schemas.StandingLine{}, fmt.Errorf("standing approval %s: %w: of several agents: give the agent, too", k.ID, schemas.ErrInvalid)
	}
	return lines[0], nil
}

func (r Reviewer) standing(ctx context.Context, q schemas.Question) ([]schemas.StandingLine, error) {
	answer, err := r.broker.Ask(ctx, r.Name(), schemas.AskStanding, q)
	return answer.Standing, err
}
