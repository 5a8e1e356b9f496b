package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/schemas"
)

// liveReport is what a gate made of the calls of a log.
type liveReport struct {
	replay.Report

	// Reviewed counts how parked calls ended, if that was waited for.
	Reviewed *reviewed `json:"reviewed,omitempty"`

	// Took is how long agents waited for the first word, by action.
	Took []took `json:"took"`
}

type reviewed struct {
	Released int `json:"released"`
	Refused  int `json:"refused"`
}

// took is a time as percentiles, in milliseconds.
type took struct {
	Action schemas.Action `json:"action"`
	Calls  int64          `json:"calls"`
	P50    float64        `json:"p50_ms"`
	P99    float64        `json:"p99_ms"`
	Max    float64        `json:"max_ms"`
}

// maxTimed is how many actions are timed apart; others are timed as *.*.
const maxTimed = 1000

// replayLive sends the calls of a log through a running gate.
func replayLive(cmd *cobra.Command, o replayOptions, in *callLog, out decisions) error {
	crew := &crew{cmd: cmd, keys: o.keys, agents: map[schemas.Name]client.Agent{}}
	defer crew.close()
	as := schemas.Name(o.agent)
	if o.keys == "" {
		agent, err := crew.single()
		if err != nil {
			return err
		}
		as = agent.Name()
	}
	l := newLive(o, crew, in, out)
	err := l.run(cmd.Context(), as, o.parallel)
	in.meter.done()
	report := l.report()
	if err := output(cmd, report, func(w printer) error { return printLive(w, report) }); err != nil {
		return err
	}
	return errors.Join(err, in.verdict())
}

// crew are the agents of a log, each connected when it first calls.
type crew struct {
	cmd  *cobra.Command
	keys string

	// mu guards agents, also while one connects.
	mu     sync.Mutex
	agents map[schemas.Name]client.Agent
}

// single connects with the key that stands for every agent.
func (c *crew) single() (client.Agent, error) {
	conn, key, err := dial(c.cmd, schemas.RoleAgent)
	if err != nil {
		return client.Agent{}, err
	}
	c.agents[key.Name] = client.Agent{Conn: conn}
	return c.agents[key.Name], nil
}

// agent returns the agent of that name.
func (c *crew) agent(name schemas.Name) (client.Agent, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, known := c.agents[name]; known {
		return a, nil
	}
	path := filepath.Join(c.keys, string(name)+".key")
	key, err := identity.ReadKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return client.Agent{}, hint(fmt.Errorf("agent %s of the log has no key: %w", name, err),
			"register it with \"holdpoint identity add agent %s --sessions declared --owner PERSON --out %s\", or replay everything as one agent with --key FILE", name, path)
	}
	if err != nil {
		return client.Agent{}, err
	}
	conn, err := dialAs(c.cmd, key, schemas.RoleAgent)
	if err != nil {
		return client.Agent{}, err
	}
	c.agents[name] = client.Agent{Conn: conn}
	return c.agents[name], nil
}

func (c *crew) close() {
	for _, a := range c.agents {
		a.Close()
	}
}

// live sends calls and counts what becomes of them.
type live struct {
	crew *crew
	wait bool

	// round tells the sessions of this run from those of the runs before: what an
	// agent was given then does not count.
	round string

	// mu guards what is below, for the time of reading one call or counting one.
	mu       sync.Mutex
	in       *callLog
	out      decisions
	tally    *replay.Tally
	reviewed reviewed
	took     map[schemas.Action]*hdrhistogram.Histogram
}

func newLive(o replayOptions, crew *crew, in *callLog, out decisions) *live {
	return &live{
		crew: crew, in: in, out: out, wait: o.wait,
		round: strconv.FormatInt(time.Now().UnixMilli(), 36),
		tally: replay.NewTally(nil),
		took:  map[schemas.Action]*hdrhistogram.Histogram{},
	}
}

// entry is a call on its way.
type entry struct {
	call    replay.Call
	session *replay.Session
}

// run sends all calls. Those of one session go through one worker, and so in
// their order.
func (l *live) run(ctx context.Context, as schemas.Name, parallel int) error {
	group, ctx := errgroup.WithContext(ctx)
	workers := make([]chan entry, parallel)
	for i := range workers {
		workers[i] = make(chan entry, 1)
		group.Go(func() error { return l.work(ctx, workers[i]) })
	}
	group.Go(func() error {
		defer func() {
			for _, w := range workers {
				close(w)
			}
		}()
		return l.hand(ctx, as, workers)
	})
	return group.Wait()
}

