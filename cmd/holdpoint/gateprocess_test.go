package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/identity"
)

// A gate in a process of its own has a heap of its own: in that of the tests, the
// broker keeps what it likes, and other tests run.

// gateEnv says to the test binary that it is such a gate, and in which directory
// it finds who it is: its keys, and the certificate of its broker.
const gateEnv = "HOLDPOINT_TEST_GATE"

// gateProcess is the stages of a world, in a process of their own.
type gateProcess struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// vitals are what a gate process says of itself.
type vitals struct {
	// Heap is what is alive after a collection, in bytes, without what the index
	// forgets within a minute.
	Heap uint64

	// Panicked counts messages that were refused because handling them panicked.
	Panicked int
}

// startProcess starts the stages of a world on an external server, in place of
// those of this process.
func (w *world) startProcess() *gateProcess {
	w.t.Helper()
	w.halt()
	dir := w.t.TempDir()
	for role, k := range w.creds {
		check(w.t, k.Write(credPath(dir, role)))
	}
	x := w.server.(*external)
	pem, err := os.ReadFile(x.path("cert.pem"))
	check(w.t, err)
	check(w.t, os.WriteFile(filepath.Join(dir, "cert.pem"), pem, 0o600))
	p := &gateProcess{t: w.t, cmd: exec.Command(os.Args[0], "-test.run=^TestGateProcess$")}
	p.cmd.Env = append(os.Environ(), gateEnv+"="+dir, "HOLDPOINT_TEST_URL="+x.ns.ClientURL())
	p.cmd.Stderr = os.Stderr
	p.in, err = p.cmd.StdinPipe()
	check(w.t, err)
	out, err := p.cmd.StdoutPipe()
	check(w.t, err)
	p.out = json.NewDecoder(out)
	check(w.t, p.cmd.Start())
	w.t.Cleanup(func() {
		_ = p.in.Close()
		_ = p.cmd.Wait()
	})
	p.vitals() // it answers when every stage takes messages
	return p
}

// vitals asks the process how it is.
func (p *gateProcess) vitals() (v vitals) {
	p.t.Helper()
	_, err := fmt.Fprintln(p.in)
	check(p.t, err)
	if err := p.out.Decode(&v); err != nil {
		p.t.Fatalf("the gate does not answer: %v", err)
	}
	return v
}

// stop ends the process, and waits for that.
func (p *gateProcess) stop() {
	p.t.Helper()
	check(p.t, p.in.Close())
	check(p.t, p.cmd.Wait())
}

// TestGateProcess is no test of its own: it is the gate that startProcess starts.
func TestGateProcess(t *testing.T) {
	dir := os.Getenv(gateEnv)
	if dir == "" {
		return
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	g, err := newGate(ctx, processConfig(t, dir))
	check(t, err)
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx) }()
	<-g.ready
	out := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		check(t, out.Encode(g.vitals(t)))
	}
	stop()
	check(t, <-ran)
	os.Exit(0) // without a word of the testing package
}

func processConfig(t *testing.T, dir string) gateConfig {
	t.Helper()
	w := &world{t: t, names: identity.NewRegistry(nil)}
	pem, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	check(t, err)
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(pem)
	w.server = elsewhere{broker.Server{URL: os.Getenv("HOLDPOINT_TEST_URL"), TLS: &tls.Config{RootCAs: trust}}}
	w.creds, err = readCreds(dir, rolesOf(allStages()))
	check(t, err)
	return w.config()
}

// elsewhere is a broker in another process.
type elsewhere struct{ at broker.Server }

func (e elsewhere) Connection() broker.Server { return e.at }
func (elsewhere) Review()                     {}

func (g *gate) vitals(t *testing.T) vitals {
	g.index.Forget()
	g.index.Forget()
	v := vitals{Heap: math.MaxUint64, Panicked: g.panicked(t)}
	for range 10 { // whatever is being read at one moment is not at another
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		v.Heap = min(v.Heap, m.HeapAlloc)
		<-time.After(50 * time.Millisecond)
	}
	return v
}

// panicked counts the messages on which a stage panicked.
func (g *gate) panicked(t *testing.T) (n int) {
	families, err := g.Metrics.registry.Gather()
	check(t, err)
	for _, f := range families {
		for _, counter := range f.GetMetric() {
			for _, l := range counter.GetLabel() {
				if f.GetName() == "holdpoint_messages_total" && l.GetValue() == "panicked" {
					n += int(counter.GetCounter().GetValue())
				}
			}
		}
	}
	return n
}
