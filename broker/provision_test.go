package broker_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// everything returns what a server has in GATE and in AUDIT: configurations and
// creation times of streams and consumers, and what the streams hold; but for
// AUDIT, which copies meanwhile.
func (w *world) everything() []any {
	w.t.Helper()
	var all []any
	for _, a := range []broker.Account{broker.Gate, broker.AuditLog} {
		_, js := w.root(a)
		streams := js.ListStreams(w.ctx())
		for s := range streams.Info() {
			s.TimeStamp, s.Sources = time.Time{}, nil
			s.State.Consumers = 0 // those of AUDIT come and go
			if a == broker.AuditLog {
				s.State = jetstream.StreamState{}
			}
			all = append(all, s)
			stream, err := js.Stream(w.ctx(), s.Config.Name)
			check(w.t, err)
			consumers := stream.ListConsumers(w.ctx())
			for c := range consumers.Info() {
				if c.Config.Durable != "" {
					all = append(all, c.Config, c.Created)
				}
			}
			check(w.t, consumers.Err())
		}
		check(w.t, streams.Err())
	}
	return all
}

// TestPlanChangesNothing: a plan names all that is missing, and makes none of it,
// on an empty server as on one that has everything.
func TestPlanChangesNothing(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	p := w.provisioner()
	steps, err := p.Plan(w.ctx(), []string{"shop"})
	check(t, err)
	var missing []string
	for _, s := range steps {
		if !s.Missing || len(s.Differs) > 0 {
			t.Errorf("on an empty server: %+v", s)
		}
		missing = append(missing, s.Thing)
	}
	for _, want := range []string{"stream INTENTS", "stream AUDIT", "stream OBJ_bundles", "consumer observe of INTENTS", "consumer exec-shop of SETTLED"} {
		if !slices.Contains(missing, want) {
			t.Errorf("the plan does not name %q: %q", want, missing)
		}
	}
	if have := w.everything(); len(have) > 0 {
		t.Errorf("the plan made %d things", len(have))
	}
	made, err := p.Apply(w.ctx(), []string{"shop"})
	if err != nil || len(made) != len(steps) {
		t.Errorf("made %d of %d things, %v", len(made), len(steps), err)
	}
	before := w.everything()
	if steps, err = p.Plan(w.ctx(), []string{"shop", "bank"}); err != nil || slices.ContainsFunc(steps, func(s broker.Step) bool {
		return s.Missing != (s.Thing == "consumer exec-bank of SETTLED")
	}) {
		t.Errorf("plan with one more system: %+v, %v", steps, err)
	}
	if diff := cmp.Diff(before, w.everything()); diff != "" {
		t.Errorf("the plan changed (-before +after):\n%s", diff)
	}
}

// TestApplyRepeatsItself: doing it again makes nothing, changes nothing and
// writes nothing, whoever does it; a new system gets its consumer and no more.
func TestApplyRepeatsItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.everything()
	for range 2 {
		made, err := w.provisioner().Apply(w.ctx(), []string{"shop"})
		if err != nil || len(made) > 0 {
			t.Errorf("doing it again made %+v, %v", made, err)
		}
	}
	if diff := cmp.Diff(before, w.everything()); diff != "" {
		t.Errorf("doing it again changed (-before +after):\n%s", diff)
	}
	made, err := w.provisioner().Apply(w.ctx(), []string{"shop", "bank"})
	if err != nil || len(made) != 1 || made[0].Thing != "consumer exec-bank of SETTLED" {
		t.Errorf("a new system: made %+v, %v", made, err)
	}
}

// TestReplicasNeedACluster: a server on its own keeps the streams once if it is
// not told how often, and says so if it is told three times.
func TestReplicasNeedACluster(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	open := broker.NewProvisioner(w.conn("provision"), w.conn("provision-audit"), tenant, broker.Layout{})
	_, err := open.Apply(w.ctx(), nil)
	check(t, err)
	if got := w.configOf(schemas.Settled).Replicas; got != 1 {
		t.Errorf("kept %d times, want once", got)
	}
	thrice := broker.NewProvisioner(w.conn("provision"), w.conn("provision-audit"), tenant, broker.Layout{Replicas: 3})
	if _, err := thrice.Apply(w.ctx(), nil); !errors.Is(err, schemas.ErrInvalid) || !strings.Contains(err.Error(), "stream AUDIT: num_replicas is 1, must be 3") {
		t.Errorf("three times, on one server: %v", err)
	}
}

