// Package e2e_test runs the real program, as its users do: every actor is a
// process of its own, but for agents that must be fast.
package e2e_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
)

// patience is how long a test waits for anything.
const patience = 50 * time.Second

// built is where programs are, once they are built.
var built = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "holdpoint-e2e-") })

func TestMain(m *testing.M) {
	if conf := os.Getenv(serverVariable); conf != "" {
		if err := runServer(conf); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// Tests here wait for processes more than they compute. The command line says
	// otherwise if it says anything.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	code := m.Run()
	if dir, err := built(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// The programs, each built when it is first asked for.
var (
	holdpoint = builds("holdpoint", "../cmd/holdpoint")
	decider   = builds("decider", "./testdata/decider")
	performer = builds("performer", "./testdata/performer")
	nats      = buildsIn("../tools", "nats", "github.com/nats-io/natscli/nats")
)

// builds returns a function that builds a command once, and returns its path.
func builds(name, pkg string) func(testing.TB) string { return buildsIn(".", name, pkg) }

// buildsIn is builds for a command of the module in a directory.
func buildsIn(module, name, pkg string) func(testing.TB) string {
	build := sync.OnceValues(func() (string, error) {
		dir, err := built()
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, name)
		if out, err := exec.Command("go", "build", "-C", module, "-o", path, pkg).CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w\n%s", pkg, err, out)
		}
		return path, nil
	})
	return func(t testing.TB) string {
		t.Helper()
		path, err := build()
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// process is a program that runs until it is stopped, and what it said so far.
type process struct {
	cmd  *exec.Cmd
	done chan error // has how it ended, once it ended

	// mu guards said and waits, for the time of one write or one look.
	mu    sync.Mutex
	said  bytes.Buffer
	waits map[string]chan struct{} // closed when it says that
}

// Write takes in what the process says.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said.Write(b)
	for text, heard := range p.waits {
		if bytes.Contains(p.said.Bytes(), []byte(text)) {
			close(heard)
			delete(p.waits, text)
		}
	}
	return len(b), nil
}

func (p *process) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// start runs a program in dir, with these variables beside the usual ones, until
// the test is over.
func start(t testing.TB, dir string, variables []string, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), done: make(chan error, 1), waits: map[string]chan struct{}{}}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p, p
	p.cmd.Env = append(os.Environ(), variables...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { p.stop(t) })
	return p
}

// heard is closed when the process has said text.
func (p *process) heard(text string) <-chan struct{} {
	heard := make(chan struct{})
	p.mu.Lock()
	p.waits[text] = heard
	p.mu.Unlock()
	_, _ = p.Write(nil) // it may have said so already
	return heard
}

// await waits until the process has said text.
func (p *process) await(t testing.TB, text string) {
	t.Helper()
	select {
	case <-p.heard(text):
	case err := <-p.done:
		p.done <- err
		t.Fatalf("%s ended (%v) before it said %q:\n%s", p.cmd, err, text, p)
	case <-time.After(patience):
		t.Fatalf("%s did not say %q:\n%s", p.cmd, text, p)
	}
}

// stop interrupts the process and waits for its end. One that does not end is
// killed, and that is a failure.
func (p *process) stop(t testing.TB) {
	t.Helper()
	// Not an interrupt: a test that runs in the background may have to ignore those, and
	// then so does a program that has not come as far as to listen.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.done:
		p.done <- err
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		t.Errorf("%s does not end:\n%s", p.cmd, p)
	}
	if t.Failed() {
		t.Logf("%s said:\n%s", p.cmd, p)
	}
}

// gate is a running gate, in a directory of its own.
type gate struct {
	t   testing.TB
	dir string
}

// serve starts a gate with a bundle.
func serve(t testing.TB, bundle string) gate {
	t.Helper()
	bundle, err := filepath.Abs(bundle)
	if err != nil {
		t.Fatal(err)
	}
	g := gate{t: t, dir: t.TempDir()}
	g.start("serve", "--port", "-1", "--http", "", "--bundle", bundle).await(t, "the bundle is loaded")
	return g
}

// start runs a command of holdpoint beside the gate, until the test is over.
func (g gate) start(args ...string) *process {
	g.t.Helper()
	return start(g.t, g.dir, nil, holdpoint(g.t), args...)
}

// run runs a command of holdpoint to its end and returns what it printed.
func (g gate) run(args ...string) string {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, holdpoint(g.t), args...)
	cmd.Dir, cmd.Stderr = g.dir, &complaint
	out, err := cmd.Output()
	if err != nil {
		g.t.Fatalf("%s: %v\n%s%s", cmd, err, out, &complaint)
	}
	return string(out)
}

// add registers an identity and returns the file with its key.
func (g gate) add(role, name string, flags ...string) string {
	g.t.Helper()
	key := filepath.Join(g.dir, name+".key")
	g.run(append([]string{"identity", "add", role, name, "--out", key}, flags...)...)
	return key
}

// dial connects with a key.
func (g gate) dial(key string) *client.Conn {
	g.t.Helper()
	k, err := identity.ReadKeyFile(key)
	if err != nil {
		g.t.Fatal(err)
	}
	conn, err := client.Dial(client.Config{Key: k})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(conn.Close)
	return conn
}
