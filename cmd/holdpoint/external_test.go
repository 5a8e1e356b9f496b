package main

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
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// external is a nats-server that was started from a configuration file, as an
// operator would: the printed accounts, JetStream and TLS.
type external struct {
	t     testing.TB
	world *world
	dir   string
	ns    *server.Server
	trust *tls.Config
}

func startExternal(t testing.TB, w *world) *external {
	t.Helper()
	x := &external{t: t, world: w, dir: t.TempDir()}
	x.makeCertificate()
	x.writeConfig()
	options, err := server.ProcessConfigFile(x.path("server.conf"))
	check(t, err)
	options.NoLog, options.NoSigs = true, true
	x.ns, err = server.NewServer(options)
	check(t, err)
	x.ns.Start()
	if !x.ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the external server is not ready")
	}
	t.Cleanup(func() {
		x.ns.Shutdown()
		x.ns.WaitForShutdown()
	})
	return x
}

func (x *external) path(name string) string { return filepath.Join(x.dir, name) }

// Connection returns how to reach the server: over TLS.
func (x *external) Connection() broker.Server {
	return broker.Server{URL: x.ns.ClientURL(), TLS: x.trust}
}

// Review writes the configuration anew and reloads it, as the hint of "identity
// add" says. Whoever is connecting meanwhile would be turned away, since a server
// asks everybody again who they are, also those who have not said it yet.
func (x *external) Review() {
	x.t.Helper()
	x.world.entering.Lock()
	defer x.world.entering.Unlock()
	x.writeConfig()
	check(x.t, x.ns.Reload())
}

func (x *external) writeConfig() {
	x.t.Helper()
	var users []broker.User
	add := func(id schemas.Identity) {
		u, err := broker.UserOf(id)
		check(x.t, err)
		users = append(users, u)
	}
	for _, all := range []creds{x.world.creds, x.world.admins} {
		for role, k := range all {
			public, err := k.Public()
			check(x.t, err)
			add(schemas.Identity{Name: k.Name, Role: role, Key: public})
		}
	}
	present, _ := x.world.names.All()
	for _, id := range present {
		if _, first := x.world.admins[id.Role]; !first || x.world.admins[id.Role].Name != id.Name {
			add(id)
		}
	}
	config := fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\ntls { cert_file: %q, key_file: %q }\n%s",
		x.path("js"), x.path("cert.pem"), x.path("key.pem"), tenant.WriteConfig(users))
	check(x.t, os.WriteFile(x.path("server.conf"), []byte(config), 0o600))
}

func (x *external) makeCertificate() {
	x.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(x.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(x.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(x.t, err)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	check(x.t, os.WriteFile(x.path("cert.pem"), certificate, 0o600))
	check(x.t, os.WriteFile(x.path("key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	x.trust = &tls.Config{RootCAs: pool}
}
