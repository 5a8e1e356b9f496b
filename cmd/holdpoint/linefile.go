package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/holdpoint/holdpoint/replay"
)

// lineFile is a private file with a line of JSON on each of many; without a file it
// writes nothing.
type lineFile struct {
	of   string // what they are
	file *os.File
	w    *bufio.Writer
}

func createLineFile(path, of string) (*lineFile, error) {
	l := &lineFile{of: of}
	if path == "" {
		return l, nil
	}
	f, err := openPrivate(path, os.O_WRONLY)
	if err != nil {
		return nil, l.trouble(err)
	}
	if err := emptied(f); err != nil {
		return nil, errors.Join(hint(l.trouble(fmt.Errorf("%s: %w", path, err)), "name another file; this one was left alone"), f.Close())
	}
	l.file, l.w = f, bufio.NewWriterSize(f, 64<<10)
	return l, nil
}

// emptied makes an open file empty, if only its owner may open it.
func emptied(f *os.File) error {
	if err := checkPrivate(f); err != nil {
		return err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	return f.Truncate(0)
}

func (l *lineFile) write(one any) error {
	if l.w == nil {
		return nil
	}
	return l.trouble(writeJSONLine(l.w, one))
}

func (l *lineFile) close() error {
	if l.w == nil {
		return nil
	}
	return l.trouble(errors.Join(l.w.Flush(), l.file.Close()))
}

func (l *lineFile) trouble(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("writing the %s: %w", l.of, err)
}

// maxComplaints is how many bad lines are named; more are counted.
const maxComplaints = 20

// complaints say what is wrong with lines that are read, and count them.
type complaints struct {
	stderr io.Writer
	meter  *meter
	bad    int
}

// complain says what is wrong with a line. Number 0 is no line of a file.
func (c *complaints) complain(line replay.Line, err error) {
	switch c.bad++; {
	case c.bad <= maxComplaints && line.Number == 0:
		c.meter.done()
		say(c.stderr, "holdpoint: %s", err)
	case c.bad <= maxComplaints:
		c.meter.done()
		say(c.stderr, "holdpoint: %s: %s", line, err)
	case c.bad == maxComplaints+1:
		say(c.stderr, "holdpoint: more like that are counted and not named")
	}
}
