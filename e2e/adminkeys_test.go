package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAdminKeysAway: when the owners of the admins' keys have taken them away,
// provision goes on without them and makes no others; before the admins are
// registered it asks for them.
func TestAdminKeysAway(t *testing.T) {
	t.Parallel()
	s := startServers(t, 1)
	g := gate{t: t, dir: s.dir}
	admins := []string{"policy-admin.key", "identity-admin.key"}
	move := func(from, to string) {
		t.Helper()
		for _, name := range admins {
			must(t, os.Rename(filepath.Join(from, name), filepath.Join(to, name)))
		}
	}
	away := s.path("away")
	must(t, os.Mkdir(away, 0o700))
	apply := []string{"provision", "--apply", "--nats", s.url(), "--ca", s.path("cert.pem"), "--creds", s.creds()}
	move(s.creds(), away)
	cmd := exec.CommandContext(t.Context(), holdpoint(t), apply...)
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "there is no key in") || !strings.Contains(string(out), "hint: make it with") {
		t.Errorf("without the keys of the first admins provision says %v, %s", err, out)
	}
	// Another print does not make them again, unless the gate says that they are not
	// registered; nor does it touch what is there.
	before := keysIn(t, s.creds())
	cmd = exec.CommandContext(t.Context(), holdpoint(t), "provision", "--print-server-config", "--creds", s.creds())
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "policy-admin.key, and those of the gate were made before\nholdpoint: hint: add \"--nats ADDRESS\"") {
		t.Errorf("without the keys of the first admins printing says %v, %s", err, out)
	}
	if diff := cmp.Diff(before, keysIn(t, s.creds())); diff != "" {
		t.Errorf("printing changed files (-before +after):\n%s", diff)
	}
	printed := g.run("provision", "--print-server-config", "--creds", s.creds(), "--admins", away)
	move(away, s.creds())
	if again := g.run("provision", "--print-server-config", "--creds", s.creds()); again != printed {
		t.Errorf("printing again says:\n%swant:\n%s", again, printed)
	}
	g.run(apply...)
	move(s.creds(), away)
	g.run(apply...)
	s.reload()
	for _, name := range admins {
		if _, err := os.Stat(filepath.Join(s.creds(), name)); !os.IsNotExist(err) {
			t.Errorf("there is a %s that nobody knows: %v", name, err)
		}
	}
	admin := []string{"--server", s.url(), "--ca", s.path("cert.pem"), "--key", filepath.Join(away, "identity-admin.key")}
	defer s.serve().stop(t)
	g.run(append([]string{"identity", "list"}, admin...)...)
}

// TestAdminKeysUnknown: while the broker cannot say who is registered, printing makes no
// keys and no configuration: whoever is registered would be locked out by it.
func TestAdminKeysUnknown(t *testing.T) {
	t.Parallel()
	s := startServers(t, 1)
	g := gate{t: t, dir: s.dir}
	g.run("provision", "--apply", "--nats", s.url(), "--ca", s.path("cert.pem"), "--creds", s.creds())
	for _, name := range []string{"policy-admin.key", "identity-admin.key"} {
		must(t, os.Remove(filepath.Join(s.creds(), name)))
	}
	before := keysIn(t, s.creds())
	must(t, s.all[0].DisableJetStream())
	cmd := exec.CommandContext(t.Context(), holdpoint(t), "provision", "--print-server-config", "--nats", s.url(), "--ca", s.path("cert.pem"), "--creds", s.creds())
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("printed without knowing who is registered:\n%s", out)
	}
	if diff := cmp.Diff(before, keysIn(t, s.creds())); diff != "" {
		t.Errorf("printing changed files (-before +after):\n%s", diff)
	}
}

// TestAdminKeysLost: when the keys of admins who were never registered are lost, printing
// with --nats makes others, also where each process has its own.
func TestAdminKeysLost(t *testing.T) {
	t.Parallel()
	s := startServers(t, 1)
	g := gate{t: t, dir: s.dir}
	for dir, held := range map[string][]string{"provision": {"provision", "provision-audit"}, "observe": {"observe"}, "recommend": {"recommend"}, "execute": {"execute", "answer"}} {
		must(t, os.MkdirAll(s.path("split/"+dir), 0o700))
		for _, name := range held {
			must(t, os.Rename(filepath.Join(s.creds(), name+".key"), s.path("split/"+dir+"/"+name+".key")))
		}
	}
	printed := g.run("provision", "--print-server-config", "--creds", s.path("split"), "--split", "--nats", s.url(), "--ca", s.path("cert.pem"))
	if n := len(keysIn(t, s.path("split/admin"))); n != 2 || !strings.Contains(printed, "policy-admin") {
		t.Errorf("there are %d keys of admins, want 2, and printed is:\n%s", n, printed)
	}
	must(t, os.WriteFile(s.path("accounts.conf"), []byte(printed), 0o600))
	must(t, s.all[0].Reload())
	g.run("provision", "--apply", "--nats", s.url(), "--ca", s.path("cert.pem"), "--creds", s.path("split/provision"), "--admins", s.path("split/admin"))
}

// TestAdminKeysBesideProvision: the keys of the admins may stand in the directory of a
// process.
func TestAdminKeysBesideProvision(t *testing.T) {
	t.Parallel()
	g := gate{t: t, dir: t.TempDir()}
	args := []string{"provision", "--print-server-config", "--creds", "split", "--split", "--admins", "split/provision"}
	printed := g.run(args...)
	if n := len(keysIn(t, filepath.Join(g.dir, "split/provision"))); n != 4 || g.run(args...) != printed {
		t.Errorf("there are %d keys, want those of provision and of the admins, and the same configuration again", n)
	}
}

// keysIn returns what the files in a directory say, by their names.
func keysIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		files[e.Name()] = string(text)
	}
	return files
}
