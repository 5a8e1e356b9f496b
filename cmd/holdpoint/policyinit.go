package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

func policyInitCommand() *cobra.Command {
	var s rules.Scaffold
	var from, queue string
	cmd := &cobra.Command{
		Use:   "init DIR --from FILE",
		Short: "Make a first bundle of the tools that an agent has",
		Long: `Make a bundle in DIR, which must be empty or not exist, of a description of an
agent's tools: JSON as MCP lists them, as models are given functions, or as
traces have them. In it, what only reads flows, and everything else waits for a
person; a tool that does not say that it only reads is taken for a write.
The bundle passes policy check and policy test as it is.`,
		Example: `  holdpoint policy init shop --from tools.json`,
		Args:    takes("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.Queue = schemas.Name(queue)
			if queue != "" {
				if _, err := schemas.ParseName(queue); err != nil {
					return usage("--queue: %v", err)
				}
			}
			written, notes, err := initBundle(cmd.Context(), args[0], from, s)
			for _, n := range notes {
				say(cmd.ErrOrStderr(), "%s", n)
			}
			if err != nil {
				return err
			}
			return output(cmd, map[string]any{"files": written, "notes": append([]string{}, notes...)}, func(w printer) error {
				for _, path := range written {
					say(w, "%s", path)
				}
				say(cmd.ErrOrStderr(), "next: holdpoint policy check %s --all", args[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the description of the tools, a JSON `file`")
	cmd.Flags().StringVar(&s.System, "system", "", "the system of tools that do not name one")
	cmd.Flags().StringVar(&queue, "queue", "", "the queue in which intents wait; by default named after the system")
	cmd.Flags().StringSliceVar(&s.Drop, "drop", nil, "parameters that no agent sends")
	_ = cmd.MarkFlagRequired("from")
	return cmd
}

// initBundle writes a bundle that was checked and tested. The directory appears
// whole or not at all.
func initBundle(ctx context.Context, dir, from string, s rules.Scaffold) (written, notes []string, err error) {
	tools, err := os.ReadFile(from)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the tools: %w", err)
	}
	if err := mustBeFree(dir); err != nil {
		return nil, nil, err
	}
	files, notes, err := s.Files(tools)
	if err != nil {
		return nil, notes, hint(err, "%s must be JSON: a list of tools, or an object with one under \"tools\"", from)
	}
	made, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dir)), ".bundle-")
	if err != nil {
		return nil, notes, fmt.Errorf("making the bundle: %w", err)
	}
	defer os.RemoveAll(made)
	for path, text := range files {
		if err := writeNew(filepath.Join(made, path), text); err != nil {
			return nil, notes, fmt.Errorf("making the bundle: %w", err)
		}
	}
	if err := proveBundle(ctx, made); err != nil {
		return nil, notes, err
	}
	if err := os.Chmod(made, 0o755); err != nil {
		return nil, notes, fmt.Errorf("making the bundle: %w", err)
	}
	if err := os.Rename(made, dir); err != nil {
		return nil, notes, fmt.Errorf("making the bundle: %w", err)
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		written = append(written, filepath.Join(dir, path))
	}
	return written, notes, nil
}

// mustBeFree makes sure that nothing is overwritten.
func mustBeFree(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("making the bundle: %w", err)
	case len(entries) > 0:
		return hint(fmt.Errorf("%s is not empty", dir), "name a directory that does not exist yet")
	}
	return nil
}

func writeNew(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// proveBundle checks and tests a bundle that was made.
func proveBundle(ctx context.Context, dir string) error {
	results, err := rules.Test(ctx, os.DirFS(dir))
	if err != nil {
		return fmt.Errorf("making the bundle: the tools cannot be taken as they are: %w", err)
	}
	for _, c := range results.Cases {
		if len(c.Problems) > 0 {
			return fmt.Errorf("making the bundle: case %q fails: %s", c.Name, c.Problems[0])
		}
	}
	return nil
}
