package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/rules"
)

func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Write, try and activate bundles: what may happen, and who must agree",
		Example: `  holdpoint policy push examples/customer-operations --reason 'first rules'
  holdpoint policy history`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(policyCheckCommand(), policyTestCommand(), policyExplainCommand(), policyFmtCommand(), policyInitCommand(),
		policyPushCommand(), policyPullCommand(), policyHistoryCommand(), policyDiffCommand(), policyRollbackCommand(), policyShadowCommand(), policyBacktestCommand())
	return cmd
}

// bundleDir returns the directory of a bundle.
func bundleDir(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, hint(err, "name the directory of a bundle: it has a catalog.yaml and a policy.yaml")
	}
	return root, nil
}

// mistakesIn returns err as mistakes in a bundle, or false if it is something else.
func mistakesIn(err error) (rules.Mistakes, bool) {
	var mistakes rules.Mistakes
	ok := errors.As(err, &mistakes)
	return mistakes, ok
}

// sayLines writes a text of several lines. Each may be anything that anybody wrote.
func sayLines(w io.Writer, text string) {
	for line := range strings.Lines(text) {
		say(w, "%s", strings.TrimSuffix(line, "\n"))
	}
}

// count returns a number of things in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
