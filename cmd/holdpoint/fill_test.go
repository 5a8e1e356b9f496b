package main

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// waveSize is how many intents are written about at once.
	waveSize = 2000

	// likenesses is how many intents the gate itself is led through, each of
	// another risk: everything that is filled in is like one of them.
	likenesses = 10
)

// fill writes in a minute what a gate writes in a long time: holds, open and
// closed, with everything before and after them. Each record is one that the gate
// wrote about another intent, with other names, times and pointers, published by
// the identity that would publish it and under the same condition. The stages
// stand still meanwhile; what they would take is acknowledged for them.
type fill struct {
	*world
	like   []likeness
	agents []*pen
	ann    *pen
	runner *pen
	stages map[schemas.Role]*pen
	nth    int
}

// likeness is what the gate wrote about one intent.
type likeness struct {
	proposal              schemas.Proposal
	observed              schemas.Observation
	recommended           schemas.Recommendation
	parked, voted, closed schemas.Hold
	decision              schemas.Decision
	settled               schemas.Settlement
	granted               schemas.Grant
	report                schemas.Report
}

// life is an intent that is filled in.
type life struct {
	*likeness
	agent  *pen
	in     schemas.Intent
	later  time.Duration // how much later everything is than in its likeness
	last   map[schemas.Stream]schemas.Record
	states []schemas.Digest
}

// newFill leads a few intents through the gate of a world in which the bundle of
// testdata/queue is active. More are filled in for that many agents.
func newFill(w *world, agents int) *fill {
	w.t.Helper()
	f := &fill{world: w, stages: map[schemas.Role]*pen{}}
	for _, k := range w.enroll(agents) {
		f.agents = append(f.agents, f.pen(k))
	}
	ann := w.register(schemas.Identity{Name: "ann", Role: schemas.RoleReviewer, Person: "ann", Queues: []schemas.Name{"billing"}})
	runner := w.register(schemas.Identity{Name: "runner", Role: schemas.RoleExecutor, Owner: "opal", Systems: []string{"desk"}})
	f.ann, f.runner = f.pen(ann), f.pen(runner)
	for _, role := range []schemas.Role{schemas.RoleObserve, schemas.RoleRecommend, schemas.RoleExecute} {
		f.stages[role] = f.pen(w.creds[role])
	}
	f.live(client.Agent{Conn: w.dial(f.agents[0].KeyFile)}, client.Reviewer{Conn: w.dial(ann)}, client.Executor{Conn: w.dial(runner)})
	return f
}

// enroll registers agents.
func (w *world) enroll(n int) []identity.KeyFile {
	w.t.Helper()
	admin := w.operator(schemas.RoleIdentityAdmin)
	keys := make([]identity.KeyFile, n)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range keys {
		group.Go(func() error {
			k, err := identity.NewKeyFile(schemas.Name(fmt.Sprintf("agent-%d", i)), schemas.RoleAgent)
			if err != nil {
				return err
			}
			public, err := k.Public()
			if err != nil {
				return err
			}
			keys[i] = k
			return admin.Add(w.t.Context(), schemas.Identity{Name: k.Name, Role: k.Role, Owner: "olga", Key: public})
		})
	}
	check(w.t, group.Wait())
	return keys
}

// payment is what the i-th intent proposes.
func payment(i int) client.Proposal {
	return client.Proposal{
		Action: "desk.pay",
		Params: map[string]any{"order": fmt.Sprintf("A-%d", i), "amount": 10 * (1 + i%likenesses), "note": "one of many, of a length that such notes have"},
		Reason: "the customer asked for it in the last message and the order is eligible",
	}
}

// live leads an intent of each risk through the gate, and keeps what it wrote.
func (f *fill) live(bot client.Agent, ann client.Reviewer, runner client.Executor) {
	f.t.Helper()
	ctx, stop := context.WithCancel(f.ctx())
	ran := make(chan error, 1)
	go func() {
		ran <- runner.Run(ctx, []string{"desk"}, 4, func(context.Context, client.Task) (any, error) { return "paid", nil })
	}()
	for i := range likenesses {
		ticket, err := bot.Submit(f.ctx(), payment(i))
		check(f.t, err)
		_, err = bot.Stand(f.ctx(), ticket)
		check(f.t, err)
		held, err := ann.Hold(f.ctx(), ticket.Key)
		check(f.t, err)
		_, err = ann.Decide(f.ctx(), held, schemas.Approve, "")
		check(f.t, err)
		_, err = bot.Result(f.ctx(), ticket)
		check(f.t, err)
		var records []schemas.Record
		f.until("everything about "+ticket.Key.String()+" is written", func() bool {
			records, err = ann.Show(f.ctx(), ticket.Key)
			check(f.t, err)
			return len(records) == 10
		})
		f.like = append(f.like, likenessOf(f.t, records))
	}
	stop()
	check(f.t, <-ran)
}

func likenessOf(t testing.TB, records []schemas.Record) likeness {
	t.Helper()
	var l likeness
	want := []struct {
		stream schemas.Stream
		into   schemas.Content
	}{
		{schemas.Observed, &l.observed}, {schemas.Recommended, &l.recommended},
		{schemas.ParkedHolds, &l.parked}, {schemas.ParkedHolds, &l.voted}, {schemas.ParkedHolds, &l.closed},
		{schemas.Decisions, &l.decision}, {schemas.Settled, &l.settled}, {schemas.Grants, &l.granted}, {schemas.Outcomes, &l.report},
	}
	if len(records) != 1+len(want) || schemas.Unmarshal(records[0].Body, &l.proposal) != nil {
		t.Fatalf("%d records of an intent, want %d", len(records), 1+len(want))
	}
	for i, w := range want {
		check(t, schemas.Read(records[1+i], w.into))
	}
	return l
}

