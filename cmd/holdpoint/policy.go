package main

import (
	"github.com/spf13/cobra"
)

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Write, try and activate bundles: what may happen, and who must agree",
		Example: `  holdpoint policy push examples/customer-operations --reason 'first rules'
  holdpoint policy history`,
	}
	cmd.AddCommand(policyPushCommand(), policyHistoryCommand(), policyDiffCommand(), policyRollbackCommand(), policyShadowCommand())
	return cmd
}
