package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// park submits n intents that wait for a reviewer, and returns their keys, sorted.
func (g *gate) park(a client.Agent, n int) (keys []schemas.Key) {
	g.t.Helper()
	for range n {
		ticket := g.submit(a, proposal("shop.big"))
		if s, err := a.Stand(g.ctx(), ticket); err != nil || s.State != schemas.Parked {
			g.t.Fatalf("%s stands at %+v, %v", ticket.Key, s, err)
		}
		keys = append(keys, ticket.Key)
	}
	return sorted(keys)
}

func sorted(keys []schemas.Key) []schemas.Key {
	slices.SortFunc(keys, func(a, b schemas.Key) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

// TestListBringsEveryHoldOnce: in pages of any size, from the reviewer's queues
// only.
func TestListBringsEveryHoldOnce(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, ann := g.agent("bot"), g.reviewer("ann")
	want := g.park(bot, 7)
	other := client.Reviewer{Conn: g.add(schemas.Identity{Name: "other", Role: schemas.RoleReviewer, Person: "other", Queues: []schemas.Name{"vault"}})}
	if page, err := other.List(g.ctx(), "", 10, ""); err != nil || len(page.Holds) > 0 {
		t.Errorf("of another queue: %+v, %v", page, err)
	}
	if page, err := other.List(g.ctx(), "desk", 10, ""); !errors.Is(err, schemas.ErrDenied) {
		t.Errorf("of a queue that is not its own: %+v, %v, want ErrDenied", page, err)
	}
	for _, size := range []int{1, 3, 7, 100} {
		var got []schemas.Key
		for after := ""; ; {
			page, err := ann.List(g.ctx(), "desk", size, after)
			check(t, err)
			for _, line := range page.Holds {
				got = append(got, schemas.Key{Agent: line.Agent, ID: line.Intent})
			}
			if len(page.Holds) > size || page.Total != 7 {
				t.Errorf("a page of %d: %d holds of %d", size, len(page.Holds), page.Total)
			}
			if after = page.After; after == "" {
				break
			}
		}
		if !slices.Equal(sorted(got), want) {
			t.Errorf("pages of %d bring %v, want %v", size, got, want)
		}
	}
}

// TestHoldIsWhatWasAskedFor: what a reviewer is shown is the hold that was asked
// for, and its digest is that of what it shows; anything else is an error, whoever
// answers.
func TestHoldIsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, ann := g.agent("bot"), g.reviewer("ann")
	keys := g.park(bot, 2)
	for _, k := range []schemas.Key{keys[0], {ID: keys[0].ID}} {
		held, err := ann.Hold(g.ctx(), k)
		if err != nil || held.Intent.Key() != keys[0] || held.Intent.Verify() != nil || string(held.Intent.Params) != `{"n":1}` {
			t.Errorf("%v: %+v, %v", k, held.Hold, err)
		}
	}
	other, err := ann.Hold(g.ctx(), keys[1])
	check(t, err)
	swap := func(from, to string) func(schemas.Answer) schemas.Answer {
		return func(a schemas.Answer) schemas.Answer {
			a.Hold.Body = []byte(strings.ReplaceAll(string(a.Hold.Body), from, to))
			return a
		}
	}
	for what, change := range map[string]func(schemas.Answer) schemas.Answer{
		"another hold": func(schemas.Answer) schemas.Answer {
			c := schemas.CopyOf(other.Record)
			return schemas.Answer{Hold: &c}
		},
		"other params":       swap(`"n":1`, `"n":1000`),
		"another action":     swap("shop.big", "shop.small"),
		"another digest":     swap(`"digest":"sha256:`, `"digest":"sha256:0`),
		"what does not read": swap(`{`, `[`),
		"nothing":            func(schemas.Answer) schemas.Answer { return schemas.Answer{} },
		"no record":          func(schemas.Answer) schemas.Answer { return schemas.Answer{Hold: &schemas.Copy{}} },
	} {
		g.answers.set(func(what string, a schemas.Answer) schemas.Answer {
			if what == schemas.AskHold {
				return change(a)
			}
			return a
		})
		if held, err := ann.Hold(g.ctx(), keys[0]); err == nil || held.Record.Seq > 0 {
			t.Errorf("%s is shown: %+v, %v", what, held.Hold, err)
		}
	}
}

// TestDecisionCountsOnce: a decision counts, whatever was lost on its way; another
// of the same person does not, and says why.
func TestDecisionCountsOnce(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot := g.agent("bot")
	g.reviewer("ann")
	p := newProxy(t, g.server.URL())
	ann := client.Reviewer{Conn: g.dialAt(g.keys["ann"], p.url())}
	for what, break_ := range map[string]func(){
		"nothing":              func() {},
		"the decision":         func() { p.breaks(lose, "decisions.ann.") },
		"its acknowledgement":  func() { p.breaks(landed, "decisions.ann.") },
		"the word that counts": func() { g.answers.set(losing(2, schemas.AskDecision)) },
	} {
		k := g.park(bot, 1)[0]
		held, err := ann.Hold(g.ctx(), k)
		check(t, err)
		break_()
		ruling, err := ann.Decide(g.ctx(), held, schemas.Approve, "fine")
		if errors.Is(err, schemas.ErrUnavailable) && p.happened() == 1 {
			ruling, err = ann.Decide(g.ctx(), held, schemas.Approve, "fine")
		}
		if err != nil || !ruling.Counts && ruling.Code != schemas.CodeSettled {
			t.Errorf("%s is lost: %+v, %v", what, ruling, err)
		}
		s, err := bot.Await(g.ctx(), client.Ticket{Key: k})
		if err != nil || s.Outcome != schemas.Release {
			t.Errorf("%s is lost: %+v, %v", what, s, err)
		}
		g.until("the hold is closed", func() bool {
			now, err := ann.Hold(g.ctx(), k)
			check(t, err)
			return now.State == schemas.Released
		})
		late, err := ann.Decide(g.ctx(), held, schemas.Deny, "no")
		if err != nil || late.Counts || late.Code != schemas.CodeSettled {
			t.Errorf("%s is lost, and another decision: %+v, %v", what, late, err)
		}
		g.answers.set(nil)
	}
}

// TestDecisionNeedsItsQueue: who may not decide in a queue is told so by the broker.
func TestDecisionNeedsItsQueue(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, ann := g.agent("bot"), g.reviewer("ann")
	other := client.Reviewer{Conn: g.add(schemas.Identity{Name: "other", Role: schemas.RoleReviewer, Person: "other", Queues: []schemas.Name{"vault"}})}
	k := g.park(bot, 1)[0]
	held, err := ann.Hold(g.ctx(), k)
	check(t, err)
	if ruling, err := other.Decide(g.ctx(), held, schemas.Approve, "fine"); !errors.Is(err, schemas.ErrDenied) {
		t.Errorf("%+v, %v, want ErrDenied", ruling, err)
	}
	if _, err := other.Hold(g.ctx(), k); !errors.Is(err, schemas.ErrNotFound) {
		t.Errorf("it is shown: %v, want ErrNotFound", err)
	}
}

// TestWatch: a reviewer is offered every hold that is open and every one that comes,
// once; watching ends with an error of the reviewer's, or its context, and leaves
// nothing behind.
func TestWatch(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, ann := g.agent("bot"), g.reviewer("ann")
	want := g.park(bot, 3)
	_, err := ann.List(g.ctx(), "", 1, "")
	check(t, err)
	subscriptions := g.subscriptions("ann")
	enough := errors.New("enough")
	offered, done := make(chan schemas.Key, 100), make(chan error, 1)
	more := make(chan struct{})
	go func() {
		n := 0
		done <- ann.Watch(t.Context(), []schemas.Name{"desk"}, func(line schemas.HoldLine) error {
			offered <- schemas.Key{Agent: line.Agent, ID: line.Intent}
			if n++; n == 3 {
				close(more)
			}
			if n == 5 {
				return enough
			}
			return nil
		})
	}()
	<-more
	want = append(want, g.park(bot, 2)...)
	if err := <-done; !errors.Is(err, enough) {
		t.Errorf("watching ended with %v", err)
	}
	close(offered)
	var got []schemas.Key
	for k := range offered {
		got = append(got, k)
	}
	if !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("offered %v, want %v", got, want)
	}
	over, cancel := context.WithCancel(g.ctx())
	if err := ann.Watch(over, []schemas.Name{"desk"}, func(schemas.HoldLine) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("watching ended with %v, want its context's error", err)
	}
	over, cancel = context.WithCancel(g.ctx())
	go func() {
		done <- ann.Watch(over, []schemas.Name{"vault"}, func(schemas.HoldLine) error { return enough })
	}()
	looks := g.sent("ann")
	g.until("ann has looked again", func() bool { return g.sent("ann") > looks+3 })
	cancel()
	if err := <-done; errors.Is(err, enough) {
		t.Error("a hold of another queue was offered")
	}
	g.until("nobody listens any more", func() bool { return g.subscriptions("ann") == subscriptions })
}

