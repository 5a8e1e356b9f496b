package e2e_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// compose is what docker-compose.yml says, as far as it may say anything.
type compose struct {
	Name     string
	Services map[string]composed
	Volumes  map[string]any
	Parts    map[string]any `yaml:",inline"` // x-…
}

type composed struct {
	Image       string
	Build       string
	Entrypoint  []string
	Command     []string
	Restart     string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck struct {
		Test     []string
		Interval string
		Retries  int
	}
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Environment map[string]string
	Ports       []string
	Volumes     []mount
	Profiles    []string
}

// mount is a volume or a file of the project, at a place in a container.
type mount struct {
	Source, Target, Subpath string
	ReadOnly                bool
}

func (m *mount) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		parts := strings.Split(n.Value, ":")
		if len(parts) < 2 {
			return fmt.Errorf("line %d: volume %q", n.Line, n.Value)
		}
		*m = mount{Source: parts[0], Target: parts[1], ReadOnly: len(parts) == 3 && parts[2] == "ro"}
		return nil
	}
	var long struct {
		Type, Source, Target string
		ReadOnly             bool `yaml:"read_only"`
		Volume               struct{ Subpath string }
	}
	if err := n.Decode(&long); err != nil {
		return err
	}
	*m = mount{long.Source, long.Target, long.Volume.Subpath, long.ReadOnly}
	return nil
}

func readCompose(t testing.TB) compose {
	t.Helper()
	text, err := os.ReadFile("../docker-compose.yml")
	must(t, err)
	var c compose
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	must(t, d.Decode(&c))
	for name := range c.Parts {
		if !strings.HasPrefix(name, "x-") {
			t.Errorf("docker-compose.yml: %s at the top", name)
		}
	}
	return c
}

// program returns what a service runs: holdpoint, actors, or nats-server.
func (s composed) program() string {
	switch {
	case s.Image != "holdpoint":
		return "nats-server"
	case len(s.Entrypoint) > 0:
		return path.Base(s.Entrypoint[0])
	default:
		return "holdpoint"
	}
}

// TestCompose: every command, flag, port, path and variable of docker-compose.yml
// is one that the programs know, each process holds its own keys and nobody
// else's, and nothing but loopback is reachable.
func TestCompose(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	for name, s := range c.Services {
		checkProgram(t, name, s)
		checkPaths(t, c, name, s)
		checkHosts(t, c, name, s)
		checkDependencies(t, c, name, s)
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s, want loopback alone", name, p)
			}
		}
	}
	for _, stage := range []string{"observe", "recommend", "execute", "provision"} {
		s, ok := c.Services[stage]
		if !ok || !slices.Contains(s.Command, "--stages") || s.Command[slices.Index(s.Command, "--stages")+1] != stage {
			t.Errorf("no service runs the stage %s alone: %v", stage, s.Command)
		}
		if len(s.Volumes) != 1 || s.Volumes[0].Subpath != stage || !s.Volumes[0].ReadOnly {
			t.Errorf("%s mounts %+v, want its own keys alone, to read", stage, s.Volumes)
		}
	}
	for _, actor := range []string{"agent", "executor", "decider"} {
		if v := c.Services[actor].Volumes; len(v) != 1 || v[0].Subpath == "" || !v[0].ReadOnly {
			t.Errorf("%s mounts %+v, want its own key alone, to read", actor, v)
		}
	}
}

// checkProgram asks the program whether it knows the flags.
func checkProgram(t *testing.T, name string, s composed) {
	t.Helper()
	switch s.program() {
	case "holdpoint":
		if len(s.Command) > 0 {
			help(t, name, holdpoint(t), s.Command)
		}
		if test := s.Healthcheck.Test; len(test) > 0 {
			if test[0] != "CMD" || test[1] != "/holdpoint" {
				t.Errorf("%s: health check %q", name, test)
			}
			help(t, name, holdpoint(t), test[2:])
		}
	case "actors":
		for _, arg := range s.Command {
			if strings.HasPrefix(arg, "-") && !slices.Contains([]string{"--key", "--server", "--every"}, arg) {
				t.Errorf("%s: actors has no flag %s", name, arg)
			}
		}
	default:
		checkNode(t, name, s)
	}
	if s.program() != "nats-server" && (!s.ReadOnly || !slices.Contains(s.CapDrop, "ALL")) {
		t.Errorf("%s may write to its image, or has capabilities", name)
	}
}

// help runs a command with --help, which fails where a flag is not known, and
// checks the variables that stand for flags.
func help(t *testing.T, name, program string, args []string) {
	t.Helper()
	if out, err := exec.Command(program, append(slices.Clone(args), "--help")...).CombinedOutput(); err != nil {
		t.Errorf("%s: %q: %v\n%s", name, args, err, out)
	}
}

