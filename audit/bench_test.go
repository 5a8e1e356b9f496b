package audit_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/schemas"
)

// perform tells of one intent that is released and done.
func (h *history) perform() { h.refund(releases).release().claim("runner").report(schemas.Done) }

// approve tells of one intent that two reviewers approve before it is done.
func (h *history) approve() {
	i := h.refund(parks(2)).park().vote("ann", schemas.Approve).vote("bob", schemas.Approve).release()
	i.claim("runner").report(schemas.Done)
}

// BenchmarkAdd reads intents that are released and done: seven records each, or
// thirteen with two approvals.
func BenchmarkAdd(b *testing.B) {
	for title, tell := range map[string]func(*history){"released": (*history).perform, "approved": (*history).approve} {
		b.Run(title, func(b *testing.B) {
			h := newHistory(b)
			for range 1000 {
				tell(h)
			}
			read := 0
			for b.Loop() {
				v := verifier(h.records)
				if got := v.Finish(h.now); got.First() != nil {
					b.Fatal(got.First())
				}
				read += len(h.records)
			}
			b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkMemory says what is kept of an intent that is done: while records about
// it may still come, and for ever.
func BenchmarkMemory(b *testing.B) {
	const intents = 20_000
	for title, pace := range map[string]time.Duration{"recent": 0, "over": time.Second} {
		b.Run(title, func(b *testing.B) {
			for b.Loop() {
				h := newHistory(b)
				v := audit.New(audit.Config{Gateway: gate})
				before, n := heap(), 0
				for range intents {
					h.perform()
					h.wait(pace)
					for _, r := range h.records {
						n++
						v.Add(uint64(n), r)
					}
					h.records = h.records[:0]
				}
				b.ReportMetric(float64(heap()-before)/intents, "B/intent")
				if got := v.Finish(h.now); got.First() != nil || got.Done != intents {
					b.Fatalf("%d done and %v", got.Done, got.First())
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkMemoryOfBudgets says what is kept of a record of BUDGETS for ever: of one that
// another replaced, and of the last of a budget that nobody takes of any more.
func BenchmarkMemoryOfBudgets(b *testing.B) {
	const records = 50_000
	for title, key := range map[string]func(n int) string{
		"replaced": func(int) string { return "bot" },
		"last":     func(n int) string { return fmt.Sprint(n) },
	} {
		b.Run(title, func(b *testing.B) {
			for b.Loop() {
				h := newHistory(b)
				i := h.refund(releases).refuse(schemas.CodePolicy)
				h.wait(time.Hour)
				h.freeze(schemas.Scope{Agent: "nobody"}) // the intent is over by now
				v, n := verifier(h.records), len(h.records)
				before := heap()
				for count := range records {
					h.records = h.records[:0]
					of := newTaking(h, key(count))
					of.window = time.Second
					of.take(i, 1, nil)
					h.wait(time.Hour)
					n++
					v.Add(uint64(n), h.records[0])
				}
				b.ReportMetric(float64(heap()-before)/records, "B/record")
				if got := v.Finish(h.now); got.First() != nil {
					b.Fatal(got.First())
				}
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// heap returns how many bytes are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
