package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxLine is how long a line may be, in bytes: far more than a gate takes.
const MaxLine = 1 << 20

// errTooLong is what is wrong with a longer one.
var errTooLong = fmt.Errorf("longer than %d bytes", MaxLine)

// Line is one line of a file.
type Line struct {
	File   string
	Number int // from 1
	Text   []byte

	// Err is why the line could not be taken in; then there is no text.
	Err error
}

func (l Line) String() string { return fmt.Sprintf("%s:%d", l.File, l.Number) }

// Lines reads a file line by line. Empty lines are passed over.
type Lines struct {
	file   string
	number int
	read   int64
	from   *bufio.Reader
}

// NewLines returns the lines of r, which is known as file.
func NewLines(file string, r io.Reader) *Lines {
	return &Lines{file: file, from: bufio.NewReaderSize(r, 64<<10)}
}

// Read counts the bytes that were read.
func (l *Lines) Read() int64 { return l.read }

// Next returns the next line, or io.EOF. A line that is too long is passed over
// and says so; any other error names the file and the line.
func (l *Lines) Next() (Line, error) {
	for {
		text, long, err := l.line()
		if err != nil && !errors.Is(err, io.EOF) {
			return Line{}, fmt.Errorf("reading %s:%d: %w", l.file, l.number+1, err)
		}
		if len(text) == 0 && err != nil {
			return Line{}, io.EOF
		}
		l.number++
		switch text = bytes.TrimSpace(text); {
		case long:
			return Line{File: l.file, Number: l.number, Err: errTooLong}, nil
		case len(text) > 0:
			return Line{File: l.file, Number: l.number, Text: text}, nil
		}
	}
}

// line returns the bytes up to the end of a line, the first of them if it is too
// long.
func (l *Lines) line() (text []byte, long bool, err error) {
	for {
		part, err := l.from.ReadSlice('\n')
		l.read += int64(len(part))
		if long = long || len(text)+len(part) > MaxLine; !long {
			text = append(text, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, long, err
		}
	}
}
