package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

func proposal(a schemas.Action) client.Proposal {
	return client.Proposal{Action: a, Params: map[string]any{"n": 1}, Reason: "test"}
}

// submit proposes an action.
func (g *gate) submit(a client.Agent, p client.Proposal) client.Ticket {
	g.t.Helper()
	t, err := a.Submit(g.ctx(), p)
	check(g.t, err)
	return t
}

// TestVerdictIsReadAndChecked: an agent gets the verdict on what it proposed, as
// the stream has it.
func TestVerdictIsReadAndChecked(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot := g.agent("bot")
	for action, want := range map[schemas.Action]schemas.State{"shop.small": schemas.Released, "shop.never": schemas.Refused, "shop.unknown": schemas.Refused} {
		ticket := g.submit(bot, proposal(action))
		s, err := bot.Await(g.ctx(), ticket)
		if err != nil || s.State() != want || s.Intent.Key() != ticket.Key || s.Intent.Action != action || s.Intent.Verify() != nil {
			t.Errorf("%s: %+v, %v, want %s", action, s, err, want)
		}
		elsewhere, err := bot.Await(g.ctx(), client.Ticket{Key: ticket.Key})
		if err != nil || elsewhere.Intent.Digest != s.Intent.Digest {
			t.Errorf("%s, by another process: %+v, %v", action, elsewhere, err)
		}
		status, err := bot.Status(g.ctx(), ticket.Key.ID)
		if err != nil || status.State != want || status.Digest != s.Intent.Digest {
			t.Errorf("%s: status %+v, %v", action, status, err)
		}
	}
	unknown := client.Ticket{Key: schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}}
	short, cancel := context.WithTimeout(g.ctx(), 10*time.Millisecond)
	defer cancel()
	if s, err := bot.Await(short, unknown); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("of an intent that nobody submitted: %+v, %v", s, err)
	}
}

// TestSubmitIsSafeToRepeat: whether the intent or its acknowledgement was lost, it
// is submitted again, and is one intent with one verdict.
func TestSubmitIsSafeToRepeat(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	g.agent("bot")
	for what, kept := range map[fault]int{lose: 1, landed: 2} {
		p := newProxy(t, g.server.URL())
		bot := client.Agent{Conn: g.dialAt(g.keys["bot"], p.url())}
		p.breaks(what, "intents.bot.")
		ticket := g.submit(bot, proposal("shop.small"))
		s, err := bot.Await(g.ctx(), ticket)
		if err != nil || s.Outcome != schemas.Release || s.Intent.Key() != ticket.Key {
			t.Errorf("fault %d: %+v, %v", what, s, err)
		}
		if n := len(g.records(schemas.Intents, ticket.Key)); n != kept || p.happened() != 1 {
			t.Errorf("fault %d, %d times: INTENTS has it %d times, want %d", what, p.happened(), n, kept)
		}
		if n := len(g.records(schemas.Settled, ticket.Key)); n != 1 {
			t.Errorf("fault %d: settled %d times", what, n)
		}
	}
}

// TestIDIsOneIntent: the same proposal under the same id is the same intent; another
// one is refused, and told apart from the first.
func TestIDIsOneIntent(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot := g.agent("bot")
	p := proposal("shop.small")
	p.ID = schemas.NewIntentID(time.Now())
	first, err := bot.Await(g.ctx(), g.submit(bot, p))
	check(t, err)
	again, err := bot.Await(g.ctx(), g.submit(bot, p))
	if err != nil || again.Intent.Digest != first.Intent.Digest || !again.At.Equal(first.At) {
		t.Errorf("again: %+v, %v", again, err)
	}
	p.Params = map[string]any{"n": 2}
	other := g.submit(bot, p)
	s, err := bot.Await(g.ctx(), other)
	if err != nil || s.Outcome != schemas.Refuse || s.Code != schemas.CodeDuplicateID {
		t.Errorf("another under the id: %+v, %v, want refused %s", s, err, schemas.CodeDuplicateID)
	}
	status, err := bot.Result(g.ctx(), other)
	if err != nil || status.State != schemas.Refused || status.Code != schemas.CodeDuplicateID {
		t.Errorf("another under the id: %+v, %v, want refused %s", status, err, schemas.CodeDuplicateID)
	}
}

// TestProposalThatCannotBe: what cannot be sent, or would be something else, is said
// at once.
func TestProposalThatCannotBe(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot := g.agent("bot")
	for what, change := range map[string]func(*client.Proposal){
		"no action":            func(p *client.Proposal) { p.Action = "" },
		"wildcards":            func(p *client.Proposal) { p.Action = "shop.*" },
		"params that are none": func(p *client.Proposal) { p.Params = make(chan int) },
		"an id that is none":   func(p *client.Proposal) { p.ID = "x" },
		"more than fits":       func(p *client.Proposal) { p.Params = map[string]string{"x": strings.Repeat("x", 64<<10)} },
		"over before it began": func(p *client.Proposal) { p.ExpiresIn = -time.Hour },
	} {
		p := proposal("shop.small")
		change(&p)
		if ticket, err := bot.Submit(g.ctx(), p); !errors.Is(err, schemas.ErrInvalid) {
			t.Errorf("%s: %+v, %v, want ErrInvalid", what, ticket, err)
		}
	}
	p := proposal("shop.big")
	p.ExpiresIn = time.Second / 2
	if s, err := bot.Await(g.ctx(), g.submit(bot, p)); err != nil || s.Code != schemas.CodeExpired || s.Intent.ExpiresIn != 1 {
		t.Errorf("half a second: %+v, %v, want it to expire after one", s, err)
	}
	narrow := client.Agent{Conn: g.add(schemas.Identity{Name: "narrow", Role: schemas.RoleAgent, Owner: "olga", Actions: []string{"crm.*"}})}
	if _, err := narrow.Submit(g.ctx(), proposal("shop.small")); !errors.Is(err, schemas.ErrDenied) {
		t.Errorf("an action that it is not registered for: %v, want ErrDenied", err)
	}
}