// hand hands the calls to the workers.
func (l *live) hand(ctx context.Context, as schemas.Name, workers []chan entry) error {
	seed := maphash.MakeSeed()
	for {
		e, err := l.next(as)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		worker := maphash.String(seed, string(e.call.Agent)+" "+e.call.Session) % uint64(len(workers))
		select {
		case workers[worker] <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next returns the next call of the log, or io.EOF.
func (l *live) next(as schemas.Name) (entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		line, err := l.in.next()
		if err != nil {
			return entry{}, err
		}
		call, err := replay.ParseCall(line, as)
		if err != nil {
			l.in.complain(line, err)
			l.tally.Bad()
			continue
		}
		e := entry{call: call}
		e.session = l.tally.Enter(&e.call)
		return e, nil
	}
}

func (l *live) work(ctx context.Context, entries <-chan entry) error {
	for e := range entries {
		if err := l.send(ctx, e); err != nil {
			return fmt.Errorf("%s: %w", e.call.Line, err)
		}
	}
	return nil
}

// send proposes one call and waits for the gate's first word and, if that was
// asked for, for the verdict.
func (l *live) send(ctx context.Context, e entry) error {
	agent, err := l.crew.agent(e.call.Agent)
	if err != nil {
		return err
	}
	began := time.Now()
	ticket, err := agent.Submit(ctx, l.proposal(e.call))
	if v, refused := refusedAtOnce(err); refused {
		return l.count(e, v, time.Since(began))
	}
	if err != nil {
		return err
	}
	status, err := agent.Stand(ctx, ticket)
	if err != nil {
		return err
	}
	if err := l.count(e, verdictOn(status), time.Since(began)); err != nil || !l.wait || status.State != schemas.Parked {
		return err
	}
	settled, err := agent.Await(ctx, ticket)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if settled.Outcome == schemas.Release {
		l.reviewed.Released++
	} else {
		l.reviewed.Refused++
	}
	return nil
}

func (l *live) proposal(c replay.Call) client.Proposal {
	p := c.Proposal()
	if p.Session != "" {
		p.Session = replay.SessionName(c.Session + "." + l.round)
	}
	return client.Proposal{Action: c.Action, Params: p.Params, Goal: p.Goal, Session: p.Session}
}

// refusedAtOnce returns the verdict on a call that does not get into the gate: the
// broker does not let the agent propose it, or it can never be an intent.
func refusedAtOnce(err error) (replay.Verdict, bool) {
	switch {
	case errors.Is(err, schemas.ErrDenied):
		return replay.Verdict{Outcome: schemas.Refuse, Code: schemas.CodeUnregistered, Detail: "its agent is not registered for this action"}, true
	case errors.Is(err, schemas.ErrInvalid):
		return replay.Verdict{Outcome: schemas.Refuse, Code: schemas.CodeInvalid, Detail: err.Error()}, true
	}
	return replay.Verdict{}, false
}

// verdictOn returns the verdict that an agent's status says.
func verdictOn(s schemas.Status) replay.Verdict {
	switch s.State {
	case schemas.Refused:
		return replay.Verdict{Outcome: schemas.Refuse, Code: s.Code, Detail: cmp.Or(s.Detail, s.Tell)}
	case schemas.Parked:
		return replay.Verdict{Outcome: schemas.Park}
	default:
		return replay.Verdict{Outcome: schemas.Release}
	}
}

// count counts the first word on a call.
func (l *live) count(e entry, v replay.Verdict, after time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally.Count(e.session, e.call, v)
	action := e.call.Action
	if l.took[action] == nil && len(l.took) >= maxTimed {
		action = "*.*"
	}
	h := l.took[action]
	if h == nil {
		h = hdrhistogram.New(1, time.Hour.Microseconds(), 2)
		l.took[action] = h
	}
	_ = h.RecordValue(min(after, time.Hour).Microseconds())
	l.in.tick(1)
	return l.out.write(e.call, v)
}

func (l *live) report() liveReport {
	r := liveReport{Report: l.tally.Report()}
	if l.wait {
		r.Reviewed = &l.reviewed
	}
	for action, h := range l.took {
		at := func(percentile float64) float64 { return float64(h.ValueAtPercentile(percentile)) / 1000 }
		r.Took = append(r.Took, took{Action: action, Calls: h.TotalCount(), P50: at(50), P99: at(99), Max: float64(h.Max()) / 1000})
	}
	slices.SortFunc(r.Took, func(a, b took) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Action, b.Action))
	})
	return r
}

func printLive(w io.Writer, r liveReport) error {
	if err := printReplay(w, r.Report); err != nil {
		return err
	}
	if r.Reviewed != nil {
		say(w, "")
		say(w, "of the parked calls, %d were released and %d refused", r.Reviewed.Released, r.Reviewed.Refused)
	}
	var rows [][]string
	for _, t := range r.Took {
		ms := func(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
		rows = append(rows, []string{string(t.Action), strconv.FormatInt(t.Calls, 10), ms(t.P50), ms(t.P99), ms(t.Max)})
	}
	if len(rows) == 0 {
		return nil
	}
	say(w, "")
	return table(w, "FIRST-WORD-ON CALLS P50-MS P99-MS MAX-MS", rows)
}