// add fills in n intents. Those that open says true for are parked; all others
// are approved, performed and reported. The gate must stand still.
func (f *fill) add(n int, open func(i int) bool) {
	f.t.Helper()
	taken := f.acknowledge()
	for from := 0; from < n; from += waveSize {
		var all, closing []*life
		for i := from; i < min(n, from+waveSize); i++ {
			l := f.newLife()
			all = append(all, l)
			if !open(i) {
				closing = append(closing, l)
			}
		}
		f.park(all)
		f.end(closing)
	}
	taken()
}

func (f *fill) newLife() *life {
	l := &life{
		likeness: &f.like[f.nth%likenesses],
		agent:    f.agents[f.nth%len(f.agents)],
		last:     map[schemas.Stream]schemas.Record{},
	}
	f.nth++
	now := time.Now().UTC()
	l.later = now.Sub(l.observed.Intent.Proposed)
	l.in = l.observed.Intent
	l.in.Agent, l.in.ID, l.in.Proposed = l.agent.Name, schemas.NewIntentID(now), now
	l.in.Digest = schemas.DigestOf(l.in)
	return l
}

// trail names the last record of the intent in each of the streams.
func (l *life) trail(streams ...schemas.Stream) []schemas.Pointer {
	var trail []schemas.Pointer
	for _, s := range streams {
		trail = append(trail, l.last[s].Pointer())
	}
	return trail
}

// park writes what leads to a hold, and the hold.
func (f *fill) park(all []*life) {
	f.t.Helper()
	f.write(all, func(l *life) (*pen, schemas.Draft, schemas.Expect) {
		d, err := schemas.Propose(l.in.Key(), l.in.Action, l.proposal, l.in.Proposed)
		check(f.t, err)
		return l.agent, d, schemas.Expect{}
	})
	f.record(all, func(l *life) stroke {
		o := l.observed
		o.Intent, o.Agent.Name, o.At, o.Trail = l.in, l.in.Agent, o.At.Add(l.later), l.trail(schemas.Intents)
		return stroke{by: f.stages[schemas.RoleObserve], content: o, at: o.At}
	})
	f.record(all, func(l *life) stroke {
		r := l.recommended
		r.Intent, r.At, r.Trail = l.in, r.At.Add(l.later), l.trail(schemas.Intents, schemas.Observed)
		return stroke{by: f.stages[schemas.RoleRecommend], content: r, at: r.At}
	})
	f.hold(all, func(l *life) schemas.Hold { return l.parked })
}

// hold writes the next state of a hold.
func (f *fill) hold(all []*life, state func(*life) schemas.Hold) {
	f.t.Helper()
	f.record(all, func(l *life) stroke {
		h, before := state(l), l.last[schemas.ParkedHolds]
		h.Intent, h.At, h.Deadline = l.in, h.At.Add(l.later), h.Deadline.Add(l.later)
		h.Trail = l.trail(schemas.Intents, schemas.Observed, schemas.Recommended)
		if before.Seq > 0 {
			l.states = append(l.states, before.Hash())
			h.States, h.Votes = l.states, slices.Clone(h.Votes)
			h.Votes[0].At, h.Votes[0].Decision = h.Votes[0].At.Add(l.later), l.last[schemas.Decisions].Pointer()
		}
		return stroke{f.stages[schemas.RoleExecute], h, h.At, schemas.Expect{Filter: schemas.HoldFilter(l.in.Key()), Last: before.Seq}}
	})
}

// end writes what closes a hold, and everything after it.
func (f *fill) end(all []*life) {
	f.t.Helper()
	f.record(all, func(l *life) stroke {
		d := l.decision
		d.Agent, d.Intent, d.Digest, d.Shown = l.in.Agent, l.in.ID, l.in.Digest, l.last[schemas.ParkedHolds].Hash()
		d, err := d.Sign(f.ann.Key)
		check(f.t, err)
		return stroke{by: f.ann, content: d, at: l.voted.At.Add(l.later)}
	})
	f.hold(all, func(l *life) schemas.Hold { return l.voted })
	f.record(all, func(l *life) stroke {
		s := l.settled
		s.Intent, s.At, s.ExecuteBy = l.in, s.At.Add(l.later), s.ExecuteBy.Add(l.later)
		s.Trail = l.trail(schemas.Intents, schemas.Observed, schemas.Recommended, schemas.ParkedHolds, schemas.Decisions)
		return stroke{f.stages[schemas.RoleExecute], s, s.At, schemas.Expect{Filter: schemas.SettlementFilter(l.in.Key())}}
	})
	f.hold(all, func(l *life) schemas.Hold { return l.closed })
	f.record(all, func(l *life) stroke {
		g := l.granted
		g.Agent, g.Intent, g.Digest = l.in.Agent, l.in.ID, l.in.Digest
		g.At, g.LeaseUntil, g.Trail = g.At.Add(l.later), g.LeaseUntil.Add(l.later), l.trail(schemas.Settled)
		return stroke{f.stages[schemas.RoleExecute], g, g.At, schemas.Expect{Filter: schemas.GrantFilter(l.in.Key())}}
	})
	f.record(all, func(l *life) stroke {
		r := l.report
		r.Agent, r.Intent, r.Digest, r.Grant = l.in.Agent, l.in.ID, l.in.Digest, l.last[schemas.Grants].Pointer()
		return stroke{by: f.runner, content: r, at: l.granted.At.Add(l.later)}
	})
}
