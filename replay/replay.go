package replay

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

// How many lines, and how many bytes of them, are judged together. It bounds what
// is in memory at once.
const (
	batchLines = 2048
	batchBytes = 4 << 20
)

// Config says what to replay with.
type Config struct {
	// Bundle is what [Load] returned; required.
	Bundle *rules.Bundle

	// Agent, if not empty, is the agent of every call, whatever the log says.
	Agent schemas.Name

	// Owner and Groups are what the rules are told of every agent.
	Owner  string
	Groups []string

	// Now is when calls were made that have no time of their own. If zero, it is
	// the time of New.
	Now time.Time

	// Decided is called with every call, in the order of the lines. An error ends
	// the run. May be nil.
	Decided func(Call, Verdict) error

	// Bad is called with every line that is no call. May be nil.
	Bad func(Line, error)

	// Tick is called now and then with how many lines were judged. May be nil.
	Tick func(lines int)
}

// patience is how long the rules may take for one call. What they cost is limited
// as in a gate; that the machine is busy must not change what they say.
const patience = time.Minute

// Load reads the bundle in a directory, as [rules.Load] does.
func Load(dir fs.FS) (*rules.Bundle, error) { return rules.Limits{Time: patience}.Load(dir) }

// Replay judges the calls of a log. It is not safe for concurrent use.
type Replay struct {
	Config
	judge  *stages.Offline
	labels map[schemas.Action][]string
	rules  map[string]bool
	rates  *stages.Rates
	purse  *stages.Purse // nil if the bundle has no budgets
	tally  *Tally
	seed   maphash.Seed
	lines  uint64
}

// New returns a Replay that has judged nothing.
func New(cfg Config) *Replay {
	r := &Replay{
		Config: cfg,
		judge:  stages.NewOffline("replay", cfg.Bundle, everyone{cfg.Owner, cfg.Groups}),
		labels: map[schemas.Action][]string{},
		rules:  map[string]bool{},
		rates:  stages.NewRates(),
		tally:  NewTally(cfg.Bundle),
		seed:   maphash.MakeSeed(),
	}
	if r.Now.IsZero() {
		r.Now = time.Now()
	}
	r.Now = r.Now.UTC()
	for _, id := range cfg.Bundle.Rules() {
		r.rules[id] = true
	}
	if len(cfg.Bundle.Budgets()) > 0 {
		r.purse = stages.NewPurse()
	}
	for _, name := range cfg.Bundle.Actions() {
		if action, _ := cfg.Bundle.Action(name); len(action.Labels) > 0 {
			r.labels[name] = action.Labels
		}
	}
	return r
}

// everyone registers every agent, as one that declares its sessions.
type everyone struct {
	owner  string
	groups []string
}

func (e everyone) ByName(name schemas.Name) (schemas.Identity, bool) {
	return schemas.Identity{Name: name, Role: schemas.RoleAgent, Owner: e.owner, Groups: e.groups, Sessions: schemas.SessionsDeclared}, true
}

// Ever implements [stages.Directory].
func (e everyone) Ever(name schemas.Name) (schemas.Identity, bool) { return e.ByName(name) }

// Report returns what was counted. The sessions end with that.
func (r *Replay) Report() Report { return r.tally.Report() }

// Run judges the lines that next returns, until it returns io.EOF. What was judged
// before an error is in the report.
func (r *Replay) Run(ctx context.Context, next func() (Line, error)) error {
	for {
		batch, ended := read(next)
		if err := r.batch(ctx, batch); err != nil {
			return err
		}
		switch {
		case errors.Is(ended, io.EOF):
			return nil
		case ended != nil:
			return ended
		}
	}
}

// read returns as many lines as are judged together, with the error that ended the
// reading.
func read(next func() (Line, error)) (batch []item, err error) {
	for size := 0; len(batch) < batchLines && size < batchBytes; {
		l, err := next()
		if err != nil {
			return batch, err
		}
		size += len(l.Text)
		batch = append(batch, item{line: l})
	}
	return batch, nil
}

// item is a line on its way.
type item struct {
	line    Line
	bad     error
	call    Call
	session *Session
	share   uint64 // items of one session have the same
	record  schemas.Record
	past    stages.Past
	verdict Verdict
}

