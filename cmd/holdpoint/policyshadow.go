package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

func policyShadowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shadow",
		Short: "Try a bundle beside the active one, without effect",
		Long: `Try a bundle beside the active one, without effect: every intent is evaluated by
both, and where the outcomes differ the recommendation says so. The rules of
observe and recommend are evaluated; those of execute depend on what is true at
the release.`,
		Example: `  holdpoint policy shadow set examples/customer-operations --reason 'the new limits'
  holdpoint policy shadow report --key otto.key
  holdpoint policy shadow off`,
	}
	cmd.AddCommand(shadowSetCommand(), shadowOffCommand(), shadowReportCommand())
	return cmd
}

func shadowSetCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     "set DIR",
		Short:   "Evaluate a bundle beside the active one",
		Example: "  holdpoint policy shadow set examples/customer-operations --reason 'the new limits'",
		Args:    takes("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			bundle, err := bundleToUse(args[0])
			if err != nil {
				return err
			}
			return setShadow(cmd, bundle.Digest(), bundle.Archive(), reason)
		},
	}
	connectionFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

func shadowOffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "off",
		Short:   "Evaluate the active bundle alone",
		Example: "  holdpoint policy shadow off",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return setShadow(cmd, "", nil, "") },
	}
	connectionFlags(cmd)
	return cmd
}

func setShadow(cmd *cobra.Command, digest schemas.Digest, archive []byte, reason string) error {
	o, err := dialOperator(cmd, schemas.RolePolicyAdmin)
	if err != nil {
		return err
	}
	defer o.Close()
	if err := o.Shadow(cmd.Context(), digest, archive, reason); err != nil {
		return err
	}
	answer := struct {
		Shadow schemas.Digest `json:"shadow"`
	}{digest}
	return output(cmd, answer, func(w printer) error {
		if digest == "" {
			say(w, "shadow off")
		} else {
			say(w, "shadow %s", digest.Short())
		}
		return nil
	})
}

// overshadowed counts intents of one action on which active bundle and shadow
// differ in the same way.
type overshadowed struct {
	Shadow  schemas.Digest  `json:"shadow"`
	Action  schemas.Action  `json:"action"`
	Active  schemas.Outcome `json:"active"`
	Instead schemas.Outcome `json:"instead"`
	Intents int             `json:"intents"`
	Rules   []string        `json:"rules"` // of the last of them
	Last    schemas.Key     `json:"last"`
}

func shadowReportCommand() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:     "report",
		Short:   "Sum up where the shadow would have decided otherwise, as an auditor",
		Example: "  holdpoint policy shadow report --key otto.key -o json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			auditor, from, err := dialAuditorSince(cmd, since)
			if err != nil {
				return err
			}
			defer auditor.Close()
			found, err := sumShadows(cmd, auditor, from)
			if err != nil {
				return err
			}
			return output(cmd, found, func(w printer) error { return printShadows(w, found) })
		},
	}
	connectionFlags(cmd)
	sinceFlag(cmd, &since, "all there is if empty")
	return cmd
}

func sumShadows(cmd *cobra.Command, a client.Auditor, since uint64) ([]overshadowed, error) {
	type kind struct {
		shadow          schemas.Digest
		action          schemas.Action
		active, instead schemas.Outcome
	}
	counts := map[kind]*overshadowed{}
	err := a.Kind("recommended", since).Read(cmd.Context(), func(r schemas.Record) error {
		origin, err := broker.Origin(r)
		if err != nil {
			return fmt.Errorf("AUDIT/%d: %w", r.Seq, err)
		}
		var rec schemas.Recommendation
		if schemas.Read(origin, &rec) != nil || rec.Shadow == nil {
			return nil
		}
		k := kind{rec.Shadow.Bundle, rec.Intent.Action, rec.Opinion.Outcome, rec.Shadow.Outcome}
		if counts[k] == nil {
			counts[k] = &overshadowed{Shadow: k.shadow, Action: k.action, Active: k.active, Instead: k.instead}
		}
		counts[k].Intents++
		counts[k].Rules, counts[k].Last = rec.Shadow.Rules, rec.Intent.Key()
		return nil
	})
	found := []overshadowed{}
	for _, c := range counts {
		found = append(found, *c)
	}
	slices.SortFunc(found, func(a, b overshadowed) int {
		return cmp.Or(cmp.Compare(a.Shadow, b.Shadow), cmp.Compare(b.Intents, a.Intents), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Instead, b.Instead))
	})
	return found, err
}

func printShadows(w printer, found []overshadowed) error {
	rows := make([][]string, len(found))
	for i, f := range found {
		rules := ""
		if len(f.Rules) > 0 {
			rules = f.Rules[0]
		}
		rows[i] = []string{f.Shadow.Short(), string(f.Action), f.Active.String(), f.Instead.String(), strconv.Itoa(f.Intents), dash(rules), f.Last.String()}
	}
	return w.list("SHADOW ACTION ACTIVE INSTEAD INTENTS RULE LAST", rows, "there is no intent on which a shadow would have decided otherwise")
}
