package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// loadBundles loads the bundle that is active whenever it is another one. While it
// cannot be loaded it is tried again and again.
func (g *gate) loadBundles(ctx context.Context, log *broker.Log) error {
	wait := newBackOff()
	for {
		if wanted := g.control.Wanted(); wanted != "" {
			if err := g.loadBundle(ctx, log, wanted); err != nil {
				g.Log.Error().Err(err).Str("bundle", wanted.Short()).Msg("loading the active bundle; nothing is decided until it is there")
				if err := sleep(ctx, wait.NextBackOff()); err != nil {
					return err
				}
				continue
			}
			wait.Reset()
		}
		g.loadShadow(ctx, log)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-g.control.ToLoad():
		}
	}
}

// loadShadow loads the bundle that is evaluated beside the active one. One that
// cannot be loaded is done without: nothing depends on it.
func (g *gate) loadShadow(ctx context.Context, log *broker.Log) {
	wanted := g.control.WantedShadow()
	if wanted == "" || wanted == g.noShadow {
		return
	}
	bundle, err := storedBundle(ctx, log, wanted)
	if err != nil {
		g.noShadow = wanted
		g.Log.Error().Err(err).Str("bundle", wanted.Short()).Msg("loading the shadow bundle; going on without it")
		return
	}
	g.control.LoadShadow(bundle)
	g.Log.Info().Str("bundle", wanted.Short()).Msg("the shadow bundle is loaded")
}

func (g *gate) loadBundle(ctx context.Context, log *broker.Log, digest schemas.Digest) error {
	bundle, err := storedBundle(ctx, log, digest)
	if err != nil {
		return err
	}
	if g.has(schemas.RoleProvision) {
		if err := g.provision(ctx, bundle.Systems()); err != nil {
			return err
		}
	}
	g.control.Load(bundle)
	g.Log.Info().Str("bundle", digest.Short()).Msg("the bundle is loaded")
	return nil
}

// watchStreams stops the process if a stream is not the one that provision made.
func (g *gate) watchStreams(ctx context.Context, log *broker.Log) error {
	for {
		for _, made := range g.control.Streams() {
			if !broker.Sees(g.Stages[0], made.Stream) {
				continue
			}
			err := log.CheckStream(ctx, made)
			if errors.Is(err, schemas.ErrInvalid) {
				return fmt.Errorf("stopping: %w", err)
			}
		}
		if err := sleep(ctx, streamsEvery); err != nil {
			return err
		}
	}
}
