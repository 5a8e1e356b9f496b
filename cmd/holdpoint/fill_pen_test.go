package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// pen writes for one identity.
type pen struct {
	identity.KeyFile
	source string
	nc     *nats.Conn
	js     jetstream.JetStream
}

// pen connects the holder of a key.
func (f *fill) pen(k identity.KeyFile) *pen {
	f.t.Helper()
	public, err := k.Public()
	check(f.t, err)
	p := &pen{KeyFile: k, source: "/" + string(k.Role) + "s/" + string(k.Name)}
	if _, own := f.creds[k.Role]; own {
		p.source = "/gateways/" + string(tenant) + "/" + string(k.Role)
	}
	p.nc, err = nats.Connect("", nats.InProcessServer(f.server.Connection().InProcess), nats.Nkey(public, k.Key.Sign), nats.CustomInboxPrefix("_INBOX_"+string(k.Name)))
	check(f.t, err)
	f.t.Cleanup(p.nc.Close)
	p.js, err = jetstream.New(p.nc, jetstream.WithPublishAsyncMaxPending(waveSize))
	check(f.t, err)
	return p
}

// leave ends all connections.
func (f *fill) leave() {
	for _, p := range append(slices.Collect(maps.Values(f.stages)), append(f.agents, f.ann, f.runner)...) {
		p.nc.Close()
	}
}

// stroke is one record of a life: by whom it is written, when, and under which
// condition.
type stroke struct {
	by      *pen
	content schemas.Content
	at      time.Time
	expect  schemas.Expect
}

// record writes one record of each life.
func (f *fill) record(all []*life, next func(*life) stroke) {
	f.t.Helper()
	f.write(all, func(l *life) (*pen, schemas.Draft, schemas.Expect) {
		s := next(l)
		return s.by, schemas.Write(s.content, s.by.source, s.at, ""), s.expect
	})
}

// write publishes one message of each life, all of them before the first is
// acknowledged, and notes where they stand.
func (f *fill) write(all []*life, next func(*life) (*pen, schemas.Draft, schemas.Expect)) {
	f.t.Helper()
	kept := make([]jetstream.PubAckFuture, len(all))
	drafts := make([]schemas.Draft, len(all))
	for i, l := range all {
		by, d, expect := next(l)
		m := &nats.Msg{Subject: d.Subject, Header: nats.Header(d.Header), Data: d.Body}
		if expect.Filter != "" {
			m.Header = maps.Clone(m.Header)
			m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(expect.Last, 10))
			m.Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, expect.Filter)
		}
		var err error
		kept[i], err = by.js.PublishMsgAsync(m)
		check(f.t, err)
		drafts[i] = d
	}
	for i, l := range all {
		select {
		case ack := <-kept[i].Ok():
			stream := schemas.Stream(ack.Stream)
			l.last[stream] = schemas.Record{Stream: stream, Seq: ack.Sequence, Subject: drafts[i].Subject, Header: drafts[i].Header, Body: drafts[i].Body}
		case err := <-kept[i].Err():
			f.t.Fatalf("writing %s: %v", drafts[i].Subject, err)
		}
	}
}

// done is a stage that has nothing to do.
type done struct{}

func (done) Handle(context.Context, schemas.Record) error         { return nil }
func (done) Refuse(context.Context, schemas.Record, string) error { return nil }

// acknowledge takes what the stages and the executors would take, until taken is
// called. When that returns, everything is taken, and AUDIT has a copy of it.
func (f *fill) acknowledge() (taken func()) {
	f.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	g := bareGate(f.config())
	check(f.t, g.connect())
	var group errgroup.Group
	for role, streams := range map[schemas.Role][]schemas.Stream{
		schemas.RoleObserve:   {schemas.Intents},
		schemas.RoleRecommend: {schemas.Observed},
		schemas.RoleExecute:   {schemas.Recommended, schemas.Decisions, schemas.Outcomes},
	} {
		log, err := g.log(ctx, role)
		check(f.t, err)
		for _, stream := range streams {
			group.Go(func() error { return log.Work(ctx, stream, 256, done{}) })
		}
	}
	group.Go(func() error { return f.takeReleases(ctx) })
	return func() {
		for f.busy() != "" {
			check(f.t, sleep(f.t.Context(), 10*time.Millisecond))
		}
		stop()
		check(f.t, group.Wait())
		g.close()
	}
}

// busy says what is still to be taken or copied, or "".
func (f *fill) busy() string {
	s := siege{world: f.world, ns: natsServer(f.world)}
	now := s.look()
	if w := now[gateStream(schemas.Settled)].Workers[broker.SystemConsumer("desk")]; w.pending+w.unacknowledged > 0 {
		return fmt.Sprintf("%d releases to take", w.pending)
	}
	return now.busy()
}

// takeReleases acknowledges what the executors' consumer hands out.
func (f *fill) takeReleases(ctx context.Context) error {
	nc := f.runner.nc
	releases, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return err
	}
	next := broker.API + ".CONSUMER.MSG.NEXT." + string(schemas.Settled) + "." + broker.SystemConsumer("desk")
	for ctx.Err() == nil {
		if err := nc.PublishRequest(next, releases.Subject, fmt.Appendf(nil, `{"batch":%d,"expires":100000000}`, waveSize)); err != nil {
			return err
		}
		for range waveSize {
			m, err := releases.NextMsg(10 * time.Second)
			if err != nil {
				return err
			}
			if m.Header.Get("Status") != "" {
				break // the time to wait is over
			}
			if err := m.Ack(); err != nil {
				return err
			}
		}
	}
	return releases.Unsubscribe()
}
