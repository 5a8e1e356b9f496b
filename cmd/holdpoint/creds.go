package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// creds are key files of the gateway's own identities, by role.
type creds map[schemas.Role]identity.KeyFile

// readCreds reads the key files of the roles from dir.
func readCreds(dir string, roles []schemas.Role) (creds, error) {
	c := creds{}
	for _, role := range roles {
		k, err := identity.ReadKeyFile(credPath(dir, role))
		if err != nil {
			return nil, err
		}
		if k.Name != schemas.Name(role) {
			return nil, fmt.Errorf("key %s: %w: it is the key of %s", credPath(dir, role), schemas.ErrInvalid, k.Name)
		}
		c[role] = k
	}
	return c, nil
}

// makeCreds makes the key files of the roles that are not in dir yet, and reads
// all of them.
func makeCreds(dir string, roles []schemas.Role) (creds, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory for keys: %w", err)
	}
	for _, role := range roles {
		if _, err := os.Stat(credPath(dir, role)); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		k, err := identity.NewKeyFile(schemas.Name(role), role)
		if err != nil {
			return nil, err
		}
		if err := k.Write(credPath(dir, role)); err != nil {
			return nil, err
		}
	}
	return readCreds(dir, roles)
}

func credPath(dir string, role schemas.Role) string { return filepath.Join(dir, string(role)+".key") }

// public returns the public keys.
func (c creds) public() (map[schemas.Role]string, error) {
	keys := make(map[schemas.Role]string, len(c))
	for role, k := range c {
		public, err := k.Public()
		if err != nil {
			return nil, err
		}
		keys[role] = public
	}
	return keys, nil
}

// adminRoles are the identities that the first start makes: one for each kind of
// operator.
func adminRoles() []schemas.Role {
	return []schemas.Role{schemas.RolePolicyAdmin, schemas.RoleIdentityAdmin}
}
