package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
)

// servers are nats-servers that were set up as docs/operating.md says: the printed
// accounts in the configuration of each, JetStream, and TLS.
type servers struct {
	t     testing.TB
	dir   string
	all   []*server.Server
	trust *tls.Config
}

// startServers starts n servers, in a cluster if there are several.
func startServers(t testing.TB, n int) *servers {
	t.Helper()
	s := &servers{t: t, dir: t.TempDir(), all: make([]*server.Server, n)}
	s.makeCertificate()
	s.print()
	ports := freePorts(t, 2*n)
	var routes []string
	for _, port := range ports[n:] {
		routes = append(routes, fmt.Sprintf("nats-route://127.0.0.1:%d", port))
	}
	for i := range n {
		config := fmt.Sprintf("server_name: n%d\nlisten: \"127.0.0.1:%d\"\njetstream { store_dir: %q }\ntls { cert_file: %q, key_file: %q }\ninclude \"accounts.conf\"\n",
			i, ports[i], s.path(fmt.Sprintf("js%d", i)), s.path("cert.pem"), s.path("key.pem"))
		if n > 1 {
			config += fmt.Sprintf("cluster { name: hold, listen: \"127.0.0.1:%d\", routes: [%s] }\n", ports[n+i], strings.Join(routes, ", "))
		}
		must(t, os.WriteFile(s.conf(i), []byte(config), 0o600))
		s.start(i)
	}
	t.Cleanup(func() {
		for i := range s.all {
			s.stop(i)
		}
	})
	if n > 1 {
		s.elect()
	}
	return s
}

// elect waits until the cluster has a leader that all servers follow.
func (s *servers) elect() {
	s.t.Helper()
	for end := time.After(patience); ; {
		for _, ns := range s.all {
			if ns.JetStreamIsLeader() && len(ns.JetStreamClusterPeers()) == len(s.all) {
				return
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-end:
			s.t.Fatal("the cluster has no leader")
		}
	}
}

func (s *servers) path(name string) string { return filepath.Join(s.dir, name) }
func (s *servers) conf(i int) string       { return s.path(fmt.Sprintf("n%d.conf", i)) }

// start starts the ith server, or starts it again.
func (s *servers) start(i int) {
	s.t.Helper()
	options, err := server.ProcessConfigFile(s.conf(i))
	must(s.t, err)
	options.NoLog, options.NoSigs = true, true
	s.all[i], err = server.NewServer(options)
	must(s.t, err)
	s.all[i].Start()
	if !s.all[i].ReadyForConnections(patience) {
		s.t.Fatalf("server %d is not ready", i)
	}
}

func (s *servers) stop(i int) {
	s.all[i].Shutdown()
	s.all[i].WaitForShutdown()
}

func (s *servers) url() string {
	var urls []string
	for _, ns := range s.all {
		urls = append(urls, ns.ClientURL())
	}
	return strings.Join(urls, ",")
}

// creds is where the keys of the gateway's identities are.
func (s *servers) creds() string { return s.path("creds") }

// print writes the printed configuration: before the first start without --nats,
// then with everyone who is registered.
func (s *servers) print(args ...string) {
	s.t.Helper()
	g := gate{t: s.t, dir: s.dir}
	printed := g.run(append([]string{"provision", "--print-server-config", "--creds", s.creds()}, args...)...)
	must(s.t, os.WriteFile(s.path("accounts.conf"), []byte(printed), 0o600))
}

// reload lets the servers know of who was registered.
func (s *servers) reload() {
	s.t.Helper()
	s.print("--nats", s.url(), "--ca", s.path("cert.pem"))
	for _, ns := range s.all {
		must(s.t, ns.Reload())
	}
}

// add registers an identity, and returns its connection.
func (s *servers) add(role, name string, flags ...string) *client.Conn {
	s.t.Helper()
	g := gate{t: s.t, dir: s.dir}
	key := s.path(name + ".key")
	admin := filepath.Join(s.creds(), "identity-admin.key")
	g.run(append([]string{"identity", "add", role, name, "--out", key, "--key", admin, "--server", s.url(), "--ca", s.path("cert.pem")}, flags...)...)
	s.reload()
	k, err := identity.ReadKeyFile(key)
	must(s.t, err)
	conn, err := client.Dial(client.Config{Key: k, TLS: s.trust})
	must(s.t, err)
	s.t.Cleanup(conn.Close)
	return conn
}

// serve starts a process of the gate with the given stages.
func (s *servers) serve(stages ...string) *process {
	s.t.Helper()
	args := []string{"serve", "--nats", s.url(), "--ca", s.path("cert.pem"), "--creds", s.creds(), "--http", ""}
	if len(stages) > 0 {
		args = append(args, "--stages", strings.Join(stages, ","))
	}
	p := start(s.t, s.dir, nil, holdpoint(s.t), args...)
	p.await(s.t, "the gate is open")
	return p
}

func (s *servers) makeCertificate() {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(s.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(s.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(s.t, err)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	must(s.t, os.WriteFile(s.path("cert.pem"), certificate, 0o600))
	must(s.t, os.WriteFile(s.path("key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	s.trust = &tls.Config{RootCAs: pool}
}

// freePorts returns ports of loopback that nobody listens on.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer func() { _ = l.Close() }()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
