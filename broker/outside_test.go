package broker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// settle stores a verdict, as execute does.
func (w *world) settle(kind string, k schemas.Key, action schemas.Action) schemas.Record {
	w.t.Helper()
	d := draft(schemas.Subject{Kind: kind, Intent: k.ID, Agent: k.Agent, Action: action}, string(k.ID))
	r, err := w.log(schemas.RoleExecute).Append(w.ctx(), d, unsettled(k))
	check(w.t, err)
	return r
}

// TestOwnSettlement: an agent reads the verdict on its own intent, whichever it
// is, from the stream itself; there is none before there is one, and another
// agent's intent of the same id has its own.
func TestOwnSettlement(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bot := w.conn("bot")
	for _, kind := range []string{"released", "refused"} {
		k := newKey("bot")
		w.settle("refused", schemas.Key{Agent: "eve", ID: k.ID}, "shop.refund")
		if _, err := bot.OwnSettlement(w.ctx(), k); !errors.Is(err, schemas.ErrNotFound) {
			t.Errorf("before the verdict: %v, want ErrNotFound", err)
		}
		want := w.settle(kind, k, "shop.refund")
		got, err := bot.OwnSettlement(w.ctx(), k)
		if err != nil || got.Hash() != want.Hash() || got.Pointer() != want.Pointer() {
			t.Errorf("%s: %+v, %v", kind, got, err)
		}
		m, err := w.stock("bot").Request("hold.API.DIRECT.GET.SETTLED."+want.Subject, nil, patience)
		if err != nil || string(m.Data) != string(k.ID) {
			t.Errorf("%s, by a stock client: %q, %v", kind, m.Data, err)
		}
	}
}

// pull takes what is there of a system for an executor.
func (w *world) pull(name schemas.Name, limit int, wait time.Duration) (all []broker.Delivery) {
	w.t.Helper()
	check(w.t, w.conn(name).Pull(w.ctx(), "shop", limit, wait, func(d broker.Delivery) { all = append(all, d) }))
	return all
}

const soon = 50 * time.Millisecond

// TestPull: an executor is handed the releases of its system, each once until it
// says what becomes of it, and no refusals; then it waits no longer than it said.
func TestPull(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var keys []schemas.Key
	for range 3 {
		k := newKey("bot")
		w.settle("released", k, "shop.refund")
		keys = append(keys, k)
	}
	w.settle("refused", newKey("bot"), "shop.refund")
	w.settle("released", newKey("bot"), "bank.pay")
	w.store(draft(schemas.Subject{Kind: "released", Intent: "no-id", Agent: "bot", Action: "shop.refund"}, ""))
	got := w.pull("run", 2, patience)
	got = append(got, w.pull("run", 10, soon)...)
	if !slices.EqualFunc(got, keys, func(d broker.Delivery, k schemas.Key) bool { return d.Key == k }) {
		t.Fatalf("handed %v, want %v", got, keys)
	}
	if more := w.pull("run", 1, soon); len(more) > 0 {
		t.Errorf("handed %v again", more)
	}
	check(t, got[0].Done())
	check(t, got[1].Working())
	check(t, got[2].Later(time.Millisecond))
	again := w.pull("run", 1, patience)
	if len(again) != 1 || again[0].Key != keys[2] {
		t.Errorf("handed %v, want what was put off", again)
	}
	w.settled("exec-shop", 2)
}

// settled waits until a consumer of SETTLED waits for n acknowledgements only.
func (w *world) settled(consumer string, n int) {
	w.t.Helper()
	_, js := w.root(broker.Gate)
	for ctx := w.ctx(); ; check(w.t, ctx.Err()) {
		c, err := js.Consumer(ctx, "SETTLED", consumer)
		check(w.t, err)
		if c.CachedInfo().NumAckPending == n {
			return
		}
	}
}

// TestPullOfNothing: that no bundle names a system yet is something to wait for.
func TestPullOfNothing(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	_, err := w.provisioner().Apply(w.ctx(), nil)
	check(t, err)
	err = w.conn("run").Pull(w.ctx(), "shop", 1, patience, func(broker.Delivery) {})
	if !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("pulling from a system without a consumer: %v, want ErrUnavailable", err)
	}
}

// TestListenEndsWithItsContext: who stopped listening is not rung for.
func TestListenEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bot, bell := w.conn("bot"), broker.Bell{Conn: w.conn("execute")}
	over, listening := make(chan string, 10), make(chan string, 10)
	ctx, stop := context.WithCancel(w.ctx())
	check(t, bot.Listen(ctx, "notices.bot.*.*", func(s string) { over <- s }))
	check(t, bot.Listen(w.ctx(), "notices.bot.*.*", func(s string) { listening <- s }))
	bell.Intent(newKey("bot"), schemas.Parked)
	<-over
	<-listening
	stop()
	for ctx := w.ctx(); ; check(t, ctx.Err()) {
		bell.Intent(newKey("bot"), schemas.Parked)
		<-listening
		if len(over) == 0 {
			return
		}
		<-over
	}
}
