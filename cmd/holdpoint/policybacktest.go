package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/schemas"
)

// backtestOptions are the flags of policy backtest.
type backtestOptions struct {
	since, changes, failOn string
	examples               int
}

func policyBacktestCommand() *cobra.Command {
	o := backtestOptions{examples: 3}
	cmd := &cobra.Command{
		Use:   "backtest BUNDLE [FILE...]",
		Short: "Say which intents of the past would have ended otherwise with a bundle",
		Long: `Say which intents of the past would have ended otherwise with a bundle, by action
and by rule, how many would have been parked on each day, and what reviewers would
have had to do. The history is the audit, read as an auditor, or FILE: an export of
it ("holdpoint audit export", or the output of "holdpoint audit tail -o json"),
also packed with gzip; - is standard input. There is no limit to its length.

Every intent is judged again by what was observed of it then: its agent, what that
had been given, its rate, the time. Compared is what was first done with it, released,
parked or refused, and not what reviewers made of it later. Not compared, and counted
apart, is what no policy decided: withdrawals, agents that were not registered, ids
that were used twice, intents that only a freeze held, and so on. Budgets
count what the bundle would release, from zero on.

With --fail-on the exit code is 1 if there is a change of that kind: released, what
was parked or refused would be released; looser, that, or what was refused would be
parked; stricter, the opposite; any.

A file of tool calls that were made without a gate is for "holdpoint replay".`,
		Example: `  holdpoint policy backtest examples/customer-operations --since 30d --key otto.key
  holdpoint policy backtest examples/customer-operations audit.jsonl.gz --changes changes.jsonl
  holdpoint policy backtest examples/customer-operations audit.jsonl.gz --fail-on released -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("%s: BUNDLE is missing", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runBacktest(cmd, o, args[0], args[1:]) },
	}
	connectionFlags(cmd)
	f := cmd.Flags()
	sinceFlag(cmd, &o.since, "all there is if empty")
	f.StringVar(&o.changes, "changes", "", "`file`, for you alone, for a line of JSON on every intent that would have ended otherwise")
	f.StringVar(&o.failOn, "fail-on", "", "`change` that fails: released, looser, stricter or any")
	_ = cmd.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions([]string{"released", "looser", "stricter", "any"}, cobra.ShellCompDirectiveNoFileComp))
	f.IntVar(&o.examples, "examples", o.examples, "how many intents of each change are named")
	return cmd
}

// garbage is how much may be garbage for each part in use while a history is judged:
// it makes much of it and keeps little.
const garbage = 300 // percent

func runBacktest(cmd *cobra.Command, o backtestOptions, dir string, paths []string) (err error) {
	fails, err := failsOn(o.failOn, o.changes)
	if err != nil {
		return err
	}
	from, err := parseSince(o.since, time.Now())
	if err != nil {
		return err
	}
	bundle, err := bundleToTry(dir)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(garbage))
	}
	out, err := createLineFile(o.changes, "changes")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.close()) }()
	h := &history{complaints: complaints{stderr: cmd.ErrOrStderr(), meter: newMeter(cmd)}}
	b := replay.NewBacktest(replay.BacktestConfig{
		Bundle: bundle, Since: from.at, From: from.seq, Examples: o.examples, Changed: func(c replay.Case) error { return out.write(c) }, Bad: h.complain, Tick: h.tick,
	})
	if len(paths) > 0 {
		err = h.files(cmd, b, paths)
	} else {
		err = h.audit(cmd, b, from)
	}
	h.meter.done()
	if err != nil {
		return err
	}
	report := b.Report()
	if err := output(cmd, report, func(w printer) error {
		err := printBacktest(w, report)
		if report.Otherwise > 0 {
			w.tell("hint: \"holdpoint show AGENT/ID\" tells the story of one; %s", allIn(o.changes))
		}
		return err
	}); err != nil {
		return err
	}
	return errors.Join(h.verdict(), fails(report))
}

// allIn says where all changes are written.
func allIn(changes string) string {
	if changes == "" {
		return "--changes FILE writes all of them"
	}
	return "all of them are in " + changes
}

// failsOn returns what fails when there is a change of a kind. They are all in the file
// changes, if that has a name.
func failsOn(kind, changes string) (func(replay.BacktestReport) error, error) {
	kinds := map[string]struct {
		has  func(replay.Move) bool
		what string
	}{
		"":         {func(replay.Move) bool { return false }, ""},
		"any":      {func(m replay.Move) bool { return m.Was != m.Would }, "would have ended otherwise"},
		"looser":   {replay.Move.Looser, "would have had less in their way"},
		"stricter": {func(m replay.Move) bool { return m.Was != m.Would && !m.Looser() }, "would have had more in their way"},
		"released": {func(m replay.Move) bool { return m.Looser() && m.Would == schemas.Release }, "were parked or refused, and would be released"},
	}
	k, ok := kinds[kind]
	if !ok {
		return nil, usage("--fail-on %q: want released, looser, stricter or any", kind)
	}
	return func(r replay.BacktestReport) error {
		n := 0
		for _, m := range r.Changes {
			if k.has(m) {
				n += m.Intents
			}
		}
		if n == 0 {
			return nil
		}
		return hint(fmt.Errorf("intents that %s: %d", k.what, n), "%s", allIn(changes))
	}, nil
}

// history is what a backtest reads. It says on a terminal how far it is, and what is
// wrong with a line.
type history struct {
	complaints
	total   int64 // bytes of all files, or records of AUDIT; 0 if that is not known
	read    atomic.Int64
	records int
}

// files reads exports, one after the other. All are opened first: that one is missing
// is better known at the beginning.
func (h *history) files(cmd *cobra.Command, b *replay.Backtest, paths []string) error {
	var files []*historyFile
	defer func() {
		for _, f := range files {
			f.close()
		}
	}()
	known := true
	for _, path := range paths {
		f, size, err := openHistory(cmd, path, &h.read)
		if err != nil {
			return err
		}
		files = append(files, f)
		h.total += size
		known = known && size > 0
	}
	if !known {
		h.total = 0
	}
	for _, f := range files {
		r, err := f.unpacked()
		if err == nil {
			err = b.File(cmd.Context(), f.name, r)
		}
		if errors.Is(err, replay.ErrCalls) {
			return hint(err, "use \"holdpoint replay\" for calls that were made without a gate")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// audit reads AUDIT itself, those kinds of records that say what was first done.
func (h *history) audit(cmd *cobra.Command, b *replay.Backtest, from beginning) error {
	auditor, err := dialAuditor(cmd)
	if err != nil {
		return err
	}
	defer auditor.Close()
	ctx := cmd.Context()
	first, err := from.sequence(ctx, auditor)
	if err != nil {
		return err
	}
	last, err := auditor.Last(ctx)
	if err != nil {
		return fmt.Errorf("reading the audit: %w", err)
	}
	h.total = int64(last) - int64(first) + 1
	return b.Entries(ctx, func(ctx context.Context, apply func(replay.Entry) error) error {
		return readCopies(ctx, auditor, first, func(e replay.Entry) error {
			h.read.Store(int64(e.Audit - first))
			return apply(e)
		}, "observed", "recommended", "parked", "released", "refused")
	})
}

// readCopies hands the entries of AUDIT of some kinds to apply. What is a copy of
// nothing is handed over as it stands.
func readCopies(ctx context.Context, a client.Auditor, from uint64, apply func(replay.Entry) error, kinds ...string) error {
	return a.Kinds(ctx, from, func(r schemas.Record) error { return apply(copied(r)) }, kinds...)
}

func (h *history) tick(records int) {
	h.records += records
	h.meter.show("%s%d records, %.0f a second", h.meter.far(h.read.Load(), h.total), h.records, h.meter.perSecond(h.records))
}

// verdict is the error that a history with bad lines ends with.
func (h *history) verdict() error {
	if h.bad == 0 {
		return nil
	}
	return hint(fmt.Errorf("lines that are no records of the audit: %d; all others are counted", h.bad), "\"holdpoint audit export\" writes what this reads")
}
