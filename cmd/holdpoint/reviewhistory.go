package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/schemas"
)

func reviewHistoryCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "history",
		Short:   "List your own decisions, the latest first, and whether they count",
		Long:    "List your own decisions that the gate still keeps, the latest first. Older ones are in the audit.",
		Example: "  holdpoint review history --key ann.key",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			reviewer, _, err := dialReviewer(cmd)
			if err != nil {
				return err
			}
			defer reviewer.Close()
			past, err := reviewer.History(cmd.Context(), limit)
			if err != nil {
				return err
			}
			answer := struct {
				Decided []schemas.Decided `json:"decided"`
			}{past}
			return output(cmd, answer, func(w printer) error { return printHistory(w, past) })
		},
	}
	connectionFlags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	return cmd
}

func printHistory(w printer, past []schemas.Decided) error {
	rows := make([][]string, len(past))
	for i, d := range past {
		counts := "counts"
		if d.Code != "" {
			counts = string(d.Code)
		}
		rows[i] = []string{d.At.Local().Format(time.DateTime), string(d.Agent) + "/" + string(d.Intent), dash(string(d.Verdict)), counts, d.Digest.Short(), d.Reason}
	}
	return w.list("AT INTENT VERDICT RULING SEEN REASON", rows, "the gate keeps no decision of yours")
}
