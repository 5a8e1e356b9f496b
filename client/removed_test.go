package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestRemovedEndsAsDenied: whoever is removed while waiting, watching or performing
// tries for a while, as the gate may only have started again, and then ends, told
// why.
func TestRemovedEndsAsDenied(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	g.agent("bot")
	g.reviewer("ann")
	g.executor("run")
	g.add(schemas.Identity{Name: "aud", Role: schemas.RoleAuditor, Person: "audrey"})
	impatient := func(name schemas.Name) *client.Conn {
		c, err := client.Dial(client.Config{Key: g.keys[name], Server: g.server.URL(), Patience: 200 * time.Millisecond})
		check(t, err)
		t.Cleanup(c.Close)
		return c
	}
	bot, ann := client.Agent{Conn: impatient("bot")}, client.Reviewer{Conn: impatient("ann")}
	run, aud := client.Executor{Conn: impatient("run")}, client.Auditor{Conn: impatient("aud")}
	ticket := g.submit(bot, proposal("shop.big"))
	type end struct {
		who string
		err error
	}
	ends := make(chan end)
	begun := make(chan struct{}, 10)
	works := map[string]func() error{
		"an agent that waits": func() error { _, err := bot.Await(g.ctx(), ticket); return err },
		"an agent that watches": func() error {
			return bot.Watch(g.ctx(), func(schemas.Status) error { begun <- struct{}{}; return nil })
		},
		"a reviewer": func() error {
			return ann.Watch(g.ctx(), []schemas.Name{"desk"}, func(schemas.HoldLine) error { begun <- struct{}{}; return nil })
		},
		"an executor": func() error {
			return run.Run(g.ctx(), []string{"shop"}, 1, func(context.Context, client.Task) (any, error) { return "ok", nil })
		},
		"an auditor": func() error {
			return aud.Tail("", 1).Follow(g.ctx(), 10*time.Millisecond, func(schemas.Record) error { return nil })
		},
	}
	for who, work := range works {
		go func() { ends <- end{who, work()} }()
	}
	<-begun
	<-begun
	for _, name := range []schemas.Name{"bot", "ann", "run", "aud"} {
		check(t, g.operator(schemas.RoleIdentityAdmin).Remove(g.ctx(), name, "left"))
	}
	for range works {
		e := <-ends
		if !errors.Is(e.err, schemas.ErrDenied) || !errors.Is(e.err, broker.ErrTurnedAway) || !strings.Contains(e.err.Error(), "not known to the broker any more") {
			t.Errorf("%s ends with %v, want an ErrDenied that says why", e.who, e.err)
		}
	}
}
