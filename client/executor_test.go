package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// run lets an executor work until the test is over, or stop is called; stop
// returns what it ended with.
func (g *gate) run(x client.Executor, h client.Handler) (stop func() error) {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx, []string{"shop"}, 4, h) }()
	stop = func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	g.t.Cleanup(func() {
		if err := stop(); err != nil {
			g.t.Errorf("the executor ended with %v", err)
		}
	})
	return stop
}

// result waits for the end of an intent.
func (g *gate) result(a client.Agent, t client.Ticket) schemas.Status {
	g.t.Helper()
	s, err := a.Result(g.ctx(), t)
	check(g.t, err)
	return s
}

// performed counts how often each intent was performed.
type performed struct {
	mu    sync.Mutex // guards tasks, for one more
	tasks map[schemas.Key][]client.Task
}

func newPerformed() *performed { return &performed{tasks: map[schemas.Key][]client.Task{}} }

func (p *performed) add(t client.Task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tasks[t.Intent.Key()] = append(p.tasks[t.Intent.Key()], t)
}

func (p *performed) of(k schemas.Key) []client.Task {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tasks[k]
}

// TestEveryReleaseIsPerformedOnce: by one of the executors of its system, who is
// told what was released, and for how long it alone may do it.
func TestEveryReleaseIsPerformedOnce(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot := g.agent("bot")
	all := newPerformed()
	for _, name := range []schemas.Name{"run", "ran"} {
		g.run(g.executor(name), func(ctx context.Context, task client.Task) (any, error) {
			all.add(task)
			if until, ok := ctx.Deadline(); !ok || !until.Equal(task.Until) || task.Grant.Executor != name || task.Intent.Verify() != nil {
				t.Errorf("%s is told %+v, until %v", name, task, until)
			}
			return task.Intent.Action, nil
		})
	}
	var tickets []client.Ticket
	for range 20 {
		tickets = append(tickets, g.submit(bot, proposal("shop.small")))
	}
	keys := map[string]bool{}
	for _, ticket := range tickets {
		status := g.result(bot, ticket)
		tasks := all.of(ticket.Key)
		if status.State != schemas.Done || string(status.Result) != `"shop.small"` || len(tasks) != 1 || tasks[0].Key == "" || keys[tasks[0].Key] {
			t.Errorf("%s: %+v, performed %d times, %v", ticket.Key, status, len(tasks), tasks)
			continue
		}
		keys[tasks[0].Key] = true
	}
}

// panics is a result that cannot be encoded.
type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("encoding") }

// TestWhatIsReported: what a handler returns is what its agent is told. A result
// that cannot be sent does not undo that the action was performed.
func TestWhatIsReported(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot := g.agent("bot")
	for i, c := range []struct {
		what          string
		result        any
		err           error
		state         schemas.State
		wantResult    string
		wantErrorText string
	}{
		{"nothing", nil, nil, schemas.Done, "null", ""},
		{"a result", map[string]int{"a": 1}, nil, schemas.Done, `{"a":1}`, ""},
		{"the largest result", strings.Repeat("x", schemas.MaxResultSize-2), nil, schemas.Done, `"` + strings.Repeat("x", schemas.MaxResultSize-2) + `"`, ""},
		{"a larger one", strings.Repeat("x", schemas.MaxResultSize-1), nil, schemas.Done, "", "the result is left out: 24577 bytes, at most 24576"},
		{"what is no JSON", make(chan int), nil, schemas.Done, "", "the result is left out: "},
		{"what panics", panics{}, nil, schemas.Done, "", "the result is left out: encoding it panicked: encoding"},
		{"an error", "ignored", errors.New("no such order"), schemas.Failed, "", "no such order"},
		{"a long error", nil, errors.New(strings.Repeat("é", 1<<16)), schemas.Failed, "", strings.Repeat("é", 2<<10)},
		{"an error of control characters", nil, errors.New(strings.Repeat("\x01", 1<<16)), schemas.Failed, "", "\x01"},
		{"an error that is no text", nil, errors.New("a\xffb"), schemas.Failed, "", "ab"},
	} {
		stop := g.run(g.executor(schemas.Name(fmt.Sprintf("run-%d", i))), func(context.Context, client.Task) (any, error) { return c.result, c.err })
		status := g.result(bot, g.submit(bot, proposal("shop.small")))
		check(t, stop())
		if status.State != c.state || string(status.Result) != c.wantResult || !strings.HasPrefix(status.Error, c.wantErrorText) || (status.Error == "") != (c.wantErrorText == "") {
			t.Errorf("%s: %s, result %.50q, error %.80q", c.what, status.State, status.Result, status.Error)
		}
	}
}

