package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// scopeFlags are the flags that say what a freeze covers.
type scopeFlags struct {
	scope         schemas.Scope
	agent, action string
	reason        string
}

func (f *scopeFlags) add(cmd *cobra.Command) {
	connectionFlags(cmd)
	cmd.Flags().BoolVar(&f.scope.All, "all", false, "everything")
	cmd.Flags().StringVar(&f.agent, "agent", "", "everything of one agent")
	cmd.Flags().StringVar(&f.action, "action", "", "one action")
	cmd.Flags().StringVar(&f.scope.System, "system", "", "every action on one system")
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, for the record")
	cmd.MarkFlagsOneRequired("all", "agent", "action", "system")
	cmd.MarkFlagsMutuallyExclusive("all", "agent", "action", "system")
}

func (f *scopeFlags) parse() (schemas.Scope, error) {
	if f.agent != "" {
		name, err := schemas.ParseName(f.agent)
		if err != nil {
			return f.scope, usage("--agent: %v", err)
		}
		f.scope.Agent = name
	}
	if f.action != "" {
		action, err := schemas.ParseAction(f.action)
		if err != nil {
			return f.scope, usage("--action: %v", err)
		}
		f.scope.Action = action
	}
	return f.scope, nil
}

// run freezes or thaws, as does says, and prints the scope.
func (f *scopeFlags) run(cmd *cobra.Command, word string, does func(client.Operator, context.Context, schemas.Scope, string) error) error {
	scope, err := f.parse()
	if err != nil {
		return err
	}
	o, err := dialOperator(cmd, schemas.RolePolicyAdmin)
	if err != nil {
		return err
	}
	defer o.Close()
	if err := does(o, cmd.Context(), scope, f.reason); err != nil {
		return err
	}
	if stranger := unknown(cmd.Context(), o, scope); stranger != "" {
		say(cmd.ErrOrStderr(), "holdpoint: %s", stranger)
	}
	return output(cmd, map[string]any{word: scope}, func(w printer) error {
		say(w, "%s %s", word, scope)
		return nil
	})
}

// unknown says that what a scope names is not there: it may be misspelt, and what was
// meant goes on. It says nothing if the gate does not tell, as what was asked is done.
func unknown(ctx context.Context, o client.Operator, s schemas.Scope) string {
	switch {
	case s.Agent != "":
		present, _, err := o.Identities(ctx, s.Agent)
		agent := func(id schemas.Identity) bool { return id.Role == schemas.RoleAgent }
		if err == nil && !slices.ContainsFunc(present, agent) {
			return fmt.Sprintf("no agent %s is registered now; see \"holdpoint identity list\"", s.Agent)
		}
	case s.Action != "":
		if _, err := o.Catalog(ctx, s.Action); errors.Is(err, schemas.ErrNotFound) {
			return fmt.Sprintf("no action %s is in the active bundle; see \"holdpoint catalog list\"", s.Action)
		}
	case s.System != "":
		found, err := o.Catalog(ctx, "")
		of := func(a schemas.CatalogEntry) bool { return a.Action.System() == s.System }
		if err == nil && !slices.ContainsFunc(found.Actions, of) {
			return fmt.Sprintf("no action of system %s is in the active bundle; see \"holdpoint catalog list\"", s.System)
		}
	}
	return ""
}

func freezeCommand() *cobra.Command {
	var f scopeFlags
	cmd := &cobra.Command{
		Use:   "freeze",
		Short: "Stop releases and claims: of everything, an agent, an action or a system",
		Long: `Stop releases and claims until "holdpoint thaw" of the same scope. What is
submitted meanwhile waits; deadlines run on. A freeze survives restarts.`,
		Example: `  holdpoint freeze --all --reason 'strange refunds since noon'
  holdpoint freeze --agent billing --reason 'looks hijacked'`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd, "frozen", client.Operator.Freeze)
		},
	}
	f.add(cmd)
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func thawCommand() *cobra.Command {
	var f scopeFlags
	cmd := &cobra.Command{
		Use:     "thaw",
		Short:   "End a freeze of exactly this scope",
		Long:    "End a freeze of exactly this scope. What waited is evaluated again.",
		Example: "  holdpoint thaw --all --reason 'the leaked key is gone'",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd, "thawed", client.Operator.Thaw)
		},
	}
	f.add(cmd)
	return cmd
}
