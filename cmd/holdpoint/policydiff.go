package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

func policyDiffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff BUNDLE [BUNDLE]",
		Short: "Show how two bundles differ, file by file",
		Long: `Show how two bundles differ, file by file: the active one and BUNDLE, or BUNDLE
and a second one. A bundle is a directory, or a digest from "holdpoint policy
history" (at least 12 hexadecimal digits).`,
		Example: `  holdpoint policy diff examples/customer-operations
  holdpoint policy diff 9f2c41d07be8 examples/customer-operations`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var o *client.Operator
			if len(args) == 1 || !isDir(args[0]) || !isDir(args[1]) {
				admin, err := dialOperator(cmd, adminRoles()...)
				if err != nil {
					return err
				}
				defer admin.Close()
				o = &admin
			}
			return diffBundles(cmd, o, args)
		},
	}
	connectionFlags(cmd)
	return cmd
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func diffBundles(cmd *cobra.Command, o *client.Operator, args []string) error {
	if len(args) == 1 {
		policies, err := o.Policies(cmd.Context())
		if err != nil {
			return err
		}
		if policies.Active == "" {
			return fmt.Errorf("the active bundle: %w", schemas.ErrNotFound)
		}
		args = []string{policies.Active.Short(), args[0]}
	}
	var files [2]map[string][]byte
	for i, arg := range args {
		bundle, err := namedBundle(cmd, o, arg)
		if err != nil {
			return err
		}
		if files[i], err = filesOf(bundle.Archive()); err != nil {
			return err
		}
	}
	changes := compareFiles(args, files)
	return output(cmd, changes, func(w printer) error {
		for _, c := range changes.Files {
			for line := range bytes.Lines([]byte(c.Diff)) {
				say(w, "%s", string(bytes.TrimSuffix(line, []byte("\n"))))
			}
		}
		return nil
	})
}

// namedBundle returns the bundle in a directory, or the one with that digest.
func namedBundle(cmd *cobra.Command, o *client.Operator, name string) (*rules.Bundle, error) {
	if isDir(name) {
		bundle, err := loadBundle(name)
		if err != nil {
			return nil, fmt.Errorf("loading bundle %s: %w", name, err)
		}
		return bundle, nil
	}
	policies, err := o.Policies(cmd.Context())
	if err != nil {
		return nil, err
	}
	for _, a := range policies.Past {
		if a.Bundle.HasPrefix(name) {
			return storedBundle(cmd.Context(), o.Conn, a.Bundle)
		}
	}
	return nil, hint(fmt.Errorf("bundle %s: %w: no such directory, and no such digest", name, schemas.ErrNotFound), "see \"holdpoint policy history\"")
}

// filesOf returns the files of a bundle's archive.
func filesOf(archive []byte) (map[string][]byte, error) {
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading a bundle: %w", err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			return nil, fmt.Errorf("reading a bundle: %w", err)
		}
	}
}

// differences are the files in which two bundles differ.
type differences struct {
	Files []difference `json:"files"`
}

type difference struct {
	Path string `json:"path"`
	Diff string `json:"diff"` // unified
}

func compareFiles(names []string, files [2]map[string][]byte) differences {
	paths := map[string]bool{}
	for _, all := range files {
		for path := range all {
			paths[path] = true
		}
	}
	var found differences
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if text := diff.Diff(names[0]+"/"+path, files[0][path], names[1]+"/"+path, files[1][path]); text != nil {
			found.Files = append(found.Files, difference{path, string(text)})
		}
	}
	return found
}
