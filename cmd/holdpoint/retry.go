package main

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/holdpoint/holdpoint/schemas"
)

// patiently does what a start needs again while the broker does not answer, as
// when the nodes of a cluster agree on their leaders. It gives up after a while:
// a process that cannot start must say so.
func (g *gate) patiently(ctx context.Context, do func() error) error {
	wait, end := newBackOff(), time.Now().Add(startPatience)
	for {
		err := do()
		if !errors.Is(err, schemas.ErrUnavailable) || time.Now().After(end) {
			return err
		}
		g.Log.Warn().Err(err).Msg("starting; waiting for the broker")
		if err := sleep(ctx, wait.NextBackOff()); err != nil {
			return err
		}
	}
}

// startPatience is for how long a start waits for the broker.
const startPatience = time.Minute

func newBackOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = 100*time.Millisecond, 5*time.Second
	return b
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
