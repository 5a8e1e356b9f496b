package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/broker/embedded"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

// stopWait is how long the embedded broker may take to write everything down.
const stopWait = 30 * time.Second

// serveOptions are the flags of serve.
type serveOptions struct {
	data, bundle, nats, creds, ca, tenant, http string
	port, replicas, openHolds, width            int
	stages                                      []string
	syncAlways                                  bool
	keep, exposure, auditSilence, clockSkew     time.Duration
	auditLag                                    uint64
	auditMaxBytes                               int64
}

// defaultServe are the settings of a gate that is told nothing.
func defaultServe() serveOptions {
	bounds, limits := broker.DefaultBounds(), stages.DefaultLimits()
	return serveOptions{
		data:         defaultData,
		port:         4222,
		tenant:       "default",
		http:         "127.0.0.1:8300",
		openHolds:    limits.OpenHolds,
		exposure:     limits.Exposure,
		auditLag:     bounds.Lag,
		auditSilence: bounds.Silence,
		clockSkew:    bounds.Skew,
		keep:         7 * 24 * time.Hour,
		width:        256,
	}
}

func serveCommand() *cobra.Command {
	o := defaultServe()
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gate: all of it with a broker of its own, or some stages on an existing broker",
		Long: `Run the gate.

Without --nats, everything runs in this process: the three stages, and a broker
that keeps its data in the data directory and listens on loopback. The first
start makes the keys of the admins in DATA/admin.

With --nats, the stages use an existing NATS server or cluster that has the
accounts of "holdpoint provision --print-server-config", with the keys in
--creds. Several processes may run the same stages: they share the work.`,
		Example: `  holdpoint serve --bundle examples/customer-operations
  holdpoint serve --nats tls://nats.internal:4222 --ca ca.pem --creds /etc/holdpoint --stages observe,recommend`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", o.data, "`directory` that the embedded broker keeps its data in")
	f.IntVar(&o.port, "port", o.port, "port of the embedded broker, on loopback; -1 picks a free one")
	f.BoolVar(&o.syncAlways, "sync-always", o.syncAlways, "write everything to disk before acknowledging it, so that a loss of power loses nothing")
	f.StringVar(&o.bundle, "bundle", o.bundle, "`directory` of a bundle to activate at the start")
	f.StringVar(&o.nats, "nats", o.nats, "use the broker at this `address` instead")
	f.StringVar(&o.creds, "creds", o.creds, "`directory` with the key files of the gateway's identities, with --nats")
	f.StringVar(&o.ca, "ca", o.ca, "`file` with the certificates that the broker is trusted by")
	f.StringSliceVar(&o.stages, "stages", o.stages, "stages to run, with --nats: observe, recommend, execute, provision; all if empty")
	f.StringVar(&o.tenant, "tenant", o.tenant, "name of this gate; it never changes")
	f.StringVar(&o.http, "http", o.http, "address for /healthz, /readyz and /metrics; empty for none")
	f.IntVar(&o.replicas, "replicas", o.replicas, "how often the broker keeps each stream, 1 or 3; 0 is 3 in a cluster, else 1")
	f.IntVar(&o.openHolds, "open-holds", o.openHolds, "how many intents of one agent may wait for reviewers")
	f.DurationVar(&o.exposure, "exposure", o.exposure, "for how long an agent counts as exposed to what it was given")
	f.Uint64Var(&o.auditLag, "audit-lag", o.auditLag, "how many records the audit may be behind before nothing is released")
	f.DurationVar(&o.auditSilence, "audit-silence", o.auditSilence, "for how long the audit may hear nothing from a stream before nothing is released")
	f.DurationVar(&o.clockSkew, "clock-skew", o.clockSkew, "how far the clock may be off the broker's before nothing is released")
	f.Int64Var(&o.auditMaxBytes, "audit-max-bytes", o.auditMaxBytes, "size that the audit may grow to; 0 means no limit")
	f.DurationVar(&o.keep, "keep", o.keep, "for how long settled records are kept outside the audit; 0 means for ever")
	f.IntVar(&o.width, "width", o.width, "how many messages of a stream a stage handles at once")
	return cmd
}

