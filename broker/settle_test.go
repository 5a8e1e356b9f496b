package broker_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// draft is a message on a subject, with the headers that a stage gives it.
func draft(s schemas.Subject, body string) schemas.Draft {
	e := schemas.Event{ID: "x", Source: "/test", Type: "dev.holdpoint.test.v1", Time: time.Unix(0, 0)}
	return schemas.Draft{Subject: s.String(), Header: e.Header(), Body: []byte(body)}
}

func verdict(kind string, k schemas.Key) schemas.Draft {
	return draft(schemas.Subject{Kind: kind, Intent: k.ID, Agent: k.Agent, Action: "shop.refund"}, "{}")
}

func newKey(agent schemas.Name) schemas.Key {
	return schemas.Key{Agent: agent, ID: schemas.NewIntentID(time.Now())}
}

func unsettled(k schemas.Key) schemas.Expect {
	return schemas.Expect{Filter: schemas.SettlementFilter(k)}
}

// TestSettlementExcludesEveryOther: whichever verdict stands first under an
// intent's agent and id, no other can be written, for whatever action. Another
// agent's intent of the same id is another intent.
func TestSettlementExcludesEveryOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.log(schemas.RoleExecute)
	for _, first := range []string{"released", "refused"} {
		k := newKey("bot")
		r, err := log.Append(w.ctx(), verdict(first, k), unsettled(k))
		check(t, err)
		other := draft(schemas.Subject{Kind: "released", Intent: k.ID, Agent: k.Agent, Action: "bank.pay"}, "{}")
		for _, again := range []schemas.Draft{verdict("released", k), verdict("refused", k), other} {
			_, err := log.Append(w.ctx(), again, unsettled(k))
			wantStale(t, err, "%s after %s", again.Subject, first)
		}
		found, err := log.Last(w.ctx(), schemas.Settled, schemas.SettlementFilter(k))
		if err != nil || found.Seq != r.Seq || found.Subject != r.Subject {
			t.Errorf("settled first: %s %d; found %s %d, %v", r.Subject, r.Seq, found.Subject, found.Seq, err)
		}
		namesake := schemas.Key{Agent: "eve", ID: k.ID}
		if _, err := log.Append(w.ctx(), verdict("refused", namesake), unsettled(namesake)); err != nil {
			t.Errorf("eve's intent of the same id: %v", err)
		}
	}
}

// wantStale makes sure that a conditional write lost, with the code that a stream
// gives for it.
func wantStale(t testing.TB, err error, format string, args ...any) {
	t.Helper()
	var api *jetstream.APIError
	if !errors.Is(err, schemas.ErrStale) || !errors.As(err, &api) || api.ErrorCode != 10071 {
		t.Errorf("%s: %v, want ErrStale with code 10071", fmt.Sprintf(format, args...), err)
	}
}

// TestSettlementRace: of many who settle one intent at the same moment, one does.
func TestSettlementRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	logs := []*broker.Log{w.log(schemas.RoleExecute), w.log(schemas.RoleExecute)}
	for range 50 {
		k := newKey("bot")
		var settled atomic.Int32
		var racing sync.WaitGroup
		for i := range 6 {
			racing.Go(func() {
				_, err := logs[i%2].Append(w.ctx(), verdict([]string{"released", "refused"}[i%2], k), unsettled(k))
				switch {
				case err == nil:
					settled.Add(1)
				case !errors.Is(err, schemas.ErrStale):
					t.Errorf("settling %s: %v", k, err)
				}
			})
		}
		racing.Wait()
		if n := settled.Load(); n != 1 {
			t.Fatalf("%s was settled %d times", k, n)
		}
	}
}

