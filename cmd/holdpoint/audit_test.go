package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestTailGoesOn: a following reader who stops is told where to go on, and misses
// nothing there.
func TestTailGoesOn(t *testing.T) {
	t.Parallel()
	s := besiege(t, newExternalWorld)
	x := s.server.(*external)
	key := filepath.Join(t.TempDir(), "aud.key")
	check(t, s.keys["aud"].Write(key))
	tail := func(ctx context.Context, out *stopper, args ...string) string {
		t.Helper()
		var said bytes.Buffer
		args = append([]string{"audit", "tail", "--key", key, "--server", x.Connection().URL, "--ca", x.path("cert.pem")}, args...)
		if code := run(ctx, args, nil, out, &said); code != exitDone {
			t.Fatalf("%v: exit code %d: %s", args, code, &said)
		}
		return said.String()
	}
	var all stopper
	if said := tail(s.ctx(), &all); said != "" {
		t.Errorf("reading to the end says %q, want nothing", said)
	}
	ctx, stop := context.WithCancel(s.ctx())
	first := stopper{after: 5, stop: stop}
	said := tail(ctx, &first, "--follow")
	read := strings.Count(first.String(), "\n")
	if want := fmt.Sprintf("holdpoint: to go on from here: --since %d\n", read+1); said != want {
		t.Errorf("stopped after %d records, it says %q, want %q", read, said, want)
	}
	var rest stopper
	tail(s.ctx(), &rest, "--since", fmt.Sprint(read+1))
	if first.String()+rest.String() != all.String() {
		t.Errorf("read\n%s\nand then\n%s\nwant\n%s", &first, &rest, &all)
	}
}

// stopper keeps what is written, and calls stop after so many lines.
type stopper struct {
	bytes.Buffer
	after int
	stop  func()
}

func (s *stopper) Write(b []byte) (int, error) {
	n, err := s.Buffer.Write(b)
	if s.stop != nil && bytes.Count(s.Bytes(), []byte("\n")) >= s.after {
		s.stop()
	}
	return n, err
}