func serve(cmd *cobra.Command, o serveOptions) error {
	log := logOf(cmd)
	if !cmd.Flags().Changed("log-level") {
		log = log.Level(zerolog.InfoLevel)
	}
	if o.nats != "" {
		return serveExternal(cmd.Context(), o, log)
	}
	if o.creds != "" || len(o.stages) > 0 || o.ca != "" {
		return usage("--creds, --stages and --ca belong to --nats")
	}
	return serveEmbedded(cmd.Context(), o, log, nil)
}

// config returns what o says of a gate.
func (o serveOptions) config(log zerolog.Logger) (gateConfig, error) {
	if _, err := schemas.ParseName(o.tenant); err != nil {
		return gateConfig{}, usage("--tenant: %v", err)
	}
	if o.keep != 0 && o.keep < leastKeep {
		return gateConfig{}, usage("--keep %s: at least %s, the longest life of an intent and a day", o.keep, leastKeep)
	}
	if o.replicas != 0 && o.replicas != 1 && o.replicas != 3 {
		return gateConfig{}, usage("--replicas %d: want 1 or 3", o.replicas)
	}
	return gateConfig{
		Tenant:  broker.Tenant(o.tenant),
		Stages:  allStages(),
		Layout:  broker.Layout{Replicas: o.replicas, AuditMaxBytes: o.auditMaxBytes},
		Bounds:  broker.Bounds{Lag: o.auditLag, Silence: o.auditSilence, Skew: o.clockSkew},
		Limits:  stages.Limits{OpenHolds: o.openHolds, Exposure: o.exposure},
		Keep:    o.keep,
		Width:   max(1, o.width),
		Metrics: newMetrics(),
		Log:     log,
	}, nil
}

// serveExternal runs stages on an existing broker.
func serveExternal(ctx context.Context, o serveOptions, log zerolog.Logger) error {
	cfg, err := externalGate(o, log)
	if err != nil {
		return err
	}
	if o.bundle != "" {
		return usage("--bundle belongs to the embedded broker; use \"holdpoint policy push\"")
	}
	return runGate(ctx, cfg, o.http, nil)
}

// externalGate returns what stages on an existing broker need.
func externalGate(o serveOptions, log zerolog.Logger) (gateConfig, error) {
	cfg, err := o.config(log)
	if err != nil {
		return cfg, err
	}
	if o.creds == "" {
		return cfg, usage("--nats needs --creds DIR; see \"holdpoint provision --print-server-config\"")
	}
	if cfg.Stages, err = stagesOf(o.stages); err != nil {
		return cfg, err
	}
	if cfg.Creds, err = readCreds(o.creds, rolesOf(cfg.Stages)); err != nil {
		return cfg, err
	}
	if slices.Contains(cfg.Stages, schemas.RoleProvision) {
		// "provision --apply" registers the admins; a process that runs need not
		// hold their keys.
		if cfg.Admins, err = readPresent(o.creds, adminRoles()); err != nil {
			return cfg, err
		}
	}
	trust, err := trustOf(o.ca)
	cfg.Server = broker.Server{URL: o.nats, TLS: trust}
	return cfg, err
}

func stagesOf(words []string) ([]schemas.Role, error) {
	if len(words) == 0 {
		return allStages(), nil
	}
	var roles []schemas.Role
	for _, w := range words {
		role := schemas.Role(strings.TrimSpace(w))
		if !slices.Contains(allStages(), role) {
			return nil, usage("--stages %s: want observe, recommend, execute or provision", w)
		}
		roles = append(roles, role)
	}
	return roles, nil
}

// openEmbedded starts the broker of this process, and returns what a gate on it
// needs.
func openEmbedded(o serveOptions, log zerolog.Logger) (gateConfig, *embedded.Server, error) {
	cfg, err := o.config(log)
	if err != nil {
		return cfg, nil, err
	}
	cfg.Layout.Replicas = 1
	if cfg.Creds, err = makeCreds(credsDir(o.data), rolesOf(cfg.Stages)); err != nil {
		return cfg, nil, err
	}
	cfg.AdminDir = adminDir(o.data)
	if cfg.Admins, err = readPresent(cfg.AdminDir, adminRoles()); err != nil {
		return cfg, nil, err
	}
	public, err := cfg.Creds.public()
	if err != nil {
		return cfg, nil, err
	}
	cfg.Names = identity.NewRegistry(public)
	server, err := embedded.Start(embedded.Config{
		Tenant: cfg.Tenant, Dir: o.data, Port: o.port, SyncAlways: o.syncAlways, Directory: cfg.Names, Log: log,
	})
	if errors.Is(err, embedded.ErrInUse) {
		err = hint(err, "a gate runs on it already: stop that one, or choose another directory with --data, and another --port")
	}
	if err != nil {
		return cfg, nil, err
	}
	if err := server.RaiseAudit(context.Background(), o.auditMaxBytes); err != nil {
		err = hint(fmt.Errorf("--audit-max-bytes: %w", err), "see \"Disk and limits\" in docs/operating.md")
		return cfg, nil, errors.Join(err, stopEmbedded(server))
	}
	cfg.Server, cfg.Removed, cfg.Free = server.Connection(), server.Review, server.Free
	return cfg, server, nil
}

