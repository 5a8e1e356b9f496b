package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/schemas"
)

func budgetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "budget",
		Short:   "See what is taken of the budgets of the policy",
		Example: "  holdpoint budget list",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(budgetListCommand())
	return cmd
}

func budgetListCommand() *cobra.Command {
	var from, limit int
	var after string
	cmd := &cobra.Command{
		Use:   "list [BUDGET]",
		Short: "List what is taken of budgets, for each key, the fullest first",
		Long: `List what is taken of the budgets of the active bundle, for each key, the fullest
first, as far as it counts now: by what the gate judges the next intent.

RESERVED is how much of what is taken is that of intents that are not settled yet; it
comes back if they are refused. BACK is how much counts no more next, and when. BEYOND
is what becomes of an intent that takes more than is left, and LAST the intent that took
of it last.`,
		Example: `  holdpoint budget list
  holdpoint budget list refunds-a-day --from 80 -o json --key holdpoint-data/admin/policy-admin.key`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			budget := ""
			if len(args) > 0 {
				budget = args[0]
			}
			o, err := dialOperator(cmd, adminRoles()...)
			if err != nil {
				return err
			}
			defer o.Close()
			page, err := o.Budgets(cmd.Context(), budget, from, limit, after)
			if err != nil {
				return err
			}
			return output(cmd, page, func(w printer) error { return printBudgets(w, page) })
		},
	}
	connectionFlags(cmd)
	cmd.Flags().IntVar(&from, "from", 0, "only those of which so many percent are taken")
	pageFlags(cmd, &limit, &after)
	return cmd
}

func printBudgets(w printer, page schemas.BudgetPage) error {
	rows := make([][]string, len(page.Budgets))
	for i, b := range page.Budgets {
		rows[i] = []string{
			b.Budget, dash(b.Key), fullness(b), number(b.Taken), number(b.Reserved), number(b.Limit), number(b.Left),
			windowOf(b), back(b), b.Beyond.String(), lastTaker(b),
		}
	}
	none := "nothing of that is taken now"
	if page.After != "" {
		none = "nothing of that is on this page"
	}
	if err := w.list("BUDGET KEY FULL TAKEN RESERVED LIMIT LEFT WINDOW BACK BEYOND LAST", rows, none); err != nil {
		return err
	}
	w.tellMore(len(page.Budgets), page.Total, page.After)
	if page.Unread > 0 {
		w.tell("%d keys were not looked at, of which was taken least often; name a BUDGET to look at more of its own", page.Unread)
	}
	return nil
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// fullness is which part of the limit is taken.
func fullness(b schemas.BudgetLine) string {
	if b.Limit == 0 {
		return "-"
	}
	return number(100*b.Taken/b.Limit) + "%"
}

func windowOf(b schemas.BudgetLine) string {
	switch b.Window {
	case "hour", "day", "week", "month":
		return "this " + b.Window + " (UTC)"
	}
	return b.Window
}

// back says how much comes back next, and when.
func back(b schemas.BudgetLine) string {
	if b.BackAt.IsZero() {
		return "-"
	}
	return fmt.Sprintf("%d in %s", b.Back, max(0, time.Until(b.BackAt)).Round(time.Second))
}

func lastTaker(b schemas.BudgetLine) string {
	if b.Intent == "" {
		return "-"
	}
	return schemas.Key{Agent: b.Agent, ID: b.Intent}.String()
}
