package main

import (
	"context"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestTrim: a provision stage in a process of its own removes old records, and
// none that an open intent needs.
func TestTrim(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "testdata/shop")
	agent, ann := w.agent("bot"), w.reviewer("ann")
	ticket, err := agent.Submit(w.ctx(), refund(500))
	check(t, err)
	status, err := agent.Stand(w.ctx(), ticket)
	check(t, err)
	if status.State != schemas.Parked {
		t.Fatalf("a large refund is %s, want parked", status.State)
	}
	refused, err := agent.Submit(w.ctx(), client.Proposal{Action: "shop.nothing", Params: map[string]any{}}) // the last record stays anyway
	check(t, err)
	_, err = agent.Await(w.ctx(), refused)
	check(t, err)
	cfg := w.config()
	cfg.Stages, cfg.Names, cfg.Keep = []schemas.Role{schemas.RoleProvision}, nil, leastKeep
	ctx, stop := context.WithCancel(t.Context())
	g, err := newGate(ctx, cfg)
	check(t, err)
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	<-g.ready
	log, err := g.log(ctx, schemas.RoleProvision)
	check(t, err)
	later := time.Now().Add(100 * 24 * time.Hour)
	trim := func() uint64 {
		t.Helper()
		check(t, g.trimOnce(ctx, log, later))
		r, err := log.Last(ctx, schemas.Intents, ">")
		check(t, err)
		first, err := log.At(ctx, schemas.Intents, 1)
		if err == nil {
			return first.Seq
		}
		return r.Seq
	}
	if first := trim(); first != 1 {
		t.Fatalf("INTENTS begins with %d while its first intent is open", first)
	}
	held, err := ann.Hold(w.ctx(), ticket.Key)
	check(t, err)
	ruling, err := ann.Decide(w.ctx(), held, schemas.Deny, "no")
	check(t, err)
	if !ruling.Counts {
		t.Fatalf("after trimming, the decision on an open hold does not count: %s", ruling.Code)
	}
	w.until("what is over is trimmed", func() bool { return trim() > 1 })
	stop()
	check(t, <-done)
}

// TestBudgetsAreKept: what a budget of the longest window counts is not removed,
// however short the time is for which other records are kept.
func TestBudgetsAreKept(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	before := now.Add(-leastKeep)
	if got := neededFrom(schemas.Settled, before, now); got != before {
		t.Errorf("SETTLED is needed from %s, want %s", got, before)
	}
	if got := neededFrom(schemas.Budgets, before, now); !got.Before(now.Add(-schemas.MaxWindow)) {
		t.Errorf("BUDGETS is needed from %s, want all of the longest window", got)
	}
	if got := neededFrom(schemas.Standings, before, now); !got.Before(now.Add(-schemas.MaxStandingFor)) {
		t.Errorf("STANDING is needed from %s, want all of the longest approval", got)
	}
	long := now.Add(-2 * schemas.MaxWindow)
	if got := neededFrom(schemas.Budgets, long, now); got != long {
		t.Errorf("BUDGETS is needed from %s, want %s", got, long)
	}
}
