package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// heard is a writer that one can wait on.
type heard struct {
	mu   sync.Mutex // guards what follows, for one write or look
	text bytes.Buffer
	more chan struct{}
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Write(b)
	select {
	case h.more <- struct{}{}:
	default:
	}
	return len(b), nil
}

// await waits until the text has been written so many times.
func (h *heard) await(ctx context.Context, t *testing.T, text string, times int) {
	t.Helper()
	for {
		h.mu.Lock()
		got := h.text.String()
		h.mu.Unlock()
		if strings.Count(got, text) >= times {
			return
		}
		select {
		case <-h.more:
		case <-ctx.Done():
			t.Fatalf("%q not written %d times, got\n%s", text, times, got)
		}
	}
}

// TestPolicyTestWatches runs the cases again when a file changes, and ends when it
// is interrupted.
func TestPolicyTestWatches(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/shop")); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	out, log := &heard{more: make(chan struct{}, 1)}, &heard{more: make(chan struct{}, 1)}
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"policy", "test", dir, "--watch"}, nil, out, log) }()
	log.await(t.Context(), t, "waiting for a change", 1)
	for i, cases := range []string{
		"- {name: a, action: shop.refund, params: {order: A-1, amount: 1}, want: {outcome: refuse}}\n",
		"- {name: a, action: shop.nothing, want: {outcome: park}}\n",
	} {
		path := filepath.Join(dir, "cases", "c.yaml")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(cases), 0o600); err != nil {
			t.Fatal(err)
		}
		log.await(t.Context(), t, []string{"1 of 1 cases fail", "1 mistake"}[i], 1)
	}
	stop()
	if got := <-code; got != exitInterrupted {
		t.Errorf("exit code: got %d, want %d", got, exitInterrupted)
	}
}
