package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/schemas"
)

// callLog is the files of a replay, read one after the other. It says on a
// terminal how far it is, and what is wrong with a line.
type callLog struct {
	complaints
	files []*logFile
	size  int64 // of all files; 0 if that is not known

	before int64 // bytes of the files that were read to their end
	calls  int
}

// logFile is one of them.
type logFile struct {
	*replay.Lines
	close func() error
}

// openLog opens all files at once: that one is missing is better known at the
// beginning.
func openLog(cmd *cobra.Command, paths []string) (*callLog, error) {
	l := &callLog{complaints: complaints{stderr: cmd.ErrOrStderr(), meter: newMeter(cmd)}}
	known := true
	for _, path := range paths {
		if path == "-" {
			known = false
			l.files = append(l.files, &logFile{replay.NewLines("stdin", cmd.InOrStdin()), func() error { return nil }})
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			l.close()
			return nil, fmt.Errorf("opening the log: %w", err)
		}
		l.files = append(l.files, &logFile{replay.NewLines(path, f), f.Close})
		info, err := f.Stat()
		if known = known && err == nil && info.Mode().IsRegular(); known {
			l.size += info.Size()
		}
	}
	if !known {
		l.size = 0
	}
	return l, nil
}

func (l *callLog) close() {
	for _, f := range l.files {
		_ = f.close()
	}
}

// next returns the next line of all files, or io.EOF.
func (l *callLog) next() (replay.Line, error) {
	for len(l.files) > 0 {
		line, err := l.files[0].Next()
		if !errors.Is(err, io.EOF) {
			return line, err
		}
		l.before += l.files[0].Read()
		_ = l.files[0].close()
		l.files = l.files[1:]
	}
	return replay.Line{}, io.EOF
}

// tick counts lines that are done with.
func (l *callLog) tick(lines int) {
	l.calls += lines
	read := l.before
	if len(l.files) > 0 {
		read += l.files[0].Read()
	}
	part := ""
	if l.size > 0 {
		part = fmt.Sprintf("%d %%, ", 100*read/l.size)
	}
	l.meter.show("%s%d calls, %.0f a second", part, l.calls, l.meter.perSecond(l.calls))
}

// verdict is the error that a replay with bad lines ends with.
func (l *callLog) verdict() error {
	if l.bad == 0 {
		return nil
	}
	return hint(fmt.Errorf("lines that are no calls: %d; all others are counted", l.bad), "see \"holdpoint replay --help\" for what a line must be")
}

// decisions is the file with a line on every call.
type decisions struct{ *lineFile }

// write writes what became of a call.
func (d decisions) write(c replay.Call, v replay.Verdict) error {
	if d.w == nil {
		return nil
	}
	decision := v.Outcome.String()
	if v.Outcome == schemas.Refuse {
		decision = "deny"
	}
	return d.lineFile.write(struct {
		Session  string         `json:"session"`
		Seq      int64          `json:"seq"`
		Decision string         `json:"decision"`
		Action   schemas.Action `json:"action"`
		Why      []string       `json:"why"`
		Detail   string         `json:"detail,omitzero"`
	}{c.Session, c.Seq, decision, c.Action, v.Why(), v.Detail})
}
