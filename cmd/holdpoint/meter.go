package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// meterEvery is how often a meter shows anything.
const meterEvery = 250 * time.Millisecond

// meter shows on a terminal how far something long is. Where there is no terminal
// it shows nothing.
type meter struct {
	w     io.Writer
	began time.Time
	last  time.Time
}

func newMeter(cmd *cobra.Command) *meter {
	m := &meter{began: time.Now(), last: time.Now()}
	if stderr, ok := cmd.ErrOrStderr().(*os.File); ok && term.IsTerminal(int(stderr.Fd())) {
		m.w = stderr
	}
	return m
}

// show replaces what the meter shows, not more often than anybody can read.
func (m *meter) show(format string, args ...any) {
	if m.w == nil || time.Since(m.last) < meterEvery {
		return
	}
	m.last = time.Now()
	fmt.Fprintf(m.w, "\r\x1b[Kholdpoint: "+format, args...)
}

// done clears the line.
func (m *meter) done() {
	if m.w != nil {
		fmt.Fprint(m.w, "\r\x1b[K")
	}
}

// perSecond is n over the time since the meter began.
func (m *meter) perSecond(n int) float64 { return float64(n) / time.Since(m.began).Seconds() }

// far says how much of total is done, and how long the rest will take.
func (m *meter) far(done, total int64) string {
	if total <= 0 || done <= 0 || done > total {
		return ""
	}
	left := time.Duration(float64(time.Since(m.began)) * float64(total-done) / float64(done))
	return fmt.Sprintf("%d %%, %s left, ", 100*done/total, left.Round(time.Second))
}
