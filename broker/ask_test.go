package broker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// answers is an Answerer made of two functions.
type answers struct {
	ask   func(name schemas.Name, what string, q schemas.Question) schemas.Answer
	claim func(executor schemas.Name, k schemas.Key, q schemas.Question) schemas.Answer
}

func (a answers) Ask(_ context.Context, name schemas.Name, what string, q schemas.Question) schemas.Answer {
	return a.ask(name, what, q)
}

func (a answers) Claim(_ context.Context, executor schemas.Name, k schemas.Key, q schemas.Question) schemas.Answer {
	return a.claim(executor, k, q)
}

// echo answers with what was asked.
var echo = answers{
	ask: func(name schemas.Name, what string, q schemas.Question) schemas.Answer {
		return schemas.Answer{Ruling: &schemas.Ruling{Detail: string(name) + " " + what + " " + string(q.Intent)}}
	},
	claim: func(executor schemas.Name, k schemas.Key, q schemas.Question) schemas.Answer {
		return schemas.Answer{Ruling: &schemas.Ruling{Detail: string(executor) + " " + k.String() + " " + q.Nonce}}
	},
}

// serve answers until the test is over, or stop is called.
func (w *world) serve(c *broker.Conn, a broker.Answerer) (stop context.CancelFunc, done chan error) {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	w.t.Cleanup(stop)
	listening := make(chan struct{})
	done = make(chan error, 1)
	go func() { done <- c.Serve(ctx, a, func() { close(listening) }) }()
	select {
	case <-listening:
	case err := <-done:
		w.t.Fatalf("nobody answers: %v", err)
	}
	return stop, done
}

// TestAnswersAreForTheOneWhoAsked: whoever asks is told by the subject, which
// nobody else may use, and gets the answer.
func TestAnswersAreForTheOneWhoAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(w.conn("answer"), echo)
	k := newKey("bot")
	for _, name := range []schemas.Name{"bot", "eve", "ann", "run", "poe", "ida"} {
		got, err := w.conn(name).Ask(w.ctx(), name, schemas.AskStatus, schemas.Question{Intent: k.ID})
		check(t, err)
		if want := string(name) + " status " + string(k.ID); got.Ruling == nil || got.Ruling.Detail != want {
			t.Errorf("%s asks: %+v, want %q", name, got.Ruling, want)
		}
	}
	got, err := w.conn("run").Claim(w.ctx(), "run", k, schemas.Question{Nonce: "n"})
	check(t, err)
	if want := "run " + k.String() + " n"; got.Ruling == nil || got.Ruling.Detail != want {
		t.Errorf("run claims: %+v, want %q", got.Ruling, want)
	}
}

