//go:build unix

package replay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/rules"
)

// benchIntents is how long the history of a benchmark is.
const benchIntents = 20_000

// BenchmarkBacktest judges a history in a file: with more and more rules about other
// actions, one that is ten times as long, and with a budget, of which intents take one
// after the other. What is kept, besides the bundle, must
// not grow with the history. Garbage may grow as "holdpoint policy backtest" lets it.
func BenchmarkBacktest(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(300))
	for _, c := range []struct {
		others, times int
		budget        bool
	}{{1, 1, false}, {100, 1, false}, {10_000, 1, false}, {1, 10, false}, {1, 1, true}} {
		b.Run(fmt.Sprintf("others=%d/history=%dx/budget=%t", c.others, c.times, c.budget), func(b *testing.B) {
			path := exportOf(b, c.times)
			bundle := benchBundle(b, 2000, c.others, c.budget)
			debug.FreeOSMemory() // collects what made the history
			idle, n, peak, cpu := heapLive(), 0, uint64(0), processorTime(b)
			b.ReportAllocs()
			for b.Loop() {
				r, most := backtestFile(b, path, bundle)
				if r.Intents != benchIntents*c.times || r.Otherwise == 0 || r.BadLines > 0 || len(r.Apart) > 0 {
					b.Fatalf("got %+v, want every intent compared", r)
				}
				n, peak = n+r.Intents, max(peak, most)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "intents/s")
			b.ReportMetric(float64((processorTime(b)-cpu).Nanoseconds())/float64(n)/1000, "cpu-µs/intent")
			b.ReportMetric(float64(max(peak, idle)-idle)/(1<<20), "peak-MB")
		})
	}
}

// backtestFile judges a file, and returns how much of the heap was in use at most.
func backtestFile(b *testing.B, path string, bundle *rules.Bundle) (replay.BacktestReport, uint64) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	peak := uint64(0)
	test := replay.NewBacktest(replay.BacktestConfig{Bundle: bundle, Examples: 3, Tick: func(int) { peak = max(peak, heapLive()) }})
	if err := test.File(b.Context(), path, f); err != nil {
		b.Fatal(err)
	}
	return test.Report(), peak
}

// heapLive is what the last collection found in use.
func heapLive() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return live[0].Value.Uint64()
}

// exportOf writes a history some times over, each time as what came after.
func exportOf(b *testing.B, times int) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "history.jsonl")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	g := newGate(b, benchBundle(b, 5000, 1, false))
	for range times {
		g.refunds(benchIntents)
		if _, err := f.Write(lines(b, g.audit)); err != nil {
			b.Fatal(err)
		}
		g.audit = g.audit[:0]
	}
	return path
}
