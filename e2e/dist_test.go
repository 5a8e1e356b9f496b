package e2e_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestDist: the archives of a release are the same wherever they are made, and what
// is in them runs.
func TestDist(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("it needs the tar of a Linux machine")
	}
	needsTools(t, "make") // everything is built anew, twice
	var sums [2]string
	for i := range sums {
		dir := sources(t)
		command(t, dir, "make", "dist", "PLATFORMS="+runtime.GOOS+"/"+runtime.GOARCH)
		sum, err := os.ReadFile(filepath.Join(dir, "dist", "SHA256SUMS"))
		must(t, err)
		sums[i] = string(sum)
		if i > 0 {
			continue
		}
		name := "holdpoint-" + runtime.GOOS + "-" + runtime.GOARCH
		command(t, filepath.Join(dir, "dist"), "tar", "-xzf", name+".tar.gz")
		command(t, filepath.Join(dir, "dist", name), "./holdpoint", "version", "-o", "json")
	}
	if sums[0] != sums[1] || sums[0] == "" {
		t.Errorf("made twice:\n%s%s", sums[0], sums[1])
	}
}

// sources returns a copy of what is built, in a directory of its own.
func sources(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "src")
	must(t, os.MkdirAll(dir, 0o700))
	for _, name := range []string{"go.mod", "go.sum", "Makefile", "README.md", "LICENSE"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	for _, name := range []string{"audit", "broker", "client", "cmd", "examples", "identity", "replay", "rules", "schemas", "stages"} {
		must(t, os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join("..", name))))
	}
	return dir
}
