package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReadmes does what the documents tell to do, line by line, with the real
// program: it runs the lines of their sh blocks, and the commands of their console
// blocks, which must say what stands there, and writes the blocks that have the name
// of a file. [TestPolicyPage] does what docs/policy.md tells.
func TestReadmes(t *testing.T) {
	t.Parallel()
	for _, doc := range documents(t) {
		steps := stepsOf(doc.text)
		if len(steps) == 0 || doc.name == "docs/policy.md" { // TestPolicyPage holds that
			continue
		}
		t.Run(doc.name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(doc.text, "\n$ nats ") {
				needsTools(t)
			}
			s := reader{t: t, dir: checkout(t), real: map[string]string{}}
			if strings.Contains(doc.text, "\n$ nats ") {
				must(t, os.Symlink(nats(t), filepath.Join(s.dir, "nats")))
			}
			if strings.Contains(doc.text, "\n$ nats-server ") {
				s.bringServer()
			}
			for _, step := range steps {
				s.follow(step)
			}
		})
	}
}

// document is a text for people.
type document struct{ name, text string }

// documents returns every text for people that stands in the repository.
func documents(t *testing.T) []document {
	t.Helper()
	var all []document
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*/README.md"} {
		paths, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pattern)))
		must(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			must(t, err)
			all = append(all, document{filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator))), string(text)})
		}
	}
	return all
}

