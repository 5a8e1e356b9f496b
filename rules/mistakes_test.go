package rules_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestMistakes loads every directory of testdata/mistakes. The error must be what
// its error.golden says; -update writes that.
func TestMistakes(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("testdata/mistakes/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("mistakes: got %v, %v, want directories", dirs, err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			sameAsGolden(t, filepath.Join(dir, "error.golden"), mistakesOf(t, dir))
		})
	}
}

// mistakesOf returns what is wrong with the bundle in a directory.
func mistakesOf(t *testing.T, dir string) string {
	t.Helper()
	bundle := bundleFiles(t, dir)
	delete(bundle, "error.golden")
	_, err := rules.Load(bundle)
	var mistakes rules.Mistakes
	if !errors.As(err, &mistakes) || !errors.Is(err, schemas.ErrInvalid) {
		t.Fatalf("loading %s: got %v, want mistakes", dir, err)
	}
	return mistakes.Error() + "\n"
}

// bundleFiles returns what is in a directory, with the usual catalog and an empty
// policy where it has none.
func bundleFiles(t *testing.T, dir string) fstest.MapFS {
	t.Helper()
	bundle := files("")
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		bundle[path] = &fstest.MapFile{Data: content}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}
