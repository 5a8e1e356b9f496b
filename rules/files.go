package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/holdpoint/holdpoint/schemas"
)

// The files that every bundle has, and the directories that it may have.
const (
	catalogFile = "catalog.yaml"
	policyFile  = "policy.yaml"
	dataDir     = "data/"
	casesDir    = "cases/"
)

// file is one file of a bundle.
type file struct {
	path    string
	content []byte
}

// collection gathers the files of a bundle within its limits.
type collection struct {
	files []file
	size  int
	notes *notebook
}

// add takes a file in, or notes why not. It reports whether there is room for
// more.
func (c *collection) add(path string, content []byte) bool {
	if problem := checkPath(path); problem != "" {
		c.notes.file(path, "%s", problem)
		return true
	}
	if len(c.files) == maxFiles {
		c.notes.file("", "the bundle has more than %d files", maxFiles)
		return false
	}
	if len(content) > maxBundleSize {
		c.notes.file(path, "larger than %d MiB, which is what a bundle may have", maxBundleSize>>20)
		return false
	}
	if c.size += len(content); c.size > maxBundleSize {
		c.notes.file("", "the bundle is larger than %d MiB", maxBundleSize>>20)
		return false
	}
	c.files = append(c.files, file{path: path, content: content})
	return true
}

// done returns the files in the order of their paths.
func (c *collection) done() []file {
	slices.SortFunc(c.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	seen := make(map[string]string, len(c.files))
	for _, f := range c.files {
		lower := strings.ToLower(f.path)
		if other, ok := seen[lower]; ok {
			c.notes.file(f.path, "differs from %s in case only: not every file system keeps both", other)
		}
		seen[lower] = f.path
		switch {
		case !utf8.Valid(f.content):
			c.notes.file(f.path, "not UTF-8")
		case strings.HasPrefix(string(f.content[:min(3, len(f.content))]), "\uFEFF"):
			c.notes.file(f.path, "begins with a byte order mark")
		}
	}
	return c.files
}

// checkPath returns what is wrong with a path, or nothing.
func checkPath(path string) string {
	if !fs.ValidPath(path) || path == "." {
		return "not a path inside the bundle"
	}
	if len(path) > maxPathSize {
		return fmt.Sprintf("path longer than %d bytes", maxPathSize)
	}
	parts := strings.Split(path, "/")
	if len(parts) > maxPathDepth {
		return fmt.Sprintf("deeper than %d directories", maxPathDepth)
	}
	for _, part := range parts {
		if part[0] == '.' || part[0] == '-' || strings.Trim(part, pathCharacters) != "" {
			return "want names of A-Z, a-z, 0-9, _, - and dots, and no dash or dot first"
		}
	}
	return ""
}

const pathCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

// readDir reads the files of a bundle from a directory. What is wrong with them
// goes into notes; an error means that the directory cannot be read.
func readDir(dir fs.FS, notes *notebook) ([]file, error) {
	c := &collection{notes: notes}
	err := fs.WalkDir(dir, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == ".":
			return nil
		case strings.HasPrefix(entry.Name(), "."):
			return skip(entry)
		case entry.IsDir() && strings.Count(path, "/") >= maxPathDepth:
			notes.file(path, "deeper than %d directories", maxPathDepth)
			return fs.SkipDir
		case entry.IsDir():
			return nil
		case !entry.Type().IsRegular():
			notes.file(path, "not a regular file: a bundle has no links")
			return nil
		}
		return c.read(dir, path)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the bundle: %w", err)
	}
	return c.done(), nil
}

// skip leaves a hidden file or directory out.
func skip(entry fs.DirEntry) error {
	if entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// read takes in one file, and no more of it than fits.
func (c *collection) read(dir fs.FS, path string) error {
	f, err := dir.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxBundleSize+1))
	if err != nil {
		return err
	}
	if !c.add(path, content) {
		return fs.SkipAll
	}
	return nil
}

// digest covers the path and the content of every file, and nothing else. A path
// has no control characters, so that no two bundles give the same bytes.
func digest(files []file) schemas.Digest {
	h := sha256.New()
	io.WriteString(h, "holdpoint-bundle-v1\n")
	for _, f := range files {
		fmt.Fprintf(h, "%s\x00%x\n", f.path, sha256.Sum256(f.content))
	}
	return schemas.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}
