package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/holdpoint/holdpoint/replay"
)

// memberLines is how many lines are packed together. A file that was cut off keeps
// all of them but the last.
const memberLines = 20_000

// export is a file that records are added to. What stands in it ends with a whole
// line and, if it is packed, with a whole member of gzip, whenever it is given up:
// what is behind that is cut off when it is opened again.
type export struct {
	path string
	file *os.File
	last []byte // the last line that was there
	end  int64  // of what is whole

	w      *bufio.Writer // to file
	packer *gzip.Writer  // to w, or nil
	lines  int           // in the member
}

// openExport opens a file, or makes one that only its owner may read. It changes
// nothing in it before begin.
func openExport(path string) (*export, error) {
	f, err := openPrivate(path, os.O_RDWR)
	if err != nil {
		return nil, fmt.Errorf("opening the export: %w", err)
	}
	e := &export{path: path, file: f, w: bufio.NewWriterSize(f, 256<<10)}
	e.end, err = e.whole()
	switch {
	case err == nil && len(e.last) > 0:
		_, err = replay.ParseEntry(e.last)
	case err == nil && e.end > 0:
		err = errors.New("it is something else")
	}
	if err == nil {
		err = checkPrivate(f)
	}
	if err != nil {
		err = hint(fmt.Errorf("opening the export %s: %w", path, err), "name another file; this one was left alone")
		return nil, errors.Join(err, f.Close())
	}
	if strings.HasSuffix(path, ".gz") {
		e.packer = gzip.NewWriter(e.w)
	}
	return e, nil
}

// begin cuts off what is not whole, and goes on behind it.
func (e *export) begin() error {
	err := e.file.Truncate(e.end)
	if err == nil {
		_, err = e.file.Seek(e.end, io.SeekStart)
	}
	return e.trouble(err)
}

// whole finds the last line of a file, and returns where what is whole of it ends.
func (e *export) whole() (int64, error) {
	info, err := e.file.Stat()
	switch {
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, errors.New("it is no file")
	case strings.HasSuffix(e.path, ".gz"):
		return e.wholeMembers()
	default:
		return e.wholeLines()
	}
}

// wholeLines looks at the end of the file alone.
func (e *export) wholeLines() (int64, error) {
	info, err := e.file.Stat()
	if err != nil || info.Size() == 0 {
		return 0, err
	}
	from := max(0, info.Size()-2*replay.MaxLine)
	tail := make([]byte, info.Size()-from)
	if _, err := e.file.ReadAt(tail, from); err != nil {
		return 0, err
	}
	end := bytes.LastIndexByte(tail, '\n')
	if end < 0 && from > 0 {
		return 0, errors.New("its last line is too long to be a record")
	}
	if end < 0 {
		return 0, e.alone(tail)
	}
	begin := bytes.LastIndexByte(tail[:end], '\n') + 1
	e.last = bytes.Clone(tail[begin:end])
	return from + int64(end) + 1, nil
}

// alone makes sure that a file that has not one whole line was begun by an export.
func (e *export) alone(text []byte) error {
	if begins := []byte(`{"audit":`); !bytes.HasPrefix(begins, text[:min(len(text), len(begins))]) {
		return errors.New("it is something else")
	}
	return nil
}

// wholeMembers reads the file. A member that ends before its end is cut off; any
// other damage is not touched.
func (e *export) wholeMembers() (int64, error) {
	if _, err := e.file.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	if err := e.beginsPacked(); err != nil {
		return 0, err
	}
	counted := &countingReader{from: e.file}
	r := bufio.NewReader(counted)
	var unpacker gzip.Reader
	for {
		end := counted.n - int64(r.Buffered())
		err := unpacker.Reset(r)
		if err == nil {
			unpacker.Multistream(false)
			err = e.member(&unpacker)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return end, nil
		case err != nil:
			return 0, fmt.Errorf("damaged behind byte %d: %w", end, err)
		}
	}
}

// beginsPacked makes sure that the file was begun by an export, though its first member
// may not be whole.
func (e *export) beginsPacked() error {
	defer func() { _, _ = e.file.Seek(0, io.SeekStart) }()
	var magic [3]byte
	n, err := io.ReadFull(e.file, magic[:])
	if n == 0 {
		return nil // there is nothing in it
	}
	if !bytes.Equal(magic[:n], []byte("\x1f\x8b\x08")[:n]) {
		return errors.New("it is something else")
	}
	if err != nil {
		return nil
	}
	if _, err := e.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var text [16]byte
	unpacker, err := gzip.NewReader(e.file)
	if err == nil {
		n, err = io.ReadFull(unpacker, text[:])
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("damaged: %w", err)
	}
	if unpacker == nil {
		return nil
	}
	return e.alone(text[:n])
}

// member remembers the last line of one member, once all of it was read.
func (e *export) member(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, replay.MaxLine)
	var last []byte
	for lines.Scan() {
		last = append(last[:0], lines.Bytes()...)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if len(last) > 0 {
		e.last = last
	}
	return nil
}

type countingReader struct {
	from io.Reader
	n    int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}

// write adds a record.
func (e *export) write(entry replay.Entry) error {
	var to io.Writer = e.w
	if e.packer != nil {
		to = e.packer
	}
	if err := writeJSONLine(to, entry); err != nil {
		return e.trouble(err)
	}
	if e.lines++; e.packer != nil && e.lines == memberLines {
		return e.endMember()
	}
	return nil
}

func (e *export) endMember() error {
	if e.packer == nil || e.lines == 0 {
		return nil
	}
	if err := e.packer.Close(); err != nil {
		return e.trouble(err)
	}
	e.packer.Reset(e.w)
	e.lines = 0
	return nil
}

// sync brings everything that was written to the disk.
func (e *export) sync() error {
	if err := e.endMember(); err != nil {
		return err
	}
	return e.trouble(errors.Join(e.w.Flush(), e.file.Sync()))
}

// close ends the file with what was written, also if it could not go on.
func (e *export) close() error {
	return errors.Join(e.sync(), e.trouble(e.file.Close()))
}

func (e *export) trouble(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("writing %s: %w", e.path, err)
}
