package client_test

import (
	"context"
	"net/url"
	"strconv"
	"testing"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestEverybodyOutlastsTheGate: while the gate and its broker are stopped and start
// again, an agent waits for its verdict, a reviewer watches and an executor runs:
// none of them has to be told, and none has to start again.
func TestEverybodyOutlastsTheGate(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	u, err := url.Parse(g.server.URL())
	check(t, err)
	g.cfg.Port, err = strconv.Atoi(u.Port())
	check(t, err)
	bot, ann, run := g.agent("bot"), g.reviewer("ann"), g.executor("run")
	g.run(run, func(context.Context, client.Task) (any, error) { return "ok", nil })
	offered, watching := make(chan schemas.Key, 10), make(chan error, 1)
	ctx, stop := context.WithCancel(g.ctx())
	go func() {
		watching <- ann.Watch(ctx, []schemas.Name{"desk"}, func(line schemas.HoldLine) error {
			offered <- schemas.Key{Agent: line.Agent, ID: line.Intent}
			return nil
		})
	}()
	before := g.submit(bot, proposal("shop.big"))
	<-offered
	ends := make(chan schemas.Status, 2)
	wait := func(ticket client.Ticket) {
		status, err := bot.Result(g.ctx(), ticket)
		if err != nil {
			t.Errorf("%s: %v", ticket.Key, err)
		}
		ends <- status
	}
	go wait(before)
	g.stop()
	submitted := make(chan client.Ticket, 1)
	go func() {
		ticket, err := bot.Submit(g.ctx(), proposal("shop.big"))
		if err != nil {
			t.Errorf("submitting to nobody: %v", err)
		}
		submitted <- ticket
	}()
	g.open()
	after := <-submitted
	go wait(after)
	if k := <-offered; k != after.Key {
		t.Errorf("offered %s, want %s", k, after.Key)
	}
	for _, ticket := range []client.Ticket{before, after} {
		g.approve(ann, ticket.Key)
	}
	for range 2 {
		if s := <-ends; s.State != schemas.Done || string(s.Result) != `"ok"` {
			t.Errorf("in the end %+v", s)
		}
	}
	stop()
	<-watching
}
