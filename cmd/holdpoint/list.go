package main

import (
	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/schemas"
)

func listCommand() *cobra.Command {
	var agent, after string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what waits: for reviewers, an executor, or a report",
		Long: `List what waits, the oldest first, as far as you may know of it: an agent its own
intents, a reviewer those in the queues, an executor those on the systems, an
admin all of them. What is over is in the audit: see "holdpoint audit tail".`,
		Example: `  holdpoint list --key billing.key
  holdpoint list --agent billing -o json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, _, err := dial(cmd, append(adminRoles(), schemas.RoleAgent, schemas.RoleReviewer, schemas.RoleExecutor)...)
			if err != nil {
				return err
			}
			defer conn.Close()
			page, err := conn.List(cmd.Context(), schemas.Name(agent), limit, after)
			if err != nil {
				return err
			}
			return output(cmd, page, func(w printer) error { return printWaiting(w, page) })
		},
	}
	connectionFlags(cmd)
	cmd.Flags().StringVar(&agent, "agent", "", "an admin: intents of one agent")
	pageFlags(cmd, &limit, &after)
	return cmd
}

func printWaiting(w printer, page schemas.HoldPage) error {
	rows := make([][]string, len(page.Holds))
	for i, h := range page.Holds {
		rows[i] = []string{string(h.Agent) + "/" + string(h.Intent), string(h.Action), string(h.State), dash(string(h.Queue)), ago(h.Since), left(h.Deadline)}
	}
	if err := w.list("INTENT ACTION STATE QUEUE SINCE LEFT", rows, "nothing waits; \"holdpoint show ID\" tells what became of an intent"); err != nil {
		return err
	}
	w.tellMore(len(page.Holds), page.Total, page.After)
	return nil
}

// pageFlags adds the flags that choose a page of a list.
func pageFlags(cmd *cobra.Command, limit *int, after *string) {
	cmd.Flags().IntVar(limit, "limit", 50, "how many at most")
	cmd.Flags().StringVar(after, "after", "", "cursor that the list before ended with")
}

// tellMore says how to see the page after one of so many, if there is one.
func (p printer) tellMore(shown, total int, after string) {
	if after != "" {
		p.tell("%d of %d; for more: --after %s", shown, total, after)
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
