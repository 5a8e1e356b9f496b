package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// lookEvery is how often a waiting agent looks, whatever the notices say.
	lookEvery = time.Second

	// What the broker or the gate does not answer is tried again, at first soon,
	// then ever less often up to retryLast: a gate that was started again is back
	// in less than a second.
	retryFirst = 100 * time.Millisecond
	retryLast  = 2 * time.Second

	// answerFirst is how long what was sent waits for its answer before it is sent
	// again, then ever longer up to answerLast: a leader that steps down answers
	// nobody, and the next is there in less than a second, but a broker may be slow.
	answerFirst = time.Second
	answerLast  = 5 * time.Second
)

// Proposal is what an agent proposes.
type Proposal struct {
	Action schemas.Action

	// Params are the action's parameters, encoded as a JSON object.
	Params any

	// Reason and Goal are prose for the reviewers, Session is the agent's own
	// word for what belongs together.
	Reason, Goal, Session string

	// ExpiresIn is how long the intent may wait, in whole seconds; a part of one
	// counts as one. 0 means 72 hours.
	ExpiresIn time.Duration

	// ID makes the same proposal the same intent, however often it is submitted.
	// If empty, a fresh one is made.
	ID schemas.IntentID
}

// Ticket is what an agent holds on to: an intent that the broker keeps.
type Ticket struct {
	Key schemas.Key

	// refusal is where the intent is refused if its own id cannot be used: because
	// it was used before, or cannot be read.
	refusal schemas.Key

	// proposed is what was proposed, as far as its digest covers it. It is empty
	// in a ticket for an intent that was submitted elsewhere.
	proposed schemas.Intent
}

// Agent proposes actions.
type Agent struct{ *Conn }

// Submit proposes an action and returns when the broker keeps the intent. It
// tries again while the broker does not answer, until ctx ends: the id makes that
// safe. Whatever was accepted ends in a settlement.
func (a Agent) Submit(ctx context.Context, p Proposal) (Ticket, error) {
	if p.ID == "" {
		p.ID = schemas.NewIntentID(time.Now())
	}
	ticket := Ticket{Key: schemas.Key{Agent: a.Name(), ID: p.ID}}
	draft, err := a.draft(p, &ticket)
	if err != nil {
		return ticket, fmt.Errorf("proposing %s: %w", p.Action, err)
	}
	sent, err := a.send(ctx, draft)
	if err == nil && sent.Duplicate {
		// Nothing of ours sets a message id, so somebody else's stands in its place.
		err = fmt.Errorf("%w: taken for a duplicate of another message", schemas.ErrInvalid)
	}
	if err != nil {
		return ticket, fmt.Errorf("proposing %s: %w", p.Action, err)
	}
	ticket.refusal = schemas.Key{Agent: a.Name(), ID: schemas.SequenceID(sent.Seq)}
	return ticket, nil
}

// Check returns why the gate would not accept a proposal, as a [schemas.Fault], or
// nil if it is well formed. It says nothing of what the rules would say, and
// proposes nothing.
func (a Agent) Check(ctx context.Context, p Proposal) error {
	ticket := Ticket{Key: schemas.Key{Agent: a.Name(), ID: schemas.NewIntentID(time.Now())}}
	if _, err := a.draft(p, &ticket); err != nil {
		return fmt.Errorf("checking %s: %w", p.Action, err)
	}
	answer, err := a.broker.Ask(ctx, a.Name(), schemas.AskCheck, schemas.Question{Action: p.Action, Params: ticket.proposed.Params})
	switch {
	case err != nil:
		return fmt.Errorf("checking %s: %w", p.Action, err)
	case answer.Check == nil:
		return fmt.Errorf("checking %s: %w: empty answer", p.Action, schemas.ErrUnavailable)
	case answer.Check.Fault != nil:
		return answer.Check.Fault
	}
	return nil
}

func (a Agent) draft(p Proposal, ticket *Ticket) (schemas.Draft, error) {
	if _, err := schemas.ParseAction(string(p.Action)); err != nil {
		return schemas.Draft{}, err
	}
	if p.ExpiresIn < 0 {
		return schemas.Draft{}, fmt.Errorf("%w: expires in %s", schemas.ErrInvalid, p.ExpiresIn)
	}
	params, err := schemas.Marshal(p.Params)
	if err != nil {
		return schemas.Draft{}, fmt.Errorf("%w: params: %w", schemas.ErrInvalid, err)
	}
	body := schemas.Proposal{
		Params:    params,
		Reason:    p.Reason,
		Goal:      p.Goal,
		Session:   p.Session,
		ExpiresIn: schemas.Seconds((p.ExpiresIn + time.Second - 1) / time.Second),
	}
	d, err := schemas.Propose(ticket.Key, p.Action, body, time.Now())
	if err != nil {
		return d, err
	}
	ticket.proposed, err = body.Intent(ticket.Key, p.Action)
	return d, err
}

// send sends what may be sent again until the broker keeps it, or ctx ends.
func (c *Conn) send(ctx context.Context, d schemas.Draft) (broker.Sent, error) {
	wait := answerFirst
	return retry(ctx, func() (broker.Sent, error) {
		waiting, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		wait = min(2*wait, answerLast)
		return c.broker.Send(waiting, d)
	})
}

// retry calls try until it succeeds, or fails in a way that trying again does not
// mend, or ctx ends.
func retry[T any](ctx context.Context, try func() (T, error)) (T, error) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = retryFirst, retryLast
	return backoff.Retry(ctx, func() (T, error) {
		v, err := try()
		if err != nil && !errors.Is(err, schemas.ErrUnavailable) {
			err = backoff.Permanent(err)
		}
		return v, err
	}, backoff.WithBackOff(wait), backoff.WithMaxElapsedTime(0))
}

