package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// crashRounds is how often something is killed. CI sets HOLDPOINT_TEST_CRASHES.
func crashRounds(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("HOLDPOINT_TEST_CRASHES"); text != "" {
		n, err := strconv.Atoi(text)
		must(t, err)
		return n
	}
	return 5
}

// TestCrashOfTheGate kills the whole gate, broker included, again and again under
// a stream of intents, decisions and claims. Afterwards every intent has one end,
// nothing was performed twice, and the audit holds.
func TestCrashOfTheGate(t *testing.T) {
	t.Parallel()
	bundle, err := filepath.Abs("testdata/crash")
	must(t, err)
	g := gate{t: t, dir: t.TempDir()}
	port := strconv.Itoa(freePorts(t, 1)[0])
	open := func() *process {
		p := g.start("serve", "--port", port, "--http", "", "--bundle", bundle)
		p.await(t, "may connect")
		return p
	}
	p := open()
	c := newCrowd(t, func(role, name string, flags ...string) *client.Conn { return g.dial(g.add(role, name, flags...)) })
	c.work(t, crashRounds(t), func() {
		p.kill()
		p = open()
	})
	c.rest(t)
	g.verify("--key", filepath.Join(g.dir, "otto.key"))
}

// TestCrashOfAStage does the same with each stage a process of its own on a broker
// that stays up: one of them is killed at a time.
func TestCrashOfAStage(t *testing.T) {
	t.Parallel()
	s := startServers(t, 1)
	g := gate{t: t, dir: s.dir}
	g.run("provision", "--apply", "--nats", s.url(), "--ca", s.path("cert.pem"), "--creds", s.creds())
	stages := []string{"observe", "recommend", "execute", "provision"}
	running := map[string]*process{}
	for _, stage := range stages {
		running[stage] = s.serve(stage)
	}
	c := newCrowd(t, s.add)
	s.activate("testdata/crash")
	round := 0
	c.work(t, crashRounds(t), func() {
		stage := stages[round%len(stages)]
		round++
		running[stage].kill()
		running[stage] = s.serve(stage)
	})
	c.rest(t)
	g.verify("--key", s.path("otto.key"), "--ca", s.path("cert.pem"))
}

// crowd is everyone who works with a gate, while it is killed under them.
type crowd struct {
	agents   []client.Agent
	reviewer client.Reviewer
	executor client.Executor

	// mu guards what follows, for the time of one look.
	mu        sync.Mutex
	tickets   []client.Ticket
	performed map[schemas.Key]int
	done      progress
}

// progress counts what happened.
type progress struct{ submitted, performed, decided int }

// reached reports whether each count of p is at least that of goal.
func (p progress) reached(goal progress) bool {
	return p.submitted >= goal.submitted && p.performed >= goal.performed && p.decided >= goal.decided
}

func newCrowd(t *testing.T, add func(role, name string, flags ...string) *client.Conn) *crowd {
	t.Helper()
	c := &crowd{performed: map[schemas.Key]int{}}
	for i := range 3 {
		c.agents = append(c.agents, client.Agent{Conn: add("agent", fmt.Sprintf("bot-%d", i), "--owner", "olga")})
	}
	c.reviewer = client.Reviewer{Conn: add("reviewer", "ann", "--queues", "desk")}
	c.executor = client.Executor{Conn: add("executor", "runner", "--owner", "opal", "--systems", "shop")}
	add("auditor", "otto")
	return c
}

// work lets everyone work while crash is called again and again, each time when
// intents, decisions and claims are under way.
func (c *crowd) work(t *testing.T, rounds int, crash func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go c.perform(ctx)
	go c.review(ctx)
	submitting, enough := context.WithCancel(ctx)
	defer enough()
	var agents sync.WaitGroup
	for i := range c.agents {
		agents.Go(func() { c.submit(t, submitting, c.agents[i]) })
	}
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(uint64(seed), 0))
	for range rounds {
		goal := c.progress()
		goal.submitted += 1 + dice.IntN(20)
		goal.performed += 1 + dice.IntN(5)
		goal.decided += 1 + dice.IntN(2)
		c.reach(t, goal)
		crash()
	}
	enough()
	agents.Wait()
}

func (c *crowd) progress() progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done
}

