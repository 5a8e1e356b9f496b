package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestTake: also where there are no links a file gets its name only if nobody has
// it, and all at once.
func TestTake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, path := filepath.Join(dir, "from"), filepath.Join(dir, "path")
	for i, text := range []string{"first", "second"} {
		if err := os.WriteFile(from, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := take(path, from); i == 0 && err != nil || i == 1 && !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", text, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "first" {
			t.Errorf("after %s: %q, %v, want first", text, got, err)
		}
	}
}
