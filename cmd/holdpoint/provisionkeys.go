package main

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// provisionDir is the directory with the keys of provision.
func (o provisionOptions) provisionDir() string {
	if o.split {
		return filepath.Join(o.creds, string(schemas.RoleProvision))
	}
	return o.creds
}

// adminDir is the directory with the keys of the first admins.
func (o provisionOptions) adminDir() string {
	if o.split {
		return cmp.Or(o.admins, filepath.Join(o.creds, "admin"))
	}
	return cmp.Or(o.admins, o.creds)
}

// dirs are the directories with the keys of the gateway's identities and of the admins.
// With --split, each process has one, and the admins have one.
func (o provisionOptions) dirs() map[string][]schemas.Role {
	dirs := map[string][]schemas.Role{o.adminDir(): adminRoles()}
	if !o.split {
		dirs[o.creds] = append(dirs[o.creds], schemas.GatewayRoles()...)
		return dirs
	}
	for _, stage := range allStages() {
		dir := filepath.Join(o.creds, string(stage))
		dirs[dir] = append(dirs[dir], rolesOf([]schemas.Role{stage})...)
	}
	return dirs
}

// makeKeys makes the keys of the roles that are not there yet, and reads all of them.
func (o provisionOptions) makeKeys(roles []schemas.Role) (creds, error) {
	all := creds{}
	for dir, held := range o.dirs() {
		held = both(held, roles)
		if len(held) == 0 {
			continue
		}
		keys, err := makeCreds(dir, held)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, keys)
	}
	return all, nil
}

// readKeys reads the keys of the roles, as far as they are there.
func (o provisionOptions) readKeys(roles []schemas.Role) (creds, error) {
	all := creds{}
	for dir, held := range o.dirs() {
		keys, err := readPresent(dir, both(held, roles))
		if err != nil {
			return nil, err
		}
		maps.Copy(all, keys)
	}
	return all, nil
}

// both returns the roles that are in a and in b.
func both(a, b []schemas.Role) []schemas.Role {
	return slices.DeleteFunc(slices.Clone(a), func(role schemas.Role) bool { return !slices.Contains(b, role) })
}

// registered returns everyone who may connect: the gateway's identities, the first
// admins, and with --nats those whom CONTROL names. Keys of the gateway's identities
// that are not there are made.
func registered(cmd *cobra.Command, o provisionOptions) ([]schemas.Identity, error) {
	if o.nats == "" {
		if err := o.firstAdmins(); err != nil {
			return nil, err
		}
	}
	keys, err := o.makeKeys(schemas.GatewayRoles())
	if err != nil {
		return nil, err
	}
	names, err := namesInControl(cmd, o)
	if err != nil {
		return nil, err
	}
	first := slices.DeleteFunc(adminRoles(), func(role schemas.Role) bool {
		_, ever := names.Ever(schemas.Name(role))
		return ever
	})
	made, err := o.makeKeys(first)
	if err != nil {
		return nil, err
	}
	maps.Copy(keys, made)
	all, _ := names.All()
	for _, role := range append(schemas.GatewayRoles(), first...) {
		public, err := keys[role].Public()
		if err != nil {
			return nil, err
		}
		all = append(all, schemas.Identity{Name: schemas.Name(role), Role: role, Key: public})
	}
	return all, nil
}

// namesInControl returns those whom CONTROL names; without --nats, nobody.
func namesInControl(cmd *cobra.Command, o provisionOptions) (*identity.Registry, error) {
	if o.nats == "" {
		return identity.NewRegistry(nil), nil
	}
	g, err := openProvision(cmd, o)
	if err != nil {
		return nil, err
	}
	defer g.close()
	if _, err := g.activeSystems(cmd.Context()); err != nil {
		return nil, err
	}
	return g.names, nil
}

// firstAdmins makes the keys of the first admins, if those of the gateway's identities
// are not made yet. Later their owners may have taken them away, and only the gate knows
// whether it registered them: others in their place would lock the admins out. A crash
// before the gateway's keys are made leaves some that the next call goes on with.
func (o provisionOptions) firstAdmins() error {
	own, err := o.readKeys(schemas.GatewayRoles())
	if err != nil {
		return err
	}
	if len(own) == 0 {
		_, err := o.makeKeys(adminRoles())
		return err
	}
	admins, err := o.readKeys(adminRoles())
	if err != nil {
		return err
	}
	for _, role := range adminRoles() {
		if _, there := admins[role]; !there {
			err := fmt.Errorf("printing the accounts: %w: there is no key in %s, and those of the gate were made before", schemas.ErrInvalid, credPath(o.adminDir(), role))
			return hint(err, "add \"--nats ADDRESS\", and the gate says who is registered; or say with \"--admins DIR\" where the key is")
		}
	}
	return nil
}