// TestSeen: a reviewer names at least twelve digits of what was shown, and nothing
// else passes for it.
func TestSeen(t *testing.T) {
	t.Parallel()
	digest := schemas.DigestOf(schemas.Intent{Params: []byte(`{}`)})
	hex := strings.TrimPrefix(string(digest), "sha256:")
	held := client.Held{Hold: schemas.Hold{Intent: schemas.Intent{Digest: digest}}}
	for prefix, want := range map[string]error{
		string(digest):              nil,
		hex:                         nil,
		hex[:12]:                    nil,
		"sha256:" + hex[:12]:        nil,
		hex[:11]:                    schemas.ErrInvalid,
		"":                          schemas.ErrInvalid,
		"sha256:":                   schemas.ErrInvalid,
		"sha256:" + hex[:4]:         schemas.ErrInvalid,
		hex[1:13]:                   schemas.ErrStale,
		hex + "0":                   schemas.ErrStale,
		strings.ToUpper(hex[:12]):   schemas.ErrStale,
		fmt.Sprintf("%012d", 0):     schemas.ErrStale,
		"sha256:sha256:" + hex[:12]: schemas.ErrStale,
		strings.Repeat("\x00", 12):  schemas.ErrStale,
	} {
		if err := held.Seen(prefix); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", prefix, err, want)
		}
	}
}
