package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/rules"
)

func policyFmtCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "fmt DIR",
		Short: "Write a policy in its one form",
		Long: `Rewrite policy.yaml, and the files that it includes, in the one form that there is
for them: the keys of an entry in the order of the reference, two spaces deep,
quotes where they are needed. Comments stay with what they are about. What a
policy says does not change, though the digest of the bundle does. The names of
the files that were rewritten are printed.`,
		Example: `  holdpoint policy fmt examples/banking --check`,
		Args:    takes("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			changed, err := formatBundle(args[0], check)
			if mistakes, ok := mistakesIn(err); ok {
				sayLines(cmd.ErrOrStderr(), mistakes.Error())
				return fmt.Errorf("formatting %s: %s", args[0], count(len(mistakes), "mistake"))
			}
			if err != nil {
				return err
			}
			if err := output(cmd, map[string][]string{"changed": changed}, func(w printer) error {
				for _, path := range changed {
					say(w, "%s", path)
				}
				return nil
			}); err != nil {
				return err
			}
			if check && len(changed) > 0 {
				return hint(fmt.Errorf("%s of %s would change", count(len(changed), "file"), args[0]), "run \"holdpoint policy fmt %s\"", args[0])
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "rewrite nothing; fail if something would change")
	return cmd
}

// formatBundle formats the policy in a directory, or only finds out which files
// would change. It writes nothing unless all files can be formatted.
func formatBundle(dir string, check bool) ([]string, error) {
	root, err := bundleDir(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	paths, err := rules.PolicyFiles(root.FS())
	if err != nil {
		return nil, err
	}
	changed := []string{}
	formatted := map[string][]byte{}
	for _, path := range paths {
		text, err := root.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the policy: %w", err)
		}
		if formatted[path], err = rules.Format(path, text); err != nil {
			return nil, err
		}
		if !bytes.Equal(text, formatted[path]) {
			changed = append(changed, path)
		}
	}
	for _, path := range changed {
		if check {
			continue
		}
		if err := replaceFile(root, path, formatted[path]); err != nil {
			return nil, fmt.Errorf("writing the policy: %w", err)
		}
	}
	return changed, nil
}

// replaceFile writes a file beside and renames it: a crash leaves the old or the
// new one.
func replaceFile(root *os.Root, path string, text []byte) error {
	info, err := root.Stat(path)
	if err != nil {
		return err
	}
	beside := path + ".new"
	if err := root.WriteFile(beside, text, info.Mode().Perm()); err != nil {
		return err
	}
	return root.Rename(beside, path)
}
