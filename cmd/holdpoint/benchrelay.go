package main

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// relay passes messages on from stream to stream as the gate does, over the same
// accounts, streams and consumers, with the settlement filter and
// acknowledgements, and looks at nothing. It is what the broker alone can do.
type relay struct {
	log  *broker.Log
	kind string // of what it writes
}

// Handle passes r on.
func (f relay) Handle(ctx context.Context, r schemas.Record) error {
	s, err := schemas.ParseSubject(r.Subject)
	if err != nil {
		return err
	}
	e, _, err := schemas.ReadEvent(r.Header, r.Body)
	if err != nil {
		return err
	}
	s.Kind, s.Outcome, s.Intent = f.kind, "release", schemas.IntentID(e.ID)
	var expect schemas.Expect
	if f.kind == "released" {
		expect.Filter = schemas.SettlementFilter(schemas.Key{Agent: s.Agent, ID: s.Intent})
	}
	_, err = f.log.Append(ctx, schemas.Draft{Subject: s.String(), Header: e.Header(), Body: r.Body}, expect)
	return err
}

// Refuse drops r.
func (relay) Refuse(context.Context, schemas.Record, string) error { return nil }

// runRelay runs a relay in the place of the stages of g, which is connected, until
// ctx ends.
func runRelay(ctx context.Context, g *gate) error {
	group, ctx := errgroup.WithContext(ctx)
	for role, to := range map[schemas.Role]struct {
		from schemas.Stream
		kind string
	}{
		schemas.RoleObserve:   {schemas.Intents, "observed"},
		schemas.RoleRecommend: {schemas.Observed, "recommended"},
		schemas.RoleExecute:   {schemas.Recommended, "released"},
	} {
		log, err := g.log(ctx, role)
		if err != nil {
			return err
		}
		group.Go(func() error { return log.Work(ctx, to.from, g.Width, relay{log, to.kind}) })
	}
	return group.Wait()
}
