package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"
)

// historyFile is a file with an export of AUDIT, packed or not.
type historyFile struct {
	name string
	from io.ReadCloser
	read *atomic.Int64 // bytes, as they stand in the file
}

// openHistory opens a file, or standard input for "-". The size is 0 if it is not
// known.
func openHistory(cmd *cobra.Command, path string, read *atomic.Int64) (e *historyFile, size int64, err error) {
	if path == "-" {
		return &historyFile{"stdin", io.NopCloser(cmd.InOrStdin()), read}, 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, hint(fmt.Errorf("opening the history: %w", err), "\"holdpoint audit export FILE\" writes one")
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	return &historyFile{path, f, read}, size, nil
}

func (e *historyFile) close() { _ = e.from.Close() }

// Read counts what is read.
func (e *historyFile) Read(p []byte) (int, error) {
	n, err := e.from.Read(p)
	e.read.Add(int64(n))
	return n, err
}

// unpacked returns what the file says, whatever its name says.
func (e *historyFile) unpacked() (io.Reader, error) {
	r := bufio.NewReaderSize(e, 256<<10)
	if magic, _ := r.Peek(2); string(magic) != "\x1f\x8b" {
		return r, nil
	}
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", e.name, err)
	}
	return unpacked, nil
}
