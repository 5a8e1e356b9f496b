//go:build unix

package replay_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/replay"
)

// BenchmarkReplay judges the calls of a trace again and again, as one long log. On a
// machine that does other things too, the processor time says more than the calls a
// second.
func BenchmarkReplay(b *testing.B) {
	for suite, trace := range map[string]string{
		"banking": "agentdojo-pairs-banking.jsonl",
		"slack":   "agentdojo-pairs-slack.jsonl",
	} {
		b.Run(suite, func(b *testing.B) {
			bundle, err := replay.Load(os.DirFS(filepath.Join("..", "examples", suite)))
			if err != nil {
				b.Fatal(err)
			}
			lines := readLines(b, filepath.Join("..", "..", "shared", "data", trace))
			r := replay.New(replay.Config{Bundle: bundle})
			n, before := 0, processorTime(b)
			b.ReportAllocs()
			for b.Loop() {
				i := 0
				err := r.Run(b.Context(), func() (replay.Line, error) {
					if i == 10*len(lines) {
						return replay.Line{}, io.EOF
					}
					i++
					return lines[i%len(lines)], nil
				})
				if err != nil {
					b.Fatal(err)
				}
				n += i
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "calls/s")
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(n), "cpu-µs/call")
		})
	}
}

// processorTime returns what this process has used.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// readLines returns the lines of a trace. Without the file the benchmark is
// skipped: the traces are not part of this project.
func readLines(t testing.TB, path string) []replay.Line {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("the traces of ../shared/data are not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []replay.Line
	for from := replay.NewLines(path, f); ; {
		l, err := from.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
}
