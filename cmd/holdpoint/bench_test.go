package main

import (
	"testing"
)

// BenchmarkBench is "holdpoint bench" as it is by default, once for each iteration:
// the gate beside the relay, with 1,000 agents and 20 actions, and latencies.
func BenchmarkBench(b *testing.B) {
	o := defaultBench()
	var ratio, gate, relay []float64
	var last benchReport
	for b.Loop() {
		report, err := bench{benchOptions: o, tell: b.Logf, log: logTo(b)}.run(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		ratio, gate, relay = append(ratio, report.Ratio), append(gate, report.Gate.PerSecond), append(relay, report.Relay.PerSecond)
		last = report
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(relay), "relay-intents/s")
	b.ReportMetric(median(gate), "gate-intents/s")
	b.ReportMetric(median(ratio), "ratio")
	b.ReportMetric(last.Gate.CPUMicroseconds, "gate-cpu-µs/intent")
	b.ReportMetric(last.Gate.Allocations, "gate-allocs/intent")
	b.ReportMetric(last.SubmitToRelease.P50, "submit-released-p50-ms")
	b.ReportMetric(last.SubmitToRelease.P99, "submit-released-p99-ms")
	b.ReportMetric(last.ApproveToRelease.P50, "approve-released-p50-ms")
	b.ReportMetric(last.ApproveToRelease.P99, "approve-released-p99-ms")
}
