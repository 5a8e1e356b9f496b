package stages

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// purse takes of a budget that no other test takes of.
type purse struct {
	*sim
	name string
}

func newPurse(t *testing.T, s *sim) purse {
	t.Helper()
	s.activate("budgeted")
	return purse{s, fmt.Sprintf("%s %d", t.Name(), rand.Uint64())}
}

// submit proposes an intent that takes an amount, and has so long.
func (p purse) submit(agent schemas.Name, amount int, expires time.Duration) schemas.Key {
	p.t.Helper()
	k := schemas.Key{Agent: agent, ID: schemas.NewIntentID(time.Now())}
	d, err := schemas.Propose(k, "sys.paid", schemas.Proposal{
		Params: fmt.Appendf(nil, `{"n":%d,"purse":%q}`, amount, p.name), ExpiresIn: schemas.Seconds(expires / time.Second),
	}, time.Now())
	must(p.t, err)
	p.send(agent, d)
	return k
}

// budget returns what stands under the purse, with everything that is settled.
func (p purse) budget() schemas.Budget {
	p.t.Helper()
	b, _, err := p.look.budget(p.t.Context(), schemas.Budget{Budget: "purse", Key: p.name}.Subject())
	must(p.t, err)
	return b.Settle(time.Minute, func(r schemas.Reservation) (schemas.Outcome, bool) {
		outcome, settled, err := p.look.verdict(p.t.Context(), r)
		must(p.t, err)
		return outcome, settled
	})
}

// limitOfPurse is what the bundle lets everyone take of one.
const limitOfPurse = 1000

// TestBudgetRace races 1,000 intents against one limit, in two processes, with
// crashes and faults between any two writes, with intents that end before their
// turn, and an agent that comes and goes. What is released is never more than the
// limit; and when all is settled, what counts is exactly what was released.
func TestBudgetRace(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), rand.Uint64())
	p := newPurse(t, s)
	amounts := map[schemas.Key]int64{}
	for range 1000 {
		agent, expires := schemas.Name("bot"), 72*time.Hour
		if s.random.IntN(2) == 0 {
			agent = "bit"
		}
		if s.random.IntN(4) == 0 {
			expires = time.Duration(1+s.random.IntN(600)) * time.Second
		}
		amount := 1 + s.random.IntN(4)
		amounts[p.submit(agent, amount, expires)] = int64(amount)
		if s.random.IntN(3) > 0 {
			p.work()
		}
	}
	s.settleDown()
	released, returned := int64(0), 0
	for k, amount := range amounts {
		settled, _, err := s.look.settlement(t.Context(), k)
		must(t, err)
		if settled.Outcome == schemas.Release {
			released += amount
		}
	}
	for _, r := range s.copies[schemas.Budgets].records {
		var b schemas.Budget
		must(t, schemas.Read(r, &b))
		returned += len(b.Returned)
		if sum := b.Taken(b.Since, schemas.Intent{}); sum > limitOfPurse {
			t.Errorf("%s says that %d are taken, of %d", r.Pointer(), sum, limitOfPurse)
		}
	}
	if released > limitOfPurse || released < limitOfPurse-20 {
		t.Errorf("%d were released, want as much as there is of %d", released, limitOfPurse)
	}
	b := p.budget()
	if got := b.Taken(b.Since, schemas.Intent{}); got != released || len(b.Reserved) > 0 {
		t.Errorf("%d are taken, and %d were released; %d are not settled", got, released, len(b.Reserved))
	}
	t.Logf("%d of %d released, %d shares given back, %d records", released, limitOfPurse, returned, len(s.copies[schemas.Budgets].records))
}

// work lets both processes handle some of what there is, each with what goes wrong.
func (p purse) work() {
	p.collect()
	for _, r := range p.replicas {
		if p.random.IntN(3) == 0 {
			r.faults.set(p.random.IntN(4), fault(p.random.IntN(int(crashed)+2)))
		}
	}
	var all sync.WaitGroup
	var again [2][]schemas.Record
	for i := range p.replicas {
		if i == 1 && p.random.IntN(3) == 0 {
			continue
		}
		var some []schemas.Record
		for range 6 {
			if r, ok := p.take(); ok {
				some = append(some, r)
			}
		}
		all.Go(func() {
			for _, r := range some {
				if !p.deliver(i, r) {
					again[i] = append(again[i], r)
				}
			}
		})
	}
	all.Wait()
	if unfinished := slices.Concat(again[0], again[1]); len(unfinished) > 0 {
		p.inbox = append(p.inbox, unfinished...)
		p.remove("bit", p.random.IntN(3) > 0)
		p.pass(time.Duration(p.random.IntN(120)) * time.Second)
	}
	p.revive()
}

// TestBudgetIsOfTheWindow: what was taken counts again when its window is over.
func TestBudgetIsOfTheWindow(t *testing.T) {
	t.Parallel()
	p := newPurse(t, newSim(t, newArena(t), 1))
	take := func(amount int) schemas.Key {
		k := p.submit("bot", amount, 72*time.Hour)
		p.drain()
		return k
	}
	p.want(take(600), schemas.Released, "")
	p.want(take(401), schemas.Refused, schemas.CodePolicy)
	p.want(take(400), schemas.Released, "")
	p.want(take(1), schemas.Refused, schemas.CodePolicy)
	p.pass(23 * time.Hour)
	p.want(take(1), schemas.Refused, schemas.CodePolicy)
	p.pass(2 * time.Hour)
	p.want(take(1000), schemas.Released, "")
	p.want(take(1), schemas.Refused, schemas.CodePolicy)
}

// TestBudgetIsReturned: the share of an intent that was refused after all is there
// for the next.
func TestBudgetIsReturned(t *testing.T) {
	t.Parallel()
	p := newPurse(t, newSim(t, newArena(t), 1))
	k := p.submit("bot", 1000, time.Hour)
	r := p.recommended()
	p.replicas[0].faults.set(1, crashed) // after the share is taken
	if p.deliver(0, r) {
		t.Fatal("there was no second write")
	}
	p.revive()
	if b := p.budget(); b.Taken(b.Since, schemas.Intent{}) != 1000 {
		t.Fatalf("taken: got %+v, want all", b)
	}
	p.inbox = append(p.inbox, r)
	p.pass(2 * time.Hour)
	p.drain()
	p.want(k, schemas.Refused, schemas.CodeExpired)
	next := p.submit("bit", 1000, 72*time.Hour)
	p.drain()
	p.want(next, schemas.Released, "")
}

// TestBudgetBeyond: what goes beyond a budget that parks is released if somebody
// approves it, counts then, and the hold says what was taken.
func TestBudgetBeyond(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bit", "sys.over")
	s.want(k, schemas.Parked, "")
	h, _ := s.held(k)
	if len(h.Taken) != 1 || h.Taken[0].Budget != "nothing" || h.Taken[0].Reserved {
		t.Errorf("the hold says that %+v is taken", h.Taken)
	}
	s.vote(k, "ann", schemas.Approve)
	s.drain()
	s.want(k, schemas.Released, "")
	b, _, err := s.look.budget(t.Context(), schemas.Budget{Budget: "nothing", Key: "bit"}.Subject())
	must(t, err)
	if len(b.Reserved) != 1 || !b.Reserved[0].Beyond || b.Reserved[0].Key() != k {
		t.Errorf("reserved is %+v, want the share of %s, beyond the limit", b.Reserved, k)
	}
	must(t, s.claim("run", k))
}
