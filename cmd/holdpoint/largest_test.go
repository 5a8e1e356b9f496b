package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestLargestIntent: an intent of exactly the largest size passes every stream, is
// approved, performed with the parameters that were sent, and reported on with the
// largest result, and AUDIT copies all of it. One byte more is refused to its
// sender, by the client and by the broker.
func TestLargestIntent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "testdata/queue")
	bot, ann := w.agent("bot"), w.reviewer("ann")
	otto := client.Auditor{Conn: w.add(schemas.Identity{Name: "otto", Role: schemas.RoleAuditor, Person: "otto"})}
	key := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
	largest := proposalOf(t, key, schemas.MaxIntentSize)
	check(t, bot.Publish(w.ctx(), largest))
	ticket := client.Ticket{Key: key}
	status, err := bot.Stand(w.ctx(), ticket)
	check(t, err)
	if status.State != schemas.Parked {
		t.Fatalf("the largest intent is %s (%s %s), want parked", status.State, status.Code, status.Detail)
	}
	held, err := ann.Hold(w.ctx(), key)
	check(t, err)
	ruling, err := ann.Decide(w.ctx(), held, schemas.Approve, strings.Repeat("r", schemas.MaxReason))
	check(t, err)
	if !ruling.Counts {
		t.Fatalf("the approval: %+v, want that it counts", ruling)
	}
	done := w.performOne(t, ticket, bot)
	if sent := string(largest.Body); !strings.Contains(sent, string(done.params)) {
		t.Errorf("performed with %d bytes of parameters, which are not those of the intent", len(done.params))
	}
	if want := `"` + done.result + `"`; string(done.status.Result) != want || done.status.State != schemas.Done {
		t.Errorf("%s with a result of %d bytes, want done with %d", done.status.State, len(done.status.Result), len(want))
	}
	s := siege{world: w, ns: natsServer(w)}
	w.until("AUDIT has all of it", func() bool { return s.look().busy() == "" })
	report, err := verifyAudit(t.Context(), otto, 1, func(uint64) {})
	check(t, err)
	if report.First() != nil || report.Done != 1 {
		t.Errorf("the audit: %s; first finding %v", summary(report), report.First())
	}
}

// performed is what an executor was given, and what its agent has of it.
type performed struct {
	params []byte
	result string
	status schemas.Status
}

// performOne performs the one intent that is released, with the largest result.
func (w *world) performOne(t *testing.T, ticket client.Ticket, bot client.Agent) (p performed) {
	t.Helper()
	p.result = strings.Repeat("x", schemas.MaxResultSize-2)
	ctx, finish := context.WithCancel(w.ctx())
	ran := make(chan error, 1)
	x := w.executor("runner", "desk")
	go func() {
		ran <- x.Run(ctx, []string{"desk"}, 1, func(_ context.Context, task client.Task) (any, error) {
			p.params = task.Intent.Params
			return p.result, nil
		})
	}()
	var err error
	p.status, err = bot.Result(w.ctx(), ticket)
	check(t, err)
	finish()
	check(t, <-ran)
	return p
}

// proposalOf returns an intent of exactly that size, as the broker counts.
func proposalOf(t *testing.T, k schemas.Key, size int) schemas.Draft {
	t.Helper()
	with := func(text int) schemas.Draft {
		params := fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", text))
		d, err := schemas.Propose(k, "desk.file", schemas.Proposal{Params: params, Reason: "as large as it gets"}, k.ID.Time())
		if large := size > schemas.MaxIntentSize && text > 0; large != (err != nil) {
			t.Fatalf("proposing %d bytes: %v", rawOf(d).size(), err)
		}
		return d
	}
	return with(size - rawOf(with(0)).size())
}

// TestTooLargeIntent: one byte more is refused to its sender, by the client with
// both sizes, and by the broker to whoever asks no client; and nothing is stored.
func TestTooLargeIntent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "testdata/queue")
	bot := w.agent("bot")
	key := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
	larger := proposalOf(t, key, schemas.MaxIntentSize+1)
	err := bot.Publish(w.ctx(), larger)
	if want := "message size exceeds maximum"; !errors.Is(err, schemas.ErrInvalid) || !strings.Contains(err.Error(), want) {
		t.Errorf("the broker says %v, want that it is invalid: %s", err, want)
	}
	_, err = bot.Submit(w.ctx(), client.Proposal{Action: "desk.file", Params: map[string]string{"text": strings.Repeat("x", schemas.MaxIntentSize)}})
	if want := fmt.Sprintf("at most %d", schemas.MaxIntentSize); !errors.Is(err, schemas.ErrInvalid) || !strings.Contains(err.Error(), want) {
		t.Errorf("the client says %v, want that it is invalid: %s", err, want)
	}
	s := siege{world: w, ns: natsServer(w)}
	if stored := s.look()[gateStream(schemas.Intents)]; stored.Last != 0 {
		t.Errorf("INTENTS has %d messages, want none", stored.Last)
	}
}
