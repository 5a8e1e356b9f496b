package main

import (
	"context"
	"errors"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// followEvery is how often the index looks for what other processes wrote.
	// What this one writes it knows at once.
	followEvery = 250 * time.Millisecond

	// forgetEach is after how many records the index forgets, while it is loaded
	// in the order of time and has no need to remember what ended.
	forgetEach = 10_000

	// forgetIndex is how often the index forgets where no timers make it. It is
	// much longer than records take to arrive.
	forgetIndex = 30 * time.Second
)

// loadIndex folds the streams into the index, and returns what keeps it up to
// date until its context ends. It does so once for all stages of the process.
func (g *gate) loadIndex(ctx context.Context, log *broker.Log) (follow func(context.Context) error, err error) {
	var tails []*broker.Tail
	for _, stream := range g.index.Streams() {
		tails = append(tails, log.Tail(stream, "", 1))
	}
	began, n := time.Now(), 0
	err = broker.ReadMerged(ctx, tails, func(r schemas.Record) error {
		if n++; n%forgetEach == 0 {
			g.index.Forget()
		}
		return g.index.Apply(r)
	})
	if err != nil {
		return nil, err
	}
	g.Log.Info().Int("records", n).Dur("took", time.Since(began)).Msg("the index is loaded")
	return func(ctx context.Context) error { return g.followIndex(ctx, tails) }, nil
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
