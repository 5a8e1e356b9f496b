package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/broker"
)

// run runs one command line and returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	began := false
	watchBegin(root, &began)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !began {
		err = misused(cmd, err)
	}
	if errors.Is(err, broker.ErrTurnedAway) {
		err = hint(err, "the identity was removed, or its key replaced; see \"holdpoint identity list\"")
	}
	if err != nil {
		say(stderr, "holdpoint: error: %s", err)
		var h hinted
		if errors.As(err, &h) {
			say(stderr, "holdpoint: hint: %s", h.hint)
		}
	}
	return exitCode(err)
}

// watchBegin notes when a command begins: what goes wrong before that is a
// mistake in how it was called.
func watchBegin(cmd *cobra.Command, began *bool) {
	if does := cmd.RunE; does != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*began = true
			return does(cmd, args)
		}
	}
	for _, c := range cmd.Commands() {
		watchBegin(c, began)
	}
}

// misused returns err as a mistake in how cmd was called, with where to look.
func misused(cmd *cobra.Command, err error) error {
	var known *usageError
	var h hinted
	if !errors.As(err, &known) {
		err = usage("%v", err)
	}
	if errors.As(err, &h) {
		return err
	}
	return hint(err, "see \"%s --help\"", cmd.CommandPath())
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
	f.String("log-format", "auto", "how to log: json, console, or auto, which is console on a terminal and json elsewhere")
	f.StringP("output", "o", "table", "how to write the answer: table, json or yaml")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return configure(cmd) }
	root.AddCommand(
		serveCommand(), provisionCommand(), identityCommand(),
		submitCommand(), reviewCommand(), executeCommand(),
		listCommand(), watchCommand(), showCommand(), whyCommand(), catalogCommand(),
		policyCommand(), budgetCommand(), auditCommand(), freezeCommand(), thawCommand(), statusCommand(), doctorCommand(), readyCommand(),
		replayCommand(), benchCommand(), demoCommand(), versionCommand(),
	)
	return root
}

// takes makes sure that a command is given exactly the arguments of these names.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > len(names):
			if near := nearest(cmd, args[0]); near != "" {
				return hint(usage("%s: unexpected %q", cmd.CommandPath(), args[0]), "did you mean %q?", cmd.CommandPath()+" "+near)
			}
			return usage("%s: unexpected %q", cmd.CommandPath(), args[len(names)])
		case len(args) < len(names):
			return usage("%s: %s is missing", cmd.CommandPath(), names[len(args)])
		}
		return nil
	}
}

// nearest returns the command below cmd whose name is most like word, or nothing if
// none is.
func nearest(cmd *cobra.Command, word string) string {
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		return near[0]
	}
	return ""
}
