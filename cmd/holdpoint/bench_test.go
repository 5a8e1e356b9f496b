package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

const (
	benchAgents  = 1000
	benchActions = 20
	benchRound   = 20_000
)

// relay passes messages on from stream to stream as the gate does, over the same
// accounts, streams and consumers, with the settlement filter and
// acknowledgements, and looks at nothing. It is what the broker alone can do.
type relay struct {
	log  *broker.Log
	kind string
}

func (f relay) Handle(ctx context.Context, r schemas.Record) error {
	s, err := schemas.ParseSubject(r.Subject)
	if err != nil {
		return err
	}
	e, _, err := schemas.ReadEvent(r.Header, r.Body)
	if err != nil {
		return err
	}
	s.Kind, s.Outcome, s.Intent = f.kind, "release", schemas.IntentID(e.ID)
	var expect schemas.Expect
	if f.kind == "released" {
		expect.Filter = schemas.SettlementFilter(schemas.Key{Agent: s.Agent, ID: s.Intent})
	}
	_, err = f.log.Append(ctx, schemas.Draft{Subject: s.String(), Header: e.Header(), Body: r.Body}, expect)
	return err
}

func (relay) Refuse(context.Context, schemas.Record, string) error { return nil }

// startRelay runs a relay in place of the stages of a world.
func (w *world) startRelay() {
	w.t.Helper()
	w.halt()
	ctx, stop := context.WithCancel(context.Background())
	g := bareGate(w.config())
	check(w.t, g.connect())
	var group errgroup.Group
	for role, to := range map[schemas.Role]struct {
		from schemas.Stream
		kind string
	}{
		schemas.RoleObserve:   {schemas.Intents, "observed"},
		schemas.RoleRecommend: {schemas.Observed, "recommended"},
		schemas.RoleExecute:   {schemas.Recommended, "released"},
	} {
		log, err := g.log(ctx, role)
		check(w.t, err)
		group.Go(func() error { return log.Work(ctx, to.from, w.config().Width, relay{log, to.kind}) })
	}
	w.gate, w.stop, w.done = g, stop, make(chan error, 1)
	go func() {
		err := group.Wait()
		g.close()
		w.done <- err
	}()
}

// crowd registers agents, and connects each.
func (w *world) crowd(n int) []client.Agent {
	w.t.Helper()
	admin := w.operator(schemas.RoleIdentityAdmin)
	agents := make([]client.Agent, n)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range agents {
		group.Go(func() error {
			k, err := identity.NewKeyFile(schemas.Name(fmt.Sprintf("agent-%d", i)), schemas.RoleAgent)
			if err != nil {
				return err
			}
			public, err := k.Public()
			if err != nil {
				return err
			}
			id := schemas.Identity{Name: k.Name, Role: k.Role, Owner: "olga", Key: public}
			if err := admin.Add(w.t.Context(), id); err != nil {
				return err
			}
			conn, err := client.Dial(client.Config{Key: k, InProcess: w.server.Connection().InProcess, Log: logTo(w.t)})
			agents[i] = client.Agent{Conn: conn}
			return err
		})
	}
	check(w.t, group.Wait())
	w.t.Cleanup(func() {
		for _, a := range agents {
			a.Close()
		}
	})
	return agents
}

func loadProposal(i int) client.Proposal {
	return client.Proposal{
		Action: schemas.Action(fmt.Sprintf("load.act%02d", i%benchActions)),
		Params: map[string]any{"order": fmt.Sprintf("A-%d", i), "amount": 1 + i%900, "note": "one of many, of a length that such notes have"},
		Reason: "the customer asked for it in the last message and the order is eligible",
	}
}

