// Command actors are an agent, an executor and a reviewing service for the bundle
// customer-operations, each as small as one can be in Go: what docker-compose.yml
// runs, and a start for your own.
//
// They make up what they do. What is real is what the gate makes of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "actors:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("actors", flag.ContinueOnError)
	key := flags.String("key", "", "key file; its role says who acts")
	server := flags.String("server", "", "address of the gate's broker; if empty, the one in the key file")
	every := flags.Duration("every", 5*time.Second, "an agent: how long to rest between two rounds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	k, err := identity.ReadKeyFile(*key)
	if err != nil {
		return err
	}
	conn, err := client.Dial(client.Config{Key: k, Server: *server})
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Println(k.Name, "is there")
	switch k.Role {
	case schemas.RoleAgent:
		return propose(ctx, client.Agent{Conn: conn}, *every)
	case schemas.RoleExecutor:
		return client.Executor{Conn: conn}.Run(ctx, k.Systems, 4, perform)
	case schemas.RoleReviewer:
		return decide(ctx, client.Reviewer{Conn: conn}, k.Queues)
	default:
		return fmt.Errorf("%s is neither agent nor executor nor reviewer", k.Name)
	}
}

// propose tells the same story again and again: a refund that is routine, a
// ticket that is read, and the same refund once more, which now a reviewer must
// approve, because the agent has read what a stranger wrote.
func propose(ctx context.Context, a client.Agent, every time.Duration) error {
	for round := 1; ; round++ {
		for _, p := range []client.Proposal{
			{Action: "crm.read_ticket", Params: map[string]any{"ticket": round}},
			{Action: "shop.refund", Params: map[string]any{"order": fmt.Sprintf("A-%d", round), "cents": 1250}, Reason: "the ticket asks for it"},
			{Action: "shop.refund", Params: map[string]any{"order": fmt.Sprintf("A-%d", round), "cents": 150000}, Reason: "URGENT"},
		} {
			ticket, err := a.Submit(ctx, p)
			if err != nil {
				return err
			}
			status, err := a.Result(ctx, ticket)
			if err != nil {
				return err
			}
			fmt.Println("round", round, p.Action, status.Intent, status.State, status.Code)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}

// perform does nothing but say so. Task.Key is what a real system would be given to
// recognise a repetition by.
func perform(_ context.Context, t client.Task) (any, error) {
	fmt.Println("performed", t.Intent.Action, string(t.Intent.Params), t.Key)
	return map[string]string{"receipt": t.Intent.Digest.Short()}, nil
}

// mostCents is up to where the service decides by itself.
const mostCents = 100_000

// decide approves small refunds and denies large ones. Anything else it leaves to
// people. What is unavailable now, Watch offers again.
func decide(ctx context.Context, r client.Reviewer, queues []schemas.Name) error {
	return r.Watch(ctx, queues, func(line schemas.HoldLine) error {
		held, err := r.Hold(ctx, schemas.Key{Agent: line.Agent, ID: line.Intent})
		if errors.Is(err, schemas.ErrUnavailable) {
			return err
		}
		if err != nil || held.State != schemas.Parked || held.Intent.Action != "shop.refund" {
			return nil // decided meanwhile, or not for this service
		}
		var refund struct {
			Order string `json:"order"`
			Cents int    `json:"cents"`
		}
		if err := schemas.Unmarshal(held.Intent.Params, &refund); err != nil {
			return nil
		}
		verdict, reason := schemas.Approve, ""
		if refund.Cents > mostCents {
			verdict, reason = schemas.Deny, "more than a program may decide"
		}
		ruling, err := r.Decide(ctx, held, verdict, reason)
		fmt.Println("decided", held.Intent.Key(), verdict, ruling.State, ruling.Code, err)
		if errors.Is(err, schemas.ErrUnavailable) {
			return err
		}
		return nil
	})
}
