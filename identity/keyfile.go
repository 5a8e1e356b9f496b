package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/holdpoint/holdpoint/schemas"
)

// KeyFile is what an identity keeps: who it is, where its gate is, and its
// private key.
type KeyFile struct {
	Name schemas.Name
	Role schemas.Role

	// Server is the address of the gate's broker; empty if the holder knows.
	Server string

	// Queues are those of a reviewer, Systems those of an executor.
	Queues  []schemas.Name
	Systems []string

	Key nkeys.KeyPair
}

// NewKeyFile returns a key file with a fresh key.
func NewKeyFile(name schemas.Name, role schemas.Role) (KeyFile, error) {
	key, err := nkeys.CreateUser()
	if err != nil {
		return KeyFile{}, fmt.Errorf("making a key for %s: %w", name, err)
	}
	return KeyFile{Name: name, Role: role, Key: key}, nil
}

// Public returns the public key.
func (k KeyFile) Public() (string, error) {
	public, err := k.Key.PublicKey()
	if err != nil {
		return "", fmt.Errorf("key of %s: %w: %w", k.Name, schemas.ErrInvalid, err)
	}
	return public, nil
}

// Write creates the file, readable by its owner alone, with all of the key in it
// or not at all. It never overwrites one: a key that is lost cannot be made again.
func (k KeyFile) Write(path string) error {
	text, err := k.text()
	if err != nil {
		return err
	}
	if err := writeNew(path, text); err != nil {
		return fmt.Errorf("writing the key of %s: %w", k.Name, err)
	}
	return nil
}

// writeNew writes under another name, and gives the file its own when all of it is
// on disk. Its errors speak of the file's own name.
func writeNew(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // 0600
	if cause := (*fs.PathError)(nil); errors.As(err, &cause) {
		return &fs.PathError{Op: "create", Path: path, Err: cause.Err}
	}
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	switch err := os.Link(f.Name(), path); {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	return take(path, f.Name())
}

// take gives a file its name where there are no links, as on a memory stick. A
// crash in its middle leaves a file that is empty.
func take(path, from string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(from, path)
}

func (k KeyFile) text() ([]byte, error) {
	seed, err := k.Key.Seed()
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w: %w", k.Name, schemas.ErrInvalid, err)
	}
	public, err := k.Public()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# holdpoint key: whoever reads this file is %s\n", k.Name)
	fmt.Fprintf(&b, "# name: %s\n# role: %s\n# public: %s\n", k.Name, k.Role, public)
	line := func(field string, values []string) {
		if len(values) > 0 {
			fmt.Fprintf(&b, "# %s: %s\n", field, strings.Join(values, ","))
		}
	}
	line("queues", texts(k.Queues))
	line("systems", k.Systems)
	if k.Server != "" {
		line("server", []string{k.Server})
	}
	fmt.Fprintf(&b, "%s\n", seed)
	if _, err := parseKeyFile(b.Bytes()); err != nil {
		return nil, fmt.Errorf("key of %s could not be read again: %w", k.Name, err)
	}
	return b.Bytes(), nil
}

// ReadKeyFile reads what Write wrote. It returns an ErrInvalid that names the line,
// and an ErrDenied if everybody on this machine may read or change the file: it is
// no secret then, and whoever it was must be given another key.
func ReadKeyFile(path string) (KeyFile, error) {
	k, err := readKeyFile(path)
	if err != nil {
		return KeyFile{}, fmt.Errorf("reading key %s: %w", path, err)
	}
	return k, nil
}

func readKeyFile(path string) (KeyFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return KeyFile{}, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return KeyFile{}, err
	}
	if others := info.Mode().Perm() & 0o007; others != 0 && runtime.GOOS != "windows" {
		return KeyFile{}, fmt.Errorf("%w: its mode is %#o, and lets everybody in; a key is for its owner (0600)", schemas.ErrDenied, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return KeyFile{}, err
	}
	return parseKeyFile(text)
}

// maxKeyFile is more than any key file is long.
const maxKeyFile = 64 << 10

func parseKeyFile(text []byte) (KeyFile, error) {
	var k KeyFile
	var public string
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		comment, isComment := strings.CutPrefix(line, "#")
		var err error
		switch {
		case line == "":
		case isComment:
			name, value, _ := strings.Cut(strings.TrimSpace(comment), ": ")
			if name == "public" {
				public = value
			}
			err = k.field(name, value)
		case k.Key != nil:
			err = fmt.Errorf("%w: a second key", schemas.ErrInvalid)
		default:
			k.Key, err = userKey(line)
		}
		if err != nil {
			return KeyFile{}, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	if k.Key == nil || k.Name == "" || k.Role == "" {
		return KeyFile{}, fmt.Errorf("%w: want lines \"# name: …\" and \"# role: …\" and an nkey seed", schemas.ErrInvalid)
	}
	if have, err := k.Public(); err != nil || public != "" && public != have {
		return KeyFile{}, fmt.Errorf("%w: its seed is not that of the public key in it", schemas.ErrInvalid)
	}
	return k, nil
}

// userKey reads the seed of a user.
func userKey(seed string) (nkeys.KeyPair, error) {
	key, err := nkeys.FromSeed([]byte(seed))
	if err != nil || !strings.HasPrefix(seed, "SU") {
		return nil, fmt.Errorf("%w: not the nkey seed of a user", schemas.ErrInvalid)
	}
	return key, nil
}

// field takes in one "name: value". Others are comments.
func (k *KeyFile) field(name, value string) (err error) {
	switch name {
	case "name":
		k.Name, err = schemas.ParseName(value)
	case "role":
		if k.Role = schemas.Role(value); !slices.Contains(append(schemas.OutsideRoles(), schemas.GatewayRoles()...), k.Role) {
			err = fmt.Errorf("%w: role %q", schemas.ErrInvalid, value)
		}
	case "server":
		k.Server = value
	case "systems":
		k.Systems = strings.FieldsFunc(value, func(r rune) bool { return r == ',' })
	case "queues":
		for _, text := range strings.Split(value, ",") {
			q, err := schemas.ParseName(text)
			if err != nil {
				return err
			}
			k.Queues = append(k.Queues, q)
		}
	}
	return err
}

func texts(names []schemas.Name) []string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = string(n)
	}
	return all
}