// round submits n intents of all agents at once and waits until all are settled.
// It returns how many were settled in a second.
func (w *world) round(agents []client.Agent, n int) float64 {
	w.t.Helper()
	log, err := w.gate.log(w.t.Context(), schemas.RoleExecute)
	check(w.t, err)
	before, err := log.LastSeq(w.t.Context(), schemas.Settled)
	check(w.t, err)
	began := time.Now()
	var group errgroup.Group
	for a := range agents {
		group.Go(func() error {
			for i := a; i < n; i += len(agents) {
				if _, err := agents[a].Submit(w.t.Context(), loadProposal(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	check(w.t, group.Wait())
	for {
		last, err := log.LastSeq(w.t.Context(), schemas.Settled)
		check(w.t, err)
		if last >= before+uint64(n) {
			return float64(n) / time.Since(began).Seconds()
		}
		check(w.t, sleep(w.t.Context(), time.Millisecond))
	}
}

// BenchmarkThroughput compares the gate with the relay: 1,000 agents, 20 actions,
// in turns, so that both see the same machine.
func BenchmarkThroughput(b *testing.B) {
	gate, plain := newWorld(b, "testdata/twenty"), newWorld(b, "testdata/twenty")
	crowd, other := gate.crowd(benchAgents), plain.crowd(benchAgents)
	plain.startRelay()
	gate.round(crowd, benchRound/4)
	plain.round(other, benchRound/4)
	var of, against []float64
	for b.Loop() {
		against = append(against, plain.round(other, benchRound))
		of = append(of, gate.round(crowd, benchRound))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(against), "relay-intents/s")
	b.ReportMetric(median(of), "gate-intents/s")
	b.ReportMetric(median(of)/median(against), "ratio")
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// BenchmarkLatency measures, at a thousand intents a second, from submit until
// the agent has read its release, and from approve until it has read that.
func BenchmarkLatency(b *testing.B) {
	w := newWorld(b, "testdata/shop")
	agents := w.crowd(50)
	ann := w.reviewer("ann")
	var submitted, approved samples
	for b.Loop() {
		w.paced(agents, 1000, time.Millisecond, &submitted)
		for range 100 {
			w.approveOne(agents[0], ann, &approved)
		}
	}
	b.ReportMetric(0, "ns/op")
	submitted.report(b, "submit-released")
	approved.report(b, "approve-released")
}

// samples are durations.
type samples struct {
	mu  sync.Mutex
	all []time.Duration
}

func (s *samples) add(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, d)
}

func (s *samples) report(b *testing.B, what string) {
	slices.Sort(s.all)
	at := func(q float64) float64 {
		return float64(s.all[int(q*float64(len(s.all)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(at(0.5), what+"-p50-ms")
	b.ReportMetric(at(0.99), what+"-p99-ms")
}

// paced submits n small refunds, one every interval, and waits for each release.
func (w *world) paced(agents []client.Agent, n int, every time.Duration, s *samples) {
	w.t.Helper()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var group errgroup.Group
	for i := range n {
		<-ticker.C
		group.Go(func() error {
			began := time.Now()
			t, err := agents[i%len(agents)].Submit(w.t.Context(), refund(20))
			if err != nil {
				return err
			}
			if _, err := agents[i%len(agents)].Await(w.t.Context(), t); err != nil {
				return err
			}
			s.add(time.Since(began))
			return nil
		})
	}
	check(w.t, group.Wait())
}

func (w *world) approveOne(agent client.Agent, ann client.Reviewer, s *samples) {
	w.t.Helper()
	t, err := agent.Submit(w.t.Context(), refund(500))
	check(w.t, err)
	_, err = agent.Stand(w.t.Context(), t)
	check(w.t, err)
	held, err := ann.Hold(w.t.Context(), t.Key)
	check(w.t, err)
	var group errgroup.Group
	began := time.Now()
	group.Go(func() error {
		_, err := agent.Await(w.t.Context(), t)
		s.add(time.Since(began))
		return err
	})
	ruling, err := ann.Decide(w.t.Context(), held, schemas.Approve, "")
	check(w.t, err)
	if !ruling.Counts {
		w.t.Fatalf("the approval does not count: %s", ruling.Code)
	}
	check(w.t, group.Wait())
}