// reach returns when so much has happened.
func (c *crowd) reach(t *testing.T, goal progress) {
	t.Helper()
	for end := time.After(patience); !c.progress().reached(goal); {
		select {
		case <-time.After(time.Millisecond):
		case <-end:
			t.Fatalf("it does not go on: %+v, want %+v", c.progress(), goal)
		}
	}
}

// submit proposes one action after the other. Whatever was accepted must end.
func (c *crowd) submit(t *testing.T, ctx context.Context, a client.Agent) {
	actions := []schemas.Action{"shop.once", "shop.again", "shop.asks", "shop.never"}
	for i := 0; ctx.Err() == nil; i++ {
		p := client.Proposal{Action: actions[i%len(actions)], Params: map[string]any{}, ID: schemas.NewIntentID(time.Now())}
		ticket, err := a.Submit(t.Context(), p)
		if err != nil {
			t.Errorf("submitting: %v", err)
			return
		}
		c.mu.Lock()
		c.tickets = append(c.tickets, ticket)
		c.done.submitted++
		c.mu.Unlock()
		if a.Name() != "bot-0" || i%10 == 9 { // one agent hurries, the others wait for the gate's word
			_, _ = a.Stand(ctx, ticket)
		}
	}
}

// perform counts what is done.
func (c *crowd) perform(ctx context.Context) {
	_ = c.executor.Run(ctx, []string{"shop"}, 4, func(_ context.Context, task client.Task) (any, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.performed[task.Intent.Key()]++
		c.done.performed++
		return "ok", nil
	})
}

// times returns how often an action was performed.
func (c *crowd) times(k schemas.Key) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.performed[k]
}

// review approves what is parked, and says of what is in doubt what is true.
func (c *crowd) review(ctx context.Context) {
	for ctx.Err() == nil {
		_ = c.reviewer.Watch(ctx, []schemas.Name{"desk"}, func(line schemas.HoldLine) error {
			h, err := c.reviewer.Hold(ctx, schemas.Key{Agent: line.Agent, ID: line.Intent})
			if err != nil || !h.Open() {
				return err
			}
			verdict := schemas.Approve
			if h.State == schemas.InDoubt {
				verdict = schemas.WasNotDone
				if c.times(h.Intent.Key()) > 0 {
					verdict = schemas.WasDone
				}
			}
			short, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			if _, err = c.reviewer.Decide(short, h, verdict, "test"); err != nil {
				return err
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.done.decided++
			return nil
		})
	}
}

// rest waits for the end of everything that was accepted, and checks that what
// must not be done twice was done at most once.
func (c *crowd) rest(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	byName := map[schemas.Name]client.Agent{}
	for _, a := range c.agents {
		byName[a.Name()] = a
	}
	states := map[schemas.State]int{}
	for _, ticket := range c.tickets {
		status, err := byName[ticket.Key.Agent].Result(ctx, ticket)
		if err != nil {
			t.Fatalf("%s: %s, %v, want an end", ticket.Key, status.State, err)
		}
		states[status.State]++
		n := c.times(ticket.Key)
		if n > 1 && status.Action != "shop.again" {
			t.Errorf("%s %s was performed %d times", status.Action, ticket.Key, n)
		}
		if status.State == schemas.Done && n == 0 {
			t.Errorf("%s %s is done, and nobody performed it", status.Action, ticket.Key)
		}
	}
	t.Logf("%d intents: %v", len(c.tickets), states)
}

// kill ends a process without a warning, and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	err := <-p.done
	p.done <- err
}

// verify runs audit verify until nothing is open or pending any more.
func (g gate) verify(args ...string) {
	g.t.Helper()
	for end := time.After(patience); ; {
		var report struct {
			Open, Pending, Records, Intents int
			Findings                        []any
		}
		must(g.t, json.Unmarshal([]byte(g.run(append([]string{"audit", "verify", "-o", "json"}, args...)...)), &report))
		if len(report.Findings) > 0 {
			g.t.Fatalf("the audit does not hold: %v", report.Findings)
		}
		if report.Open == 0 && report.Pending == 0 && report.Intents > 0 {
			g.t.Logf("the audit holds: %d records, %d intents", report.Records, report.Intents)
			return
		}
		select {
		case <-end:
			g.t.Fatalf("the audit is not complete: %+v", report)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// key reads a key of the gateway or of an admin.
func (s *servers) key(name string) identity.KeyFile {
	s.t.Helper()
	k, err := identity.ReadKeyFile(filepath.Join(s.creds(), name+".key"))
	must(s.t, err)
	return k
}