// TestEveryDifferenceIsNamed: what is not as it must be is an error that names
// it, and is left as it is: changing a limit can remove records.
func TestEveryDifferenceIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		stream schemas.Stream
		change func(*jetstream.StreamConfig)
		want   string
	}{
		{schemas.Intents, func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "stream INTENTS: max_age is 3600000000000, must be 0"},
		{schemas.Settled, func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, "stream SETTLED: max_msgs_per_subject is 1, must be -1"},
		{schemas.Settled, func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "released") }, "stream SETTLED: subjects is"},
		{schemas.Grants, func(c *jetstream.StreamConfig) { c.AllowRollup = true }, "stream GRANTED: allow_rollup_hdrs is true, must be not set"},
		{schemas.Outcomes, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1 << 20 }, "stream OUTCOMES: max_msg_size is 1048576, must be 32768"},
		{schemas.Decisions, func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute }, "stream DECISIONS: duplicate_window is"},
		{schemas.ParkedHolds, func(c *jetstream.StreamConfig) { c.AllowDirect = false }, "stream PARKED: allow_direct is false, must be true"},
		{schemas.Rejected, func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "stream REJECTED: discard is"},
		{schemas.Exposed, func(c *jetstream.StreamConfig) { c.NoAck = true }, "stream EXPOSED: no_ack is true, must be not set"},
		{schemas.Observed, func(c *jetstream.StreamConfig) { c.RePublish = &jetstream.RePublish{Source: ">", Destination: "x.>"} }, "stream OBSERVED: republish is"},
		{schemas.Audit, func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 30 }, "stream AUDIT: max_bytes is 1073741824, must be -1"},
		{schemas.Audit, func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute }, "stream AUDIT: duplicate_window is"},
		{schemas.Audit, func(c *jetstream.StreamConfig) { c.Sources = c.Sources[1:] }, "stream AUDIT: sources is"},
	} {
		before := w.configOf(c.stream)
		changed := w.configOf(c.stream)
		c.change(&changed)
		w.update(changed)
		_, err := w.provisioner().Apply(w.ctx(), []string{"shop"})
		if !errors.Is(err, schemas.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want an ErrInvalid that says %q", err, c.want)
		}
		if now := w.configOf(c.stream); cmp.Equal(now, before) {
			t.Errorf("%s: what differed was changed", c.want)
		}
		w.update(before)
	}
	if _, err := w.provisioner().Apply(w.ctx(), []string{"shop"}); err != nil {
		t.Errorf("with everything as it was: %v", err)
	}
}

// update changes a stream as only an operator of the server can.
func (w *world) update(c jetstream.StreamConfig) {
	w.t.Helper()
	account := broker.Gate
	if c.Name == string(schemas.Audit) {
		account = broker.AuditLog
	}
	_, js := w.root(account)
	_, err := js.UpdateStream(w.ctx(), c)
	check(w.t, err)
}

// TestConsumersAreComparedToo: a consumer that would hand out less than everything
// is found.
func TestConsumersAreComparedToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, js := w.root(broker.Gate)
	c, err := js.Consumer(w.ctx(), "DECISIONS", "execute")
	check(t, err)
	config := c.CachedInfo().Config
	config.FilterSubject, config.MaxDeliver = "decisions.ann.>", 3
	_, err = js.UpdateConsumer(w.ctx(), "DECISIONS", config)
	check(t, err)
	steps, err := w.provisioner().Plan(w.ctx(), []string{"shop"})
	check(t, err)
	err = broker.Differences(steps)
	for _, want := range []string{"filter_subject is", "max_deliver is 3, must be -1"} {
		if !errors.Is(err, schemas.ErrInvalid) || !strings.Contains(err.Error(), "consumer execute of DECISIONS: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an ErrInvalid that says %q", err, want)
		}
	}
}