// TestLapseExcludesGrant: an intent that lapsed cannot be granted, nor the other
// way round; a second grant names the first.
func TestLapseExcludesGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.log(schemas.RoleExecute)
	grant := func(kind string, writer schemas.Name, k schemas.Key) schemas.Draft {
		return draft(schemas.Subject{Kind: kind, Intent: k.ID, Agent: k.Agent, Writer: writer}, "{}")
	}
	for _, order := range [][2]string{{"granted", "lapsed"}, {"lapsed", "granted"}} {
		k := newKey("bot")
		none := schemas.Expect{Filter: schemas.GrantFilter(k)}
		first, err := log.Append(w.ctx(), grant(order[0], "execute", k), none)
		check(t, err)
		_, err = log.Append(w.ctx(), grant(order[1], "execute", k), none)
		wantStale(t, err, "%s after %s", order[1], order[0])
		if _, err := log.Append(w.ctx(), grant("granted", "run", k), schemas.Expect{Filter: none.Filter, Last: first.Seq}); err != nil {
			t.Errorf("granting again, after %d: %v", first.Seq, err)
		}
	}
}

// TestHoldMovesOnOnlyFromWhatWasSeen: the next state of a hold is written only
// over the state that its writer saw. Every state stays.
func TestHoldMovesOnOnlyFromWhatWasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.log(schemas.RoleExecute)
	k := newKey("bot")
	state := func(body string) schemas.Draft {
		return draft(schemas.Subject{Kind: "parked", Intent: k.ID, Agent: k.Agent, Queue: "desk"}, body)
	}
	seen := uint64(0)
	for i := range 3 {
		r, err := log.Append(w.ctx(), state(fmt.Sprint(i)), schemas.Expect{Filter: schemas.HoldFilter(k), Last: seen})
		check(t, err)
		_, err = log.Append(w.ctx(), state("late"), schemas.Expect{Filter: schemas.HoldFilter(k), Last: seen})
		wantStale(t, err, "a state over %d, which is not the last", seen)
		seen = r.Seq
	}
	var all []string
	check(t, log.Each(w.ctx(), schemas.ParkedHolds, schemas.HoldFilter(k), func(r schemas.Record) bool {
		all = append(all, string(r.Body))
		return true
	}))
	if fmt.Sprint(all) != "[0 1 2]" {
		t.Errorf("states on record: %v, want [0 1 2]", all)
	}
	last, err := log.Last(w.ctx(), schemas.ParkedHolds, schemas.HoldFilter(k))
	if err != nil || string(last.Body) != "2" {
		t.Errorf("current state: %q, %v, want 2", last.Body, err)
	}
}

// TestConditionNeedsNoHeader: a condition holds also for a draft without headers.
func TestConditionNeedsNoHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.log(schemas.RoleExecute)
	k := newKey("bot")
	d := verdict("refused", k)
	d.Header = nil
	if _, err := log.Append(w.ctx(), d, unsettled(k)); err != nil {
		t.Errorf("settling without a header: %v", err)
	}
	_, err := log.Append(w.ctx(), d, unsettled(k))
	wantStale(t, err, "settling without a header again")
}

// TestDuplicateIsNotKept: message ids are shared by all senders of a stream, so a
// message may be taken for one that it is not. Whoever sent it is told, and a
// write that was swallowed is no write.
func TestDuplicateIsNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := func(agent schemas.Name) schemas.Draft {
		d := draft(schemas.Subject{Kind: "intents", Agent: agent, Action: "shop.refund"}, string(agent))
		d.Header["Nats-Msg-Id"] = []string{"same"}
		return d
	}
	eve, bot := w.conn("eve"), w.conn("bot")
	// The window is a tenth of a second, so it may take another try to be in it.
	for {
		first, err := eve.Send(w.ctx(), d("eve"))
		check(t, err)
		second, err := bot.Send(w.ctx(), d("bot"))
		check(t, err)
		if !second.Duplicate {
			continue
		}
		if first.Duplicate || second.Seq != first.Seq {
			t.Errorf("eve's %+v, bot's %+v; want bot's to be taken for eve's", first, second)
		}
		break
	}
	swallowed := verdict("released", newKey("bot"))
	swallowed.Header["Nats-Msg-Id"] = []string{"same"}
	log := w.log(schemas.RoleExecute)
	for ctx := w.ctx(); ; {
		if _, err := log.Append(ctx, swallowed, schemas.Expect{}); err != nil {
			if !isInvalid(err) {
				t.Errorf("a write that was swallowed: %v, want ErrInvalid", err)
			}
			return
		}
	}
}
