package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// shelf has the bundles that were given, and gets others from the gate.
type shelf struct {
	conn    *client.Conn // nil if there is no gate to ask
	bundles map[schemas.Digest]*rules.Bundle
	given   map[schemas.Digest]string // where from
	asked   map[schemas.Digest]bool
	missing error
}

// shelve loads the bundles at these paths: directories, or the archives that a gate
// keeps.
func shelve(c *client.Conn, paths []string) (*shelf, error) {
	s := &shelf{conn: c, bundles: map[schemas.Digest]*rules.Bundle{}, given: map[schemas.Digest]string{}, asked: map[schemas.Digest]bool{}}
	for _, path := range paths {
		b, err := bundleAt(path)
		if err != nil {
			return nil, fmt.Errorf("loading bundle %s: %w", path, err)
		}
		s.bundles[b.Digest()], s.given[b.Digest()] = b, path
	}
	return s, nil
}

func bundleAt(path string) (*rules.Bundle, error) {
	if isDir(path) {
		return loadBundle(path)
	}
	archive, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return rules.Read(archive)
}

// get returns the bundle with that digest. An auditor has no way to ask the gate.
func (s *shelf) get(ctx context.Context, digest schemas.Digest) (*rules.Bundle, error) {
	s.asked[digest] = true
	if b := s.bundles[digest]; b != nil {
		return b, nil
	}
	if s.conn == nil {
		s.missing = hint(fmt.Errorf("bundle %s: %w: it was not given", digest.Short(), schemas.ErrNotFound), "give it with --bundle DIR")
		return nil, s.missing
	}
	if s.conn.Role() == schemas.RoleAuditor {
		s.missing = hint(fmt.Errorf("bundle %s: %w: an auditor reads the audit alone", digest.Short(), schemas.ErrDenied),
			"let an admin or a reviewer get it with \"holdpoint policy pull %s --out DIR\", and give it with --bundle DIR", digest.Short())
		return nil, s.missing
	}
	b, err := storedBundle(ctx, s.conn, digest)
	if err != nil {
		s.missing = hint(err, "if you have it, give it with --bundle DIR")
		return nil, s.missing
	}
	s.bundles[digest] = b
	return b, nil
}

// bundleStore is where the archives of bundles are: the broker, or a gate that is asked.
type bundleStore interface {
	// Bundle returns what is stored under a digest. It may be anything.
	Bundle(ctx context.Context, digest schemas.Digest) ([]byte, error)
}

// storedBundle reads the bundle that is stored under a digest, and makes sure that it is
// the one.
func storedBundle(ctx context.Context, from bundleStore, digest schemas.Digest) (*rules.Bundle, error) {
	archive, err := from.Bundle(ctx, digest)
	if err != nil {
		return nil, err
	}
	bundle, err := rules.Read(archive)
	if err != nil {
		return nil, fmt.Errorf("reading bundle %s: %w", digest.Short(), err)
	}
	if bundle.Digest() != digest {
		return nil, fmt.Errorf("reading bundle %s: %w: what is stored is %s", digest.Short(), schemas.ErrInvalid, bundle.Digest().Short())
	}
	return bundle, nil
}

// unused returns an error that names a bundle that was given and that no record
// names.
func (s *shelf) unused() error {
	for digest, path := range s.given {
		if s.asked[digest] {
			continue
		}
		var wanted []string
		for other := range s.asked {
			wanted = append(wanted, other.Short())
		}
		if len(wanted) == 0 {
			return fmt.Errorf("bundle %s is %s, and the records name none: %w", path, digest.Short(), errOtherBundle)
		}
		slices.Sort(wanted)
		return hint(fmt.Errorf("bundle %s is %s, and the records name %s: %w", path, digest.Short(), strings.Join(wanted, ", "), errOtherBundle),
			"let an admin or a reviewer get it with \"holdpoint policy pull %s --out DIR\"", wanted[0])
	}
	return nil
}

var errOtherBundle = errors.New("not by these rules")