// checkout returns a directory with what a reader has after building.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	examples, err := filepath.Abs(filepath.Join("..", "examples"))
	must(t, err)
	deploy, err := filepath.Abs(filepath.Join("..", "deploy"))
	must(t, err)
	for name, target := range map[string]string{"holdpoint": holdpoint(t), "examples": examples, "deploy": deploy} {
		must(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	return dir
}

// bringServer puts a nats-server beside the program, as far as documents use one. It
// listens elsewhere than on the port that the documents name.
func (s reader) bringServer() {
	s.t.Helper()
	self, err := os.Executable()
	must(s.t, err)
	script := fmt.Sprintf(`#!/bin/sh
case $1 in
-c) %s="$2" exec %s ;;
--signal) exec kill -HUP "$(cat "${2#reload=}")" ;;
esac
exit 2
`, serverVariable, self)
	must(s.t, os.WriteFile(filepath.Join(s.dir, "nats-server"), []byte(script), 0o700))
	s.real["127.0.0.1:4222"] = fmt.Sprintf("127.0.0.1:%d", freePorts(s.t, 1)[0])
}

// step is a command of a document, and what it says; nil if the document leaves
// that open. Or it is a file and what stands in it.
type step struct {
	command string
	says    []string
	results bool // it says that of the results alone, not of what is said beside

	file, body string
}

// stepsOf returns the commands of a text. In a sh block a comment at the end of a
// line is the first line that the command prints. In a console block every line
// after "$ " is a command, and those that follow it are all that it says.
func stepsOf(text string) []step {
	var steps []step
	for _, block := range fences(text) {
		kind, file, _ := strings.Cut(block.head, " ")
		if file != "" {
			steps = append(steps, step{file: file, body: block.body})
			continue
		}
		for _, line := range strings.Split(strings.TrimSpace(block.body), "\n") {
			command, prompted := strings.CutPrefix(line, "$ ")
			switch {
			case kind == "sh":
				command, word, said := strings.Cut(line, " # ")
				steps = append(steps, step{command: command, results: true})
				if said {
					steps[len(steps)-1].says = []string{word, "…"}
				}
			case kind == "console" && prompted:
				steps = append(steps, step{command: command})
			case kind == "console":
				last := &steps[len(steps)-1]
				last.says = append(last.says, line)
			}
		}
	}
	return steps
}

// reader is somebody at a terminal who does one step after the other.
type reader struct {
	t    *testing.T
	dir  string
	real map[string]string // what stands in the document for an id or a digest → what it is here
}

// stays are the commands that run until they are interrupted, and what they say
// when they work: nothing, if nothing happens.
func stays(command string) (says string, does bool) {
	for beginning, text := range map[string]string{
		"./holdpoint serve --bundle ":          "the bundle is loaded",
		"./holdpoint serve --nats ":            "the gate is open",
		"./holdpoint execute ":                 "performs actions on",
		"./holdpoint review watch ":            "parked ",
		"./holdpoint review --exec ./decider ": "stays parked",
		"./holdpoint review --exec ./closed ":  "deny ",
		"./holdpoint audit tail --since 1 ":    "CONTROL/1 ",
		"./holdpoint watch ":                   "",
		"./nats-server -c ":                    "Server is ready",
	} {
		if strings.HasPrefix(command, beginning) {
			return text, true
		}
	}
	return "", false
}

// asks reports whether a command only asks where things stand, so that a reader
// who is too fast may ask again.
func asks(command string) bool {
	for _, beginning := range []string{"holdpoint show", "holdpoint why", "holdpoint review list", "holdpoint review show", "holdpoint review standing list", "holdpoint audit verify", "holdpoint policy backtest", "nats req ask."} {
		if strings.HasPrefix(command, "./"+beginning) {
			return true
		}
	}
	return false
}

// follow does one step.
func (s reader) follow(next step) {
	s.t.Helper()
	if next.file != "" {
		writeFile(s.t, filepath.Join(s.dir, next.file), next.body)
		return
	}
	command := strings.ReplaceAll(next.command, "go run ./cmd/holdpoint", "./holdpoint")
	for written, real := range s.real {
		command = strings.ReplaceAll(command, written, real)
	}
	if strings.HasPrefix(command, "nats ") || strings.HasPrefix(command, "nats-server ") {
		command = "./" + command
	}
	if strings.HasPrefix(command, "go build ") {
		return
	}
	if text, does := stays(command); does {
		if strings.HasPrefix(command, "./holdpoint serve ") {
			command += ` --port -1 --http ""` // others may listen where a reader would
		}
		p := start(s.t, s.dir, nil, "sh", "-c", "exec "+command)
		p.await(s.t, text)
		s.eventually(next, func() (string, error) { return p.String(), nil })
		return
	}
	run := func() (string, error) {
		ctx, stop := context.WithTimeout(s.t.Context(), patience)
		defer stop()
		cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+command)
		var said bytes.Buffer
		cmd.Dir, cmd.Stdout = s.dir, &said
		cmd.Env = append(os.Environ(), "HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir+"/.config")
		if !next.results {
			cmd.Stderr = &said
		}
		err := cmd.Run()
		return said.String(), err
	}
	if asks(command) {
		s.eventually(next, run)
		return
	}
	said, err := run()
	if err := s.compare(next, said, err); err != nil {
		s.t.Fatal(err)
	}
}

// eventually looks until what is said is what stands in the document.
func (s reader) eventually(next step, look func() (string, error)) {
	s.t.Helper()
	for end := time.After(patience); ; {
		said, err := look()
		if err = s.compare(next, said, err); err == nil {
			return
		}
		select {
		case <-end:
			s.t.Fatal(err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// compare returns an error unless a step said what it should. A step fails if, and
// only if, an error is among what it says, or its result is a refusal.
func (s reader) compare(next step, said string, err error) error {
	tells := strings.Join(next.says, "\n")
	fails := strings.Contains(tells, "holdpoint: error: ") || strings.Contains(tells, "nats: error: ") ||
		next.results && strings.HasPrefix(tells, "refused\n")
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || (err != nil) != fails {
		return explained(next, said, err)
	}
	if next.says == nil {
		return nil
	}
	learned, ok := transcript(next.says, strings.Split(strings.TrimRight(said, "\n"), "\n"), s.real)
	if !ok {
		return explained(next, said, err)
	}
	for written, real := range learned {
		s.real[written] = real
	}
	return nil
}
