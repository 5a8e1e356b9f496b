package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// trimEvery is how often old records are removed.
	trimEvery = time.Hour

	// leastKeep is the least for which records are kept. It is longer than any
	// intent lives, so that no id can settle again after it was forgotten.
	leastKeep = schemas.MaxLifetime + 24*time.Hour

	// rouseFirst is how often it is looked whether AUDIT copies, rouseLast how often
	// at least when it does not.
	rouseFirst = time.Second
	rouseLast  = time.Minute

	// trimSlack lies between the oldest open intent and what is removed.
	trimSlack = time.Minute
)

// provision makes what is missing of the streams and of the consumers of the
// systems, and registers the admins of the first start. It may be called again
// with more systems.
func (g *gate) provision(ctx context.Context, systems []string) error {
	made, err := g.provisionWith(ctx, systems)
	for _, s := range made {
		g.Log.Info().Str("made", s.Thing).Msg("provisioned")
	}
	return err
}

func (g *gate) provisionWith(ctx context.Context, systems []string) ([]broker.Step, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := slices.Compact(slices.Sorted(slices.Values(append(systems, g.systems...))))
	made, err := g.provisioner().Apply(ctx, all)
	if err != nil {
		return made, fmt.Errorf("provisioning: %w", err)
	}
	g.systems = all
	return made, g.registerAdmins(ctx)
}

func (g *gate) provisioner() *broker.Provisioner {
	return broker.NewProvisioner(g.conns[schemas.RoleProvision], g.conns[schemas.RoleProvisionAudit], g.Tenant, g.Layout)
}

// registerAdmins registers the operators of the first start. That their names are
// taken already is what it finds at every later start: then no key is made, which
// nobody would know.
func (g *gate) registerAdmins(ctx context.Context) error {
	log, err := g.log(ctx, schemas.RoleProvision)
	if err != nil {
		return err
	}
	for _, role := range adminRoles() {
		filter := schemas.Subject{Kind: "control", About: "identity", Record: schemas.Name(role)}.String()
		_, err := log.Last(ctx, schemas.Control, filter)
		if err == nil {
			continue
		}
		if !errors.Is(err, schemas.ErrNotFound) {
			return fmt.Errorf("registering %s: %w", role, err)
		}
		if err := g.registerAdmin(ctx, log, role, filter); err != nil {
			return fmt.Errorf("registering %s: %w", role, err)
		}
	}
	return nil
}

// registerAdmin registers the first admin of a kind, if there is a key. A crash after
// the key was made leaves a key that the next start registers.
func (g *gate) registerAdmin(ctx context.Context, log *broker.Log, role schemas.Role, filter string) error {
	if _, there := g.Admins[role]; !there && g.AdminDir != "" {
		made, err := makeCreds(g.AdminDir, []schemas.Role{role})
		if err != nil {
			return err
		}
		g.Admins[role] = made[role]
	}
	k, there := g.Admins[role]
	if !there {
		return nil
	}
	public, err := k.Public()
	if err != nil {
		return err
	}
	id := schemas.Identity{By: schemas.Name(schemas.RoleProvision), Name: k.Name, Role: role, Key: public, At: time.Now().UTC()}
	draft := schemas.Write(id, "/gateways/"+string(g.Tenant)+"/provision", id.At, "")
	_, err = log.Append(ctx, draft, schemas.Expect{Filter: filter})
	if errors.Is(err, schemas.ErrStale) {
		return nil // another process did at this moment
	}
	return err
}

// rouse makes AUDIT copy again where it stands still. The longer that does not
// help, the less often it is tried.
func (g *gate) rouse(ctx context.Context) error {
	wait := rouseFirst
	for {
		if err := sleep(ctx, wait); err != nil {
			return nil
		}
		idle, err := g.provisioner().Rouse(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			g.Log.Warn().Err(err).Msg("looking whether AUDIT copies; trying again")
		case len(idle) > 0:
			g.Log.Warn().Strs("streams", idle).Msg("AUDIT did not hear from streams; it has another leader now")
			wait = min(2*wait, rouseLast)
		default:
			wait = rouseFirst
		}
	}
}

// neededFrom returns from when on a stream is needed, where the others are needed
// from before on: what was taken of a budget counts for as long as its window, and a
// standing approval for as long as one may be, and for the intents released by it.
func neededFrom(stream schemas.Stream, before, now time.Time) time.Time {
	longest := time.Duration(0)
	switch stream {
	case schemas.Budgets:
		longest = schemas.MaxWindow
	case schemas.Standings:
		longest = schemas.MaxStandingFor + schemas.MaxLifetime
	}
	if from := now.Add(-longest - trimSlack); longest > 0 && from.Before(before) {
		return from
	}
	return before
}

// startTrim lets old records be removed. The index says which of them an open
// intent still needs; where execute does not keep one, provision does.
func (g *gate) startTrim(ctx context.Context, group *errgroup.Group, log *broker.Log) error {
	if g.Keep <= 0 {
		return nil
	}
	if !g.has(schemas.RoleExecute) {
		follow, err := g.loadIndex(ctx, log)
		if err != nil {
			return err
		}
		group.Go(func() error { return follow(ctx) })
		group.Go(func() error { return g.forget(ctx) })
	}
	group.Go(func() error { return g.trim(ctx, log) })
	return nil
}

// forget lets the index forget, where no timers do.
func (g *gate) forget(ctx context.Context) error {
	for sleep(ctx, forgetIndex) == nil {
		g.index.Forget()
	}
	return nil
}

// trim removes, every hour, what is older than records are kept.
func (g *gate) trim(ctx context.Context, log *broker.Log) error {
	for {
		if err := sleep(ctx, trimEvery); err != nil {
			return nil
		}
		if err := g.trimOnce(ctx, log, time.Now()); err != nil {
			g.Log.Warn().Err(err).Msg("removing old records; trying again in an hour")
		}
	}
}

// trimOnce removes what nobody needs any more at time now. CONTROL is kept whole:
// everything that holds follows from it.
func (g *gate) trimOnce(ctx context.Context, log *broker.Log, now time.Time) error {
	before := now.Add(-g.Keep)
	if oldest := g.index.Oldest(); !oldest.IsZero() && oldest.Add(-trimSlack).Before(before) {
		before = oldest.Add(-trimSlack)
	}
	for _, stream := range schemas.Streams() {
		if stream == schemas.Control {
			continue
		}
		n, err := log.Trim(ctx, stream, neededFrom(stream, before, now))
		if err != nil {
			return err
		}
		if n > 0 {
			g.Log.Info().Str("stream", string(stream)).Uint64("records", n).Msg("removed old records")
		}
	}
	return nil
}
