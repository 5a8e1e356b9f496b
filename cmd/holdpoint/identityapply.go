package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// listedIdentity is an identity in a file, in the words of "identity add".
type listedIdentity struct {
	Role     schemas.Role `yaml:"role"`
	Name     schemas.Name `yaml:"name"`
	Owner    string       `yaml:"owner"`
	Person   string       `yaml:"person"`
	Sessions string       `yaml:"sessions"`
	Groups   []string     `yaml:"groups"`
	Actions  []string     `yaml:"actions"`
	Queues   []string     `yaml:"queues"`
	Systems  []string     `yaml:"systems"`
	Service  bool         `yaml:"service"`
}

func identityApplyCommand() *cobra.Command {
	var keys string
	cmd := &cobra.Command{
		Use:   "apply FILE --keys DIR",
		Short: "Register the identities that a file names and the gate does not know",
		Long: `Register the identities that a file names and the gate does not know. The file is
YAML: a list "identities", each with role, name and what "identity add" takes. A
key is written to DIR/NAME/NAME.key unless it is there already. Who is registered
is never changed.`,
		Example: "  holdpoint identity apply deploy/identities.yaml --keys keys",
		Args:    takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, admin, err := dial(cmd, schemas.RoleIdentityAdmin)
			if err != nil {
				return err
			}
			defer conn.Close()
			server, err := serverOf(cmd, admin)
			if err != nil {
				return err
			}
			named, err := makeIdentities(args[0], keys, server)
			if err != nil {
				return err
			}
			return applyIdentities(cmd, client.Operator{Conn: conn}, named)
		},
	}
	connectionFlags(cmd)
	cmd.Flags().StringVar(&keys, "keys", "", "`directory` with the keys")
	_ = cmd.MarkFlagRequired("keys")
	return cmd
}

func applyIdentities(cmd *cobra.Command, o client.Operator, named []schemas.Identity) error {
	added := []schemas.Name{}
	for _, id := range named {
		present, _, err := o.Identities(cmd.Context(), id.Name)
		if err != nil {
			return err
		}
		if len(present) == 1 {
			if present[0].Key == id.Key {
				continue
			}
			return hint(fmt.Errorf("%s: %w: it is registered with another key than the one that is kept", id.Name, schemas.ErrClosed),
				"names are never used again; give the identity another one")
		}
		if err := o.Add(cmd.Context(), id); err != nil {
			return err
		}
		added = append(added, id.Name)
	}
	return output(cmd, map[string][]schemas.Name{"added": added}, func(w printer) error {
		for _, name := range added {
			say(w, "added %s", string(name))
		}
		return nil
	})
}

// readIdentities reads a file of identities.
func readIdentities(path string) ([]listedIdentity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading identities: %w", err)
	}
	defer f.Close()
	var list struct {
		Identities []listedIdentity `yaml:"identities"`
	}
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	if err := d.Decode(&list); err != nil {
		return nil, usage("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return list.Identities, nil
}

// makeIdentities returns the identities that a file names, with their keys, each in
// a directory of its own below dir; those that are missing are made.
func makeIdentities(path, dir, server string) ([]schemas.Identity, error) {
	list, err := readIdentities(path)
	if err != nil {
		return nil, err
	}
	var all []schemas.Identity
	for i, l := range list {
		o := identityOptions{
			owner: l.Owner, person: l.Person, sessions: l.Sessions, groups: l.Groups, actions: l.Actions,
			queues: l.Queues, systems: l.Systems, service: l.Service,
		}
		id := o.identity(l.Role, l.Name)
		if _, err := schemas.ParseName(string(l.Name)); err != nil {
			return nil, usage("%s: identity %d: %v", path, i+1, err)
		}
		if id.Key, err = keptKey(filepath.Join(dir, string(l.Name)), id, server); err != nil {
			return nil, err
		}
		if err := identity.Check(id); err != nil {
			return nil, hint(usage("%s: identity %d: %v", path, i+1, err), "see \"holdpoint identity add --help\"")
		}
		all = append(all, id)
	}
	return all, nil
}

// keptKey returns the public key of an identity whose key file is in dir, or is
// made there.
func keptKey(dir string, id schemas.Identity, server string) (string, error) {
	path := filepath.Join(dir, string(id.Name)+".key")
	k, err := identity.ReadKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		if err == nil && (k.Name != id.Name || k.Role != id.Role) {
			err = fmt.Errorf("key %s: %w: it is the key of %s, %s", path, schemas.ErrInvalid, k.Name, article(k.Role))
		}
		if err != nil {
			return "", err
		}
		return k.Public()
	}
	if k, err = identity.NewKeyFile(id.Name, id.Role); err != nil {
		return "", err
	}
	k.Server, k.Queues, k.Systems = server, id.Queues, id.Systems
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the directory for keys: %w", err)
	}
	if err := k.Write(path); err != nil {
		return "", err
	}
	return k.Public()
}
