package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestSince: a sequence, how long ago, or a time.
func TestSince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]beginning{
		"": {seq: 1}, "0": {seq: 1}, "17": {seq: 17}, "7d": {at: now.AddDate(0, 0, -7)}, "90m": {at: now.Add(-90 * time.Minute)},
		"2026-05-01T10:00:00+02:00": {at: time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)}, "2026-05-01": {at: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)},
	} {
		got, err := parseSince(text, now)
		if err != nil || got.seq != want.seq || !got.at.Equal(want.at) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"-1", "-7d", "-1h", "lately", "d", "99999d", "2026-13-01"} {
		if got, err := parseSince(text, now); err == nil || exitCode(err) != exitUsage {
			t.Errorf("%q: got %v, %v, want a mistake in the call", text, got, err)
		}
	}
}

// auditEntries returns entries of an audit that is none, from sequence first on.
func auditEntries(first, n int) []replay.Entry {
	var all []replay.Entry
	for i := first; i < first+n; i++ {
		all = append(all, replay.Entry{Audit: uint64(i), Stream: schemas.Control, Seq: uint64(i), Subject: "control.x.y.z", Header: schemas.Header{}, Body: []byte(strings.Repeat("x", i%7))})
	}
	return all
}

func exportAll(t *testing.T, path string, entries []replay.Entry) {
	t.Helper()
	e, err := openExport(path)
	check(t, err)
	check(t, e.begin())
	for _, one := range entries {
		check(t, e.write(one))
	}
	check(t, e.close())
}

// TestExportGoesOn: wherever a file was cut off, what is whole of it stands, its last
// record is known, and what comes behind it is read by whoever reads the file.
func TestExportGoesOn(t *testing.T) {
	t.Parallel()
	want := auditEntries(1, 30)
	for _, name := range []string{"audit.jsonl", "audit.jsonl.gz"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		exportAll(t, path, want[:10])
		exportAll(t, path, want[10:20])
		whole, err := os.ReadFile(path)
		check(t, err)
		for cut := range len(whole) + 1 {
			check(t, os.WriteFile(path, whole[:cut], 0o600))
			e, err := openExport(path)
			check(t, err)
			next := 0
			if len(e.last) > 0 {
				last, err := replay.ParseEntry(e.last)
				check(t, err)
				next = int(last.Audit)
			}
			check(t, e.close())
			if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, whole[:cut]) {
				t.Fatalf("%s cut at %d: it was changed before it was gone on with", name, cut)
			}
			if cut == len(whole) && next != 20 {
				t.Errorf("%s: the last record is %d, want 20", name, next)
			}
			exportAll(t, path, want[next:])
			if diff := cmp.Diff(want, readExport(t, path)); diff != "" {
				t.Fatalf("%s cut at %d (-want +got):\n%s", name, cut, diff)
			}
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v, want a file of its owner alone", name, info.Mode(), err)
		}
	}
}

func readExport(t *testing.T, path string) (entries []replay.Entry) {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	if strings.HasSuffix(path, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(text))
		check(t, err)
		text, err = io.ReadAll(r)
		check(t, err)
	}
	for line := range bytes.Lines(text) {
		e, err := replay.ParseEntry(bytes.TrimSuffix(line, []byte("\n")))
		check(t, err)
		entries = append(entries, e)
	}
	return entries
}

