package main

import (
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/broker"
)

// The sides of a bench. Each has accounts, streams and agents of its own, because
// what a relay writes is nothing that a gate could read.
const (
	gateSide  = "gate"
	relaySide = "relay"
)

// benchTenant is the name of the gate of one side.
func benchTenant(side string) broker.Tenant { return broker.Tenant("bench-" + side) }

// benchKeys is where the keys of the agents of one side are.
func benchKeys(dir, side string) string { return filepath.Join(dir, side, "people") }

// printBenchConfig prints the accounts and users of both sides.
func printBenchConfig(cmd *cobra.Command, o benchOptions) error {
	tenants := map[broker.Tenant][]broker.User{}
	for _, side := range []string{gateSide, relaySide} {
		users, err := benchUsers(cmd, o, side)
		if err != nil {
			return err
		}
		tenants[benchTenant(side)] = users
	}
	_, err := io.WriteString(cmd.OutOrStdout(), broker.WriteConfig(tenants))
	return err
}

// benchUsers returns everyone on one side, and makes the keys that are not there
// yet.
func benchUsers(cmd *cobra.Command, o benchOptions, side string) ([]broker.User, error) {
	all, err := registered(cmd, provisionOptions{creds: filepath.Join(o.creds, side)})
	if err != nil {
		return nil, err
	}
	for _, id := range benchPeople(o.agents) {
		key, err := benchKey(benchKeys(o.creds, side), id)
		if err != nil {
			return nil, err
		}
		if id.Key, err = key.Public(); err != nil {
			return nil, err
		}
		all = append(all, id)
	}
	var users []broker.User
	for _, id := range all {
		u, err := broker.UserOf(id)
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return users, nil
}
