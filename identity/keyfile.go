package identity

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
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

// Write creates the file, readable by its owner alone. It never overwrites one:
// a key that is lost cannot be made again.
func (k KeyFile) Write(path string) error {
	text, err := k.text()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing the key of %s: %w", k.Name, err)
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
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
	return b.Bytes(), nil
}

// ReadKeyFile reads what Write wrote. An ErrInvalid names the line.
func ReadKeyFile(path string) (KeyFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return KeyFile{}, fmt.Errorf("reading a key: %w", err)
	}
	k, err := parseKeyFile(text)
	if err != nil {
		return KeyFile{}, fmt.Errorf("reading key %s: %w", path, err)
	}
	return k, nil
}

func parseKeyFile(text []byte) (KeyFile, error) {
	var k KeyFile
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		comment, isComment := strings.CutPrefix(line, "#")
		var err error
		switch {
		case line == "":
		case isComment:
			err = k.field(strings.TrimSpace(comment))
		case k.Key != nil:
			err = fmt.Errorf("%w: a second key", schemas.ErrInvalid)
		default:
			if k.Key, err = nkeys.FromSeed([]byte(line)); err != nil {
				err = fmt.Errorf("%w: not an nkey seed", schemas.ErrInvalid)
			}
		}
		if err != nil {
			return KeyFile{}, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if k.Key == nil || k.Name == "" || k.Role == "" {
		return KeyFile{}, fmt.Errorf("%w: want lines \"# name: …\" and \"# role: …\" and an nkey seed", schemas.ErrInvalid)
	}
	return k, nil
}

// field takes in one "name: value". Others are comments.
func (k *KeyFile) field(comment string) (err error) {
	name, value, _ := strings.Cut(comment, ": ")
	switch name {
	case "name":
		k.Name, err = schemas.ParseName(value)
	case "role":
		k.Role = schemas.Role(value)
	case "server":
		k.Server = value
	case "systems":
		k.Systems = strings.Split(value, ",")
	case "queues":
		for _, q := range strings.Split(value, ",") {
			k.Queues = append(k.Queues, schemas.Name(q))
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
