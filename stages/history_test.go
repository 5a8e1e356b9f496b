package stages

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	histories      = 500
	stepsOfHistory = 60
)

// TestHistoriesOverTheBroker: whatever is delivered twice or out of order, raced,
// lost, landed unseen or cut short by a crash, every intent comes to one end and
// nothing happens that no record allows (invariants 1 to 9). HOLDPOINT_TEST_SEED
// repeats one history.
func TestHistoriesOverTheBroker(t *testing.T) {
	t.Parallel()
	if text := os.Getenv("HOLDPOINT_TEST_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		must(t, err)
		runHistory(t, newArena(t), seed)
		return
	}
	n := histories
	if testing.Short() {
		n /= 10
	}
	const lanes = 2 // each with a broker of its own
	first := rand.Uint64N(1 << 40)
	t.Logf("seeds %d to %d", first, first+uint64(n)-1)
	for lane := range lanes {
		t.Run(strconv.Itoa(lane), func(t *testing.T) {
			t.Parallel()
			a := newArena(t)
			for i := lane; i < n; i += lanes {
				if runHistory(t, a, first+uint64(i)); t.Failed() {
					t.Fatalf("the history with seed %d failed", first+uint64(i))
				}
			}
		})
	}
}

// runHistory lets things happen, then lets them come to rest, and checks what is
// on record.
func runHistory(t *testing.T, a *arena, seed uint64) {
	s := newSim(t, a, seed)
	for range stepsOfHistory {
		s.step()
		s.revive()
		s.collect()
	}
	s.checkOrders()
	s.settleDown()
	s.checkRecord()
}

// step lets one thing happen, chosen by chance.
func (s *sim) step() {
	for _, r := range s.replicas {
		if s.random.IntN(4) == 0 {
			r.faults.set(s.random.IntN(3), fault(s.random.IntN(int(lastFault))))
		}
	}
	switch n := s.random.IntN(100); {
	case n < 14:
		s.proposeSome()
	case n < 58:
		s.deliverSome()
	case n < 70:
		s.decide()
	case n < 80:
		s.claimSome()
	case n < 86:
		s.report()
	case n < 88:
		s.giveSomeStanding()
	case n < 92:
		s.pass(time.Duration(s.random.IntN(3000)) * time.Second)
		s.race()
	default:
		s.turn()
	}
}

// proposeSome publishes an intent: a new one, the same again, the id of another for
// something else, a withdrawal, or rubbish.
func (s *sim) proposeSome() {
	agent := []schemas.Name{"bot", "bit"}[s.random.IntN(2)]
	actions := []schemas.Action{"sys.read", "sys.small", "sys.again", "sys.big", "sys.two", "sys.never", "sys.exposed", "sys.paid", "sys.over", "sys.unknown"}
	action := actions[s.random.IntN(len(actions))]
	key := schemas.Key{Agent: agent, ID: schemas.NewIntentID(time.Now())}
	p := schemas.Proposal{Params: []byte(fmt.Sprintf(`{"n":%d}`, s.random.IntN(2))), Session: "s" + strconv.Itoa(s.random.IntN(2))}
	if len(s.intents) > 0 {
		old := s.intents[s.random.IntN(len(s.intents))]
		switch s.random.IntN(8) {
		case 0, 1:
			key = old
		case 2:
			key.Agent, action = old.Agent, schemas.Withdraw
			p = schemas.Proposal{Params: []byte(`{"id":"` + string(old.ID) + `"}`)}
		case 3:
			p.Params = []byte(`{"n":1e400}`)
		}
	}
	if s.random.IntN(5) == 0 {
		p.ExpiresIn = schemas.Seconds(1 + s.random.IntN(7200))
	}
	d, err := schemas.Propose(key, action, p, time.Now())
	if err != nil {
		d = schemas.Draft{Subject: "intents." + string(key.Agent) + ".sys.small", Body: []byte(`{"params":`)}
	}
	s.send(key.Agent, d)
	s.intents = append(s.intents, key)
}

