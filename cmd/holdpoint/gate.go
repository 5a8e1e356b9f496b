package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

// gateConfig is what a gate process needs. Every field is required unless it says
// otherwise.
type gateConfig struct {
	Tenant broker.Tenant
	Server broker.Server

	// Stages are the roles that this process takes: observe, recommend, execute,
	// provision. Execute answers questions too.
	Stages []schemas.Role

	// Creds are the keys of those roles, and of answer and provision-audit where
	// they belong to them.
	Creds creds

	// Admins are registered by provision if they are not yet. May be empty.
	Admins creds

	// AdminDir is where provision makes the keys of admins that are not among Admins
	// and were never registered. If empty, it makes none.
	AdminDir string

	// Names is shared with the embedded broker, if there is one. If nil, the gate
	// makes its own.
	Names *identity.Registry

	// Removed is called after an identity was removed. May be nil.
	Removed func()

	// Free returns the room that is left for the broker's data, in bytes. May be
	// nil.
	Free func() uint64

	Layout  broker.Layout
	Bounds  broker.Bounds
	Limits  stages.Limits
	Keep    time.Duration // how long settled records are kept; 0 means for ever
	Width   int           // how many messages of a stream a stage handles at once
	Metrics *metrics
	Log     zerolog.Logger
}

// gate is the stages of one process, running.
type gate struct {
	gateConfig
	names   *identity.Registry
	control *stages.ControlState
	index   *stages.Index
	health  *monitor
	conns   map[schemas.Role]*broker.Conn

	// noShadow is a shadow bundle that could not be loaded. loadBundles alone
	// uses it.
	noShadow schemas.Digest

	// ready is closed when every stage takes messages.
	ready chan struct{}

	mu      sync.Mutex // guards systems
	systems []string   // those that have a consumer
}

// newGate connects the identities and, if it is among the stages, provisions the
// broker. It reads CONTROL to its end: from then on the gate knows everyone, and
// every freeze.
func newGate(ctx context.Context, cfg gateConfig) (*gate, error) {
	g := bareGate(cfg)
	if err := g.connect(); err != nil {
		g.close()
		return nil, err
	}
	if g.has(schemas.RoleProvision) {
		if err := g.provision(ctx, nil); err != nil {
			g.close()
			return nil, err
		}
	}
	return g, nil
}

// bareGate returns a gate that is not connected.
func bareGate(cfg gateConfig) *gate {
	g := &gate{
		gateConfig: cfg,
		names:      cfg.Names,
		index:      stages.NewIndex(nil),
		health:     &monitor{},
		conns:      map[schemas.Role]*broker.Conn{},
		ready:      make(chan struct{}),
	}
	if g.names == nil {
		g.names = identity.NewRegistry(nil)
	}
	g.control = stages.NewControlState(g.names)
	return g
}

func (g *gate) has(stage schemas.Role) bool { return slices.Contains(g.Stages, stage) }

// allStages are the stages of a process that runs all of them.
func allStages() []schemas.Role {
	return []schemas.Role{schemas.RoleProvision, schemas.RoleObserve, schemas.RoleRecommend, schemas.RoleExecute}
}

// rolesOf returns the identities that stages need.
func rolesOf(stages []schemas.Role) []schemas.Role {
	roles := slices.Clone(stages)
	if slices.Contains(stages, schemas.RoleExecute) {
		roles = append(roles, schemas.RoleAnswer)
	}
	if slices.Contains(stages, schemas.RoleProvision) {
		roles = append(roles, schemas.RoleProvisionAudit)
	}
	return roles
}

// connect opens one connection for each identity: the stages are separate also
// when one process runs them all.
func (g *gate) connect() error {
	for _, role := range rolesOf(g.Stages) {
		k, ok := g.Creds[role]
		if !ok {
			return fmt.Errorf("connecting: %w: no key for %s", schemas.ErrInvalid, role)
		}
		conn, err := broker.Connect(g.Server, k.Name, k.Key, g.Log)
		if err != nil {
			return err
		}
		g.conns[role] = conn
	}
	return nil
}

func (g *gate) close() {
	for _, conn := range g.conns {
		conn.Close()
	}
}

