package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/rules"
)

// testFlags are the flags of policy test.
type testFlags struct {
	coverage, watch bool
	junit           string
}

func policyTestCommand() *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use:   "test DIR",
		Short: "Run the cases of a bundle",
		Long: `Run the cases in DIR/cases. A case names facts and what is wanted of them; what
it does not name is not compared. With --coverage, say which rules no case makes
apply, and which conditions are never true or never false. A case that fails
ends with exit code 1.`,
		Example: `  holdpoint policy test examples/banking --coverage
  holdpoint policy test examples/banking --junit cases.xml`,
		Args: takes("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.watch {
				return f.follow(cmd, args[0])
			}
			return f.once(cmd, args[0])
		},
	}
	cmd.Flags().BoolVar(&f.coverage, "coverage", false, "say what no case shows")
	cmd.Flags().BoolVar(&f.watch, "watch", false, "run again whenever a file changes, until interrupted")
	cmd.Flags().StringVar(&f.junit, "junit", "", "write the results as JUnit XML to this `file`")
	return cmd
}

// once runs the cases.
func (f testFlags) once(cmd *cobra.Command, dir string) error {
	root, err := bundleDir(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	results, err := rules.Test(cmd.Context(), root.FS())
	if mistakes, ok := mistakesIn(err); ok {
		sayLines(cmd.ErrOrStderr(), mistakes.Error())
		return fmt.Errorf("testing %s: %s", dir, count(len(mistakes), "mistake"))
	}
	if err != nil {
		return fmt.Errorf("testing %s: %w", dir, err)
	}
	if f.junit != "" {
		if err := writeJUnitFile(f.junit, dir, results); err != nil {
			return err
		}
	}
	if err := output(cmd, results, func(w printer) error { f.write(w, results); return nil }); err != nil {
		return err
	}
	if failed := results.Failed(); failed > 0 {
		return fmt.Errorf("testing %s: %d of %d cases fail", dir, failed, len(results.Cases))
	}
	return nil
}

func (f testFlags) write(w io.Writer, r rules.Results) {
	for _, c := range r.Cases {
		if len(c.Problems) == 0 {
			continue
		}
		say(w, "FAIL: %s:%d: %s", c.File, c.Line, c.Name)
		for _, p := range c.Problems {
			say(w, " | %s", p)
		}
	}
	if f.coverage {
		for _, g := range r.Coverage.Gaps {
			sayLines(w, "GAP: "+g.Place())
		}
		say(w, "coverage: %d of %d", r.Coverage.Seen, r.Coverage.All)
	}
	say(w, "%s, %d failed", count(len(r.Cases), "case"), r.Failed())
}

// follow runs the cases now, and again after every change.
func (f testFlags) follow(cmd *cobra.Command, dir string) error {
	var last [sha256.Size]byte
	ticker := time.NewTicker(300 * time.Millisecond)
	defer ticker.Stop()
	for {
		if now, err := fingerprint(dir); err == nil && now != last {
			last = now
			if err := f.once(cmd, dir); err != nil {
				say(cmd.ErrOrStderr(), "%s", err)
			}
			say(cmd.ErrOrStderr(), "waiting for a change in %s", dir)
		}
		select {
		case <-cmd.Context().Done():
			return context.Cause(cmd.Context())
		case <-ticker.C:
		}
	}
}

// fingerprint changes whenever a file of the directory does.
func fingerprint(dir string) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			fmt.Fprintf(h, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	})
	return [sha256.Size]byte(h.Sum(nil)), err
}
