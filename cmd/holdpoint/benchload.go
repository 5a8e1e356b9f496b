package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// benchActions is how many actions the bundle has.
const benchActions = 20

// A routine intent is released by the rules; a large one is parked, because no rule
// releases it.
const (
	routineAmount = 900
	largeAmount   = 6000
)

func loadProposal(i, amount int) client.Proposal {
	return client.Proposal{
		Action: schemas.Action(fmt.Sprintf("load.act%02d", i%benchActions)),
		Params: map[string]any{"order": fmt.Sprintf("A-%d", i), "amount": amount, "note": "one of many, of a length that such notes have"},
		Reason: "the customer asked for it in the last message and the order is eligible",
	}
}

// round is what one turn of load cost.
type round struct {
	intents   int
	parked    int // of them, although they are routine
	took      time.Duration
	cpu       time.Duration
	allocs    uint64
	allocated uint64 // bytes
}

func (r round) perSecond() float64 { return float64(r.intents) / r.took.Seconds() }

// round submits n intents of all agents at once and waits until the gate is done
// with all of them.
func (r *rig) round(ctx context.Context, n int) (round, error) {
	log, err := r.gate.log(ctx, schemas.RoleExecute)
	if err != nil {
		return round{}, err
	}
	begin, err := progressOf(ctx, log)
	if err != nil {
		return round{}, err
	}
	cost := startCosting()
	began := time.Now()
	if err := r.submit(ctx, n); err != nil {
		return round{}, err
	}
	var now progressed
	var broken error
	err = r.until(ctx, "everything is settled", func() bool {
		now, broken = progressOf(ctx, log)
		return broken != nil || now.settled+now.parked >= begin.settled+begin.parked+uint64(n)
	})
	if err == nil {
		err = broken
	}
	done := round{intents: n, parked: int(now.parked - begin.parked), took: time.Since(began)}
	done.cpu, done.allocs, done.allocated = cost.stop()
	return done, err
}

// submit submits n intents, each agent its share one after the other.
func (r *rig) submit(ctx context.Context, n int) error {
	group, ctx := errgroup.WithContext(ctx)
	for a := range r.agents {
		group.Go(func() error {
			for i := a; i < n; i += len(r.agents) {
				if _, err := r.agents[a].Submit(ctx, loadProposal(i, 1+i%routineAmount)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// progressed is how many records the streams have in which intents end up.
type progressed struct{ settled, parked uint64 }

func progressOf(ctx context.Context, log *broker.Log) (p progressed, err error) {
	if p.settled, err = log.LastSeq(ctx, schemas.Settled); err != nil {
		return p, err
	}
	p.parked, err = log.LastSeq(ctx, schemas.ParkedHolds)
	return p, err
}

// costing is what the process had used when something began.
type costing struct {
	cpu    time.Duration
	memory runtime.MemStats
}

func startCosting() *costing {
	c := &costing{cpu: processCPU()}
	runtime.ReadMemStats(&c.memory)
	return c
}

// stop returns what the process has used since.
func (c *costing) stop() (cpu time.Duration, allocs, bytes uint64) {
	cpu = processCPU() - c.cpu
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return cpu, now.Mallocs - c.memory.Mallocs, now.TotalAlloc - c.memory.TotalAlloc
}

// latencies are durations up to a minute, in microseconds.
type latencies struct {
	// mu guards all and parked, for the time of one count.
	mu     sync.Mutex
	all    *hdrhistogram.Histogram
	parked int // intents that were not released after all
}

const longestLatency = time.Minute

func newLatencies() *latencies {
	return &latencies{all: hdrhistogram.New(1, longestLatency.Microseconds(), 3)}
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.all.RecordValue(max(1, min(d, longestLatency).Microseconds())) // never out of range
}

// paced submits routine intents at a rate for a while, and measures from the moment
// that each was due until its agent has read its release: who waits because
// everything is slow counts as waiting.
func (r *rig) paced(ctx context.Context, perSecond int, during time.Duration) (*latencies, error) {
	took := newLatencies()
	every := time.Second / time.Duration(perSecond)
	group, waiting := errgroup.WithContext(ctx)
	began := time.Now()
	for i := range int(during / every) {
		due := began.Add(time.Duration(i) * every)
		if err := sleepUntil(waiting, due); err != nil {
			break
		}
		agent := r.agents[i%len(r.agents)]
		group.Go(func() error {
			t, err := agent.Submit(waiting, loadProposal(i, 1+i%routineAmount))
			if err != nil {
				return err
			}
			return took.until(waiting, agent, t, due)
		})
	}
	return took, group.Wait()
}

// releaseWait is how long a release is waited for before the agent asks whether the
// intent was parked.
const releaseWait = 10 * time.Second

// until adds the time from began until the agent has read its release. An intent
// that is parked, because a rule ran out of time on a busy machine, is counted apart.
func (l *latencies) until(ctx context.Context, agent client.Agent, t client.Ticket, began time.Time) error {
	short, cancel := context.WithTimeout(ctx, releaseWait)
	defer cancel()
	settled, err := agent.Await(short, t)
	switch {
	case err == nil && settled.Outcome != schemas.Release:
		return fmt.Errorf("%s was refused: %s", t.Key, settled.Code)
	case err == nil:
		l.add(time.Since(began))
		return nil
	case short.Err() == nil || ctx.Err() != nil:
		return err
	}
	status, err := agent.Status(ctx, t.Key.ID)
	if err == nil && status.State != schemas.Parked {
		err = fmt.Errorf("%s is %s after %s", t.Key, status.State, releaseWait)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parked++
	return err
}

func sleepUntil(ctx context.Context, at time.Time) error {
	if d := time.Until(at); d > 0 {
		return sleep(ctx, d)
	}
	return ctx.Err()
}

// approvals parks and approves one intent after the other for a while, and measures
// from the decision until the agent has read its release.
func (r *rig) approvals(ctx context.Context, during time.Duration) (*latencies, error) {
	took := newLatencies()
	for began, i := time.Now(), 0; i == 0 || time.Since(began) < during; i++ {
		if err := r.approve(ctx, r.agents[i%len(r.agents)], i, took); err != nil {
			return took, err
		}
	}
	return took, nil
}

func (r *rig) approve(ctx context.Context, agent client.Agent, i int, took *latencies) error {
	t, err := agent.Submit(ctx, loadProposal(i, largeAmount))
	if err != nil {
		return err
	}
	if _, err := agent.Stand(ctx, t); err != nil {
		return err
	}
	held, err := r.reviewer.Hold(ctx, t.Key)
	if err != nil {
		return err
	}
	group, waiting := errgroup.WithContext(ctx)
	began := time.Now()
	group.Go(func() error { return took.until(waiting, agent, t, began) })
	group.Go(func() error {
		ruling, err := r.reviewer.Decide(waiting, held, schemas.Approve, "")
		if err == nil && !ruling.Counts {
			err = fmt.Errorf("approving %s: it does not count: %s", t.Key, ruling.Code)
		}
		return err
	})
	return group.Wait()
}
