package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

func identityCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "identity",
		Short:   "Say who may propose, decide, perform, audit and operate",
		Example: "  holdpoint identity list",
	}
	cmd.AddCommand(identityAddCommand(), identityApplyCommand(), identityListCommand(), identityRemoveCommand())
	return cmd
}

// identityOptions are the flags of identity add.
type identityOptions struct {
	out, owner, person, sessions     string
	groups, actions, queues, systems []string
	service                          bool
}

func identityAddCommand() *cobra.Command {
	var o identityOptions
	roles := make([]string, 0, 6)
	for _, r := range schemas.OutsideRoles() {
		roles = append(roles, string(r))
	}
	cmd := &cobra.Command{
		Use:   "add ROLE NAME --out FILE",
		Short: "Register an identity and write its key",
		Long: `Register an identity and write its key into a file that only you can read.
The gate keeps the public key alone. A name is never used again, not even after
"holdpoint identity remove".

ROLE is one of ` + strings.Join(roles, ", ") + `.
Agents, executors and services need an owner: the person who answers for them.
Nobody decides on what their own agent proposes.`,
		Example: `  holdpoint identity add agent billing --owner olga --actions 'shop.*' --out billing.key
  holdpoint identity add reviewer ann --groups refunds --queues refunds --out ann.key
  holdpoint identity add reviewer risk-service --service --owner tess --queues refunds --out risk-service.key
  holdpoint identity add executor shop-runner --owner opal --systems shop --out shop-runner.key
  holdpoint identity add auditor otto --out otto.key`,
		Args:      takes("ROLE", "NAME"),
		ValidArgs: roles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return addIdentity(cmd, o, schemas.Role(args[0]), schemas.Name(args[1]))
		},
	}
	connectionFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "`file` to write the key to; it must not exist")
	f.StringVar(&o.owner, "owner", "", "person who answers for an agent, an executor or a service")
	f.StringVar(&o.person, "person", "", "person who a reviewer, an auditor or an admin is; the name if empty")
	f.StringSliceVar(&o.groups, "groups", nil, "groups, for approvals that ask for one")
	f.StringSliceVar(&o.actions, "actions", nil, "actions that an agent may propose, such as 'shop.*'; all if empty")
	f.StringSliceVar(&o.queues, "queues", nil, "queues that a reviewer decides in; \"default\" if empty")
	f.StringSliceVar(&o.systems, "systems", nil, "systems that an executor performs actions on")
	f.StringVar(&o.sessions, "sessions", "", "\"declared\" if an agent names its sessions truthfully")
	f.BoolVar(&o.service, "service", false, "the reviewer is a program")
	_ = cmd.MarkFlagRequired("out")
	return cmd
}

// identity returns what the flags say of a new identity.
func (o identityOptions) identity(role schemas.Role, name schemas.Name) schemas.Identity {
	id := schemas.Identity{
		Name:     name,
		Role:     role,
		Owner:    o.owner,
		Person:   o.person,
		Groups:   o.groups,
		Actions:  o.actions,
		Systems:  o.systems,
		Sessions: o.sessions,
		Service:  o.service,
	}
	for _, q := range o.queues {
		id.Queues = append(id.Queues, schemas.Name(q))
	}
	if role == schemas.RoleReviewer && len(id.Queues) == 0 {
		id.Queues = []schemas.Name{schemas.DefaultQueue}
	}
	person := role == schemas.RoleReviewer && !o.service || role == schemas.RoleAuditor || slices.Contains(adminRoles(), role)
	if person && id.Person == "" {
		id.Person = string(name)
	}
	return id
}

func addIdentity(cmd *cobra.Command, o identityOptions, role schemas.Role, name schemas.Name) error {
	if !slices.Contains(schemas.OutsideRoles(), role) {
		return hint(usage("invalid: role %q, want %s", role, either(schemas.OutsideRoles())), "see \"holdpoint identity add --help\"")
	}
	k, err := identity.NewKeyFile(name, role)
	if err != nil {
		return err
	}
	id := o.identity(role, name)
	if id.Key, err = k.Public(); err != nil {
		return err
	}
	if err := identity.Check(id); err != nil {
		return hint(&usageError{err.Error()}, "see \"holdpoint identity add --help\"")
	}
	conn, admin, err := dial(cmd, schemas.RoleIdentityAdmin)
	if err != nil {
		return err
	}
	defer conn.Close()
	if k.Server, err = serverOf(cmd, admin); err != nil {
		return err
	}
	k.Queues, k.Systems = id.Queues, id.Systems
	// The key is written first: one that is lost cannot be made again, and one
	// that is registered nowhere opens nothing.
	switch err := k.Write(o.out); {
	case errors.Is(err, fs.ErrExist):
		return hint(err, "choose a file that does not exist, with --out; \"holdpoint identity list\" says whether %s was added before", name)
	case err != nil:
		return hint(err, "choose a file in a directory that you may write in, with --out")
	}
	operator := client.Operator{Conn: conn}
	if err := operator.Add(cmd.Context(), id); err != nil {
		_ = os.Remove(o.out)
		if errors.Is(err, schemas.ErrClosed) {
			err = hint(err, "choose another name; \"holdpoint identity list\" has those that are taken")
		}
		return err
	}
	status, err := operator.Gate(cmd.Context())
	if err != nil {
		return err
	}
	say(cmd.ErrOrStderr(), "holdpoint: %s %s may connect with the key in %s", string(role), string(name), o.out)
	if status.Embedded {
		return nil
	}
	return printUser(cmd, status, id)
}