// batch judges lines: each by itself as far as that goes, the calls of a session
// one after the other, all of them if they may take of the same budget, and counts
// them in their order.
func (r *Replay) batch(ctx context.Context, batch []item) error {
	shares := runtime.GOMAXPROCS(0)
	var group errgroup.Group
	for part := range slices.Chunk(batch, max(1, (len(batch)+shares-1)/shares)) {
		group.Go(func() error {
			r.parse(part)
			return nil
		})
	}
	_ = group.Wait() // reading fails line by line
	r.enter(batch)
	if r.purse != nil {
		shares = 1
	}
	for share := range shares {
		group.Go(func() error {
			return r.decide(ctx, batch, func(i *item) bool { return i.share%uint64(shares) == uint64(share) })
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return r.count(batch)
}

// parse reads lines into calls, and makes of each the record that its agent would
// have written to a gate.
func (r *Replay) parse(part []item) {
	for i := range part {
		it := &part[i]
		if it.call, it.bad = ParseCall(it.line, r.Agent); it.bad != nil {
			continue
		}
		var body []byte
		if body, it.bad = schemas.Marshal(it.call.Proposal()); it.bad != nil {
			continue
		}
		it.record = schemas.Record{
			Stream:  schemas.Intents,
			Subject: schemas.Subject{Kind: "intents", Agent: it.call.Agent, Action: it.call.Action}.String(),
			Time:    r.timeOf(it.call),
			Body:    body,
		}
	}
}

func (r *Replay) timeOf(c Call) time.Time {
	if c.Time.IsZero() {
		return r.Now
	}
	return c.Time
}

// enter gives every call its session, and its agent's rate. Without times, no call
// is near another, nor in the same window of a budget.
func (r *Replay) enter(batch []item) {
	for i := range batch {
		it := &batch[i]
		if it.bad != nil {
			continue
		}
		r.lines++
		it.record.Seq = r.lines
		it.session = r.tally.Enter(&it.call)
		it.share = maphash.Comparable(r.seed, it.session.key)
		it.past.Rate = 1
		if !it.call.Time.IsZero() {
			it.past.Rate = r.rates.Count(it.call.Agent, it.call.Time)
			it.past.Purse = r.purse
		}
	}
}

// decide judges the calls that are mine. Nobody else touches their sessions
// meanwhile.
func (r *Replay) decide(ctx context.Context, batch []item, mine func(*item) bool) error {
	for i := range batch {
		it := &batch[i]
		if it.bad != nil || !mine(it) {
			continue
		}
		if err := r.observe(it); err != nil {
			return fmt.Errorf("%s: %w", it.line, err)
		}
		it.past.Exposure = it.session.exposure
		j, err := r.judge.Judge(ctx, it.record, it.past)
		if err != nil {
			return fmt.Errorf("%s: %w", it.line, err)
		}
		it.verdict = verdictOf(j, r.rules)
		if it.verdict.Outcome == schemas.Refuse {
			continue
		}
		if err := it.session.saw(j.Seen, it.record.Time); err != nil {
			return fmt.Errorf("%s: %w", it.line, err)
		}
	}
	return nil
}

// observe exposes a session to what its agent had been given before the call, as
// the log says.
func (r *Replay) observe(it *item) error {
	for _, action := range it.call.Observed {
		until := it.record.Time.Add(stages.DefaultLimits().Exposure)
		if err := it.session.saw(schemas.Seen{Action: action, Labels: r.labels[action], Until: until}, it.record.Time); err != nil {
			return err
		}
	}
	return nil
}

func (r *Replay) count(batch []item) error {
	for i := range batch {
		it := &batch[i]
		if it.bad != nil {
			r.tally.Bad()
			if r.Config.Bad != nil {
				r.Config.Bad(it.line, it.bad)
			}
			continue
		}
		r.tally.Count(it.session, it.call, it.verdict)
		if r.Decided == nil {
			continue
		}
		if err := r.Decided(it.call, it.verdict); err != nil {
			return err
		}
	}
	if r.Tick != nil {
		r.Tick(len(batch))
	}
	return nil
}
