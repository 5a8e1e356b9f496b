package client_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestWidth: no more is performed at once than was said.
func TestWidth(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot := g.agent("bot")
	var now, most atomic.Int32
	busy, finish := make(chan struct{}, 100), make(chan struct{})
	g.run(g.executor("run"), func(context.Context, client.Task) (any, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		busy <- struct{}{}
		<-finish
		return nil, nil
	})
	var tickets []client.Ticket
	for range 12 {
		tickets = append(tickets, g.submit(bot, proposal("shop.small")))
	}
	for range 4 {
		<-busy
	}
	close(finish)
	for _, ticket := range tickets {
		g.result(bot, ticket)
	}
	if n := most.Load(); n != 4 {
		t.Errorf("performed %d at once, want 4", n)
	}
}

// TestRunStops: when its context ends, however, an executor finishes and reports
// what it began, begins nothing more, and that is no error.
func TestRunStops(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, run := g.agent("bot"), g.executor("run")
	for what, begin := range map[string]func() (context.Context, context.CancelFunc){
		"cancelled": func() (context.Context, context.CancelFunc) { return context.WithCancel(g.ctx()) },
		"over": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithTimeout(g.ctx(), 300*time.Millisecond)
			return ctx, func() { <-ctx.Done(); cancel() }
		},
	} {
		ctx, stop := begin()
		began, finish := make(chan struct{}, 10), make(chan struct{})
		done := make(chan error, 1)
		all := newPerformed()
		go func() {
			done <- run.Run(ctx, []string{"shop"}, 1, func(ctx context.Context, task client.Task) (any, error) {
				all.add(task)
				began <- struct{}{}
				<-finish
				return nil, ctx.Err()
			})
		}()
		first := g.submit(bot, proposal("shop.small"))
		<-began
		second := g.submit(bot, proposal("shop.small"))
		_, err := bot.Await(g.ctx(), second)
		check(t, err)
		stop()
		select {
		case err := <-done:
			t.Fatalf("%s: ended with %v before it had finished", what, err)
		default:
		}
		close(finish)
		if err := <-done; err != nil {
			t.Errorf("%s: ended with %v", what, err)
		}
		if status := g.result(bot, first); status.State != schemas.Done || len(all.of(second.Key)) > 0 {
			t.Errorf("%s: what it began is %+v, and it performed the next %d times", what, status, len(all.of(second.Key)))
		}
		stopNext := g.run(run, func(context.Context, client.Task) (any, error) { return nil, nil })
		g.result(bot, second)
		check(t, stopNext())
	}
}

// TestRunOfAnotherSystem: an executor that may not take the releases of a system
// cannot go on at all, and says so.
func TestRunOfAnotherSystem(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	run := g.executor("run")
	err := run.Run(g.ctx(), []string{"shop", "bank"}, 1, func(context.Context, client.Task) (any, error) { return nil, nil })
	if !errors.Is(err, schemas.ErrDenied) {
		t.Errorf("ended with %v, want ErrDenied", err)
	}
}

// TestWorkThatNobodyHandsOut: a release that another executor took and threw away
// is found all the same.
func TestWorkThatNobodyHandsOut(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, run := g.agent("bot"), g.executor("run")
	ticket := g.submit(bot, proposal("shop.small"))
	_, err := bot.Await(g.ctx(), ticket)
	check(t, err)
	key := g.keys["run"].Key
	nc, err := nats.Connect(g.server.URL(), nats.Nkey(g.public("run"), key.Sign), nats.CustomInboxPrefix("_INBOX_run"))
	check(t, err)
	t.Cleanup(nc.Close)
	m, err := nc.Request("hold.API.CONSUMER.MSG.NEXT.SETTLED.exec-shop", []byte(`{"batch":1,"expires":1000000000}`), patience)
	check(t, err)
	check(t, m.Term())
	check(t, nc.Flush())
	g.run(run, func(context.Context, client.Task) (any, error) { return nil, nil })
	if status := g.result(bot, ticket); status.State != schemas.Done {
		t.Errorf("%+v", status)
	}
}
