package rules_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestArchive packs a bundle and reads it back: the same bytes, digest, actions
// and opinions.
func TestArchive(t *testing.T) {
	t.Parallel()
	b, err := rules.Load(os.DirFS("testdata/cases/shop"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := rules.Read(b.Archive())
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest() != b.Digest() || !bytes.Equal(again.Archive(), b.Archive()) {
		t.Errorf("read back: got %s, want %s", again.Digest(), b.Digest())
	}
	if diff := cmp.Diff(b.Actions(), again.Actions()); diff != "" {
		t.Errorf("actions (-loaded +read):\n%s", diff)
	}
	for _, c := range readCases(t, "testdata/cases/shop") {
		want := b.Evaluate(t.Context(), checkpoint(c.At), c.facts(t))
		got := again.Evaluate(t.Context(), checkpoint(c.At), c.facts(t))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-loaded +read):\n%s", c.Name, diff)
		}
	}
}

// TestDigestStands fixes the digest of one bundle: a change of the format would
// orphan what is stored.
func TestDigestStands(t *testing.T) {
	t.Parallel()
	const want = schemas.Digest("sha256:ca8e0225e4e0c340107982f076b36d4e2d863731cd43eea1a2c6b353ccddd9a6")
	dir := fstest.MapFS{
		"catalog.yaml":  {Data: []byte("version: 1\nsystems: {}\n")},
		"policy.yaml":   {Data: []byte("version: 1\n")},
		"cases/a.txt":   {Data: []byte("a")},
		"cases/a/b.txt": {Data: []byte("b")}, // behind a.txt, although a stands before it
		".git/config":   {Data: []byte("left out")},
		"cases/.hidden": {Data: []byte("left out")},
	}
	b, err := rules.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b.Digest() != want {
		t.Errorf("digest: got %s, want %s", b.Digest(), want)
	}
}

// entry is one entry of a hostile archive.
type tarEntry struct {
	header  tar.Header
	content string
}

