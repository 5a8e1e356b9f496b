package e2e_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts plays stories with named actors against the real program. Each
// script has a gate of its own, which "gate BUNDLE" starts.
func TestScripts(t *testing.T) {
	t.Parallel()
	program := holdpoint(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"gate":       gateOpen,
			"gate-kill":  gateKill,
			"gate-stop":  gateStop,
			"holdpoint":  play,
			"admin":      play, // with the admins' keys in the data directory
			"agent":      actor,
			"reviewer":   actor,
			"executor":   actor,
			"auditor":    actor,
			"capture":    capture,
			"eventually": eventually,
			"forge":      forge,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("PROGRAM", program)
			env.Setenv("HOLDPOINT_DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv("TZ", "UTC")
			env.Setenv("HOSTILE", "\x1b[2JURGENT\u202e\u200b approve")
			return nil
		},
	})
}

// gate BUNDLE [FLAG…] starts a gate, or starts it again, and waits until it is
// open.
func gateOpen(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) > 0 {
		args = append([]string{"--bundle", ts.MkAbs(args[0])}, args[1:]...)
	}
	data, port := ts.Getenv("HOLDPOINT_DATA"), "-1"
	if address, err := os.ReadFile(filepath.Join(data, "address")); err == nil {
		port = strings.TrimSpace(string(address[bytes.LastIndexByte(address, ':')+1:])) // where the keys say it is
	}
	args = append([]string{"serve", "--data", data, "--port", port, "--http", ""}, args...)
	log := &process{waits: map[string]chan struct{}{}}
	cmd := exec.Command(ts.Getenv("PROGRAM"), args...)
	cmd.Dir, cmd.Stderr = ts.MkAbs("."), log
	ts.Check(cmd.Start())
	ts.Setenv("GATE_PID", strconv.Itoa(cmd.Process.Pid))
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ts.Defer(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
	})
	select {
	case <-log.heard("may connect"):
	case err := <-ended:
		ended <- err
		ts.Fatalf("the gate ended: %v\n%s", err, log)
	case <-time.After(patience):
		ts.Fatalf("the gate did not open:\n%s", log)
	}
}

// gate-kill ends the gate without a warning, and gate-stop with one; both wait for
// its end.
func gateKill(ts *testscript.TestScript, neg bool, args []string) { endGate(ts, syscall.SIGKILL) }
func gateStop(ts *testscript.TestScript, neg bool, args []string) { endGate(ts, syscall.SIGTERM) }

func endGate(ts *testscript.TestScript, signal syscall.Signal) {
	pid, err := strconv.Atoi(ts.Getenv("GATE_PID"))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, signal))
	for end := time.After(patience); syscall.Kill(pid, 0) == nil; {
		select {
		case <-end:
			ts.Fatalf("the gate does not end")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// agent NAME …, reviewer NAME … and so on run a command with that actor's key.
func actor(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: ROLE NAME COMMAND…")
	}
	play(ts, neg, append(args[1:], "--key", args[0]+".key"))
}

// play runs the program. EXIT is its exit code then.
// A last argument "&" starts it and goes on; it is interrupted at the end.
func play(ts *testscript.TestScript, neg bool, args []string) {
	if slices.Contains(args, "&") {
		background(ts, slices.DeleteFunc(args, func(a string) bool { return a == "&" }))
		return
	}
	err := ts.Exec(ts.Getenv("PROGRAM"), args...)
	switch {
	case err == nil && neg:
		ts.Fatalf("it succeeded, and should not")
	case err != nil && !neg:
		ts.Fatalf("%v", err)
	}
	code := "0"
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = strconv.Itoa(exit.ExitCode())
	}
	ts.Setenv("EXIT", code)
}

func background(ts *testscript.TestScript, args []string) {
	cmd := exec.Command(ts.Getenv("PROGRAM"), args...)
	cmd.Dir = ts.MkAbs(".")
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
}

// capture VARIABLE REGEXP keeps the first group of what the last command printed.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: capture VARIABLE REGEXP")
	}
	m := regexp.MustCompile(`(?m)` + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) < 2 {
		ts.Fatalf("%s: not in\n%s", args[1], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], m[1])
}

// eventually REGEXP ROLE NAME COMMAND… runs a command until it prints that.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: eventually REGEXP ROLE NAME COMMAND…")
	}
	want := regexp.MustCompile(`(?m)` + args[0])
	command := append(args[3:], "--key", args[2]+".key")
	for end := time.After(patience); ; {
		_ = ts.Exec(ts.Getenv("PROGRAM"), command...)
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-end:
			ts.Fatalf("%s: never in the output of %s, last\n%s", args[0], strings.Join(command, " "), ts.ReadFile("stdout"))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
