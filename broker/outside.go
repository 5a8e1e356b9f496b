package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/holdpoint/holdpoint/schemas"
)

// Send publishes d to the stream of its subject and returns when the broker
// keeps it. After any error but ErrInvalid and ErrDenied the caller does not know
// whether it does; sending the same again is safe. While the connection is broken it
// waits a little for it; if that is in vain, nothing was sent, and nothing will be.
func (c *Conn) Send(ctx context.Context, d schemas.Draft) (Sent, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	for {
		sent, err := c.publish(ctx, d, schemas.Expect{})
		if !unsent(err) || pause(ctx, firstReconnect) != nil {
			return sent, translate("sending to "+d.Subject, err)
		}
	}
}

// Ask asks the gate a question as the identity of that name.
func (c *Conn) Ask(ctx context.Context, name schemas.Name, what string, q schemas.Question) (schemas.Answer, error) {
	return c.question(ctx, "ask."+string(name)+"."+what, q)
}

// Claim asks the gate for the grant to perform a released intent.
func (c *Conn) Claim(ctx context.Context, executor schemas.Name, k schemas.Key, q schemas.Question) (schemas.Answer, error) {
	return c.question(ctx, "claims."+string(executor)+"."+string(k.Agent)+"."+string(k.ID), q)
}

func (c *Conn) question(ctx context.Context, subject string, q schemas.Question) (schemas.Answer, error) {
	op := "asking " + subject
	body, err := schemas.Marshal(q)
	if err != nil {
		return schemas.Answer{}, fmt.Errorf("%s: %w", op, err)
	}
	m, err := c.insist(ctx, &nats.Msg{Subject: subject, Data: body})
	if err != nil {
		return schemas.Answer{}, translate(op, err)
	}
	var answer schemas.Answer
	if err := schemas.Unmarshal(m.Data, &answer); err != nil {
		return schemas.Answer{}, fmt.Errorf("%s: %w: %w", op, schemas.ErrUnavailable, err)
	}
	return answer, answer.Problem.Err()
}

// OwnSettlement returns the record of the verdict on an agent's own intent, or
// an ErrNotFound.
func (c *Conn) OwnSettlement(ctx context.Context, k schemas.Key) (schemas.Record, error) {
	for _, kind := range []string{"released", "refused"} {
		subject := schemas.Subject{Kind: kind, Agent: k.Agent, Intent: k.ID}.String()
		m, err := c.request(ctx, "reading "+subject, API+".DIRECT.GET."+string(schemas.Settled)+"."+subject, nil)
		if err != nil {
			return schemas.Record{}, err
		}
		r, err := directRecord(schemas.Settled, m, appended)
		err = translate("reading "+subject, err)
		if !errors.Is(err, schemas.ErrNotFound) {
			return r, err
		}
	}
	return schemas.Record{}, fmt.Errorf("verdict on %s: %w", k, schemas.ErrNotFound)
}

// AuditLast returns the sequence of the last record of AUDIT, for an auditor's
// connection, or an ErrNotFound if there is none.
func (c *Conn) AuditLast(ctx context.Context) (uint64, error) {
	r, err := c.getDirect(ctx, API, schemas.Audit, getRequest{LastFor: ">"})
	return r.Seq, err
}

// AuditSince returns the sequence of the first record that AUDIT accepted at or
// after a moment, or an ErrNotFound if there is none.
func (c *Conn) AuditSince(ctx context.Context, at time.Time) (uint64, error) {
	r, err := c.getFromLeader(ctx, API, schemas.Audit, getRequest{Since: &at})
	return r.Seq, err
}

// Listen calls ring for every message on subject, such as a notice, until ctx
// ends. It returns when the broker knows of it. After an ErrUnavailable it rings
// as soon as the broker is back.
func (c *Conn) Listen(ctx context.Context, subject string, ring func(subject string)) error {
	sub, err := c.nc.Subscribe(subject, func(m *nats.Msg) { ring(m.Subject) })
	if err != nil {
		return translate("listening on "+subject, c.because(err))
	}
	context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() })
	return c.flush(ctx)
}

// Delivery is a released intent that the broker hands to one of the executors of
// its system.
type Delivery struct {
	Key schemas.Key
	msg *nats.Msg
}

// Done says that nothing is left to do about the delivery here.
func (d Delivery) Done() error { return translate("acknowledging", d.msg.Ack()) }

// Later says that it is to be handed out again after a while.
func (d Delivery) Later(after time.Duration) error {
	return translate("postponing", d.msg.NakWithDelay(after))
}

// Working says that it is being worked on still.
func (d Delivery) Working() error { return translate("holding", d.msg.InProgress()) }

// Pull hands up to limit released intents of a system to take, each as it comes,
// and returns when that many came or the time to wait is over. If ctx ends before,
// the broker may hand out some more in vain, until it finds out.
func (c *Conn) Pull(ctx context.Context, system string, limit int, wait time.Duration, take func(Delivery)) error {
	op := "taking releases of " + system
	answers := make(chan *nats.Msg, limit+1) // what is taken, and the end
	sub, err := c.nc.ChanSubscribe(c.nc.NewInbox(), answers)
	if err != nil {
		return translate(op, c.because(err))
	}
	defer func() { _ = sub.Unsubscribe() }()
	subject := API + ".CONSUMER.MSG.NEXT." + string(schemas.Settled) + "." + SystemConsumer(system)
	limited, cancel := context.WithTimeout(ctx, wait+answerWait)
	defer cancel()
	expecting, done := c.expecting(limited, subject)
	defer done()
	if err := c.pullRequest(subject, sub.Subject, limit, wait); err != nil {
		return translate(op, c.because(err))
	}
	for range limit {
		m, err := nextMsg(expecting, answers, wait+answerWait)
		if err != nil {
			return translate(op, why(expecting, err))
		}
		if m.Reply == "" {
			return pullStatus(op, m)
		}
		c.deliver(m, take)
	}
	return nil
}

// deliver hands on a release. What stands on no subject of a release is nothing
// that anybody could claim.
func (c *Conn) deliver(m *nats.Msg, take func(Delivery)) {
	s, err := schemas.ParseSubject(m.Subject)
	if err != nil {
		c.log.Warn().Err(err).Msg("passing over a release that cannot be claimed")
		_ = m.Ack()
		return
	}
	take(Delivery{Key: schemas.Key{Agent: s.Agent, ID: s.Intent}, msg: m})
}

func (c *Conn) pullRequest(subject, inbox string, limit int, wait time.Duration) error {
	body, err := json.Marshal(struct {
		Batch   int           `json:"batch"`
		Expires time.Duration `json:"expires"`
	}{limit, wait})
	if err != nil {
		return err
	}
	return c.nc.PublishRequest(subject, inbox, body)
}

// pullStatus says what ended a pull: the time that was given, or trouble.
func pullStatus(op string, m *nats.Msg) error {
	switch status := m.Header.Get("Status"); status {
	case "404", "408":
		return nil
	case "503":
		return fmt.Errorf("%s: %w: no bundle names this system yet", op, schemas.ErrUnavailable)
	default:
		return fmt.Errorf("%s: %w: %s %s", op, schemas.ErrUnavailable, status, m.Header.Get("Description"))
	}
}
