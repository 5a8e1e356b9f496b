package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestHelpText makes sure that every command says what it is for, that every flag
// says what it does, and that the examples could be typed: they name commands,
// arguments and flags that exist, and all that are required.
func TestHelpText(t *testing.T) {
	t.Parallel()
	for _, cmd := range commands(rootCommand()) {
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: short help %q: want a phrase without a full stop", path, cmd.Short)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: --%s says nothing", path, f.Name)
			}
		})
		if cmd.HasParent() && !strings.Contains(cmd.Example, path) {
			t.Errorf("%s: no example of it", path)
		}
		for line := range strings.Lines(cmd.Example) {
			if err := typed(strings.TrimSpace(line)); err != nil {
				t.Errorf("%s: %s: %v", path, strings.TrimSpace(line), err)
			}
		}
	}
}

// TestHelpTextComplains makes sure that an example with a mistake is found.
func TestHelpTextComplains(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"holdpoint submitt shop.refund",
		"holdpoint submit",
		"holdpoint submit shop.refund more",
		"holdpoint submit shop.refund --prams refund.json",
		"holdpoint freeze --reason x",
		"holdpoint freeze --all",
		"holdpoint execute --exec a --http b",
	} {
		if typed(line) == nil {
			t.Errorf("%s: got nothing, want a complaint", line)
		}
	}
}

// commands returns cmd and all commands below it.
func commands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		all = append(all, commands(c)...)
	}
	return all
}

// typed returns what is wrong with a command line, without doing what it says.
func typed(line string) error {
	args := words(line)
	cmd, rest, err := rootCommand().Find(args[1:])
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return err
	}
	return cmd.ValidateFlagGroups()
}

// words splits a command line as a shell does, up to a redirection.
func words(line string) []string {
	line, _, _ = strings.Cut(line, " > ")
	var all []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}
