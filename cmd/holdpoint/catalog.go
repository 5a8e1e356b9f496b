package main

import (
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/schemas"
)

func catalogCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "catalog",
		Short: "See what may be proposed",
		Example: `  holdpoint catalog list --key billing.key
  holdpoint catalog show shop.refund --key billing.key`,
	}
	cmd.AddCommand(catalogListCommand(), catalogShowCommand())
	return cmd
}

// fetchCatalog asks for all actions, or for one.
func fetchCatalog(cmd *cobra.Command, a schemas.Action) (schemas.Catalog, error) {
	conn, _, err := dial(cmd, append(adminRoles(), schemas.RoleAgent, schemas.RoleReviewer, schemas.RoleExecutor)...)
	if err != nil {
		return schemas.Catalog{}, err
	}
	defer conn.Close()
	return conn.Catalog(cmd.Context(), a)
}

func catalogListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the actions of the active bundle; to an agent, those that it may propose",
		Example: "  holdpoint catalog list --key billing.key -o json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			found, err := fetchCatalog(cmd, "")
			if err != nil {
				return err
			}
			return output(cmd, found, func(w printer) error {
				rows := make([][]string, len(found.Actions))
				for i, a := range found.Actions {
					rows[i] = []string{string(a.Action), a.Effect, yes(a.Reversible), yes(a.Idempotent), a.Title}
				}
				return w.list("ACTION EFFECT REVERSIBLE IDEMPOTENT TITLE", rows, "the active bundle has no action for you")
			})
		},
	}
	connectionFlags(cmd)
	return cmd
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func catalogShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show ACTION",
		Short:   "Show one action, with the JSON Schema of its parameters",
		Example: "  holdpoint catalog show shop.refund --key billing.key",
		Args:    takes("ACTION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			action, err := schemas.ParseAction(args[0])
			if err != nil {
				return usage("%v", err)
			}
			found, err := fetchCatalog(cmd, action)
			if err != nil {
				return hint(err, "see \"holdpoint catalog list\"")
			}
			if len(found.Actions) != 1 {
				return fmt.Errorf("action %s: %w in the catalog", action, schemas.ErrNotFound)
			}
			return output(cmd, found.Actions[0], func(w printer) error { return printAction(w, found.Actions[0]) })
		},
	}
	connectionFlags(cmd)
	cmd.ValidArgsFunction = completeActions
	return cmd
}

func printAction(w io.Writer, a schemas.CatalogEntry) error {
	say(w, "%-11s %s", "action", string(a.Action))
	if a.Title != "" {
		say(w, "%-11s %s", "title", a.Title)
	}
	say(w, "%-11s %s", "effect", a.Effect)
	say(w, "%-11s %s", "reversible", yes(a.Reversible))
	say(w, "%-11s %s", "idempotent", yes(a.Idempotent))
	say(w, "params")
	v := a.Params.Clone()
	if err := v.Indent(jsontext.WithIndent("  "), jsontext.WithIndentPrefix("  ")); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "  %s\n", visibleJSON(v))
	return err
}
