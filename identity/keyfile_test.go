package identity_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nkeys"

	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

func newKey(t testing.TB, name schemas.Name, role schemas.Role) identity.KeyFile {
	t.Helper()
	k, err := identity.NewKeyFile(name, role)
	check(t, err)
	return k
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sameKey compares key files by what they say and by their seeds.
func sameKey(t testing.TB, want, got identity.KeyFile) {
	t.Helper()
	seed := func(k identity.KeyFile) string {
		b, err := k.Key.Seed()
		check(t, err)
		return string(b)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b nkeys.KeyPair) bool { return true })); diff != "" || seed(want) != seed(got) {
		t.Errorf("key file (-want +got):\n%s", diff)
	}
}

// TestKeyFileComesBack: what was written is read, whole, and belongs to its owner
// alone; nothing else is left in its directory.
func TestKeyFileComesBack(t *testing.T) {
	t.Parallel()
	reviewer := newKey(t, "ann", schemas.RoleReviewer)
	reviewer.Queues = []schemas.Name{"desk", "billing"}
	executor := newKey(t, "run", schemas.RoleExecutor)
	executor.Systems, executor.Server = []string{"shop", "Bank_2"}, "tls://127.0.0.1:4222,tls://127.0.0.1:4223"
	for _, want := range []identity.KeyFile{reviewer, executor, newKey(t, "provision-audit", schemas.RoleProvisionAudit)} {
		dir := t.TempDir()
		path := filepath.Join(dir, "a.key")
		check(t, want.Write(path))
		got, err := identity.ReadKeyFile(path)
		check(t, err)
		sameKey(t, want, got)
		info, err := os.Stat(path)
		check(t, err)
		if runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("%s: mode %v, want 0600", want.Name, info.Mode())
		}
		files, err := os.ReadDir(dir)
		if err != nil || len(files) != 1 {
			t.Errorf("%s: left behind %v, %v", want.Name, files, err)
		}
	}
}

// TestKeyFileIsNeverOverwritten: not by another key, nor by itself, nor through a
// link; and of many who write at once one does.
func TestKeyFileIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.key")
	first := newKey(t, "ann", schemas.RoleReviewer)
	check(t, first.Write(path))
	check(t, os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "link.key")))
	for _, at := range []string{path, filepath.Join(dir, "link.key"), dir} {
		for _, k := range []identity.KeyFile{first, newKey(t, "bob", schemas.RoleReviewer)} {
			if err := k.Write(at); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), string(k.Name)) {
				t.Errorf("writing %s to %s: %v, want one that it exists", k.Name, at, err)
			}
		}
	}
	got, err := identity.ReadKeyFile(path)
	check(t, err)
	sameKey(t, first, got)
	var written atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		k := newKey(t, schemas.Name(fmt.Sprintf("k%d", i)), schemas.RoleAgent)
		all.Go(func() {
			if k.Write(filepath.Join(dir, "race.key")) == nil {
				written.Add(1)
			}
		})
	}
	all.Wait()
	if n := written.Load(); n != 1 {
		t.Errorf("%d of 20 wrote the same file", n)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 3 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// TestKeyFileIsWholeOrNotThere: who looks while it is written sees nothing or all
// of it.
func TestKeyFileIsWholeOrNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 50 {
		path := filepath.Join(dir, fmt.Sprint(i))
		k := newKey(t, "ann", schemas.RoleReviewer)
		written := make(chan error, 1)
		go func() { written <- k.Write(path) }()
		for {
			got, err := identity.ReadKeyFile(path)
			if err == nil {
				sameKey(t, k, got)
				break
			}
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("while it is written: %v", err)
				break
			}
		}
		check(t, <-written)
	}
}

