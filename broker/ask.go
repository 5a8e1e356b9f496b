package broker

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// askWidth is how many questions are answered at once.
	askWidth = 64

	// askPatience is how long one answer may take, and askAgain after how long
	// without one a question is asked again.
	askPatience = 10 * time.Second
	askAgain    = 2 * time.Second
)

// Answerer answers questions and claims. Both methods may be called concurrently.
type Answerer interface {
	Ask(ctx context.Context, name schemas.Name, what string, q schemas.Question) schemas.Answer
	Claim(ctx context.Context, executor schemas.Name, k schemas.Key, q schemas.Question) schemas.Answer
}

// Serve answers what is asked on conn, the connection of the answering identity,
// until ctx ends; then it answers what was asked and returns nil. It calls
// listening when the broker knows of it. Several processes share the questions.
// It returns an error if nothing more can be asked there.
func (c *Conn) Serve(ctx context.Context, a Answerer, listening func()) error {
	serving, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var busy sync.WaitGroup
	places := make(chan struct{}, askWidth)
	handle := func(m *nats.Msg) {
		places <- struct{}{}
		busy.Go(func() {
			defer func() { <-places }()
			c.answer(context.WithoutCancel(ctx), a, m)
		})
	}
	subjects := []string{"ask.*.*", "claims.*.*.*"}
	over := make(chan struct{}, len(subjects)) // receives when a subscription has handed on its last question
	begun := 0
	for _, subject := range subjects {
		sub, err := c.nc.QueueSubscribe(subject, "answer", handle)
		if err != nil {
			fail(translate("listening on "+subject, err))
			break
		}
		begun++
		sub.SetClosedHandler(func(string) { over <- struct{}{} })
		defer context.AfterFunc(serving, func() { _ = sub.Drain() })()
	}
	if serving.Err() == nil {
		if err := c.flush(ctx); err != nil {
			fail(err)
		} else {
			listening()
		}
	}
	for range begun {
		<-over
	}
	fail(translate("answering", nats.ErrConnectionClosed))
	busy.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(serving)
}

// answer answers one message. A question that makes its answer panic is refused.
func (c *Conn) answer(ctx context.Context, a Answerer, m *nats.Msg) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			c.log.Error().Interface("panic", cause).Str("subject", m.Subject).Msg("answering panicked")
			c.respond(m, schemas.Answer{Problem: schemas.ProblemOf(schemas.ErrUnavailable)})
		}
	}()
	c.respond(m, reply(ctx, a, m))
}

func reply(ctx context.Context, a Answerer, m *nats.Msg) schemas.Answer {
	var q schemas.Question
	if len(m.Data) > 0 {
		if err := schemas.Unmarshal(m.Data, &q); err != nil {
			return schemas.Answer{Problem: schemas.ProblemOf(err)}
		}
	}
	tokens := strings.Split(m.Subject, ".")
	name, err := schemas.ParseName(tokens[1])
	if err != nil {
		return schemas.Answer{Problem: schemas.ProblemOf(err)}
	}
	if tokens[0] == "ask" {
		return a.Ask(ctx, name, tokens[2], q)
	}
	agent, err := schemas.ParseName(tokens[2])
	if err != nil {
		return schemas.Answer{Problem: schemas.ProblemOf(err)}
	}
	id, err := schemas.ParseIntentID(tokens[3])
	if err != nil {
		return schemas.Answer{Problem: schemas.ProblemOf(err)}
	}
	return a.Claim(ctx, name, schemas.Key{Agent: agent, ID: id}, q)
}

func (c *Conn) respond(m *nats.Msg, answer schemas.Answer) {
	body, err := schemas.Marshal(answer)
	if err == nil && int64(len(body)) > c.nc.MaxPayload() {
		err = fmt.Errorf("%w: the answer is longer than the broker takes; ask for less", schemas.ErrInvalid)
	}
	if err != nil {
		if body, err = schemas.Marshal(schemas.Answer{Problem: schemas.ProblemOf(err)}); err != nil {
			c.log.Error().Err(err).Msg("answering")
			return
		}
	}
	if err := m.Respond(body); err != nil {
		c.log.Debug().Err(err).Str("subject", m.Subject).Msg("answering")
	}
}

// Bell rings for agents and reviewers over conn, the connection of the execute
// stage. What it says may be lost.
type Bell struct{ Conn *Conn }

// Intent rings for the agent of an intent.
func (b Bell) Intent(k schemas.Key, state schemas.State) {
	b.ring("notices." + string(k.Agent) + "." + string(k.ID) + "." + string(state))
}

// Hold rings for the reviewers of a queue.
func (b Bell) Hold(queue schemas.Name, k schemas.Key, what string) {
	b.ring("holds." + string(queue) + "." + string(k.Agent) + "." + string(k.ID) + "." + what)
}

func (b Bell) ring(subject string) {
	if err := b.Conn.nc.Publish(subject, nil); err != nil {
		b.Conn.log.Debug().Err(err).Str("subject", subject).Msg("ringing")
	}
}
