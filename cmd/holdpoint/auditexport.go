package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/schemas"
)

func auditExportCommand() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write the records of the audit into a file, or go on with one",
		Long: `Write the records of the audit into a file, one line of JSON each, as "holdpoint
audit tail -o json" prints them; packed with gzip if FILE ends with .gz. Only you may
read the file: it has everything that agents asked for. One that is there and that
others may open is refused.

If FILE is there, the export goes on behind its last record, once that is found to be
the same in the audit. So an export that was interrupted loses nothing, and one that
is repeated every day only brings what is new.`,
		Example: `  holdpoint audit export audit.jsonl.gz --key otto.key
  holdpoint audit export lately.jsonl --since 7d --key otto.key`,
		Args: takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error { return exportAudit(cmd, args[0], since) },
	}
	connectionFlags(cmd)
	sinceFlag(cmd, &since, "all there is if empty; for a new file alone")
	return cmd
}

// exportResult is what an export did.
type exportResult struct {
	File    string `json:"file"`
	Records int    `json:"records"` // that this run wrote
	Last    uint64 `json:"last"`    // sequence in AUDIT of the last in the file
}

func exportAudit(cmd *cobra.Command, path, since string) (err error) {
	from, err := parseSince(since, time.Now())
	if err != nil {
		return err
	}
	auditor, err := dialAuditor(cmd)
	if err != nil {
		return err
	}
	defer auditor.Close()
	file, err := openExport(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.close()) }()
	done := exportResult{File: path}
	first, err := firstToExport(cmd.Context(), auditor, file, from, since != "")
	if err == nil {
		err = file.begin()
	}
	if err == nil {
		done.Last = first - 1
		err = copyAudit(cmd, auditor, file, first, &done)
	}
	if err != nil {
		return err
	}
	if err := file.sync(); err != nil {
		return err
	}
	return output(cmd, done, func(w printer) error {
		say(w, "%s: %s more, up to AUDIT/%d", done.File, count(done.Records, "record"), done.Last)
		return nil
	})
}

// firstToExport returns the sequence with which a file goes on or begins. The last
// record of one that is there must be the one that AUDIT has.
func firstToExport(ctx context.Context, a client.Auditor, file *export, from beginning, since bool) (uint64, error) {
	if len(file.last) == 0 {
		return from.sequence(ctx, a)
	}
	if since {
		return 0, usage("--since: %s is there and goes on behind its last record; leave --since out, or name another file", file.path)
	}
	last, err := replay.ParseEntry(file.last)
	if err != nil {
		return 0, err
	}
	var line bytes.Buffer
	err = a.Tail("", last.Audit).Read(ctx, func(r schemas.Record) error {
		if err := writeJSONLine(&line, copied(r)); err != nil {
			return err
		}
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		return 0, fmt.Errorf("reading the audit: %w", err)
	}
	if got := strings.TrimSuffix(line.String(), "\n"); got != string(file.last) {
		return 0, hint(fmt.Errorf("%s is not of this audit: AUDIT/%d is another record there", file.path, last.Audit), "name another file; nothing was written")
	}
	return last.Audit + 1, nil
}

// copyAudit writes what AUDIT has from first on.
func copyAudit(cmd *cobra.Command, a client.Auditor, file *export, first uint64, done *exportResult) error {
	end, err := a.Last(cmd.Context())
	if err != nil {
		return fmt.Errorf("reading the audit: %w", err)
	}
	m := newMeter(cmd)
	defer m.done()
	err = a.Tail("", first).ReadTo(cmd.Context(), end, func(r schemas.Record) error {
		if err := file.write(copied(r)); err != nil {
			return err
		}
		done.Records, done.Last = done.Records+1, r.Seq
		m.show("%s%d records, %.0f a second", m.far(int64(r.Seq-first+1), int64(end-first+1)), done.Records, m.perSecond(done.Records))
		return nil
	})
	if err != nil {
		return hint(fmt.Errorf("exporting the audit: %w", err), "what was written stands; the same command goes on with it")
	}
	return nil
}

// copied returns the entry that a record of AUDIT is.
func copied(r schemas.Record) replay.Entry {
	origin, err := broker.Origin(r)
	if err != nil {
		origin = r
	}
	return replay.EntryOf(r.Seq, origin)
}
