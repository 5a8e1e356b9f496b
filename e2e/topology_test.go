package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// serverVariable makes the test's own program a nats-server with the configuration
// that it names.
const serverVariable = "HOLDPOINT_TEST_SERVER"

// runServer is nats-server, as far as a test needs it: it ends when it is told to, and
// reads its configuration again at SIGHUP.
func runServer(conf string) error {
	options, err := server.ProcessConfigFile(conf)
	if err != nil {
		return err
	}
	ns, err := server.NewServer(options)
	if err != nil {
		return err
	}
	ns.ConfigureLogger()
	ns.Start()
	ns.WaitForShutdown()
	return nil
}

var actors = builds("actors", "../examples/actors")

// TestTopology runs what docker-compose.yml describes, service by service, as
// processes on loopback with the same commands and files: three nodes, a process
// for each stage, an agent, an executor and a reviewing service. A node and a
// stage are killed under them and come back.
func TestTopology(t *testing.T) {
	t.Parallel()
	p := newTopology(t)
	for _, name := range []string{"keys", "n1", "n2", "n3", "apply", "provision", "observe", "recommend", "execute", "setup", "policy", "executor", "decider"} {
		p.up(name)
	}
	p.services["agent"] = p.with("agent", "--every", "50ms")
	p.up("agent")
	story := func(round int) {
		t.Helper()
		p.running["agent"].await(t, fmt.Sprintf("round %d crm.read_ticket", round))
		p.running["agent"].await(t, fmt.Sprintf("round %d shop.refund", round+1))
	}
	story(1)
	p.kill("n2")
	p.kill("recommend")
	p.up("recommend")
	story(6)
	p.up("n2")
	story(10)
	for line := range strings.Lines(p.running["agent"].String()) {
		if strings.Contains(line, "round") && !strings.HasSuffix(line, "done \n") && !strings.HasSuffix(line, "refused denied\n") {
			t.Errorf("the agent says %q", line)
		}
	}
	p.running["agent"].stop(t)
	gate{t: t, dir: p.dir}.verify("--key", p.path("keys/otto/otto.key"), "--server", p.local(p.services["setup"].Command[len(p.services["setup"].Command)-1]))
}

// topology is docker-compose.yml on this machine.
type topology struct {
	t        testing.TB
	dir      string // of the volumes
	services map[string]composed
	places   map[string]string // addresses in containers, and here
	running  map[string]*process
}

func newTopology(t testing.TB) *topology {
	t.Helper()
	c := readCompose(t)
	p := &topology{t: t, dir: t.TempDir(), services: c.Services, places: map[string]string{}, running: map[string]*process{}}
	for volume := range c.Volumes {
		must(t, os.Mkdir(p.path(volume), 0o700))
	}
	nodes := []string{"n1", "n2", "n3"}
	ports := freePorts(t, 3*len(nodes)+len(c.Services))
	for i, node := range nodes {
		for j, port := range []string{"4222", "6222", "8222"} {
			p.places[node+":"+port] = fmt.Sprintf("127.0.0.1:%d", ports[3*i+j])
		}
	}
	i := 3 * len(nodes)
	for name := range c.Services {
		p.places[name+":8300"] = fmt.Sprintf("127.0.0.1:%d", ports[i])
		i++
	}
	return p
}

func (p *topology) path(name string) string { return filepath.Join(p.dir, name) }

// with returns a service with more arguments.
func (p *topology) with(name string, args ...string) composed {
	s := p.services[name]
	s.Command = append(slices.Clone(s.Command), args...)
	return s
}

// local returns a word with the addresses that it has here.
func (p *topology) local(word string) string {
	for there, here := range p.places {
		word = strings.ReplaceAll(word, there, here)
	}
	return word
}

// here returns a word of a service with the addresses and paths that it has here.
func (p *topology) here(s composed, word string) string {
	word = p.local(word)
	for _, m := range s.Volumes {
		if rest, ok := strings.CutPrefix(word, m.Target); ok && (rest == "" || rest[0] == '/') {
			if strings.HasPrefix(m.Source, "./") {
				return p.project(m.Source) + rest
			}
			return filepath.Join(p.dir, m.Source, m.Subpath) + rest
		}
	}
	if rest, ok := strings.CutPrefix(word, "/bundles/"); ok { // as the Dockerfile has it
		return p.project("examples/" + rest)
	}
	return word
}

func (p *topology) project(name string) string {
	p.t.Helper()
	full, err := filepath.Abs(filepath.Join("..", name))
	must(p.t, err)
	return full
}

// up starts a service, or runs it to its end, and returns when those that depend
// on it may start.
func (p *topology) up(name string) {
	p.t.Helper()
	s := p.services[name]
	if s.program() == "nats-server" {
		p.upNode(name, s)
		return
	}
	program := holdpoint(p.t)
	if s.program() == "actors" {
		program = actors(p.t)
	}
	var args []string
	for _, word := range s.Command {
		args = append(args, p.here(s, word))
	}
	if s.Restart == "unless-stopped" {
		run := start(p.t, p.dir, []string{"HOLDPOINT_HTTP=" + p.places[name+":8300"]}, program, args...)
		p.running[name] = run
		if len(s.Healthcheck.Test) == 0 {
			run.await(p.t, "is there")
			return
		}
		p.healthy(name, strings.ReplaceAll(s.Healthcheck.Test[4], "127.0.0.1:8300", p.places[name+":8300"]))
		return
	}
	for end := time.Now().Add(patience); ; { // restart: on-failure
		run := start(p.t, p.dir, nil, program, args...)
		if err := <-run.done; err == nil {
			run.done <- err
			return
		} else if run.done <- err; time.Now().After(end) || s.Restart != "on-failure" {
			p.t.Fatalf("%s: %v\n%s", name, err, run)
		}
	}
}

// upNode starts a node from the configuration that it has in its container.
func (p *topology) upNode(name string, s composed) {
	p.t.Helper()
	etc := p.path("etc-" + name)
	if _, err := os.Stat(etc); err != nil {
		must(p.t, os.Mkdir(etc, 0o700))
		must(p.t, os.Symlink(p.project("deploy/nats.conf"), filepath.Join(etc, "nats.conf")))
		must(p.t, os.Symlink(p.path("config"), filepath.Join(etc, "accounts")))
	}
	var env []string
	for variable, value := range s.Environment {
		value = strings.ReplaceAll(value, "0.0.0.0", name)
		env = append(env, variable+"="+p.here(s, value))
	}
	self, err := os.Executable()
	must(p.t, err)
	p.running[name] = start(p.t, p.dir, append(env, serverVariable+"="+filepath.Join(etc, "nats.conf")), self)
	if name == "n1" || len(p.running) < 3 {
		return // alone it is not healthy
	}
	p.healthy(name, "http://"+p.places[name+":8222"]+"/healthz?js-enabled-only=true")
}

// healthy waits until a service is.
func (p *topology) healthy(name, address string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		must(p.t, err)
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			p.t.Fatalf("%s is not healthy: %v\n%s", name, err, p.running[name])
		}
	}
}

// kill ends a service without a warning.
func (p *topology) kill(name string) { p.running[name].kill() }
