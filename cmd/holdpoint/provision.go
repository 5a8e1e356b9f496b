package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// provisionOptions are the flags of provision.
type provisionOptions struct {
	nats, creds, admins, ca  string
	tenant, identities, out  string
	plan, apply, printConfig bool
	split                    bool
	replicas                 int
	auditMaxBytes            int64
}

func provisionCommand() *cobra.Command {
	var o provisionOptions
	cmd := &cobra.Command{
		Use:   "provision",
		Short: "Prepare an existing NATS server or cluster, or compare it with what must be",
		Long: `Prepare an existing NATS server or cluster for the gate.

--print-server-config prints the accounts and users to include in the
configuration of every server. They hold public keys, so the first time it makes the
keys of the gateway's identities and of the admins in --creds. Later it makes none for
an admin whose key was taken away: --nats asks the gate for it, and for everyone else
who is registered. With --identities those are in it whom a file names, registered or
not: see "holdpoint identity apply". With --split, every process finds its own keys in
a directory of its own and nobody else's: --creds DIR/observe, DIR/recommend,
DIR/execute, DIR/provision, and DIR/admin.

--plan compares the streams and consumers with what must be, --apply makes what is
missing, reads everything back, and names any difference as an error. Nothing
that is there is ever changed. Both may be repeated.`,
		Example: `  holdpoint provision --print-server-config --creds /etc/holdpoint > accounts.conf
  holdpoint provision --plan --nats tls://nats.internal:4222 --ca ca.pem --creds /etc/holdpoint
  holdpoint provision --apply --nats tls://nats.internal:4222 --ca ca.pem --creds /etc/holdpoint`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return provision(cmd, o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.plan, "plan", false, "say what is missing and what differs")
	f.BoolVar(&o.apply, "apply", false, "make what is missing")
	f.BoolVar(&o.printConfig, "print-server-config", false, "print the accounts and users for the servers")
	f.StringVar(&o.nats, "nats", "", "`address` of the broker")
	f.StringVar(&o.creds, "creds", "", "`directory` with the key files of the gateway's identities")
	f.StringVar(&o.admins, "admins", "", "`directory` with the key files of the first admins; --creds if empty, or with --split the admin directory below it")
	f.BoolVar(&o.split, "split", false, "keep the keys of each process in a directory of its own below --creds")
	f.StringVar(&o.identities, "identities", "", "`file` with identities that may connect as well")
	f.StringVar(&o.out, "out", "", "`file` to print the configuration to")
	f.StringVar(&o.ca, "ca", "", "`file` with the certificates that the broker is trusted by")
	f.StringVar(&o.tenant, "tenant", "default", "name of the gate")
	f.IntVar(&o.replicas, "replicas", 0, "how often each stream is kept, 1 or 3; 0 is 3 in a cluster, else 1")
	f.Int64Var(&o.auditMaxBytes, "audit-max-bytes", 0, "size that the audit may grow to; 0 means no limit")
	cmd.MarkFlagsOneRequired("plan", "apply", "print-server-config")
	cmd.MarkFlagsMutuallyExclusive("plan", "apply", "print-server-config")
	_ = cmd.MarkFlagRequired("creds")
	return cmd
}

func provision(cmd *cobra.Command, o provisionOptions) error {
	if _, err := schemas.ParseName(o.tenant); err != nil {
		return usage("--tenant: %v", err)
	}
	if o.printConfig {
		return printServerConfig(cmd, o)
	}
	if o.nats == "" {
		return usage("--nats: missing")
	}
	g, err := openProvision(cmd, o)
	if err != nil {
		return err
	}
	defer g.close()
	systems, err := g.activeSystems(cmd.Context())
	if err != nil {
		return err
	}
	if o.plan {
		return planProvision(cmd, g, systems)
	}
	if err := g.haveAdmins(o); err != nil {
		return err
	}
	made, err := g.provisionWith(cmd.Context(), systems)
	if err != nil {
		return hint(err, "what is there is never changed; see docs/operating.md")
	}
	return printSteps(cmd, made, "made")
}

// haveAdmins makes sure that the key of every admin who is yet to be registered is
// there. Later nobody needs them here.
func (g *gate) haveAdmins(o provisionOptions) error {
	for _, role := range adminRoles() {
		_, there := g.Admins[role]
		if _, ever := g.names.Ever(schemas.Name(role)); !there && !ever {
			err := fmt.Errorf("registering %s: %w: there is no key in %s", role, schemas.ErrInvalid, credPath(o.adminDir(), role))
			return hint(err, "make it with \"holdpoint provision --print-server-config --nats %s\", and --creds and --split as the first time", o.nats)
		}
	}
	return nil
}

// openProvision connects as provision.
func openProvision(cmd *cobra.Command, o provisionOptions) (*gate, error) {
	cfg := gateConfig{
		Tenant: broker.Tenant(o.tenant),
		Stages: []schemas.Role{schemas.RoleProvision},
		Layout: broker.Layout{Replicas: o.replicas, AuditMaxBytes: o.auditMaxBytes},
		Log:    logOf(cmd),
	}
	var err error
	if cfg.Creds, err = readCreds(o.provisionDir(), rolesOf(cfg.Stages)); err != nil {
		return nil, hint(err, "make the keys with \"holdpoint provision --print-server-config --creds %s\"", o.creds)
	}
	if cfg.Admins, err = readPresent(o.adminDir(), adminRoles()); err != nil {
		return nil, err
	}
	trust, err := trustOf(o.ca)
	if err != nil {
		return nil, err
	}
	cfg.Server = broker.Server{URL: o.nats, TLS: trust}
	g := bareGate(cfg)
	if err := g.connect(); err != nil {
		g.close()
		return nil, hint(err, "do the servers have the accounts of --print-server-config?")
	}
	return g, nil
}

// activeSystems returns the systems of the active bundle, or none. It reads CONTROL: from
// then on the gate knows who is registered. A broker that cannot say whether there is a
// CONTROL must not be taken for one that has none.
func (g *gate) activeSystems(ctx context.Context) ([]string, error) {
	log, err := g.log(ctx, schemas.RoleProvision)
	if broker.Unmade(err) {
		return nil, nil // nothing is provisioned yet
	}
	if err != nil {
		return nil, err
	}
	if err := g.readControl(ctx, log, log.Tail(schemas.Control, "", 1)); err != nil {
		return nil, err
	}
	active := g.control.Active()
	if active == "" {
		return nil, nil
	}
	archive, err := log.Bundle(ctx, active)
	if err != nil {
		return nil, err
	}
	bundle, err := rules.Read(archive)
	if err != nil {
		return nil, err
	}
	return bundle.Systems(), nil
}

func planProvision(cmd *cobra.Command, g *gate, systems []string) error {
	steps, err := g.provisioner().Plan(cmd.Context(), systems)
	if err != nil {
		return err
	}
	var missing []broker.Step
	for _, s := range steps {
		if s.Missing {
			missing = append(missing, s)
		}
	}
	if err := printSteps(cmd, missing, "missing"); err != nil {
		return err
	}
	return broker.Differences(steps)
}

func printSteps(cmd *cobra.Command, steps []broker.Step, word string) error {
	things := make([]string, len(steps))
	for i, s := range steps {
		things[i] = s.Thing
	}
	return output(cmd, map[string][]string{word: things}, func(w printer) error {
		for _, t := range things {
			say(w, "%s %s", word, t)
		}
		if len(things) == 0 {
			w.tell("everything is there")
		}
		return nil
	})
}

// printServerConfig prints the accounts and users of the gate.
func printServerConfig(cmd *cobra.Command, o provisionOptions) error {
	present, err := registered(cmd, o)
	if err != nil {
		return err
	}
	if o.identities != "" {
		named, err := makeIdentities(o.identities, o.creds, "")
		if err != nil {
			return err
		}
		present = joined(present, named)
	}
	var users []broker.User
	for _, id := range present {
		u, err := broker.UserOf(id)
		if err != nil {
			return err
		}
		users = append(users, u)
	}
	text := broker.Tenant(o.tenant).WriteConfig(users)
	if o.out == "" {
		_, err = io.WriteString(cmd.OutOrStdout(), text)
		return err
	}
	if err := os.WriteFile(o.out, []byte(text), 0o644); err != nil { // public keys only
		return fmt.Errorf("printing the configuration: %w", err)
	}
	return nil
}

// joined returns all of a, and those of b whose names are not among them.
func joined(a, b []schemas.Identity) []schemas.Identity {
	for _, id := range b {
		if !slices.ContainsFunc(a, func(have schemas.Identity) bool { return have.Name == id.Name }) {
			a = append(a, id)
		}
	}
	return a
}