// TestAnswerTroubles: a question that cannot be read, or that panics, or whose
// answer is too long, is answered with why, and costs nobody else an answer.
func TestAnswerTroubles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	reached := make(chan string, 10)
	w.serve(w.conn("answer"), answers{
		ask: func(_ schemas.Name, what string, _ schemas.Question) schemas.Answer {
			reached <- what
			switch what {
			case "panic":
				panic("asked to")
			case "long":
				return schemas.Answer{Ruling: &schemas.Ruling{Detail: strings.Repeat("x", 2<<20)}}
			case "denied":
				return schemas.Answer{Problem: schemas.ProblemOf(schemas.ErrDenied)}
			}
			return schemas.Answer{}
		},
		claim: echo.claim,
	})
	bot := w.conn("bot")
	for what, want := range map[string]error{"panic": schemas.ErrUnavailable, "long": schemas.ErrInvalid, "denied": schemas.ErrDenied, "status": nil} {
		_, err := bot.Ask(w.ctx(), "bot", what, schemas.Question{})
		if got := <-reached; got != what || !errors.Is(err, want) {
			t.Errorf("asking for %q: %q was asked, %v, want %v", what, got, err, want)
		}
	}
	run := w.stock("run")
	for subject, body := range map[string]string{
		"ask.run.status": `{"intent":"x"}`,
		"ask.run.show":   `{"unknown":1}`,
		"ask.run.hold":   `{"seq":1,"seq":2}`,
		"claims.run.bot." + strings.ToLower(someID): `{}`,
		"claims.run.B." + someID:                    `{}`,
		"claims.run.bot." + someID:                  `nonsense`,
	} {
		m, err := run.Request(subject, []byte(body), patience)
		check(t, err)
		var answer schemas.Answer
		check(t, schemas.Unmarshal(m.Data, &answer))
		if err := answer.Problem.Err(); !isInvalid(err) {
			t.Errorf("%s with %q: %+v, want ErrInvalid", subject, body, answer)
		}
	}
	if len(reached) > 0 {
		t.Errorf("asked for %q", <-reached)
	}
	if _, err := w.conn("run").Claim(w.ctx(), "run", newKey("bot"), schemas.Question{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

const someID = "01HZZZZZZZZZZZZZZZZZZZZZZZ"

// TestServeDrains: whoever answers and is to stop answers what was asked; what is
// asked later has nobody to answer it, and is told so at once.
func TestServeDrains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked, finish := make(chan struct{}, 100), make(chan struct{})
	stop, done := w.serve(w.conn("answer"), answers{ask: func(schemas.Name, string, schemas.Question) schemas.Answer {
		asked <- struct{}{}
		<-finish
		return schemas.Answer{}
	}})
	late := make(chan error, 1)
	go func() {
		_, err := w.conn("bot").Ask(w.ctx(), "bot", schemas.AskStatus, schemas.Question{})
		late <- err
	}()
	<-asked
	stop()
	eve := w.conn("eve")
	for ctx := w.ctx(); ; check(t, ctx.Err()) {
		// A question that still reaches it gets no answer before finish.
		short, cancel := context.WithTimeout(ctx, time.Second)
		_, err := eve.Ask(short, "eve", schemas.AskStatus, schemas.Question{})
		cancel()
		if errors.Is(err, nats.ErrNoResponders) && errors.Is(err, schemas.ErrUnavailable) {
			break
		}
	}
	for range 20 { // while it could stop, and must not
		check(t, w.stock("eve").Flush())
	}
	select {
	case err := <-done:
		t.Fatalf("stopped with %v before it had answered", err)
	default:
	}
	close(finish)
	if err := <-late; err != nil {
		t.Errorf("what was under way: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("stopped with %v", err)
	}
}

// TestServeSharesTheQuestions: of two processes that answer, one answers each
// question, and when one stops the other answers all.
func TestServeSharesTheQuestions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	by := make(chan int, 1000)
	answerer := func(i int) broker.Answerer {
		return answers{ask: func(schemas.Name, string, schemas.Question) schemas.Answer {
			by <- i
			return schemas.Answer{}
		}}
	}
	stop, done := w.serve(w.conn("answer"), answerer(0))
	w.serve(w.conn("answer"), answerer(1))
	bot := w.conn("bot")
	ask := func(n int) (counts [2]int) {
		for range n {
			_, err := bot.Ask(w.ctx(), "bot", schemas.AskStatus, schemas.Question{})
			check(t, err)
			counts[<-by]++
		}
		if len(by) > 0 {
			t.Error("a question was answered twice")
		}
		return counts
	}
	if counts := ask(100); counts[0] == 0 || counts[1] == 0 {
		t.Errorf("answered by each: %v", counts)
	}
	stop()
	check(t, <-done)
	if counts := ask(20); counts[0] > 0 {
		t.Errorf("answered by who had stopped: %v", counts)
	}
}

// TestServeEndsWithItsConnection: one that can be asked nothing more says so.
func TestServeEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.conn("answer")
	_, done := w.serve(c, echo)
	c.Close()
	if err := <-done; !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("ended with %v, want ErrUnavailable", err)
	}
	if err := c.Serve(w.ctx(), echo, func() {}); !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("on a closed connection: %v, want ErrUnavailable", err)
	}
}

// TestBellRings: what rings reaches those it is for, and nobody else.
func TestBellRings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bell := broker.Bell{Conn: w.conn("execute")}
	heard := make(chan string, 10)
	ring := func(who string) func(string) { return func(subject string) { heard <- who + " " + subject } }
	k := newKey("bot")
	check(t, w.conn("bot").Listen(w.ctx(), "notices.bot."+string(k.ID)+".*", ring("bot")))
	check(t, w.conn("ann").Listen(w.ctx(), "holds.desk.*.*.*", ring("ann")))
	check(t, w.conn("eve").Listen(w.ctx(), "notices.eve.*.*", ring("eve")))
	bell.Hold("vault", k, "parked")
	bell.Hold("desk", k, "parked")
	if got, want := <-heard, "ann holds.desk."+"bot."+string(k.ID)+".parked"; got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
	bell.Intent(k, schemas.Parked)
	if got, want := <-heard, "bot notices.bot."+string(k.ID)+".parked"; got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
	bell.Intent(newKey("eve"), schemas.Parked)
	if got := <-heard; !strings.HasPrefix(got, "eve notices.eve.") {
		t.Errorf("heard %q", got)
	}
}
