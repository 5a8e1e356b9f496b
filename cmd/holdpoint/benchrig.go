package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/broker/embedded"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// benchBundle is the bundle that is measured: twenty actions, and rules at every
// checkpoint.
//
//go:embed bench
var benchBundle embed.FS

// rig is a gate, or a relay in its place, with agents and a reviewer around it.
type rig struct {
	cfg    gateConfig
	server *embedded.Server // nil if the broker is another process

	gate *gate // what runs; nil if nothing does
	stop context.CancelFunc
	done chan error

	agents   []client.Agent
	reviewer client.Reviewer
}

// newRig starts a gate, makes the bundle in a directory the active one, and lets
// agents and a reviewer in, whose keys are in another.
func newRig(ctx context.Context, o serveOptions, log zerolog.Logger, bundle, keys string, agents int) (*rig, error) {
	r := &rig{}
	var err error
	if o.nats == "" {
		r.cfg, r.server, err = openEmbedded(o, log)
	} else {
		r.cfg, err = externalGate(o, log)
	}
	if err != nil {
		return nil, err
	}
	if err := r.open(ctx, bundle, keys, agents); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *rig) open(ctx context.Context, bundle, keys string, agents int) error {
	if err := r.startGate(ctx); err != nil {
		return err
	}
	loaded, err := bundleToUse(bundle)
	if err != nil {
		return err
	}
	if err := activate(ctx, r.gate, bundle, loaded); err != nil {
		return err
	}
	if err := r.people(ctx, keys, agents); err != nil {
		return err
	}
	return r.until(ctx, "the bundle is loaded and AUDIT copies", func() bool {
		return r.gate.control.Active() != "" && r.gate.control.Wanted() == "" && r.gate.health.Check() == nil
	})
}

// startGate starts the stages, and returns when they take messages.
func (r *rig) startGate(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	g, err := newGate(ctx, r.cfg)
	if err != nil {
		stop()
		return err
	}
	r.run(g, stop, func() error { return g.Run(running) })
	return r.until(ctx, "the gate is open", func() bool {
		select {
		case <-g.ready:
			return true
		default:
			return false
		}
	})
}

// startRelay starts a relay in the place of the stages.
func (r *rig) startRelay(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	g := bareGate(r.cfg)
	if err := g.connect(); err != nil {
		stop()
		g.close()
		return err
	}
	r.run(g, stop, func() error {
		defer g.close()
		return runRelay(running, g)
	})
	return nil
}

func (r *rig) run(g *gate, stop context.CancelFunc, work func() error) {
	done := make(chan error, 1)
	r.gate, r.stop, r.done = g, stop, done
	go func() { done <- work() }()
}

// halt stops what runs, and waits for its end.
func (r *rig) halt() error {
	if r.gate == nil {
		return nil
	}
	r.stop()
	err := <-r.done
	r.gate = nil
	return err
}

// close stops everything.
func (r *rig) close() error {
	for _, a := range r.agents {
		a.Close()
	}
	if r.reviewer.Conn != nil {
		r.reviewer.Close()
	}
	err := r.halt()
	if r.server != nil {
		err = errors.Join(err, stopEmbedded(r.server))
	}
	return err
}

// until waits until something holds, as long as what runs does.
func (r *rig) until(ctx context.Context, what string, holds func() bool) error {
	for !holds() {
		select {
		case err := <-r.done:
			r.done <- err
			return fmt.Errorf("waiting until %s: it stopped: %w", what, errors.Join(err, schemas.ErrUnavailable))
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// people lets the agents and the reviewer in.
func (r *rig) people(ctx context.Context, keys string, agents int) error {
	conn, err := r.dial(r.cfg.Admins[schemas.RoleIdentityAdmin])
	if err != nil {
		return err
	}
	defer conn.Close()
	admin := client.Operator{Conn: conn}
	r.agents = make([]client.Agent, agents)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i, id := range benchPeople(agents) {
		group.Go(func() error {
			conn, err := r.enter(ctx, admin, id, keys)
			if id.Role == schemas.RoleReviewer {
				r.reviewer = client.Reviewer{Conn: conn}
			} else {
				r.agents[i] = client.Agent{Conn: conn}
			}
			return err
		})
	}
	err = group.Wait()
	r.agents = connected(r.agents)
	return err
}

// connected returns those that are.
func connected(agents []client.Agent) []client.Agent {
	var all []client.Agent
	for _, a := range agents {
		if a.Conn != nil {
			all = append(all, a)
		}
	}
	return all
}

// benchPeople are the agents, and the reviewer behind them.
func benchPeople(agents int) []schemas.Identity {
	var all []schemas.Identity
	for i := range agents {
		all = append(all, schemas.Identity{Name: schemas.Name(fmt.Sprintf("agent-%d", i)), Role: schemas.RoleAgent, Owner: "olga"})
	}
	return append(all, schemas.Identity{Name: "reviewer", Role: schemas.RoleReviewer, Person: "rita", Queues: []schemas.Name{"load"}})
}

// enter registers an identity, unless it was registered before, and connects as it.
func (r *rig) enter(ctx context.Context, admin client.Operator, id schemas.Identity, keys string) (*client.Conn, error) {
	key, err := benchKey(keys, id)
	if err != nil {
		return nil, err
	}
	if id.Key, err = key.Public(); err != nil {
		return nil, err
	}
	if err := admin.Add(ctx, id); err != nil && !errors.Is(err, schemas.ErrClosed) {
		return nil, err
	}
	return r.dial(key)
}

// benchKey returns the key of an identity, and makes it if it is not there yet.
func benchKey(dir string, id schemas.Identity) (identity.KeyFile, error) {
	path := filepath.Join(dir, string(id.Name)+".key")
	key, err := identity.ReadKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return key, fmt.Errorf("making the directory for keys: %w", err)
	}
	if key, err = identity.NewKeyFile(id.Name, id.Role); err != nil {
		return key, err
	}
	return key, key.Write(path)
}

func (r *rig) dial(key identity.KeyFile) (*client.Conn, error) {
	s := r.cfg.Server
	return client.Dial(client.Config{Key: key, Server: s.URL, TLS: s.TLS, InProcess: s.InProcess, Log: r.cfg.Log})
}
