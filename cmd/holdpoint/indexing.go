package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// followEvery is how often the index looks for what other processes wrote.
	// What this one writes it knows at once.
	followEvery = 250 * time.Millisecond

	// forgetIndex is how often the index forgets where no timers make it. It is
	// much longer than records take to arrive.
	forgetIndex = 30 * time.Second
)

// loadIndex takes in what waits, and returns what keeps the index up to date until
// its context ends. It does so once for all stages of the process.
func (g *gate) loadIndex(ctx context.Context, log *broker.Log) (follow func(context.Context) error, err error) {
	began := time.Now()
	handled, err := log.Handled(ctx, schemas.Outcomes)
	if err != nil {
		return nil, err
	}
	tails, err := g.tails(ctx, log, handled)
	if err != nil {
		return nil, err
	}
	if err := g.index.Load(ctx, log, handled); err != nil {
		return nil, err
	}
	if err := broker.ReadMerged(ctx, tails, g.index.Apply); err != nil {
		return nil, err
	}
	g.Log.Info().Interface("waiting", g.index.Counts()).Dur("took", time.Since(began)).Msg("the index is loaded")
	return func(ctx context.Context) error { return g.followIndex(ctx, tails) }, nil
}

// tails returns tails of the streams that begin where these end now, and in OUTCOMES
// where reports are not handled yet. The last stream that an intent passes comes
// first: so whoever reads what is there already, and then the tails, misses nothing
// of an intent that moves on meanwhile.
func (g *gate) tails(ctx context.Context, log *broker.Log, handled uint64) ([]*broker.Tail, error) {
	streams := g.index.Streams()
	tails := make([]*broker.Tail, len(streams))
	for i, stream := range slices.Backward(streams) {
		end, err := log.LastSeq(ctx, stream)
		if err != nil {
			return nil, err
		}
		if stream == schemas.Outcomes {
			end = handled
		}
		tails[i] = log.Tail(stream, "", end+1)
	}
	return tails, nil
}

func (g *gate) followIndex(ctx context.Context, tails []*broker.Tail) error {
	for {
		for _, t := range tails {
			if err := t.Read(ctx, g.index.Apply); err != nil && !errors.Is(err, context.Canceled) {
				g.Log.Warn().Err(err).Msg("following what other processes wrote; trying again")
			}
		}
		if err := sleep(ctx, followEvery); err != nil {
			return nil
		}
	}
}