// printUser prints what an external server needs to know of a new user.
func printUser(cmd *cobra.Command, status schemas.GateStatus, id schemas.Identity) error {
	user, err := broker.UserOf(id)
	if err != nil {
		return err
	}
	account := broker.Tenant(status.Gateway).Account(user.Account)
	say(cmd.ErrOrStderr(), "holdpoint: hint: add this to the users of account %q on every server, then reload them", account)
	_, err = io.WriteString(cmd.OutOrStdout(), user.Config())
	return err
}

func identityListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List who is registered",
		Example: "  holdpoint identity list -o json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := dialOperator(cmd, adminRoles()...)
			if err != nil {
				return err
			}
			defer o.Close()
			present, removed, err := o.Identities(cmd.Context(), "")
			if err != nil {
				return err
			}
			answer := struct {
				Identities []schemas.Identity `json:"identities"`
				Removed    []schemas.Name     `json:"removed,omitempty"`
			}{present, removed}
			return output(cmd, answer, func(w printer) error { return printIdentities(w, present, removed) })
		},
	}
	connectionFlags(cmd)
	return cmd
}

func printIdentities(w io.Writer, present []schemas.Identity, removed []schemas.Name) error {
	var rows [][]string
	for _, id := range present {
		may := slices.Concat(id.Actions, names(id.Queues), id.Systems)
		rows = append(rows, []string{string(id.Name), string(id.Role), id.Principal(), strings.Join(id.Groups, ","), strings.Join(may, ","), id.At.Format(time.DateTime)})
	}
	for _, name := range removed {
		rows = append(rows, []string{string(name), "removed"})
	}
	return table(w, "NAME ROLE PERSON GROUPS FOR SINCE", rows)
}

func names(all []schemas.Name) []string {
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = string(n)
	}
	return texts
}

func identityRemoveCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Take an identity away, for ever",
		Long: `Take an identity away, for ever: its connections are closed, its votes no
longer count, its intents are refused when they are evaluated again, and its
name is never used again.`,
		Example: "  holdpoint identity remove billing --reason 'retired'",
		Args:    takes("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := dialOperator(cmd, schemas.RoleIdentityAdmin)
			if err != nil {
				return err
			}
			defer o.Close()
			err = o.Remove(cmd.Context(), schemas.Name(args[0]), reason)
			if errors.Is(err, schemas.ErrNotFound) {
				err = hint(err, "see \"holdpoint identity list\"")
			}
			if err != nil {
				return err
			}
			say(cmd.ErrOrStderr(), "holdpoint: %s is removed, for ever", args[0])
			status, err := o.Gate(cmd.Context())
			if err == nil && !status.Embedded {
				say(cmd.ErrOrStderr(), "holdpoint: hint: take %s out of the users of every server and reload them, to close its connections", args[0])
			}
			return err
		},
	}
	connectionFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

// parseKey reads AGENT/ID, or an id alone.
func parseKey(s string) (schemas.Key, error) {
	agent, id, both := strings.Cut(s, "/")
	if !both {
		agent, id = "", s
	}
	parsed, err := schemas.ParseIntentID(strings.ToUpper(id))
	if err != nil {
		return schemas.Key{}, hint(usage("%v", err), "it is AGENT/ID, as \"holdpoint list\" shows it")
	}
	if !both {
		return schemas.Key{ID: parsed}, nil
	}
	name, err := schemas.ParseName(agent)
	if err != nil {
		return schemas.Key{}, hint(usage("%v", err), "it is AGENT/ID, as \"holdpoint list\" shows it")
	}
	return schemas.Key{Agent: name, ID: parsed}, nil
}