// TestExportLeavesAlone: a file that is no export, or is damaged elsewhere than at
// its end, is not touched.
func TestExportLeavesAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "good.jsonl.gz")
	exportAll(t, path, auditEntries(1, 10))
	exportAll(t, path, auditEntries(11, 10))
	damaged, err := os.ReadFile(path)
	check(t, err)
	damaged[15] ^= 0xff
	var other bytes.Buffer
	packer := gzip.NewWriter(&other)
	_, err = packer.Write([]byte("remember the milk"))
	check(t, errors.Join(err, packer.Close()))
	for name, text := range map[string]string{
		"notes.txt": "remember the milk", "more.txt": "remember\nthe milk", "lines.txt": "remember\n", "notes.gz": "remember the milk",
		"blank.txt": "remember\nthe milk\n\n", "short.gz": "the", "other.gz": other.String(), "cut.gz": other.String()[:other.Len()-2],
		"damaged.gz": string(damaged), "behind.gz": string(damaged[:0]) + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		path := filepath.Join(t.TempDir(), name)
		check(t, os.WriteFile(path, []byte(text), 0o600))
		if e, err := openExport(path); err == nil {
			_ = e.close()
			t.Errorf("%s: it was opened", name)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%s: it was touched", name)
		}
	}
}

// TestExportIsPrivate: what is exported is written into no file that others may open.
func TestExportIsPrivate(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("files have no such rights")
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	exportAll(t, path, auditEntries(1, 3))
	for _, mode := range []os.FileMode{0o644, 0o660, 0o602} {
		check(t, os.Chmod(path, mode))
		if e, err := openExport(path); err == nil {
			_ = e.close()
			t.Errorf("%s: it was opened", mode)
		}
	}
	if _, err := openExport(os.DevNull); err == nil {
		t.Error("what is no file was opened")
	}
	check(t, os.Chmod(path, 0o600))
	exportAll(t, path, auditEntries(4, 3))
}

// TestPrivateFileOfAnother: a file that somebody else left for root to write into is
// left alone, by exports and by lines.
func TestPrivateFileOfAnother(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("nobody but root can write into what is another's alone")
	}
	path := filepath.Join(t.TempDir(), "lines.jsonl")
	check(t, os.WriteFile(path, nil, 0o600))
	check(t, os.Chown(path, 65534, 65534))
	if e, err := openExport(path); err == nil {
		_ = e.close()
		t.Error("it was opened for an export")
	}
	if l, err := createLineFile(path, "decisions"); err == nil {
		_ = l.close()
		t.Error("it was opened for lines")
	}
}

// TestAuditSince: the first record at or after a moment, and the kinds that are
// asked for in the order of AUDIT.
func TestAuditSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "testdata/queue")
	otto := client.Auditor{Conn: w.add(schemas.Identity{Name: "otto", Role: schemas.RoleAuditor, Person: "otto"})}
	var records []schemas.Record
	check(t, otto.Tail("", 1).Read(t.Context(), func(r schemas.Record) error {
		records = append(records, r)
		return nil
	}))
	for _, r := range records {
		seq, err := otto.Since(t.Context(), r.Time)
		check(t, err)
		if seq > r.Seq || !records[seq-1].Time.Equal(r.Time) {
			t.Errorf("since %v: got %d, want %d or one of the same moment before it", r.Time, seq, r.Seq)
		}
	}
	var order []uint64 // which may go on behind them: the gate goes on, too
	check(t, otto.Kinds(t.Context(), 3, func(r schemas.Record) error {
		order = append(order, r.Seq)
		return nil
	}, "observed", "control", "released"))
	if !slices.IsSorted(order) || len(order) == 0 || order[0] != 3 || order[len(order)-1] < records[len(records)-1].Seq {
		t.Errorf("kinds: got %v, want the records of AUDIT from 3 on in their order", order)
	}
	b := beginning{at: time.Now().Add(time.Hour)}
	if seq, err := b.sequence(t.Context(), otto); err != nil || seq <= records[len(records)-1].Seq {
		t.Errorf("since in an hour: got %d, %v, want behind the last", seq, err)
	}
	for text, all := range map[string]bool{"0001-01-01": true, "1500-01-01": true, "65535d": true, "2262-01-01": false, "2300-01-01": false, "9999-12-31": false} {
		b, err := parseSince(text, time.Now())
		check(t, err)
		if seq, err := b.sequence(t.Context(), otto); err != nil || (seq == 1) != all || seq == 0 {
			t.Errorf("since %s: got %d, %v, want the first %t", text, seq, err, all)
		}
	}
}