// stopEmbedded stops the broker, and gives it time to write everything down.
func stopEmbedded(server *embedded.Server) error {
	stopping, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()
	return server.Stop(stopping)
}

// serveEmbedded runs everything in this process. Opened is called when the gate
// is open; it may be nil.
func serveEmbedded(ctx context.Context, o serveOptions, log zerolog.Logger, opened func(*embedded.Server, creds) error) (err error) {
	var bundle *rules.Bundle
	if o.bundle != "" { // before anything is made: it may be misspelt
		if bundle, err = bundleToUse(o.bundle); err != nil {
			return err
		}
	}
	cfg, server, err := openEmbedded(o, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopEmbedded(server)) }()
	return runGate(ctx, cfg, o.http, func(ctx context.Context, g *gate) error {
		if err := server.Listen(); err != nil {
			return hint(err, "choose another port with --port, or -1 for a free one")
		}
		if err := os.WriteFile(addressPath(o.data), []byte(server.URL()+"\n"), 0o600); err != nil {
			return fmt.Errorf("writing the address: %w", err)
		}
		sayAdmins(log, cfg.Names, cfg.Admins, cfg.AdminDir)
		if bundle != nil {
			if err := activate(ctx, g, o.bundle, bundle); err != nil {
				return err
			}
		}
		log.Info().Str("address", server.URL()).Str("admin_keys", adminDir(o.data)).Msg("agents, reviewers and executors may connect")
		if opened != nil {
			return opened(server, cfg.Admins)
		}
		return nil
	})
}

// activate makes the bundle, which is in dir, the active one, as the policy-admin of
// the first start, unless it is already.
func activate(ctx context.Context, g *gate, dir string, bundle *rules.Bundle) error {
	if g.control.Active() == bundle.Digest() {
		return nil
	}
	k, there := g.Admins[schemas.RolePolicyAdmin]
	if !there {
		err := fmt.Errorf("activating %s: %w: the key of policy-admin is not in %s", dir, schemas.ErrDenied, g.AdminDir)
		return hint(err, "start without --bundle, and push it with \"holdpoint policy push %s --key FILE\"", dir)
	}
	conn, err := client.Dial(client.Config{
		Key: k, Server: g.Server.URL, TLS: g.Server.TLS, InProcess: g.Server.InProcess, Log: g.Log,
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	made, err := client.Operator{Conn: conn}.Activate(ctx, bundle.Digest(), bundle.Archive(), 0, "activated by serve --bundle")
	if err == nil && !made.Effective {
		g.Log.Warn().Str("bundle", bundle.Digest().Short()).Int("missing", made.Missing).Msg("the bundle is not active: more policy-admins must push it")
	}
	return err
}

// runGate runs a gate, and its HTTP endpoints, until ctx ends. Opened is called
// once when every stage takes messages; it may be nil.
func runGate(ctx context.Context, cfg gateConfig, address string, opened func(context.Context, *gate) error) error {
	g, err := newGate(ctx, cfg)
	if err != nil {
		return err
	}
	cfg.Metrics.observe(g)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.Run(ctx) })
	if address != "" {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return hint(fmt.Errorf("listening for /healthz, /readyz and /metrics: %w", err), "choose another address with --http, or none with --http \"\"")
		}
		group.Go(func() error { return serveHTTP(ctx, listener, g) })
	}
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-g.ready:
		}
		if opened == nil {
			return nil
		}
		return opened(ctx, g)
	})
	err = group.Wait()
	cfg.Log.Info().Msg("the gate is closed")
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