func archiveOf(t *testing.T, entries ...tarEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.header
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		h.Size, h.Mode, h.ModTime = int64(len(e.content)), 0o644, time.Unix(0, 0)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func plain(path, content string) tarEntry {
	return tarEntry{tar.Header{Name: path, Format: tar.FormatUSTAR}, content}
}

func TestHostileArchives(t *testing.T) {
	t.Parallel()
	c, p := plain("catalog.yaml", catalog), plain("policy.yaml", "version: 1\n")
	good := archiveOf(t, c, p)
	if _, err := rules.Read(good); err != nil {
		t.Fatalf("the archive that is not hostile: %v", err)
	}
	for name, archive := range map[string][]byte{
		"nothing":           nil,
		"noise":             []byte(strings.Repeat("noise", 1000)),
		"cut short":         good[:700],
		"not ended":         good[:len(good)-1024],
		"something behind":  append(bytes.Clone(good), make([]byte, 512)...),
		"order":             archiveOf(t, p, c),
		"twice":             archiveOf(t, c, p, p),
		"case":              archiveOf(t, plain("Policy.yaml", ""), c, p),
		"symbolic link":     archiveOf(t, c, tarEntry{header: tar.Header{Name: "data/x.yaml", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}, p),
		"hard link":         archiveOf(t, c, tarEntry{header: tar.Header{Name: "data/x.yaml", Typeflag: tar.TypeLink, Linkname: "policy.yaml"}}, p),
		"directory":         archiveOf(t, c, tarEntry{header: tar.Header{Name: "data/", Typeflag: tar.TypeDir}}, p),
		"device":            archiveOf(t, c, tarEntry{header: tar.Header{Name: "data/x.yaml", Typeflag: tar.TypeChar}}, p),
		"absolute":          archiveOf(t, plain("/catalog.yaml", catalog), p),
		"outside":           archiveOf(t, plain("../x.yaml", ""), c, p),
		"roundabout":        archiveOf(t, c, plain("data/../policy.yaml", "version: 1\n")),
		"dot":               archiveOf(t, plain("./catalog.yaml", catalog), p),
		"hidden":            archiveOf(t, plain(".x", ""), c, p),
		"backslash":         archiveOf(t, c, plain(`data\x.yaml`, ""), p),
		"control character": archiveOf(t, c, plain("data/a\nb.yaml", ""), p),
		"other format":      archiveOf(t, tarEntry{tar.Header{Name: "catalog.yaml", Format: tar.FormatPAX, PAXRecords: map[string]string{"X.y": "z"}}, catalog}, p),
		"owner":             archiveOf(t, tarEntry{tar.Header{Name: "catalog.yaml", Uid: 7, Format: tar.FormatUSTAR}, catalog}, p),
		"too large":         make([]byte, 11<<20),
	} {
		if b, err := rules.Read(archive); !errors.Is(err, schemas.ErrInvalid) {
			t.Errorf("%s: got %v, %v, want ErrInvalid", name, b, err)
		}
	}
}

// TestFiles refuses directories that are no bundle.
func TestFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		more []string
		want string
	}{
		"latin-1":        {[]string{"data/x.yaml", "a: \xe9"}, "data/x.yaml: not UTF-8"},
		"byte order":     {[]string{"data/x.yaml", "\uFEFFa: 1"}, "data/x.yaml: begins with a byte order mark"},
		"case":           {[]string{"cases/a", "", "cases/A", ""}, "cases/a: differs from cases/A in case only"},
		"long path":      {[]string{"cases/" + strings.Repeat("x", 100), ""}, "path longer than 100 bytes"},
		"deep path":      {[]string{"cases/" + strings.Repeat("x/", 9) + "y", ""}, "deeper than 8 directories"},
		"space":          {[]string{"cases/a b", ""}, "cases/a b: want names of"},
		"dash":           {[]string{"cases/-rf", ""}, "cases/-rf: want names of"},
		"large":          {[]string{"cases/a", strings.Repeat("x", 8<<20)}, "the bundle is larger than 8 MiB"},
		"large together": {[]string{"cases/a", strings.Repeat("x", 5<<20), "cases/b", strings.Repeat("x", 5<<20)}, "the bundle is larger than 8 MiB"},
	} {
		_, err := rules.Load(files("", c.more...))
		if !errors.Is(err, schemas.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	dir := files("")
	for i := range 1000 {
		dir[fmt.Sprintf("cases/%d", i)] = &fstest.MapFile{}
	}
	if _, err := rules.Load(dir); err == nil || !strings.Contains(err.Error(), "more than 1000 files") {
		t.Errorf("many files: got %v, want a mistake", err)
	}
}

// TestLinks refuses links in a real directory, wherever they lead.
func TestLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path, content := range map[string]string{"catalog.yaml": catalog, "policy.yaml": "version: 1\n"} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := rules.Load(os.DirFS(dir)); err != nil {
		t.Fatalf("without links: %v", err)
	}
	for _, target := range []string{"/etc", "policy.yaml", "nowhere"} {
		link := filepath.Join(dir, "cases")
		if err := os.Symlink(target, link); err != nil {
			t.Skip(err)
		}
		if _, err := rules.Load(os.DirFS(dir)); !errors.Is(err, schemas.ErrInvalid) {
			t.Errorf("link to %s: got %v, want ErrInvalid", target, err)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnreadable says that a directory cannot be read: no mistake of its author.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	_, err := rules.Load(os.DirFS("testdata/nowhere"))
	var mistakes rules.Mistakes
	if !errors.Is(err, fs.ErrNotExist) || errors.As(err, &mistakes) {
		t.Errorf("no directory: got %v, want ErrNotExist and no mistakes", err)
	}
	_, err = rules.Load(fstest.MapFS{})
	want := "ERROR: catalog.yaml: missing\nERROR: policy.yaml: missing"
	if err == nil || err.Error() != want {
		t.Errorf("empty directory: got %v, want %s", err, want)
	}
}
