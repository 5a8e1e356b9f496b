package broker_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// restarting is a world whose server can be stopped and started again, with what
// it kept, at the same address.
type restarting struct {
	*world
	users []broker.User
	dir   string
	port  int
}

func newRestarting(t *testing.T) *restarting {
	t.Helper()
	w := &restarting{world: &world{t: t, keys: map[schemas.Name]nkeys.KeyPair{}}, dir: t.TempDir(), port: server.RANDOM_PORT}
	w.users = w.world.users()
	w.start()
	_, err := w.provisioner().Apply(w.ctx(), []string{"shop"})
	check(t, err)
	return w
}

func (w *restarting) start() {
	w.t.Helper()
	w.ns = startServer(w.t, w.users, func(o *server.Options) { o.Host, o.Port, o.StoreDir = "127.0.0.1", w.port, w.dir })
	w.port = w.ns.Addr().(*net.TCPAddr).Port
	w.url = w.ns.ClientURL()
}

func (w *restarting) stop() {
	w.ns.Shutdown()
	w.ns.WaitForShutdown()
}

// TestEverythingGoesOnAfterARestart: whoever works, answers, follows, listens or
// pulls goes on when the broker comes back, without being told.
func TestEverythingGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	w := newRestarting(t)
	handled, followed, heard := make(chan uint64, 100), make(chan uint64, 100), make(chan string, 100)
	w.work(1, handlerFunc(func(_ context.Context, r schemas.Record) error {
		handled <- r.Seq
		return nil
	}))
	w.serve(w.conn("answer"), echo)
	bot, run, bell := w.conn("bot"), w.conn("run"), broker.Bell{Conn: w.conn("execute")}
	check(t, bot.Listen(w.ctx(), "notices.bot.*.*", func(s string) { heard <- s }))
	tail := w.log(schemas.RoleObserve).Tail(schemas.Exposed, "", 1)
	check(t, tail.Wake(w.ctx()))
	ctx, cancel := context.WithCancel(w.ctx())
	var following sync.WaitGroup
	following.Go(func() {
		_ = tail.Follow(ctx, 100*time.Millisecond, func(r schemas.Record) error {
			followed <- r.Seq
			return nil
		})
	})
	defer following.Wait()
	defer cancel()
	k := newKey("bot")
	for round := range uint64(3) {
		if round > 0 {
			w.stop()
			w.start()
		}
		w.again(func(ctx context.Context) error {
			_, err := bot.Ask(ctx, "bot", schemas.AskStatus, schemas.Question{})
			return err
		})
		last := w.propose("{}")
		for seq := uint64(0); seq < last; seq = <-handled {
		}
		last = w.store(draft(anExposure, "")).Seq
		for seq := uint64(0); seq < last; seq = <-followed {
		}
		w.again(func(context.Context) error {
			if bell.Intent(k, schemas.Parked); len(heard) == 0 {
				return schemas.ErrUnavailable
			}
			<-heard
			return nil
		})
		k := newKey("bot")
		w.settle("released", k, "shop.refund")
		w.again(func(ctx context.Context) error {
			err := schemas.ErrUnavailable
			_ = run.Pull(ctx, "shop", 1, soon, func(d broker.Delivery) {
				if d.Key == k {
					err = nil
				}
				_ = d.Done()
			})
			return err
		})
	}
}

// TestNothingLandsLate: what is sent while the broker is gone fails, is said not to
// have been sent, and is not there when the broker is back. A release that was
// decided before a freeze must not land behind it.
func TestNothingLandsLate(t *testing.T) {
	t.Parallel()
	w := newRestarting(t)
	bot, log, k := w.conn("bot"), w.log(schemas.RoleExecute), newKey("bot")
	intent := draft(schemas.Subject{Kind: "intents", Agent: "bot", Action: "shop.refund"}, "{}")
	attempts := map[string]func(context.Context) error{
		"an intent": func(ctx context.Context) error { _, err := bot.Send(ctx, intent); return err },
		"a release": func(ctx context.Context) error {
			_, err := log.Append(ctx, verdict("released", k), unsettled(k))
			return err
		},
	}
	w.stop()
	w.again(func(context.Context) error {
		if bot.Connected() || log.Connected() {
			return schemas.ErrUnavailable
		}
		return nil
	})
	for what, send := range attempts {
		ctx, cancel := context.WithTimeout(w.ctx(), time.Second)
		defer cancel()
		if err := send(ctx); !errors.Is(err, schemas.ErrUnavailable) || !strings.Contains(err.Error(), "nothing was sent") {
			t.Errorf("%s, sent to nobody: %v, want an ErrUnavailable that says that nothing was sent", what, err)
		}
	}
	w.start()
	w.again(func(context.Context) error {
		if !bot.Connected() || !log.Connected() {
			return schemas.ErrUnavailable
		}
		return nil
	})
	if r, err := log.Last(w.ctx(), schemas.Settled, schemas.SettlementFilter(k)); !errors.Is(err, schemas.ErrNotFound) {
		t.Errorf("the release landed late: %s, %v", r.Pointer(), err)
	}
	if r, err := log.Last(w.ctx(), schemas.Intents, intent.Subject); !errors.Is(err, schemas.ErrNotFound) {
		t.Errorf("the intent landed late: %s, %v", r.Pointer(), err)
	}
	for what, send := range attempts {
		if err := send(w.ctx()); err != nil {
			t.Errorf("%s, sent again: %v", what, err)
		}
	}
}

// again tries until it works.
func (w *world) again(try func(context.Context) error) {
	w.t.Helper()
	ctx := w.ctx()
	for try(ctx) != nil {
		select {
		case <-ctx.Done():
			w.t.Fatal(ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}