// race lets time do its work in both replicas at once, or in one while the other
// handles a message. Neither knows all that the other one wrote.
func (s *sim) race() {
	for _, r := range s.replicas {
		s.follow(r, false)
		if s.random.IntN(4) == 0 {
			r.execute.Index.Forget()
		}
	}
	var both sync.WaitGroup
	one := s.random.IntN(2)
	both.Go(func() { s.timers(one) })
	if r, ok := s.take(); ok && s.random.IntN(2) == 0 {
		var done bool
		both.Go(func() { done = s.deliver(1-one, r) })
		both.Wait()
		if !done {
			s.inbox = append(s.inbox, r)
		}
		return
	} else if ok {
		s.inbox = append(s.inbox, r)
	}
	both.Go(func() { s.timers(1 - one) })
	both.Wait()
}

// deliverSome hands one record to one replica, the same to both at once, or two
// records to both at once. What was handled may come again.
func (s *sim) deliverSome() {
	first, ok := s.take()
	if !ok {
		return
	}
	second, two := first, true
	switch s.random.IntN(3) {
	case 0:
		two = false
	case 1:
		if r, ok := s.take(); ok {
			second = r
		}
	}
	if two && second.Pointer() == first.Pointer() {
		s.spareBugs()
	}
	var done [2]bool
	var both sync.WaitGroup
	order := s.random.IntN(2)
	both.Go(func() { done[0] = s.deliver(order, first) })
	if two {
		both.Go(func() { done[1] = s.deliver(1-order, second) })
	}
	both.Wait()
	again := func(r schemas.Record, done bool) {
		if !done || s.random.IntN(4) == 0 {
			s.inbox = append(s.inbox, r)
		}
	}
	again(first, done[0])
	if two && second.Pointer() != first.Pointer() {
		again(second, done[1])
	}
}

// spareBugs takes panics out: whoever panics on a message while another handles it
// may refuse what counts.
func (s *sim) spareBugs() {
	for _, r := range s.replicas {
		r.faults.spare(bugBefore, bugAfter)
	}
}

// decide lets a reviewer decide on some hold, mostly as a reviewer should.
func (s *sim) decide() {
	if len(s.intents) == 0 {
		return
	}
	key := s.intents[s.random.IntN(len(s.intents))]
	h, at, err := s.look.hold(s.t.Context(), key)
	if err != nil {
		return
	}
	reviewer := []schemas.Name{"ann", "ann-too", "ben", "cat", "olga"}[s.random.IntN(5)]
	d := schemas.Decision{
		Reviewer: reviewer, Queue: h.Queue, Agent: key.Agent, Intent: key.ID, Digest: h.Intent.Digest,
		Verdict: schemas.Approve, Reason: "sim", Shown: at.Hash(),
	}
	if h.State == schemas.InDoubt || s.random.IntN(12) == 0 {
		d.Verdict = []schemas.Verdict{schemas.WasDone, schemas.WasNotDone, schemas.Retry}[s.random.IntN(3)]
	} else if s.random.IntN(6) == 0 {
		d.Verdict = schemas.Deny
	}
	switch s.random.IntN(10) {
	case 0:
		d.Digest = schemas.DigestOf(schemas.Intent{Params: []byte(`{}`)})
	case 1:
		d.Shown = d.Digest
	}
	d, err = d.Sign(s.keys[reviewer])
	must(s.t, err)
	if s.random.IntN(12) == 0 {
		d.Reason = "changed after signing"
	}
	s.send(reviewer, schemas.Write(d, "/sim", s.now(), ""))
}