// checkNode makes sure that a node is given what its configuration asks for.
func checkNode(t *testing.T, name string, s composed) {
	t.Helper()
	conf, err := os.ReadFile("../deploy/nats.conf")
	must(t, err)
	var want []string
	for _, m := range regexp.MustCompile(`\$([A-Z_0-9]+)`).FindAllStringSubmatch(string(conf), -1) {
		want = append(want, m[1])
	}
	slices.Sort(want)
	got := make([]string, 0, len(s.Environment))
	for v := range s.Environment {
		got = append(got, v)
	}
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("%s is given %q, and nats.conf asks for %q", name, got, want)
	}
	if s.Environment["NODE"] != name {
		t.Errorf("%s calls itself %s", name, s.Environment["NODE"])
	}
}

// checkPaths makes sure that whatever a service names is mounted or in the image.
func checkPaths(t *testing.T, c compose, name string, s composed) {
	t.Helper()
	for _, m := range s.Volumes {
		if strings.HasPrefix(m.Source, "./") {
			if _, err := os.Stat(filepath.Join("..", m.Source)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if _, ok := c.Volumes[m.Source]; !ok {
			t.Errorf("%s: no volume %s", name, m.Source)
		}
	}
	words := slices.Clone(s.Command)
	for _, v := range s.Environment {
		words = append(words, v)
	}
	for _, word := range words {
		mounted := slices.ContainsFunc(s.Volumes, func(m mount) bool { return word == m.Target || strings.HasPrefix(word, m.Target+"/") })
		if strings.HasPrefix(word, "/") && !mounted && !strings.HasPrefix(word, "/bundles/") {
			t.Errorf("%s: nothing is at %s", name, word)
		}
	}
}

// checkHosts makes sure that every address is one that a node listens on.
func checkHosts(t *testing.T, c compose, name string, s composed) {
	t.Helper()
	words := slices.Clone(s.Command)
	for _, v := range s.Environment {
		words = append(words, v)
	}
	for _, word := range words {
		if !strings.HasPrefix(word, "nats://") {
			continue
		}
		for _, address := range strings.Split(word, ",") {
			u, err := url.Parse(address)
			must(t, err)
			node := c.Services[u.Hostname()]
			if node.program() != "nats-server" || !strings.HasSuffix(node.Environment["LISTEN"]+node.Environment["CLUSTER"], u.Port()) && !strings.HasSuffix(node.Environment["LISTEN"], u.Port()) {
				t.Errorf("%s: nobody listens on %s", name, address)
			}
		}
	}
}

func checkDependencies(t *testing.T, c compose, name string, s composed) {
	t.Helper()
	for on, how := range s.DependsOn {
		other, ok := c.Services[on]
		switch {
		case !ok:
			t.Errorf("%s depends on %s, which is nothing", name, on)
		case how.Condition == "service_healthy" && len(other.Healthcheck.Test) == 0:
			t.Errorf("%s waits until %s is healthy, and nobody checks that", name, on)
		case how.Condition == "service_completed_successfully" && other.Restart == "unless-stopped":
			t.Errorf("%s waits until %s has completed, and it never does", name, on)
		}
	}
}

// TestDockerfile: the image is made of what the project has, with the project's
// Go, static, as nobody, and holds what docker-compose.yml runs.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../Dockerfile")
	must(t, err)
	gomod, err := os.ReadFile("../go.mod")
	must(t, err)
	version := regexp.MustCompile(`(?m)^go (1\.\d+)`).FindStringSubmatch(string(gomod))[1]
	last, built := "", map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		verb, rest, _ := strings.Cut(lines.Text(), " ")
		words := strings.Fields(rest)
		switch verb {
		case "FROM":
			if last = words[0]; last != "scratch" && last != "golang:"+version {
				t.Errorf("FROM %s, want golang:%s", last, version)
			}
		case "COPY":
			checkCopy(t, words)
		case "RUN":
			if m := regexp.MustCompile(`go build .* -o (\S+) (\S+)$`).FindStringSubmatch(rest); m != nil {
				built[path.Base(m[1])] = true
				if !strings.Contains(rest, "CGO_ENABLED=0") {
					t.Errorf("not static: %s", rest)
				}
				if out, err := exec.Command("go", "list", "../"+m[2]).CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", m[2], err, out)
				}
			}
		case "USER":
			if strings.HasPrefix(rest, "0") || rest == "root" {
				t.Errorf("USER %s", rest)
			}
		}
	}
	if last != "scratch" || !strings.Contains(string(text), "\nUSER ") {
		t.Errorf("the image is made from %s, or runs as root", last)
	}
	for name, s := range readCompose(t).Services {
		if p := s.program(); p != "nats-server" && !built[p] {
			t.Errorf("%s runs %s, which the image does not have", name, p)
		}
	}
}

// checkCopy makes sure that what is copied from the project is there.
func checkCopy(t *testing.T, words []string) {
	t.Helper()
	for _, w := range words[:len(words)-1] {
		if strings.HasPrefix(w, "--from=") {
			return
		}
		if !strings.HasPrefix(w, "--") {
			if _, err := os.Stat(filepath.Join("..", w)); err != nil {
				t.Error(err)
			}
		}
	}
}
