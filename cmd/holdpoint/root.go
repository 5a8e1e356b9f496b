package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"
)

// run runs one command line and returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err != nil {
		say(stderr, "holdpoint: error: %s", err)
		var h hinted
		if errors.As(err, &h) {
			say(stderr, "holdpoint: hint: %s", h.hint)
		}
	}
	return exitCode(err)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "holdpoint",
		Short:         "An approval gateway between AI agents and the systems they act on",
		Args:          takes(),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	f := root.PersistentFlags()
	f.String("config", "", "YAML `file` with settings, by the names of flags")
	f.String("log-level", "warn", "what to log: debug, info, warn or error; serve logs info")
	f.String("log-format", "json", "how to log: json or console")
	f.StringP("output", "o", "table", "how to write the answer: table or json")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return hint(usage("%v", err), "see \"%s --help\"", cmd.CommandPath())
	})
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return configure(cmd) }
	root.AddCommand(
		serveCommand(), provisionCommand(), identityCommand(),
		submitCommand(), reviewCommand(), executeCommand(),
		showCommand(), freezeCommand(), thawCommand(),
		versionCommand(),
	)
	return root
}

// takes makes sure that a command is given exactly the arguments of these names.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > len(names):
			return hint(usage("%s: unexpected %q", cmd.CommandPath(), args[len(names)]), "see \"%s --help\"", cmd.CommandPath())
		case len(args) < len(names):
			return hint(usage("%s: %s is missing", cmd.CommandPath(), names[len(args)]), "see \"%s --help\"", cmd.CommandPath())
		}
		return nil
	}
}
