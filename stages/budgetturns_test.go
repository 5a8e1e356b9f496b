package stages

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// hasty is a bundle that does not find out in time, once, what an intent takes.
type hasty struct {
	Policy
	asked *int
}

func (h hasty) Charges(ctx context.Context, f rules.Facts) ([]rules.Charge, []schemas.Match) {
	if *h.asked++; *h.asked == 1 {
		return nil, []schemas.Match{{Rule: "purse", Outcome: schemas.Park, Reason: "it took too long"}}
	}
	return h.Policy.Charges(ctx, f)
}

// TestBudgetNotKnown: an intent of which it is not known what it takes is not released
// as if it took nothing.
func TestBudgetNotKnown(t *testing.T) {
	t.Parallel()
	p := newPurse(t, newSim(t, newArena(t), 1))
	k := p.submit("bot", 600, 72*time.Hour)
	r := p.recommended()
	control := p.replicas[0].execute.Control
	policy, err := control.Policy(t.Context())
	must(t, err)
	control.policy = hasty{policy, new(int)}
	p.deliver(0, r)
	p.want(k, schemas.Parked, "")
	p.vote(k, "ann", schemas.Approve)
	p.drain()
	p.want(k, schemas.Released, "")
	if b := p.budget(); b.Taken(b.Since, schemas.Intent{}) != 600 {
		t.Errorf("taken: got %+v, want 600", b)
	}
}

// TestBudgetShareOfBefore: a share that was taken before the window, for an intent that
// is released only now, is taken anew.
func TestBudgetShareOfBefore(t *testing.T) {
	t.Parallel()
	p := newPurse(t, newSim(t, newArena(t), 1))
	k := p.submit("bot", 600, 72*time.Hour)
	r := p.recommended()
	p.replicas[0].faults.set(1, crashed) // after the share is taken
	if p.deliver(0, r) {
		t.Fatal("there was no second write")
	}
	p.revive()
	p.pass(25 * time.Hour)
	p.inbox = append(p.inbox, r)
	p.drain()
	p.want(k, schemas.Released, "")
	next := p.submit("bot", 401, 72*time.Hour)
	p.drain()
	p.want(next, schemas.Refused, schemas.CodePolicy)
	must(t, p.claim("run", k))
}

// TestBudgetAtMidnight: what one process calls yesterday counts for another whose clock
// is behind.
func TestBudgetAtMidnight(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	p := newPurse(t, s)
	s.activate("daily")
	midnight := s.now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	for i, off := range []time.Duration{-3 * time.Second, 3 * time.Second} {
		s.replicas[i].execute.Now = func() time.Time { return midnight.Add(off) }
	}
	for _, c := range []struct {
		replica, amount int
		want            schemas.State
	}{
		{0, 900, schemas.Released},
		{1, 50, schemas.Released}, // it is a new day
		{0, 200, schemas.Refused}, // it is not
		{1, 950, schemas.Released},
	} {
		k := p.submit("bot", c.amount, 72*time.Hour)
		s.deliver(c.replica, s.recommended())
		if now, err := s.look.progress(t.Context(), k); err != nil || now.state() != c.want {
			t.Errorf("%d in process %d: got %v, want %s", c.amount, c.replica, err, c.want)
		}
	}
}

// TestBudgetIsFull: where too many are not settled, an intent waits, and is not given up.
func TestBudgetIsFull(t *testing.T) {
	t.Parallel()
	p := newPurse(t, newSim(t, newArena(t), 1))
	full := schemas.Budget{Budget: "purse", Key: p.name, Limit: limitOfPurse, Since: p.now().Add(-24 * time.Hour), At: p.now()}
	for range schemas.MaxReserved {
		id := schemas.NewIntentID(time.Now())
		full.Reserved = append(full.Reserved, schemas.Reservation{Agent: "bit", Intent: id, Digest: schemas.DigestOf(schemas.Intent{ID: id}), Amount: 1, At: p.now()})
	}
	_, err := p.look.append(t.Context(), full, full.At, "", schemas.Expect{Filter: full.Subject()})
	must(t, err)
	if b := p.budget(); len(b.Reserved) != schemas.MaxReserved {
		t.Fatalf("the budget is %+v", b)
	}
	k := p.submit("bot", 1, time.Hour)
	r := p.recommended()
	if p.deliver(0, r) {
		t.Error("the intent is done with")
	}
	if settled, _, err := p.look.settlement(t.Context(), k); err == nil {
		t.Errorf("it is %s (%s), want that it waits", settled.State(), settled.Code)
	}
}

// TestAgentCannotGuessBudget: an agent that knows everything about a budget but its
// limit cannot find the limit out from the hash of the record that its release names.
func TestAgentCannotGuessBudget(t *testing.T) {
	t.Parallel()
	p := newPurse(t, newSim(t, newArena(t), 1))
	k := p.submit("bot", 600, 72*time.Hour)
	p.drain()
	p.want(k, schemas.Released, "")
	own, _, err := p.look.settlement(t.Context(), k)
	must(t, err)
	var named schemas.Pointer
	for _, at := range own.Trail {
		if at.Stream == schemas.Budgets {
			named = at
		}
	}
	guess := schemas.Budget{
		Budget: "purse", Key: p.name, Since: own.At.Add(-24 * time.Hour), At: own.At, Trail: own.Trail[:1],
		Reserved: []schemas.Reservation{{Agent: k.Agent, Intent: k.ID, Digest: own.Intent.Digest, Amount: 600, At: own.At}},
	}
	at, err := p.look.Log.At(t.Context(), named.Stream, named.Seq)
	must(t, err)
	for guess.Limit = 600; guess.Limit <= 2*limitOfPurse; guess.Limit++ {
		d := schemas.Write(guess, "/gateways/sim/execute", own.At, traceOf(at))
		if (schemas.Record{Subject: d.Subject, Header: d.Header, Body: d.Body}).Hash() == named.Hash {
			t.Fatalf("the limit is %d", guess.Limit)
		}
	}
}

// TestTurnsAreNotKept: whoever waited for a turn, and then is parked, approved in advance
// and released, does not wait for itself when others come first once more.
func TestTurnsAreNotKept(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	s.activate("daily")
	g := s.standing("ann", "bot", "sys.over")
	g.When, g.Uses = "", 20
	s.giveStanding(g)
	execute := s.replicas[0].execute
	execute.Turns = NewTurns()
	key := func() (schemas.Key, schemas.Record) {
		k := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
		s.submit(k, "sys.over", `{}`)
		return k, s.recommended()
	}
	k, r := key()
	_, second := key()
	_, third := key()
	first := func(r schemas.Record, then func(schemas.Draft) func()) func(schemas.Draft) func() {
		return func(d schemas.Draft) func() {
			if !strings.HasPrefix(d.Subject, "budgets.one.") {
				return nil
			}
			return func() {
				s.deliver(1, r)
				s.replicas[0].faults.meanwhile = then
			}
		}
	}
	s.replicas[0].faults.meanwhile = first(second, first(third, nil))
	done := make(chan bool, 1)
	go func() { done <- s.deliver(0, r) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for its own turn")
	}
	s.want(k, schemas.Released, "")
	if n := len(execute.Turns.turns); n > 0 {
		t.Errorf("%d turns are still taken", n)
	}
}