// TestNoticeIsOnlyAHint: what a notice says is not believed: the verdict is what
// stands in the stream.
func TestNoticeIsOnlyAHint(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, ann := g.agent("bot"), g.reviewer("ann")
	ticket := g.submit(bot, proposal("shop.big"))
	_, err := bot.Stand(g.ctx(), ticket)
	check(t, err)
	verdict := make(chan schemas.Settlement, 1)
	go func() {
		s, err := bot.Await(g.ctx(), ticket)
		if err != nil {
			t.Error(err)
		}
		verdict <- s
	}()
	bell := broker.Bell{Conn: g.conn(schemas.RoleExecute)}
	for before := g.sent("bot"); g.sent("bot") < before+10; {
		bell.Intent(ticket.Key, schemas.Released)
		bell.Intent(ticket.Key, schemas.Refused)
	}
	select {
	case s := <-verdict:
		t.Fatalf("it took a notice for a verdict: %+v", s)
	default:
	}
	g.approve(ann, ticket.Key)
	if s := <-verdict; s.Outcome != schemas.Release || s.Intent.Key() != ticket.Key {
		t.Errorf("verdict %+v", s)
	}
}

// sent returns how many messages somebody who is connected has sent.
func (g *gate) sent(name schemas.Name) (n int64) {
	g.t.Helper()
	for _, c := range g.connections(name) {
		n += c.InMsgs
	}
	return n
}

// approve decides on a hold as a reviewer does who was shown it.
func (g *gate) approve(r client.Reviewer, k schemas.Key) {
	g.t.Helper()
	held, err := r.Hold(g.ctx(), k)
	check(g.t, err)
	ruling, err := r.Decide(g.ctx(), held, schemas.Approve, "test")
	if err != nil || !ruling.Counts {
		g.t.Fatalf("approving %s: %+v, %v", k, ruling, err)
	}
}

// TestFollow: an agent hears of every state that its intent comes into, and of the
// end with its result.
func TestFollow(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, ann, run := g.agent("bot"), g.reviewer("ann"), g.executor("run")
	perform, finish := make(chan struct{}), make(chan struct{})
	g.run(run, func(context.Context, client.Task) (any, error) {
		close(perform)
		<-finish
		return map[string]int{"refunded": 5}, nil
	})
	ticket := g.submit(bot, proposal("shop.big"))
	states := make(chan schemas.State, 10)
	end := make(chan schemas.Status, 1)
	go func() {
		status, err := bot.Follow(g.ctx(), ticket, func(s schemas.Status) { states <- s.State })
		if err != nil {
			t.Error(err)
		}
		end <- status
	}()
	if got := <-states; got != schemas.Parked {
		t.Errorf("first %s, want parked", got)
	}
	if s, err := bot.Stand(g.ctx(), ticket); err != nil || s.State != schemas.Parked {
		t.Errorf("it stands at %+v, %v", s, err)
	}
	g.approve(ann, ticket.Key)
	<-perform
	for got := schemas.Parked; got != schemas.Granted; {
		if got = <-states; got != schemas.Released && got != schemas.Granted {
			t.Errorf("then %s", got)
		}
	}
	close(finish)
	if got := <-end; got.State != schemas.Done || string(got.Result) != `{"refunded":5}` {
		t.Errorf("in the end %+v", got)
	}
}

// TestWithdraw: an agent takes back what waits, and is told that it is too late for
// what was released.
func TestWithdraw(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot := g.agent("bot")
	waits := g.submit(bot, proposal("shop.big"))
	_, err := bot.Stand(g.ctx(), waits)
	check(t, err)
	s, err := bot.Withdraw(g.ctx(), waits.Key.ID)
	if err != nil || s.Outcome != schemas.Release {
		t.Errorf("withdrawing what waits: %+v, %v", s, err)
	}
	if s, err := bot.Await(g.ctx(), waits); err != nil || s.Outcome != schemas.Refuse || s.Code != schemas.CodeWithdrawn {
		t.Errorf("what was withdrawn: %+v, %v", s, err)
	}
	released := g.submit(bot, proposal("shop.small"))
	_, err = bot.Await(g.ctx(), released)
	check(t, err)
	s, err = bot.Withdraw(g.ctx(), released.Key.ID)
	if err != nil || s.Outcome != schemas.Refuse || s.Code != schemas.CodeTooLate {
		t.Errorf("withdrawing what was released: %+v, %v", s, err)
	}
}
