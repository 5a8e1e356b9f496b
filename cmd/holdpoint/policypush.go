package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// loadWithin is how long a command waits for the stages to load a bundle.
const loadWithin = 30 * time.Second

// bundleToUse loads a bundle from a directory, for a command that would change
// something with it.
func bundleToUse(dir string) (*rules.Bundle, error) {
	bundle, err := loadBundle(dir)
	if err != nil {
		return nil, hint(fmt.Errorf("loading bundle %s: %w", dir, err), "nothing was changed; see \"holdpoint policy check %s\"", dir)
	}
	return bundle, nil
}

// bundleToTry loads a bundle from a directory, for a command that judges by it what
// others asked for.
func bundleToTry(dir string) (*rules.Bundle, error) {
	root, err := bundleDir(dir)
	if err != nil {
		return nil, fmt.Errorf("loading bundle %s: %w", dir, err)
	}
	defer root.Close()
	bundle, err := replay.Load(root.FS())
	if err != nil {
		return nil, hint(fmt.Errorf("loading bundle %s: %w", dir, err), "see \"holdpoint policy check %s\"", dir)
	}
	return bundle, nil
}

func policyPushCommand() *cobra.Command {
	var reason string
	var quorum int
	cmd := &cobra.Command{
		Use:   "push DIR",
		Short: "Make a bundle the active one on all stages, without a restart",
		Long: `Make a bundle the active one on all stages, without a restart. A bundle with a
mistake in it is not pushed, and the old one stays.

With --quorum N, the bundle that follows on this one needs N policy-admins, each
another person: every push of the same bundle with the same quorum is a vote.
What waits is evaluated again by the new rules.`,
		Example: `  holdpoint policy push examples/customer-operations --reason 'first rules'
  holdpoint policy push examples/customer-operations --quorum 2 --reason 'from now on two of us'`,
		Args: takes("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			bundle, err := bundleToUse(args[0])
			if err != nil {
				return err
			}
			o, err := dialOperator(cmd, schemas.RolePolicyAdmin)
			if err != nil {
				return err
			}
			defer o.Close()
			return push(cmd, o, bundle.Digest(), bundle.Archive(), quorum, reason)
		},
	}
	connectionFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	cmd.Flags().IntVar(&quorum, "quorum", 1, "how many policy-admins the next bundle needs")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

// push activates a bundle, and waits until the gate takes its rules from it.
func push(cmd *cobra.Command, o client.Operator, digest schemas.Digest, archive []byte, quorum int, reason string) error {
	made, err := o.Activate(cmd.Context(), digest, archive, quorum, reason)
	if err != nil {
		return err
	}
	if made.Effective {
		if err := awaitLoaded(cmd.Context(), o, made); err != nil {
			return hint(err, "see \"holdpoint doctor\", and the log of the stages")
		}
	}
	err = output(cmd, made, func(w printer) error {
		if made.Effective {
			say(w, "active %s", digest.Short())
		} else {
			say(w, "pushed %s", digest.Short())
		}
		return nil
	})
	if err == nil && !made.Effective {
		err = ended{fmt.Errorf("the bundle is not active: %d more must push it, with the same quorum", made.Missing), exitParked}
	}
	return err
}

// awaitLoaded waits until rules are taken from the bundle that was made active.
func awaitLoaded(ctx context.Context, o client.Operator, made schemas.Activated) error {
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	for {
		policies, err := o.Policies(ctx)
		if err != nil {
			return err
		}
		if loaded, err := isLoaded(policies, made); loaded || err != nil {
			return err
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("bundle %s is active, and not loaded within %s: %w", made.Bundle.Short(), loadWithin, err)
		}
	}
}

// isLoaded reports whether rules are taken from the bundle that was made active, or
// that another is active by now. Of several gates, one that answers may have read
// less of CONTROL than the one that answered before: what it says is too early.
func isLoaded(p schemas.Policies, made schemas.Activated) (bool, error) {
	switch {
	case len(p.Past) == 0 || p.Past[0].Seq < made.Seq:
		return false, nil
	case p.Active != made.Bundle:
		return false, fmt.Errorf("bundle %s: %w: %s is active now", made.Bundle.Short(), schemas.ErrStale, p.Active.Short())
	default:
		return p.Loaded, nil
	}
}

func policyHistoryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "history",
		Short:   "List which bundles were activated, by whom and why, the latest first",
		Example: "  holdpoint policy history -o json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := dialOperator(cmd, adminRoles()...)
			if err != nil {
				return err
			}
			defer o.Close()
			policies, err := o.Policies(cmd.Context())
			if err != nil {
				return err
			}
			return output(cmd, policies, func(w printer) error { return printPolicies(w, policies) })
		},
	}
	connectionFlags(cmd)
	return cmd
}

func printPolicies(w printer, p schemas.Policies) error {
	rows := make([][]string, len(p.Past))
	shown := false
	for i, a := range p.Past {
		state := fmt.Sprintf("waits for %d more", a.Missing)
		switch {
		case a.Effective && !shown:
			state, shown = "active", true
		case a.Effective:
			state = "was active"
		}
		rows[i] = []string{a.At.Local().Format(time.DateTime), a.Bundle.Short(), string(a.By), state, a.Reason}
	}
	if err := w.list("AT BUNDLE BY STATE REASON", rows, "no bundle was activated; \"holdpoint policy push DIR\" activates one"); err != nil {
		return err
	}
	if p.Quorum > 1 {
		say(w, "the next bundle needs %d policy-admins", p.Quorum)
	}
	if p.Shadow != "" {
		say(w, "in its shadow: %s", p.Shadow.Short())
	}
	return nil
}

func policyRollbackCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "rollback [DIGEST]",
		Short: "Make an earlier bundle the active one again",
		Long: `Make an earlier bundle the active one again: the one that was active before, or
the one whose digest begins with DIGEST (at least 12 hexadecimal digits). It is
activated with the quorum that it had.`,
		Example: `  holdpoint policy rollback --reason 'the new limits park everything'
  holdpoint policy rollback 9f2c41d07be8 --reason 'back to last week'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := dialOperator(cmd, schemas.RolePolicyAdmin)
			if err != nil {
				return err
			}
			defer o.Close()
			policies, err := o.Policies(cmd.Context())
			if err != nil {
				return err
			}
			to, err := earlier(policies, args)
			if err != nil {
				return hint(err, "see \"holdpoint policy history\"")
			}
			bundle, err := storedBundle(cmd.Context(), o.Conn, to.Bundle)
			if err != nil {
				return err
			}
			return push(cmd, o, bundle.Digest(), bundle.Archive(), to.Quorum, reason)
		},
	}
	connectionFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

// earlier returns the activation to go back to.
func earlier(p schemas.Policies, args []string) (schemas.Activated, error) {
	for _, a := range p.Past {
		switch {
		case !a.Effective:
		case len(args) == 0 && a.Bundle != p.Active, len(args) == 1 && a.Bundle.HasPrefix(args[0]):
			return a, nil
		}
	}
	if len(args) == 1 {
		return schemas.Activated{}, fmt.Errorf("bundle %s: %w among those that were active", args[0], schemas.ErrNotFound)
	}
	return schemas.Activated{}, fmt.Errorf("rolling back: %w: no other bundle was active before", schemas.ErrNotFound)
}