// TestKeyFileThatCannotBeWritten: where there is no place for it, and where it
// could not be read again, there is an error and no file.
func TestKeyFileThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := newKey(t, "ann", schemas.RoleReviewer).Write(filepath.Join(dir, "none", "a.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
	for what, change := range map[string]func(*identity.KeyFile){
		"no name":          func(k *identity.KeyFile) { k.Name = "" },
		"another name":     func(k *identity.KeyFile) { k.Name = "A B" },
		"no role":          func(k *identity.KeyFile) { k.Role = "" },
		"unknown role":     func(k *identity.KeyFile) { k.Role = "root" },
		"a server of two":  func(k *identity.KeyFile) { k.Server = "nats://a\nSUX" },
		"queue of no name": func(k *identity.KeyFile) { k.Queues = []schemas.Name{"a b"} },
	} {
		k := newKey(t, "ann", schemas.RoleReviewer)
		change(&k)
		path := filepath.Join(dir, "a.key")
		if err := k.Write(path); !errors.Is(err, schemas.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", what, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a file was written", what)
		}
	}
}

// TestKeyFileForEverybody: a key that others on the machine could read is not used;
// one that its owner and a group may read is.
func TestKeyFileForEverybody(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("files have no modes here")
	}
	path := filepath.Join(t.TempDir(), "a.key")
	check(t, newKey(t, "ann", schemas.RoleReviewer).Write(path))
	for mode, want := range map[fs.FileMode]error{
		0o600: nil, 0o400: nil, 0o440: nil, 0o640: nil,
		0o644: schemas.ErrDenied, 0o604: schemas.ErrDenied, 0o602: schemas.ErrDenied, 0o601: schemas.ErrDenied, 0o666: schemas.ErrDenied,
	} {
		check(t, os.Chmod(path, mode))
		if _, err := identity.ReadKeyFile(path); !errors.Is(err, want) || err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("mode %#o: %v, want %v", mode, err, want)
		}
	}
}

// TestKeyFileGarbage: what is no key file is an error that names the file, and the
// line where there is one, but nothing of what stands there: it may be a secret.
func TestKeyFileGarbage(t *testing.T) {
	t.Parallel()
	k := newKey(t, "ann", schemas.RoleReviewer)
	seed, err := k.Key.Seed()
	check(t, err)
	other, err := newKey(t, "bob", schemas.RoleReviewer).Public()
	check(t, err)
	account, err := nkeys.CreateAccount()
	check(t, err)
	accountSeed, err := account.Seed()
	check(t, err)
	spoilt := slices.Clone(seed)
	spoilt[10] ^= 1
	head := "# name: ann\n# role: reviewer\n"
	dir := t.TempDir()
	for text, want := range map[string]string{
		"":                             "want lines",
		head:                           "want lines",
		string(seed):                   "want lines",
		"# name: ann\n" + string(seed): "want lines",
		"# name: ANN\n":                "line 1: ",
		"# name: ann\n# role: root\n":  "line 2: ",
		head + "SUSECRET\n":            "line 3: invalid: not the nkey seed of a user",
		head + string(accountSeed):     "line 3: invalid: not the nkey seed of a user",
		head + string(spoilt):          "line 3: invalid: not the nkey seed of a user",
		head + other:                   "line 3: invalid: not the nkey seed of a user",
		head + string(seed) + "\n" + string(seed) + "\n":  "line 4: invalid: a second key",
		head + "# queues: desk,,x\n":                      "line 3: ",
		head + "# public: " + other + "\n" + string(seed): "its seed is not that of the public key",
		"-----BEGIN PRIVATE KEY-----\nx\n":                "line 1: ",
		strings.Repeat("x", 1<<20):                        "line 1: ",
		"\x00\xff":                                        "line 1: ",
	} {
		path := filepath.Join(dir, "a.key")
		check(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := identity.ReadKeyFile(path)
		if !errors.Is(err, schemas.ErrInvalid) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want an ErrInvalid that says %q", text, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), string(seed[:10])) || len(err.Error()) > 500) {
			t.Errorf("%.40q: the error says too much: %v", text, err)
		}
	}
	for _, text := range []string{
		head + string(seed),
		"\r\n# a comment\r\n#name: x\r\n# unknown: field\r\n" + strings.ReplaceAll(head, "\n", "\r\n") + "  " + string(seed) + "  \r\n\r\n",
	} {
		path := filepath.Join(dir, "b.key")
		check(t, os.WriteFile(path, []byte(text), 0o600))
		if got, err := identity.ReadKeyFile(path); err != nil || got.Name != "ann" || got.Role != schemas.RoleReviewer {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if _, err := identity.ReadKeyFile(filepath.Join(dir, "none.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v, want one that it is not there", err)
	}
}