// Run runs the stages until ctx ends, then lets each finish what it took. It
// returns an error if a stage cannot go on.
func (g *gate) Run(ctx context.Context) error {
	defer g.close()
	var log *broker.Log
	var control *broker.Tail
	err := g.patiently(ctx, func() (err error) {
		if log, err = g.log(ctx, g.Stages[0]); err != nil {
			return err
		}
		if control == nil {
			control = log.Tail(schemas.Control, "", 1) // each record is taken in once
		}
		return g.readControl(ctx, log, control)
	})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.follow(ctx, control) })
	group.Go(func() error { return g.loadBundles(ctx, log) })
	group.Go(func() error { return g.watchStreams(ctx, log) })
	for _, stage := range g.Stages {
		// What can go wrong in a start goes wrong before anything runs.
		if err := g.patiently(ctx, func() error { return g.start(ctx, group, stage) }); err != nil {
			group.Go(func() error { return err })
			return group.Wait()
		}
	}
	close(g.ready)
	g.Log.Info().Interface("stages", g.Stages).Str("tenant", string(g.Tenant)).Msg("the gate is open")
	err = group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// log opens the streams as role sees them.
func (g *gate) log(ctx context.Context, role schemas.Role) (*broker.Log, error) {
	return broker.OpenLog(ctx, g.conns[role], schemas.Control)
}

// readControl reads CONTROL to the end that it has now. Nothing is handled
// before, or a restart would forget a freeze.
func (g *gate) readControl(ctx context.Context, log *broker.Log, control *broker.Tail) error {
	end, err := log.LastSeq(ctx, schemas.Control)
	if err != nil {
		return err
	}
	if err := control.ReadTo(ctx, end, g.apply); err != nil {
		return err
	}
	g.names.Ready()
	return control.Wake(ctx)
}

// apply takes in one record of CONTROL.
func (g *gate) apply(r schemas.Record) error {
	controlled, named := g.control.Apply(r), g.names.Apply(r)
	if err := errors.Join(controlled, named); err != nil {
		g.Log.Warn().Err(err).Str("subject", r.Subject).Uint64("seq", r.Seq).Msg("a record of CONTROL has no effect")
	}
	// A removal that has no effect is no reason to look at everyone who is connected.
	if s, err := schemas.ParseSubject(r.Subject); err == nil && s.About == "removal" && named == nil {
		g.index.LookAt(s.Record)
		if g.Removed != nil {
			g.Removed()
		}
	}
	return nil
}

func (g *gate) follow(ctx context.Context, control *broker.Tail) error {
	return control.Follow(ctx, time.Second, g.apply)
}

// start starts one stage in group.
func (g *gate) start(ctx context.Context, group *errgroup.Group, stage schemas.Role) error {
	log, err := g.log(ctx, stage)
	if err != nil {
		return err
	}
	switch stage {
	case schemas.RoleObserve:
		return g.startObserve(ctx, group, log)
	case schemas.RoleRecommend:
		s := &stages.Recommend{Common: g.common(log)}
		g.work(ctx, group, log, schemas.Observed, s)
		return nil
	case schemas.RoleExecute:
		return g.startExecute(ctx, group, log)
	case schemas.RoleProvision:
		group.Go(func() error { return g.rouse(ctx) })
		return g.startTrim(ctx, group, log)
	}
	return fmt.Errorf("%w: no stage %q", schemas.ErrInvalid, stage)
}

func (g *gate) common(log *broker.Log) stages.Common {
	return stages.Common{Gateway: schemas.Name(g.Tenant), Log: log, Control: g.control, Names: g.names}
}

func (g *gate) startObserve(ctx context.Context, group *errgroup.Group, log *broker.Log) error {
	copied := stages.NewExposureCopy()
	if err := g.fold(ctx, group, log.Tail(schemas.Exposed, "", 1), copied.Apply); err != nil {
		return err
	}
	s := &stages.Observe{Common: g.common(log), Exposures: copied, Rates: stages.NewRates()}
	g.work(ctx, group, log, schemas.Intents, s)
	return nil
}

// fold returns when apply has taken in all that a stream says, and goes on with
// what comes.
func (g *gate) fold(ctx context.Context, group *errgroup.Group, tail *broker.Tail, apply func(schemas.Record) error) error {
	if err := tail.Read(ctx, apply); err != nil {
		return err
	}
	if err := tail.Wake(ctx); err != nil {
		return err
	}
	group.Go(func() error { return tail.Follow(ctx, time.Second, apply) })
	return nil
}

