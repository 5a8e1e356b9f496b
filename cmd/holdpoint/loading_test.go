package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// loading is a gate that does nothing but load bundles, and what it says of it.
type loading struct {
	t     testing.TB
	gate  *gate
	lines chan string
	ended chan error
}

// startLoading lets a gate load bundles from the broker of a world until ctx ends.
func startLoading(ctx context.Context, w *world) *loading {
	w.t.Helper()
	log, err := broker.OpenLog(ctx, w.gate.conns[schemas.RoleExecute], schemas.Control)
	check(w.t, err)
	l := &loading{t: w.t, lines: make(chan string), ended: make(chan error, 1)}
	l.gate = bareGate(gateConfig{Names: w.names, Log: zerolog.New(l)})
	go func() { l.ended <- l.gate.loadBundles(ctx, log) }()
	return l
}

// Write takes a line of the log.
func (l *loading) Write(line []byte) (int, error) {
	l.lines <- string(line)
	return len(line), nil
}

func (l *loading) hear() string {
	l.t.Helper()
	select {
	case line := <-l.lines:
		return line
	case err := <-l.ended:
		l.t.Fatalf("loading ended with %v", err)
		return ""
	}
}

// says fails the test unless that is what the gate says next.
func (l *loading) says(want string) {
	l.t.Helper()
	if line := l.hear(); !strings.Contains(line, want) {
		l.t.Fatalf("the log says %s, want %q", line, want)
	}
}

func (l *loading) write(c schemas.Content) {
	l.t.Helper()
	d := schemas.Write(c, "/test", time.Now(), "")
	check(l.t, l.gate.control.Apply(schemas.Record{Stream: schemas.Control, Subject: d.Subject, Header: d.Header, Body: d.Body}))
}

func (l *loading) activate(d schemas.Digest) {
	l.t.Helper()
	l.write(schemas.Activation{By: schemas.Name(schemas.RolePolicyAdmin), Bundle: d, At: time.Now()})
}

func (l *loading) shadow(d schemas.Digest) {
	l.t.Helper()
	l.write(schemas.Shadow{By: schemas.Name(schemas.RolePolicyAdmin), Bundle: d, At: time.Now()})
}

// TestLoading: a bundle is loaded when it is wanted; one that cannot be loaded is tried
// again until it can, and a shadow is done without until there is another. Loading ends
// when it is stopped, also while it waits to try again.
func TestLoading(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "testdata/shop")
	admin := w.admins[schemas.RolePolicyAdmin]
	conn, err := broker.Connect(w.server.Connection(), admin.Name, admin.Key, logTo(t))
	check(t, err)
	t.Cleanup(conn.Close)
	bundle, err := rules.Load(os.DirFS("testdata/queue"))
	check(t, err)
	nowhere := schemas.DigestOf(schemas.Intent{ID: "nowhere"})
	ctx, stop := context.WithCancel(w.ctx())
	defer stop()
	l := startLoading(ctx, w)

	l.activate(bundle.Digest())
	l.says("loading the active bundle")
	l.says("loading the active bundle")
	check(t, conn.PutBundle(w.ctx(), bundle.Digest(), bundle.Archive()))
	for !strings.Contains(l.hear(), "the bundle is loaded") {
	}
	if wanted := l.gate.control.Wanted(); wanted != "" {
		t.Errorf("%s is wanted, want nothing", wanted)
	}
	l.shadow(nowhere)
	l.says("loading the shadow bundle; going on without it")
	l.shadow(bundle.Digest())
	l.says("the shadow bundle is loaded")
	l.activate(nowhere)
	l.says("loading the active bundle")
	stop()
	for err == nil {
		select {
		case <-l.lines: // it tried once more before
		case err = <-l.ended:
		}
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("loading ended with %v, want that it was stopped", err)
	}
}