// claimSome lets both executors ask for the same intent at once, from both replicas.
// Whoever is granted it performs the action. A claim whose answer is lost is
// repeated once with its nonce.
func (s *sim) claimSome() {
	if len(s.intents) == 0 {
		return
	}
	key := s.intents[s.random.IntN(len(s.intents))]
	var both sync.WaitGroup
	for i, executor := range []schemas.Name{"run", "ran"} {
		nonce := strconv.Itoa(s.random.Int())
		both.Go(func() {
			if c, ok := s.tryClaim(i, executor, key, nonce); ok {
				s.perform(c)
			}
		})
	}
	both.Wait()
}

func (s *sim) tryClaim(i int, executor schemas.Name, k schemas.Key, nonce string) (c schemas.Claim, ok bool) {
	for range 2 {
		s.asked(i, func(p *replica) (err error) {
			c, err = p.execute.Claim(context.Background(), executor, k, nonce)
			ok = err == nil
			if errors.Is(err, schemas.ErrInvalid) {
				return schemas.ErrUnavailable
			}
			return err
		})
		if ok {
			return c, true
		}
	}
	return c, false
}

func (s *sim) perform(c schemas.Claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var g schemas.Grant
	if err := schemas.Read(c.Grant.Record(), &g); err != nil {
		s.t.Errorf("a grant that cannot be read: %v", err)
		return
	}
	s.acted[g.Key()]++
	s.claims = append(s.claims, c)
}

// report lets an executor report on something it performed, once or twice, or on
// something that it did not.
func (s *sim) report() {
	if len(s.claims) == 0 {
		return
	}
	c := s.claims[s.random.IntN(len(s.claims))]
	var g schemas.Grant
	must(s.t, schemas.Read(c.Grant.Record(), &g))
	r := schemas.Report{
		Executor: g.Executor, Agent: g.Agent, Intent: g.Intent, Digest: g.Digest, Grant: c.Grant.Record().Pointer(),
		State: schemas.Done, Result: []byte(`"ok"`),
	}
	switch s.random.IntN(8) {
	case 0:
		r.State, r.Error = schemas.Failed, "sim"
	case 1:
		r.Grant.Seq++
	case 2:
		r.Executor = map[schemas.Name]schemas.Name{"run": "ran", "ran": "run"}[g.Executor]
	}
	s.send(r.Executor, schemas.Write(r, "/sim", s.now(), ""))
}

// settleDown lets everything come to its end without faults: reviewers end every
// doubt, time ends the rest. No process is started again for that: what its index
// had lost would stay open.
func (s *sim) settleDown() {
	s.sicken(false)
	for name := range s.removed {
		s.remove(name, false)
	}
	s.thaw()
	for _, r := range s.replicas {
		r.faults.set(0, none)
	}
	for round := 0; round == 0 || !s.atRest(); round++ {
		if round == 8 {
			s.t.Errorf("nothing is left to happen, and something still waits")
			return
		}
		s.pass(time.Duration(1+8*round) * time.Hour)
		s.drain()
		for i, r := range s.replicas {
			s.follow(r, true)
			s.pass(lookSoon)
			s.timers(i)
		}
		s.endDoubts()
		s.drain()
	}
}

// atRest reports whether neither replica waits for anything.
func (s *sim) atRest() bool {
	for _, r := range s.replicas {
		s.follow(r, true)
		if len(r.execute.Index.entries) > 0 {
			return false
		}
	}
	return true
}

// drain delivers everything until nothing is left.
func (s *sim) drain() {
	for tries := 0; ; tries++ {
		s.collect()
		r, ok := s.take()
		if !ok {
			return
		}
		if !s.deliver(s.random.IntN(2), r) {
			s.inbox = append(s.inbox, r)
		}
		if tries > 20_000 {
			s.t.Fatalf("a message is never done with: %s %s", r.Pointer(), r.Subject)
		}
	}
}

func (s *sim) endDoubts() {
	for _, key := range s.intents {
		if h, _, err := s.look.hold(s.t.Context(), key); err == nil && h.State == schemas.InDoubt {
			s.vote(key, "cat", schemas.WasDone)
		}
	}
}
