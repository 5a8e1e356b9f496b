package rules_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestMistakes loads every directory of testdata/mistakes. The error must be what
// its error.golden says; -update writes that.
func TestMistakes(t *testing.T) {
	t.Parallel()
	update := flag.Lookup("update").Value.String() == "true"
	dirs, err := filepath.Glob("testdata/mistakes/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("mistakes: got %v, %v, want directories", dirs, err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			golden := filepath.Join(dir, "error.golden")
			got := mistakesOf(t, dir)
			if update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s", diff)
			}
		})
	}
}

// mistakesOf loads a directory, with the usual catalog and an empty policy where
// it has none.
func mistakesOf(t *testing.T, dir string) string {
	t.Helper()
	bundle := files("")
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path == "error.golden" {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		bundle[path] = &fstest.MapFile{Data: content}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = rules.Load(bundle)
	var mistakes rules.Mistakes
	if !errors.As(err, &mistakes) || !errors.Is(err, schemas.ErrInvalid) {
		t.Fatalf("loading %s: got %v, want mistakes", dir, err)
	}
	return mistakes.Error() + "\n"
}
