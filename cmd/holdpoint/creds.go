package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/rs/zerolog"

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

// readPresent is readCreds of those that are there.
func readPresent(dir string, roles []schemas.Role) (creds, error) {
	return readCreds(dir, slices.DeleteFunc(slices.Clone(roles), func(role schemas.Role) bool {
		_, err := os.Stat(credPath(dir, role))
		return errors.Is(err, fs.ErrNotExist)
	}))
}

// makeCreds makes the key files of the roles that are not in dir yet, and reads
// all of them.
func makeCreds(dir string, roles []schemas.Role) (creds, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory for keys: %w", err)
	}
	have, err := readPresent(dir, roles)
	if err != nil {
		return nil, err
	}
	for _, role := range roles {
		if _, there := have[role]; there {
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

// sayAdmins says which keys of the admins are not in dir, and which there are nobody's.
func sayAdmins(log zerolog.Logger, names *identity.Registry, have creds, dir string) {
	for _, role := range adminRoles() {
		id, known := names.ByName(schemas.Name(role))
		k, there := have[role]
		path := credPath(dir, role)
		if !there && known {
			log.Info().Str("file", path).Msgf("the key of %s is not here, which is well if its owner has it; if nobody has, see \"Keys\" in docs/operating.md", role)
		}
		if !there {
			continue
		}
		if public, err := k.Public(); err != nil || !known || public != id.Key {
			log.Warn().Str("file", path).Msgf("this is not the key that is registered for %s: nobody can use it; see \"Keys\" in docs/operating.md", role)
		}
	}
}
