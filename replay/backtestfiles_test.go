package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestBacktestSince: what was copied before is left out; what is settled afterwards
// and was observed before is told.
func TestBacktestSince(t *testing.T) {
	t.Parallel()
	g := newGate(t, shop(t))
	for range 10 {
		g.story(nil, nil, func(*schemas.Settlement) {})
	}
	settlement := g.audit[3]
	settlement.Time = g.at
	settlement.Audit = uint64(len(g.audit) + 1)
	late := append(slices.Delete(slices.Clone(g.audit), 3, 4), settlement)
	b := replay.NewBacktest(replay.BacktestConfig{Bundle: shop(t), Since: g.at.Add(-4 * time.Second)})
	if err := b.File(t.Context(), "file", bytes.NewReader(lines(t, late))); err != nil {
		t.Fatal(err)
	}
	if r := b.Report(); r.Intents != 5 || !cmp.Equal(apart(r), map[string]int{"before": 1}) {
		t.Errorf("got %d intents, apart %v, want 5 and one from before", r.Intents, r.Apart)
	}
}

// TestBacktestFiles: files may overlap, lines may be bad, and the records may come as
// they are; the numbers of bad lines are those of their file.
func TestBacktestFiles(t *testing.T) {
	t.Parallel()
	g := shopHistory(t, shop(t))
	want := backtest(t, shop(t), lines(t, g.audit))
	half := len(g.audit) / 2
	first := append(lines(t, g.audit[:half]), "{}\n\nnothing\n"+strings.Repeat("x", replay.MaxLine+1)+"\n"...)
	second := lines(t, g.audit[half-20:])
	var bad []string
	b := replay.NewBacktest(replay.BacktestConfig{Bundle: shop(t), Examples: 2, Bad: func(l replay.Line, err error) { bad = append(bad, fmt.Sprint(l, ": ", err)) }})
	for i, text := range [][]byte{first, second} {
		if err := b.File(t.Context(), fmt.Sprintf("file%d", i), bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	got := b.Report()
	if got.Records != len(g.audit)+20 {
		t.Errorf("got %d records, want %d", got.Records, len(g.audit)+20)
	}
	if got.BadLines != 3 || len(bad) != 3 || got.Repeated == 0 || got.Intents != want.Intents || !cmp.Equal(got.Rules, want.Rules) {
		t.Errorf("got %d bad lines, %d repeated, %d intents, want 3, some and %d", got.BadLines, got.Repeated, got.Intents, want.Intents)
	}
	for i, prefix := range []string{fmt.Sprintf("file0:%d: no record of the audit: /audit: missing", half+1), fmt.Sprintf("file0:%d: no record", half+3), fmt.Sprintf("file0:%d: longer than", half+4)} {
		if !strings.HasPrefix(bad[i], prefix) {
			t.Errorf("bad line: got %q, want %q", bad[i], prefix)
		}
	}
	b = replay.NewBacktest(replay.BacktestConfig{Bundle: shop(t), Examples: 2})
	err := b.Entries(t.Context(), func(_ context.Context, apply func(replay.Entry) error) error {
		for _, e := range g.audit {
			if err := apply(e); err != nil {
				return err
			}
		}
		return nil
	})
	if got := b.Report(); err != nil || !cmp.Equal(want, got) {
		t.Errorf("entries: %v (-file +entries):\n%s", err, cmp.Diff(want, got))
	}
}

// TestBacktestCalls: a log of tool calls is something else, and says so.
func TestBacktestCalls(t *testing.T) {
	t.Parallel()
	b := replay.NewBacktest(replay.BacktestConfig{Bundle: shop(t)})
	err := b.File(t.Context(), "calls.jsonl", strings.NewReader(`{"action":"shop.look","params":{}}`+"\n"))
	if !errors.Is(err, replay.ErrCalls) || !strings.HasPrefix(err.Error(), "calls.jsonl:1: ") {
		t.Errorf("got %v, want ErrCalls with the line", err)
	}
}

// TestBacktestEnds: an error of the file, of whoever is told, and the end of the
// context end it.
func TestBacktestEnds(t *testing.T) {
	t.Parallel()
	g := shopHistory(t, shop(t))
	text := lines(t, g.audit)
	boom := errors.New("boom")
	bundle := changedShop(t, "params.amount <= 50", "params.amount <= 500")
	b := replay.NewBacktest(replay.BacktestConfig{Bundle: bundle, Changed: func(replay.Case) error { return boom }})
	if err := b.File(t.Context(), "file", bytes.NewReader(text)); !errors.Is(err, boom) {
		t.Errorf("told: got %v, want boom", err)
	}
	b = replay.NewBacktest(replay.BacktestConfig{Bundle: bundle})
	if err := b.File(t.Context(), "file", io.MultiReader(bytes.NewReader(text), failing{boom})); !errors.Is(err, boom) {
		t.Errorf("file: got %v, want boom", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.File(ctx, "file", bytes.NewReader(text)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}
