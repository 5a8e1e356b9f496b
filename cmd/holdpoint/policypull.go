package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

func policyPullCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "pull DIGEST",
		Short: "Write a bundle that the gate keeps into a directory",
		Long: `Write a bundle that the gate keeps into a new directory: the one whose digest is
DIGEST, as records name it, or begins with it (at least 12 hexadecimal digits). An admin
may shorten it to what "holdpoint policy history" shows; a reviewer gives all of it.`,
		Example: "  holdpoint policy pull 9f2c41d07be8 --out last-week",
		Args:    takes("DIGEST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, _, err := dial(cmd, append(adminRoles(), schemas.RoleReviewer)...)
			if err != nil {
				return err
			}
			defer conn.Close()
			bundle, err := pulled(cmd, conn, args[0])
			if err != nil {
				return err
			}
			if err := writeBundle(out, bundle); err != nil {
				return err
			}
			answer := struct {
				Bundle schemas.Digest `json:"bundle"`
				Out    string         `json:"out"`
			}{bundle.Digest(), out}
			return output(cmd, answer, func(w printer) error {
				say(w, "bundle %s in %s", bundle.Digest().Short(), out)
				return nil
			})
		},
	}
	connectionFlags(cmd)
	cmd.Flags().StringVar(&out, "out", "", "`directory` to make")
	_ = cmd.MarkFlagRequired("out")
	return cmd
}

// pulled returns the bundle with a digest, or the one among those of the history whose
// digest begins so.
func pulled(cmd *cobra.Command, c *client.Conn, digest string) (*rules.Bundle, error) {
	if hex := strings.TrimPrefix(digest, "sha256:"); len(hex) == 64 {
		return storedBundle(cmd.Context(), c, schemas.Digest("sha256:"+hex))
	}
	if c.Role() == schemas.RoleReviewer {
		return nil, usage("%s: a reviewer gives the whole digest, as \"holdpoint why ID -o json\" shows it", digest)
	}
	policies, err := client.Operator{Conn: c}.Policies(cmd.Context())
	if err != nil {
		return nil, err
	}
	for _, a := range policies.Past {
		if a.Bundle.HasPrefix(digest) {
			return storedBundle(cmd.Context(), c, a.Bundle)
		}
	}
	return nil, hint(fmt.Errorf("bundle %s: %w", digest, schemas.ErrNotFound), "see \"holdpoint policy history\"")
}

// writeBundle writes the files of a bundle into a directory that is not there yet.
func writeBundle(dir string, b *rules.Bundle) error {
	files, err := filesOf(b.Archive())
	if err != nil {
		return err
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return hint(fmt.Errorf("writing the bundle: %s: %w", dir, fs.ErrExist), "give a directory that is not there yet")
	}
	for path, content := range files {
		at := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return fmt.Errorf("writing the bundle: %w", err)
		}
		if err := os.WriteFile(at, content, 0o644); err != nil {
			return fmt.Errorf("writing the bundle: %w", err)
		}
	}
	return nil
}