// TestNobodyKnows: when a handler panics, says that it does not know, or fails when
// its lease is over, nothing is reported: a person looks at the action, and it is
// not performed again.
func TestNobodyKnows(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot := g.agent("bot")
	all := newPerformed()
	what := map[string]func(context.Context) error{
		"panic":   func(context.Context) error { panic("half way") },
		"unknown": func(context.Context) error { return fmt.Errorf("asking the bank: %w", client.ErrUnknown) },
		"lease": func(ctx context.Context) error {
			<-ctx.Done()
			return fmt.Errorf("calling the bank: %w", ctx.Err())
		},
	}
	g.run(g.executor("run"), func(ctx context.Context, task client.Task) (any, error) {
		all.add(task)
		return nil, what[task.Intent.Session](ctx)
	})
	tickets := map[string]client.Ticket{}
	for name := range what {
		p := proposal("shop.brief")
		p.Session = name
		tickets[name] = g.submit(bot, p)
	}
	for name, ticket := range tickets {
		g.until(name+" is in doubt", func() bool {
			status, err := bot.Status(g.ctx(), ticket.Key.ID)
			if err != nil && !errors.Is(err, schemas.ErrNotFound) || status.State.Final() {
				t.Fatalf("%s: ended as %+v, %v", name, status, err)
			}
			return status.State == schemas.InDoubt
		})
		if n := len(all.of(ticket.Key)); n != 1 {
			t.Errorf("%s: performed %d times", name, n)
		}
		if reports := g.records(schemas.Outcomes, ticket.Key); len(reports) > 0 {
			t.Errorf("%s: reported %s", name, reports[0].Body)
		}
	}
}

// TestIdempotentIsTriedAgain: an action that may be repeated is, when the lease of
// the first attempt is over; both carry the same key.
func TestIdempotentIsTriedAgain(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot := g.agent("bot")
	all := newPerformed()
	g.run(g.executor("run"), func(ctx context.Context, task client.Task) (any, error) {
		all.add(task)
		if task.Grant.Attempt > 1 {
			return "second", nil
		}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	ticket := g.submit(bot, proposal("shop.again"))
	status := g.result(bot, ticket)
	tasks := all.of(ticket.Key)
	if status.State != schemas.Done || string(status.Result) != `"second"` || len(tasks) != 2 || tasks[0].Key != tasks[1].Key || tasks[1].Grant.Attempt != 2 {
		t.Errorf("%+v, performed as %+v", status, tasks)
	}
}

// TestClaimIsSafeToRepeat: a claim whose answer was lost, or said nothing, is
// repeated, and gets the grant that it was given.
func TestClaimIsSafeToRepeat(t *testing.T) {
	t.Parallel()
	for what, answer := range map[string]schemas.Answer{"lost": lost, "empty": {}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			g := openGate(t)
			bot := g.agent("bot")
			all := newPerformed()
			var claims atomic.Int32
			g.answers.set(func(question string, given schemas.Answer) schemas.Answer {
				if question == "claim" && claims.Add(1) == 1 {
					return answer
				}
				return given
			})
			g.run(g.executor("run"), func(_ context.Context, task client.Task) (any, error) {
				all.add(task)
				return nil, nil
			})
			ticket := g.submit(bot, proposal("shop.small"))
			status := g.result(bot, ticket)
			if n := len(g.records(schemas.Grants, ticket.Key)); status.State != schemas.Done || n != 1 || len(all.of(ticket.Key)) != 1 || claims.Load() < 2 {
				t.Errorf("%+v after %d claims, granted %d times, performed %d times", status, claims.Load(), n, len(all.of(ticket.Key)))
			}
		})
	}
}