// TestLostStreamIsNotMadeAgain: a stream that was made once and is gone, or is
// another by now, took with it what was settled. It is an error, and it stays
// gone: an empty one in its place would let old ids settle again.
func TestLostStreamIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	for _, stream := range []schemas.Stream{schemas.Settled, schemas.Intents, schemas.Control, schemas.Audit} {
		t.Run(string(stream), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			config := w.configOf(stream)
			account := broker.Gate
			if stream == schemas.Audit {
				account = broker.AuditLog
			}
			_, js := w.root(account)
			check(t, js.DeleteStream(w.ctx(), string(stream)))
			refuses := func(when, want string) {
				t.Helper()
				for _, layout := range []broker.Layout{{Replicas: 1}, {}} {
					p := broker.NewProvisioner(w.conn("provision"), w.conn("provision-audit"), tenant, layout)
					made, err := p.Apply(w.ctx(), []string{"shop"})
					if !errors.Is(err, schemas.ErrInvalid) || !strings.Contains(err.Error(), "stream "+string(stream)+": "+want) || len(made) > 0 {
						t.Errorf("%s: made %v, %v; want an ErrInvalid that says %q", when, made, err, want)
					}
				}
			}
			refuses("gone", "it is gone")
			if _, err := js.Stream(w.ctx(), string(stream)); !errors.Is(err, jetstream.ErrStreamNotFound) {
				t.Fatalf("made again: %v", err)
			}
			if stream == schemas.Control {
				return // who makes this one again can also write what it says
			}
			_, err := js.CreateStream(w.ctx(), config)
			check(t, err)
			refuses("another", "it was made at")
		})
	}
}

// TestAnotherStreamIsFound: a stage that knows when a stream was made finds out
// that it is another by now, or is kept otherwise.
func TestAnotherStreamIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.log(schemas.RoleExecute)
	made := map[schemas.Stream]schemas.StreamMade{}
	check(t, log.Each(w.ctx(), schemas.Control, "control.provision.stream.*", func(r schemas.Record) bool {
		var s schemas.StreamMade
		check(t, schemas.Read(r, &s))
		made[s.Stream] = s
		return true
	}))
	for _, stream := range append(schemas.Streams(), schemas.Audit) {
		if made[stream].Created.IsZero() {
			t.Errorf("CONTROL does not say when %s was made", stream)
		}
		check(t, log.CheckStream(w.ctx(), made[stream]))
	}
	_, js := w.root(broker.Gate)
	config := w.configOf(schemas.Grants)
	check(t, js.DeleteStream(w.ctx(), "GRANTED"))
	if err := log.CheckStream(w.ctx(), made[schemas.Grants]); !errors.Is(err, schemas.ErrInvalid) {
		t.Errorf("GRANTED is gone: %v, want ErrInvalid", err)
	}
	_, err := js.CreateStream(w.ctx(), config)
	check(t, err)
	if err := log.CheckStream(w.ctx(), made[schemas.Grants]); !errors.Is(err, schemas.ErrInvalid) {
		t.Errorf("GRANTED is another: %v, want ErrInvalid", err)
	}
	looser := w.configOf(schemas.Audit)
	looser.MaxBytes = 1 << 30
	w.update(looser)
	if err := log.CheckStream(w.ctx(), made[schemas.Audit]); !errors.Is(err, schemas.ErrInvalid) {
		t.Errorf("AUDIT has a limit: %v, want ErrInvalid", err)
	}
	// What an identity may not look at is no reason to stop.
	err = w.log(schemas.RoleObserve).CheckStream(w.ctx(), made[schemas.Settled])
	if !errors.Is(err, schemas.ErrDenied) {
		t.Errorf("observe looks at SETTLED: %v, want ErrDenied", err)
	}
}

// TestLimitThatWasRaisedOnPurpose: an operator of the server raises AUDIT's limit,
// and provision is told the new one: it records how the stream is kept now, and
// stages that read it find nothing wrong.
func TestLimitThatWasRaisedOnPurpose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	raised := w.configOf(schemas.Audit)
	raised.MaxBytes = 1 << 30
	w.update(raised)
	told := broker.NewProvisioner(w.conn("provision"), w.conn("provision-audit"), tenant, broker.Layout{Replicas: 1, AuditMaxBytes: 1 << 30})
	_, err := told.Apply(w.ctx(), []string{"shop"})
	check(t, err)
	log := w.log(schemas.RoleExecute)
	r, err := log.Last(w.ctx(), schemas.Control, "control.provision.stream.audit")
	check(t, err)
	var made schemas.StreamMade
	check(t, schemas.Read(r, &made))
	check(t, log.CheckStream(w.ctx(), made))
}