func (g *gate) startExecute(ctx context.Context, group *errgroup.Group, log *broker.Log) error {
	s := &stages.Execute{
		Common:      g.common(log),
		Bell:        g.Metrics.bell(broker.Bell{Conn: g.conns[schemas.RoleExecute]}),
		Eligibility: &rules.Eligibility{},
		Health:      g.health,
		Index:       g.index,
		Standings:   stages.NewStandings(time.Now),
		Turns:       stages.NewTurns(),
		Limits:      g.Limits,
	}
	follow, err := g.loadIndex(ctx, log)
	if err != nil {
		return err
	}
	group.Go(func() error { return follow(ctx) })
	if err := g.fold(ctx, group, log.Tail(schemas.Standings, "", 1), s.Standings.Apply); err != nil {
		return err
	}
	group.Go(func() error { return g.health.run(ctx, g.conns[schemas.RoleExecute], g.Bounds, g.Log) })
	group.Go(func() error {
		s.RunTimers(ctx, g.Log)
		return nil
	})
	g.work(ctx, group, log, schemas.Recommended, s.Recommendations())
	g.work(ctx, group, log, schemas.Decisions, s.Decisions())
	g.work(ctx, group, log, schemas.Outcomes, s.Reports())
	a := &stages.Answer{
		Execute: s, Registry: g.names, Conditions: g.conditions, Embedded: g.Server.InProcess != nil,
		Streams: log, Bundle: log.Bundle,
		Broker: func(ctx context.Context) (schemas.BrokerStatus, error) { return g.brokerStatus(ctx, log) },
	}
	return g.startAnswer(ctx, group, a)
}

func (g *gate) brokerStatus(ctx context.Context, log *broker.Log) (schemas.BrokerStatus, error) {
	status, err := log.Status(ctx)
	if g.Free != nil {
		status.FreeBytes = g.Free()
	}
	return status, err
}

// startAnswer returns when questions are answered.
func (g *gate) startAnswer(ctx context.Context, group *errgroup.Group, a *stages.Answer) error {
	listening := make(chan struct{})
	group.Go(func() error {
		return g.conns[schemas.RoleAnswer].Serve(ctx, a, func() { close(listening) })
	})
	select {
	case <-listening:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// work handles the messages of a stream until ctx ends, whatever happens to the
// broker meanwhile.
func (g *gate) work(ctx context.Context, group *errgroup.Group, log *broker.Log, stream schemas.Stream, h broker.Handler) {
	handler := g.Metrics.handler(stream, h)
	group.Go(func() error {
		wait := newBackOff()
		for {
			err := log.Work(ctx, stream, g.Width, handler)
			if err == nil || ctx.Err() != nil {
				return nil
			}
			g.Log.Error().Err(err).Str("stream", string(stream)).Msg("a stage stands still; trying again")
			if err := sleep(ctx, wait.NextBackOff()); err != nil {
				return nil
			}
		}
	})
}

// conditions returns everything that must hold before anything is released.
func (g *gate) conditions() []schemas.Condition {
	policy := schemas.Condition{Name: "policy", Healthy: true}
	switch active, wanted := g.control.Active(), g.control.Wanted(); {
	case active == "":
		policy = schemas.Condition{Name: "policy", Detail: "no bundle is active"}
	case wanted != "":
		policy = schemas.Condition{Name: "policy", Detail: "bundle " + wanted.Short() + " is not loaded"}
	}
	if !g.has(schemas.RoleExecute) {
		return []schemas.Condition{policy}
	}
	return append(g.health.Conditions(), policy)
}

// open is the condition that every stage of the process takes messages, and that
// its connections stand.
func (g *gate) open() schemas.Condition {
	c := schemas.Condition{Name: "stages", Healthy: true}
	select {
	case <-g.ready:
	default:
		return schemas.Condition{Name: "stages", Detail: "starting"}
	}
	for role, conn := range g.conns {
		if !conn.Connected() {
			return schemas.Condition{Name: "stages", Detail: string(role) + " is not connected"}
		}
	}
	return c
}
