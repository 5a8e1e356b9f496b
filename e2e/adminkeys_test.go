package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
	move(away, s.creds())
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
