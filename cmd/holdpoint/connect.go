package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// connectionFlags are those of every command that connects to a gate.
func connectionFlags(cmd *cobra.Command) {
	cmd.Flags().String("key", "", "key `file` of the identity that asks")
	cmd.Flags().String("server", "", "address of the gate's broker; if empty, the one in the key file or the data directory")
	cmd.Flags().String("ca", "", "`file` with the certificates that the broker is trusted by; if empty, the system's")
	cmd.Flags().String("data", defaultData, "data `directory` of a gate on this machine, whose admin keys are used if no key is given")
}

// defaultData is where serve keeps everything if it is told nothing else.
const defaultData = "holdpoint-data"

// dial connects as the identity whose key cmd was given. It must be in one of the
// roles.
func dial(cmd *cobra.Command, roles ...schemas.Role) (*client.Conn, identity.KeyFile, error) {
	key, err := keyOf(cmd, roles)
	if err != nil {
		return nil, key, err
	}
	conn, err := dialAs(cmd, key, roles...)
	return conn, key, err
}

// dialAs connects with a key, which must be in one of the roles.
func dialAs(cmd *cobra.Command, key identity.KeyFile, roles ...schemas.Role) (*client.Conn, error) {
	if !slices.Contains(roles, key.Role) {
		return nil, fmt.Errorf("%s: %w: %s is %s, this needs %s", cmd.CommandPath(), schemas.ErrDenied, key.Name, article(key.Role), either(roles))
	}
	server, err := serverOf(cmd, key)
	if err != nil {
		return nil, err
	}
	trust, err := tlsOf(cmd)
	if err != nil {
		return nil, err
	}
	conn, err := client.Dial(client.Config{Key: key, Server: server, TLS: trust, Log: logOf(cmd)})
	switch {
	case errors.Is(err, schemas.ErrDenied):
		return nil, hint(err, "is %s registered, and not removed? see \"holdpoint identity list\"", key.Name)
	case errors.Is(err, schemas.ErrUnavailable):
		return nil, hint(err, "is the gate running at %s? see \"holdpoint serve --help\"", server)
	}
	return conn, err
}

// dialOperator connects as an operator in one of the roles.
func dialOperator(cmd *cobra.Command, roles ...schemas.Role) (client.Operator, error) {
	conn, _, err := dial(cmd, roles...)
	return client.Operator{Conn: conn}, err
}

func article(r schemas.Role) string {
	if strings.ContainsRune("aeiou", rune(r[0])) {
		return "an " + string(r)
	}
	return "a " + string(r)
}

func either(roles []schemas.Role) string {
	words := make([]string, len(roles))
	for i, r := range roles {
		words[i] = article(r)
	}
	return strings.Join(words, " or ")
}

// keyOf returns the key that was given, or the admin's key in the data directory
// if the command is an admin's.
func keyOf(cmd *cobra.Command, roles []schemas.Role) (identity.KeyFile, error) {
	path, err := cmd.Flags().GetString("key")
	if err != nil {
		return identity.KeyFile{}, err
	}
	if path != "" {
		k, err := identity.ReadKeyFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = hint(err, "\"holdpoint identity add\" writes one, with --out FILE")
		}
		return k, err
	}
	for _, role := range roles {
		if !slices.Contains(adminRoles(), role) {
			continue
		}
		k, err := identity.ReadKeyFile(credPath(adminDir(dataOf(cmd)), role))
		if !errors.Is(err, fs.ErrNotExist) {
			return k, err
		}
	}
	err = usage("no key given: use --key FILE, or %sKEY, with the key of %s", envPrefix, either(roles))
	if slices.ContainsFunc(roles, func(r schemas.Role) bool { return slices.Contains(adminRoles(), r) }) {
		err = hint(err, "the keys of the admins are in the data directory of the gate, unless they were taken away: name it with --data DIR")
	}
	return identity.KeyFile{}, err
}

func dataOf(cmd *cobra.Command) string {
	dir, err := cmd.Flags().GetString("data")
	if err != nil {
		return defaultData
	}
	return dir
}

func adminDir(data string) string    { return filepath.Join(data, "admin") }
func credsDir(data string) string    { return filepath.Join(data, "creds") }
func addressPath(data string) string { return filepath.Join(data, "address") }

// serverOf returns the address that was given, or the one in the key file, or the
// one that a gate on this machine wrote into its data directory.
func serverOf(cmd *cobra.Command, key identity.KeyFile) (string, error) {
	server, err := cmd.Flags().GetString("server")
	if err != nil || server != "" {
		return server, err
	}
	if key.Server != "" {
		return key.Server, nil
	}
	address, err := os.ReadFile(addressPath(dataOf(cmd)))
	if err != nil {
		return "", usage("no server given: use --server URL, or %sSERVER", envPrefix)
	}
	return strings.TrimSpace(string(address)), nil
}

// tlsOf returns how to trust the broker, or nil for the default: the system's
// certificates if the address begins with tls://.
func tlsOf(cmd *cobra.Command) (*tls.Config, error) {
	path, err := cmd.Flags().GetString("ca")
	if err != nil {
		return nil, err
	}
	return trustOf(path)
}

func trustOf(path string) (*tls.Config, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, usage("--ca %s: no certificate in it", path)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