// TestGrantForSomethingElse: what does not say that exactly this was released, and
// granted to this executor, is not performed, whoever answers.
func TestGrantForSomethingElse(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot := g.agent("bot")
	other := g.submit(bot, proposal("shop.never"))
	_, err := bot.Await(g.ctx(), other)
	check(t, err)
	refusal := schemas.CopyOf(g.records(schemas.Settled, other.Key)[0])
	bodies := func(from, to string) func(*schemas.Claim) {
		return func(c *schemas.Claim) {
			c.Settlement.Body = []byte(strings.ReplaceAll(string(c.Settlement.Body), from, to))
			c.Grant.Body = []byte(strings.ReplaceAll(string(c.Grant.Body), from, to))
		}
	}
	all := newPerformed()
	ran := g.executor("run")
	for what, change := range map[string]func(*schemas.Claim){
		"other params": bodies(`"n":1`, `"n":1000`),
		"another executor": func(c *schemas.Claim) {
			bodies(`"executor":"run"`, `"executor":"ran"`)(c)
			c.Grant.Subject = strings.TrimSuffix(c.Grant.Subject, "run") + "ran"
		},
		"another nonce":   bodies(`"nonce":"`, `"nonce":"x`),
		"a refusal":       func(c *schemas.Claim) { c.Settlement = refusal },
		"no release":      func(c *schemas.Claim) { c.Settlement = schemas.Copy{} },
		"no grant":        func(c *schemas.Claim) { c.Grant = schemas.Copy{} },
		"the grant twice": func(c *schemas.Claim) { c.Settlement = c.Grant },
		"on another subject": func(c *schemas.Claim) {
			c.Settlement.Subject = strings.Replace(c.Settlement.Subject, "small", "big", 1)
		},
		"a grant for another": func(c *schemas.Claim) {
			c.Grant.Body = []byte(strings.Replace(string(c.Grant.Body), `"digest":"sha256:`, `"digest":"sha256:0`, 1))
		},
	} {
		var claimed atomic.Int32
		g.answers.set(func(question string, given schemas.Answer) schemas.Answer {
			if question == "claim" && given.Claim != nil && given.Problem == nil {
				claimed.Add(1)
				change(given.Claim)
			}
			return given
		})
		stop := g.run(ran, func(_ context.Context, task client.Task) (any, error) {
			all.add(task)
			return nil, nil
		})
		ticket := g.submit(bot, proposal("shop.small"))
		g.until("it is claimed", func() bool { return claimed.Load() > 0 })
		check(t, stop()) // which finishes what it began
		if tasks := all.of(ticket.Key); len(tasks) > 0 {
			t.Errorf("%s: performed %+v", what, tasks)
		}
	}
	if len(all.tasks) > 0 {
		t.Errorf("performed %+v", all.tasks)
	}
}

// TestReportIsSafeToRepeat: whether the report, its acknowledgement or the word that
// it counts was lost, it is sent again, and the action is performed once.
func TestReportIsSafeToRepeat(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot := g.agent("bot")
	p := newProxy(t, g.server.URL())
	g.executor("run")
	all := newPerformed()
	g.run(client.Executor{Conn: g.dialAt(g.keys["run"], p.url())}, func(_ context.Context, task client.Task) (any, error) {
		all.add(task)
		return "ok", nil
	})
	for what, break_ := range map[string]func(){
		"lost":       func() { p.breaks(lose, "outcomes.run.") },
		"landed":     func() { p.breaks(landed, "outcomes.run.") },
		"not known":  func() { g.answers.set(losing(2, schemas.AskReport)) },
		"not broken": func() {},
	} {
		break_()
		ticket := g.submit(bot, proposal("shop.small"))
		status := g.result(bot, ticket)
		if status.State != schemas.Done || string(status.Result) != `"ok"` || len(all.of(ticket.Key)) != 1 {
			t.Errorf("%s: %+v, performed %d times", what, status, len(all.of(ticket.Key)))
		}
	}
}
