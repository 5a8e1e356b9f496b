package broker

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// sending is something sent on a subject that waits for its answer.
type sending struct {
	subject string
	giveUp  context.CancelCauseFunc
}

// expecting returns a context for the answer to what is sent on a subject. It
// ends when no answer can come any more, with the reason as its cause.
func (c *Conn) expecting(ctx context.Context, subject string) (context.Context, context.CancelFunc) {
	ctx, giveUp := context.WithCancelCause(ctx)
	s := &sending{subject: subject, giveUp: giveUp}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sending[s] = true
	return ctx, func() {
		giveUp(nil)
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.sending, s)
	}
}

// refused ends the waiting for the answer to what was not permitted, and reports
// whether err is about such a subject. The server says so only beside it.
func (c *Conn) refused(err error) bool {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	found := false
	for waiting := range c.sending {
		if strings.Contains(err.Error(), strconv.Quote(waiting.subject)) {
			waiting.giveUp(nats.ErrPermissionViolation)
			found = true
		}
	}
	return found
}

// broken ends the waiting for every answer: the connection that it would have
// come on is gone. Whether what was asked happened is not known.
func (c *Conn) broken() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for waiting := range c.sending {
		waiting.giveUp(nats.ErrDisconnected)
	}
}

// exchange sends m and returns the answer. The error is NATS'.
func (c *Conn) exchange(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	ctx, done := c.expecting(ctx, m.Subject)
	defer done()
	answer, err := c.nc.RequestMsgWithContext(ctx, m)
	return answer, c.because(why(ctx, err))
}

// insist is exchange with someone who may die over the question: as long as there
// is no answer it is asked again, of whoever is there by then, and the first
// answer counts. While the connection is broken, nothing is asked and it waits. What
// is asked must be safe to ask twice.
func (c *Conn) insist(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	type outcome struct {
		answer *nats.Msg
		err    error
	}
	outcomes := make(chan outcome, askPatience/askAgain+1)
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		asking.Go(func() {
			answer, err := c.exchange(ctx, m)
			outcomes <- outcome{answer, err}
		})
		select {
		case o := <-outcomes:
			if !unsent(o.err) {
				return o.answer, o.err
			}
			if pause(ctx, firstReconnect) != nil {
				return nil, o.err
			}
		case <-again.C:
		}
	}
}

// why returns the reason for err, which came out of waiting in ctx.
func why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// request sends one request and returns its answer.
func (c *Conn) request(ctx context.Context, op, subject string, body []byte) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	m, err := c.exchange(ctx, &nats.Msg{Subject: subject, Data: body})
	return m, translate(op, err)
}