// Await returns the settlement of an intent as soon as there is one. What it
// returns stands in the stream and says what the ticket says. If the id was used
// for something else before, it is the refusal that says so.
func (a Agent) Await(ctx context.Context, t Ticket) (schemas.Settlement, error) {
	var settled schemas.Settlement
	err := a.watch(ctx, t.Key, func() (bool, error) {
		return a.lookUp(t, func(k schemas.Key) (schemas.Name, schemas.Digest, schemas.Code, error) {
			r, err := a.broker.OwnSettlement(ctx, k)
			if err == nil {
				settled = schemas.Settlement{}
				err = schemas.Read(r, &settled)
			}
			return settled.Intent.Gateway, settled.Intent.Digest, settled.Code, err
		})
	})
	if err != nil {
		return settled, fmt.Errorf("waiting for the verdict on %s: %w", t.Key, err)
	}
	return settled, nil
}

// lookUp calls find with the ticket's key and, if what is there is another intent
// or nothing, with the key under which this one would be refused.
func (a Agent) lookUp(t Ticket, find func(schemas.Key) (schemas.Name, schemas.Digest, schemas.Code, error)) (bool, error) {
	gateway, digest, code, err := find(t.Key)
	if err == nil && (code == schemas.CodeInvalid || t.check(gateway, digest) == nil) {
		return true, nil
	}
	if err != nil && !errors.Is(err, schemas.ErrNotFound) || t.refusal.ID == "" {
		return false, errors.Join(err, t.check(gateway, digest))
	}
	if _, _, _, err := find(t.refusal); err != nil {
		return false, err
	}
	return true, nil
}

// check makes sure that digest, at gateway, is the digest of what was proposed.
func (t Ticket) check(gateway schemas.Name, digest schemas.Digest) error {
	if t.proposed.ID == "" {
		return nil
	}
	mine := t.proposed
	mine.Gateway = gateway
	if schemas.DigestOf(mine) != digest {
		return fmt.Errorf("%w: the id was used for another intent", schemas.ErrClosed)
	}
	return nil
}

// Status returns where an intent stands.
func (a Agent) Status(ctx context.Context, id schemas.IntentID) (schemas.Status, error) {
	answer, err := a.broker.Ask(ctx, a.Name(), schemas.AskStatus, schemas.Question{Intent: id})
	if err != nil {
		return schemas.Status{}, err
	}
	if answer.Status == nil {
		return schemas.Status{}, fmt.Errorf("status of %s: %w: empty answer", id, schemas.ErrUnavailable)
	}
	return *answer.Status, nil
}

// Result waits until an intent has come to its end and returns it: refused,
// lapsed, or performed, with what the executor reported. An intent in doubt is
// waited for: a person ends it.
func (a Agent) Result(ctx context.Context, t Ticket) (schemas.Status, error) {
	return a.statusWhen(ctx, t, func(s schemas.Status) bool { return s.State.Final() })
}

// Stand waits until the gate has looked at an intent, and returns where it stands
// then: released, parked or refused.
func (a Agent) Stand(ctx context.Context, t Ticket) (schemas.Status, error) {
	return a.statusWhen(ctx, t, func(schemas.Status) bool { return true })
}

// Follow is Result, and calls changed whenever the intent came into another state.
func (a Agent) Follow(ctx context.Context, t Ticket, changed func(schemas.Status)) (schemas.Status, error) {
	var last schemas.State
	return a.statusWhen(ctx, t, func(s schemas.Status) bool {
		if s.State != last && !s.State.Final() {
			changed(s)
		}
		last = s.State
		return s.State.Final()
	})
}

// statusWhen waits until where an intent stands is enough. With an error it
// returns what it knew last.
func (a Agent) statusWhen(ctx context.Context, t Ticket, enough func(schemas.Status) bool) (schemas.Status, error) {
	var status schemas.Status
	err := a.watch(ctx, t.Key, func() (bool, error) {
		there, err := a.lookUp(t, func(k schemas.Key) (schemas.Name, schemas.Digest, schemas.Code, error) {
			now, err := a.Status(ctx, k.ID)
			if err == nil {
				status = now
			}
			return now.Gateway, now.Digest, now.Code, err
		})
		return there && enough(status), err
	})
	if err != nil {
		return status, fmt.Errorf("waiting for %s: %w", t.Key, err)
	}
	return status, nil
}

// Withdraw proposes to take back an intent, and returns the settlement of the
// withdrawal: released if it took effect.
func (a Agent) Withdraw(ctx context.Context, id schemas.IntentID) (schemas.Settlement, error) {
	t, err := a.Submit(ctx, Proposal{Action: schemas.Withdraw, Params: map[string]schemas.IntentID{"id": id}})
	if err != nil {
		return schemas.Settlement{}, err
	}
	return a.Await(ctx, t)
}

// watch calls look at once, whenever a notice comes, and every second, until it
// says that it has seen enough. That there is nothing yet, or no answer, is no
// reason to stop.
func (a Agent) watch(ctx context.Context, k schemas.Key, look func() (bool, error)) error {
	rung := make(chan struct{}, 1)
	listening, stop := context.WithCancel(ctx)
	defer stop()
	if err := a.listen(listening, "notices."+string(k.Agent)+"."+string(k.ID)+".*", rung); err != nil {
		return err
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		enough, err := look()
		if enough || err != nil && !errors.Is(err, schemas.ErrNotFound) && !errors.Is(err, schemas.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-rung:
		case <-ticker.C:
		}
	}
}
