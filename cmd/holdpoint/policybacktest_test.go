package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/schemas"
)

// BenchmarkBacktestAudit judges the history of a gate, from AUDIT itself and from a
// file with the same records.
func BenchmarkBacktestAudit(b *testing.B) {
	const intents = 20_000
	w := newWorld(b, "bench")
	r := &rig{gate: w.gate, done: w.done}
	for i := range 20 {
		r.agents = append(r.agents, w.agent(schemas.Name(fmt.Sprintf("agent-%d", i))))
	}
	_, err := r.round(b.Context(), intents)
	check(b, err)
	otto := client.Auditor{Conn: w.add(schemas.Identity{Name: "otto", Role: schemas.RoleAuditor, Person: "otto"})}
	s := siege{world: w, ns: natsServer(w)}
	w.until("AUDIT has all of it", func() bool { return s.look().busy() == "" })
	w.halt()
	path := filepath.Join(b.TempDir(), "audit.jsonl")
	e, err := openExport(path)
	check(b, err)
	check(b, e.begin())
	began := time.Now()
	check(b, otto.Tail("", 1).Read(b.Context(), func(r schemas.Record) error { return e.write(copied(r)) }))
	check(b, e.close())
	b.Logf("exported in %v", time.Since(began))
	bundle, err := replay.Load(os.DirFS("bench"))
	check(b, err)
	defer debug.SetGCPercent(debug.SetGCPercent(garbage))
	for name, read := range map[string]func(*replay.Backtest) error{
		"from=audit": func(test *replay.Backtest) error {
			return test.Entries(b.Context(), func(ctx context.Context, apply func(replay.Entry) error) error {
				return readCopies(ctx, otto, 1, apply, "observed", "recommended", "parked", "released", "refused")
			})
		},
		"from=file": func(test *replay.Backtest) error {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			return test.File(b.Context(), path, f)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				test := replay.NewBacktest(replay.BacktestConfig{Bundle: bundle})
				check(b, read(test))
				report := test.Report()
				if n += report.Intents; report.Intents != intents || report.Otherwise > 0 || report.BadLines > 0 {
					b.Fatalf("got %+v, want %d as they were", report, intents)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "intents/s")
		})
	}
}
