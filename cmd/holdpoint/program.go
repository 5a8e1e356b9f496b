package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// maxOutput is how much of a program's output is read. It is more than any
	// result or verdict may be.
	maxOutput = 1 << 20

	// maxComplaint is how much of its standard error is kept.
	maxComplaint = 2 << 10

	// killWait is how long a program has to end after it was told to.
	killWait = 2 * time.Second
)

// program is something to be started for each task: no shell, and an environment
// that has nothing in it but what is named.
type program struct {
	path string
	args []string
	pass []string // names of variables that it gets from ours
}

// outcome is how a program ended.
type outcome struct {
	code      int  // its exit code
	killed    bool // by a signal, or because its time was over
	output    []byte
	complaint string
}

// check says before anything is taken that there is nothing to start, or that it may
// not be started. named is the flag that names it.
func (p program) check(named string) error {
	_, err := exec.LookPath(p.path)
	if cause := (*exec.Error)(nil); errors.As(err, &cause) {
		err = cause.Err
	}
	if cause := (*fs.PathError)(nil); errors.As(err, &cause) {
		err = cause.Err
	}
	if err == nil {
		return nil
	}
	return hint(usage("%s %s: %s", named, p.path, err), "it is started without a shell: name a program in PATH, or a file such as ./%s that may be run (chmod +x)", filepath.Base(p.path))
}

// run starts the program with input on standard input and waits for its end, at
// most until ctx ends. An error means that it was not started.
func (p program) run(ctx context.Context, input []byte, variables ...string) (outcome, error) {
	var out, complaint limited
	out.most, complaint.most = maxOutput, maxComplaint
	c := exec.CommandContext(ctx, p.path, p.args...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = killWait
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(input), &out, &complaint
	c.Env = append(p.environment(), variables...)
	if err := c.Start(); err != nil {
		return outcome{}, fmt.Errorf("starting %s: %w", p.path, err)
	}
	err := c.Wait()
	var exit *exec.ExitError
	o := outcome{code: c.ProcessState.ExitCode(), output: out.Bytes(), complaint: strings.TrimSpace(complaint.String())}
	o.killed = o.code < 0 || ctx.Err() != nil || err != nil && !errors.As(err, &exit)
	return o, nil
}

// environment is a path, a locale, and what was asked for.
func (p program) environment() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	for _, name := range p.pass {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// limited keeps the first bytes that are written to it.
type limited struct {
	bytes.Buffer
	most int
}

func (l *limited) Write(b []byte) (int, error) {
	l.Buffer.Write(b[:min(len(b), l.most-l.Len())])
	return len(b), nil
}
