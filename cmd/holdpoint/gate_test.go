package main

import (
	"context"
	"fmt"
	"testing"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

func refund(amount int) client.Proposal {
	return client.Proposal{Action: "shop.refund", Params: map[string]any{"order": "A-1", "amount": amount}}
}

// TestPath: an intent is released by the rules or by a person, performed and
// reported, on the embedded broker and on an external one.
func TestPath(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, string) *world{"embedded": newWorld, "external": newExternalWorld} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			walk(t, start(t, "testdata/shop"))
		})
	}
}

func walk(t *testing.T, w *world) {
	bot, ann := w.agent("bot"), w.reviewer("ann")
	small, err := bot.Submit(w.ctx(), refund(20))
	check(t, err)
	settled, err := bot.Await(w.ctx(), small)
	check(t, err)
	if settled.Outcome != schemas.Release {
		t.Errorf("small refund: %s (%s), want a release", settled.Outcome, settled.Code)
	}
	big, err := bot.Submit(w.ctx(), refund(500))
	check(t, err)
	var line schemas.HoldLine
	ctx, stop := context.WithCancel(w.ctx())
	_ = ann.Watch(ctx, []schemas.Name{"billing"}, func(l schemas.HoldLine) error { line = l; stop(); return ctx.Err() })
	if line.Intent != big.Key.ID {
		t.Fatalf("ann was offered %v, want %v", line, big.Key)
	}
	held, err := ann.Hold(w.ctx(), big.Key)
	check(t, err)
	ruling, err := ann.Decide(w.ctx(), held, schemas.Approve, "")
	check(t, err)
	if !ruling.Counts || ruling.State != schemas.Released {
		t.Fatalf("approval: %+v, want that it counts and releases", ruling)
	}
	x := w.executor("runner", "shop")
	running, finish := context.WithCancel(w.ctx())
	ran := make(chan error, 1)
	go func() {
		ran <- x.Run(running, []string{"shop"}, 4, func(_ context.Context, task client.Task) (any, error) {
			return map[string]string{"receipt": string(task.Intent.ID)}, nil
		})
	}()
	status, err := bot.Result(w.ctx(), big)
	check(t, err)
	if status.State != schemas.Done || string(status.Result) != `{"receipt":"`+string(big.Key.ID)+`"}` {
		t.Errorf("result: %+v", status)
	}
	finish()
	check(t, <-ran)
}

// TestOfferedAgain: a hold that could not be dealt with because the gate was away
// is offered again, although nothing about it changed.
func TestOfferedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "testdata/shop")
	bot, ann := w.agent("bot"), w.reviewer("ann")
	ticket, err := bot.Submit(w.ctx(), refund(500))
	check(t, err)
	ctx, stop := context.WithCancel(w.ctx())
	offers := 0
	err = ann.Watch(ctx, []schemas.Name{"billing"}, func(l schemas.HoldLine) error {
		if l.Intent != ticket.Key.ID {
			t.Errorf("offered %s, want %s", l.Intent, ticket.Key.ID)
		}
		if offers++; offers == 1 {
			return fmt.Errorf("deciding: %w", schemas.ErrUnavailable)
		}
		stop()
		return nil
	})
	if offers != 2 {
		t.Errorf("offered %d times (%v), want twice", offers, err)
	}
}
