//go:build !unix

package embedded

import (
	"fmt"
	"os"
	"path/filepath"
)

// lockDir makes dir and takes its lock: a file that cannot be removed while it
// is open.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory %s: %w", dir, err)
	}
	name := filepath.Join(dir, "lock")
	_ = os.Remove(name)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the data directory %s: %w: %w", dir, ErrInUse, err)
	}
	return f, nil
}
