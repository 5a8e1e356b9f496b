package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

// ErrCalls says of a file that it has tool calls where records of the audit should
// be.
var ErrCalls = errors.New("a tool call, and no record of the audit")

// BacktestConfig says what to judge a history with.
type BacktestConfig struct {
	// Bundle is what [Load] returned; required.
	Bundle *rules.Bundle

	// Since leaves out what was copied to AUDIT before, and From what stands there
	// before that sequence.
	Since time.Time
	From  uint64

	// Examples is how many intents of each change are in the report.
	Examples int

	// Changed is called with every intent that would have ended otherwise. An error
	// ends the backtest. May be nil.
	Changed func(Case) error

	// Bad is called with every line that is no record of the audit. May be nil.
	Bad func(Line, error)

	// Tick is called now and then with how many records were read. May be nil.
	Tick func(records int)
}

// Backtest judges the intents of a gate's history by another bundle, and compares
// that with what the gate did. Its memory does not grow with the history. It is not
// safe for concurrent use.
type Backtest struct {
	BacktestConfig
	judge  *stages.Offline
	rules  map[string]bool
	purse  *stages.Purse
	window *window
	tally  *changeTally
}

// NewBacktest returns a Backtest that has read nothing.
func NewBacktest(cfg BacktestConfig) *Backtest {
	b := &Backtest{
		BacktestConfig: cfg,
		judge:          stages.NewOffline("backtest", cfg.Bundle, everyone{}),
		rules:          map[string]bool{},
		purse:          stages.NewPurse(),
		tally:          newChangeTally(cfg),
	}
	b.window = newWindow(maxWindow, b.tally)
	for _, id := range cfg.Bundle.Rules() {
		b.rules[id] = true
	}
	return b
}

// File reads lines as "holdpoint audit tail -o json" writes them, from r, which is
// known as name.
func (b *Backtest) File(ctx context.Context, name string, r io.Reader) error {
	return b.run(ctx, func(put func(*batch) error) error {
		for pieces := newPieces(r); ; {
			lines, err := pieces.next()
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("reading %s: %w", name, err)
			}
			if failed := put(&batch{file: name, piece: lines}); failed != nil || err != nil {
				return failed
			}
		}
	})
}

// batchEntries is how many records that do not come from a file are judged together.
const batchEntries = 500

// Entries reads the records that read hands to its argument, in the order of AUDIT.
// What cannot be read of them is told as line 0 of AUDIT.
func (b *Backtest) Entries(ctx context.Context, read func(context.Context, func(Entry) error) error) error {
	return b.run(ctx, func(put func(*batch) error) error {
		one := &batch{file: string(schemas.Audit)}
		err := read(ctx, func(e Entry) error {
			if one.entries = append(one.entries, e); len(one.entries) < batchEntries {
				return nil
			}
			full := one
			one = &batch{file: string(schemas.Audit)}
			return put(full)
		})
		if err != nil {
			return err
		}
		return put(one)
	})
}

// Report returns what was counted. The history ends with that.
func (b *Backtest) Report() BacktestReport {
	b.window.finish()
	return b.tally.finish()
}

// batch is some of a history on its way: lines, or entries.
type batch struct {
	file    string
	piece   piece
	entries []Entry

	signs   []sign
	bad     []badLine
	lines   int // in the piece
	records int
	done    chan struct{}
}

// badLine is one that is no record of the audit, counted in its batch.
type badLine struct {
	number int
	err    error
}

// run judges batches: each by itself, as many at once as there are processors, and
// what they say is put together in their order. What was read before an error is
// in the report.
func (b *Backtest) run(ctx context.Context, produce func(put func(*batch) error) error) error {
	workers := runtime.GOMAXPROCS(0)
	group, ctx := errgroup.WithContext(ctx)
	todo, order := make(chan *batch), make(chan *batch, 2*workers)
	group.Go(func() error {
		defer close(todo)
		defer close(order)
		return produce(func(one *batch) error {
			one.done = make(chan struct{})
			if err := send(ctx, order, one); err != nil { // it has its place before it is worked on
				return err
			}
			return send(ctx, todo, one)
		})
	})
	for range workers {
		group.Go(func() error { return b.work(ctx, todo) })
	}
	group.Go(func() error { return b.collect(ctx, order) })
	return group.Wait()
}

// send puts a batch into a channel, unless ctx ends before.
func send(ctx context.Context, to chan<- *batch, one *batch) error {
	select {
	case to <- one:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// work judges what batches say, until there are no more.
func (b *Backtest) work(ctx context.Context, todo <-chan *batch) error {
	w := worker{backtest: b}
	for one := range todo {
		if err := w.read(ctx, one); err != nil {
			return err
		}
		close(one.done)
	}
	return nil
}

// collect puts together what batches say, in their order.
func (b *Backtest) collect(ctx context.Context, order <-chan *batch) error {
	lines := 0
	for one := range order {
		select {
		case <-one.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := b.complain(one, lines); err != nil {
			return err
		}
		lines += one.lines
		for _, s := range one.signs {
			if err := b.charge(ctx, &s); err != nil {
				return err
			}
			b.window.add(s)
		}
		if err := b.tally.failed; err != nil {
			return err
		}
		b.tally.report.Records += one.records
		if b.Tick != nil {
			b.Tick(one.records)
		}
		one.piece.free()
	}
	return nil
}

// complain says what is wrong with lines of a batch, of which so many stand before
// it.
func (b *Backtest) complain(one *batch, before int) error {
	for _, bad := range one.bad {
		line := Line{File: one.file, Number: before + bad.number}
		if errors.Is(bad.err, ErrCalls) {
			return fmt.Errorf("%s: %w", line, bad.err)
		}
		b.tally.report.BadLines++
		if b.Bad != nil {
			b.Bad(line, bad.err)
		}
	}
	return nil
}

// sign is what one record says of an intent.
type sign struct {
	audit    uint64 // its sequence in AUDIT
	intent   uint64 // the intent's in INTENTS
	observed uint64 // the observation's in OBSERVED that it is made of; 0 if not known

	seen *Case // it was observed, and the bundle says this

	// charges is set if that has still to be said.
	charges *charged

	said *Fate // it was recommended
	did  *Fate // it had its first verdict

	// apart says why no policy is behind that.
	apart string

	// ended says how it ended after it was parked.
	ended string
}

// Case is an intent, what was first done with it, and what the bundle would have
// done.
type Case struct {
	Agent  schemas.Name     `json:"agent"`
	Intent schemas.IntentID `json:"intent"`
	Action schemas.Action   `json:"action"`

	// At is when it was observed, Observed the sequence of that in OBSERVED.
	At       time.Time `json:"at"`
	Observed uint64    `json:"observed"`

	Old Fate `json:"old"`
	New Fate `json:"new"`

	// Guessed says that a rule might have looked at what the agent had been given,
	// and that this was not observed.
	Guessed bool `json:"guessed,omitzero"`
}

// Fate is what is first done with an intent, and why.
type Fate struct {
	Outcome schemas.Outcome `json:"outcome"`

	// Code says why it is refused, Detail what is wrong with it.
	Code   schemas.Code `json:"code,omitzero"`
	Detail string       `json:"detail,omitzero"`

	// By is what decided, as far as that is on record.
	By []By `json:"by,omitempty"`

	// Queue and Needs say of a parked intent who is asked.
	Queue schemas.Name       `json:"queue,omitzero"`
	Needs []schemas.Approval `json:"needs,omitempty"`
}
