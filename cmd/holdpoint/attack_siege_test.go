package main

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// canary stands in everything that the victims of a siege send. Who is not of
// their queue or system must never see it.
const canary = "canary-3b1f"

// siege is a world with victims in it, and attackers: one for each role. The
// victims have the system vault and the queue vaults to themselves; the attackers
// have the system shop and the queue billing.
type siege struct {
	*world
	ns   *server.Server
	keys map[schemas.Name]identity.KeyFile
	ids  map[schemas.Name]schemas.Identity

	victim, mark client.Agent
	known        map[schemas.IntentID]bool // what victim and mark proposed
	released     []schemas.Key             // what of it vault's executor must get

	reader, auditor *wire // they only look
	cases           int
}

// victims are those who must not notice anything, and the two who look on.
func victims() []schemas.Identity {
	return []schemas.Identity{
		{Name: "victim", Role: schemas.RoleAgent, Owner: "olga"},
		{Name: "mark", Role: schemas.RoleAgent, Owner: "olga"},
		{Name: "vera", Role: schemas.RoleReviewer, Person: "vera", Queues: []schemas.Name{"vaults"}},
		{Name: "vex", Role: schemas.RoleExecutor, Owner: "opal", Systems: []string{"vault"}},
		{Name: "aud", Role: schemas.RoleAuditor, Person: "audrey"},
	}
}

// attackers are one of each role from outside.
func attackers() []schemas.Identity {
	return []schemas.Identity{
		{Name: "eve", Role: schemas.RoleAgent, Owner: "mallory"},
		{Name: "rex", Role: schemas.RoleReviewer, Person: "mallory", Queues: []schemas.Name{"billing"}},
		{Name: "exa", Role: schemas.RoleExecutor, Owner: "mallory", Systems: []string{"shop"}},
		{Name: "ada", Role: schemas.RoleAuditor, Person: "mallory"},
		{Name: "poe", Role: schemas.RolePolicyAdmin, Person: "mallory"},
		{Name: "ida", Role: schemas.RoleIdentityAdmin, Person: "mallory"},
	}
}

// besiege opens a world, with everyone in it.
func besiege(t testing.TB, start func(testing.TB, string) *world) *siege {
	t.Helper()
	s := &siege{
		world: start(t, "testdata/attack"),
		keys:  map[schemas.Name]identity.KeyFile{},
		ids:   map[schemas.Name]schemas.Identity{},
		known: map[schemas.IntentID]bool{},
	}
	s.ns = natsServer(s.world)
	operator := s.operator(schemas.RoleIdentityAdmin)
	for _, id := range append(victims(), attackers()...) {
		k, err := identity.NewKeyFile(id.Name, id.Role)
		check(t, err)
		id.Key, err = k.Public()
		check(t, err)
		check(t, operator.Add(s.ctx(), id))
		s.keys[id.Name], s.ids[id.Name] = k, id
	}
	s.server.Review()
	for role, k := range s.creds {
		public, err := k.Public()
		check(t, err)
		s.keys[k.Name], s.ids[k.Name] = k, schemas.Identity{Name: k.Name, Role: role, Key: public}
	}
	s.victim, s.mark = client.Agent{Conn: s.dial(s.keys["victim"])}, client.Agent{Conn: s.dial(s.keys["mark"])}
	s.reader, s.auditor = s.wire("provision"), s.wire("aud")
	for _, w := range []*wire{s.reader, s.auditor} {
		w.sub(string(s.inboxOf(w)) + ".>")
		check(t, w.flush())
	}
	s.quiet()
	return s
}

func (s *siege) inboxOf(w *wire) string {
	if w == s.reader {
		return "_INBOX_provision"
	}
	return "_INBOX_aud"
}

// natsServer returns the server of a world, to look at it from the inside.
func natsServer(w *world) *server.Server {
	if x, ok := w.server.(*external); ok {
		return x.ns
	}
	return w.server.Connection().InProcess.(*server.Server)
}

func (s *siege) wire(name schemas.Name) *wire {
	s.t.Helper()
	return wireOf(s.world, s.keys[name])
}

// live lets the victims go about their business: two intents are released, and
// two wait for a reviewer.
func (s *siege) live() {
	s.t.Helper()
	for i, amount := range []int{20, 500, 20, 500} {
		ticket, err := s.victim.Submit(s.ctx(), client.Proposal{
			Action: "vault.open",
			Params: map[string]any{"code": fmt.Sprint(canary, "-", i), "amount": amount},
			Reason: canary,
		})
		check(s.t, err)
		s.known[ticket.Key.ID] = true
		if amount <= 50 {
			s.released = append(s.released, ticket.Key)
		}
	}
}

// pass makes sure that the gate works still: what mark proposes is released.
func (s *siege) pass() {
	s.t.Helper()
	ticket, err := s.mark.Submit(s.ctx(), refund(20))
	check(s.t, err)
	s.known[ticket.Key.ID] = true
	settled, err := s.mark.Await(s.ctx(), ticket)
	check(s.t, err)
	if settled.Outcome != schemas.Release {
		s.t.Fatalf("after the attack, a small refund: %s (%s %s), want a release", settled.Outcome, settled.Code, settled.Detail)
	}
}

// quiet waits until every stage has handled everything, and AUDIT has copied it.
func (s *siege) quiet() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	for {
		busy := s.look().busy()
		if busy == "" {
			return
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("not quiet: %s", busy)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// finish makes sure that the executor of vault gets everything that was released
// to it, and only that. What an attacker took comes again half a minute later.
func (s *siege) finish() {
	s.t.Helper()
	x := client.Executor{Conn: s.dial(s.keys["vex"])}
	ctx, stop := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer stop()
	done := make(chan schemas.Key, len(s.released)+1)
	ran := make(chan error, 1)
	go func() {
		ran <- x.Run(ctx, []string{"vault"}, 8, func(_ context.Context, t client.Task) (any, error) {
			done <- t.Intent.Key()
			return nil, nil
		})
	}()
	want := slices.Clone(s.released)
	for len(want) > 0 {
		select {
		case k := <-done:
			i := slices.Index(want, k)
			if i < 0 {
				s.t.Fatalf("vex was given %s, want one of %v", k, want)
			}
			want = slices.Delete(want, i, i+1)
		case <-ctx.Done():
			s.t.Fatalf("vex was not given %v; AUDIT has %+v", want, s.look()["AUDIT/AUDIT"].sources)
		}
	}
	stop()
	check(s.t, <-ran)
	s.quiet()
}
