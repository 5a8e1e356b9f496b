package stages

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestPanicCostsOneMessage: rules that panic on one intent, at whichever checkpoint,
// refuse that intent and stop nothing else. The messages come from the broker.
func TestPanicCostsOneMessage(t *testing.T) {
	t.Parallel()
	for _, at := range []rules.Checkpoint{rules.Observe, rules.Recommend, rules.Execute} {
		t.Run(at.String(), func(t *testing.T) {
			t.Parallel()
			s := newSim(t, newArena(t), 1)
			p := s.replicas[0]
			bell := newHears()
			p.execute.Bell = bell
			bad := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
			p.execute.Control.Load(broken{s.bundle["bundle"], func(now rules.Checkpoint, f rules.Facts) bool {
				return now == at && f.Intent.Key() == bad
			}})
			stop := s.work(p)
			defer stop()
			for range 3 {
				good := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
				s.submit(good, "sys.small", `{}`)
				bell.until(t, good, schemas.Released)
				s.submit(bad, "sys.small", `{}`)
			}
			bell.until(t, bad, schemas.Refused)
			s.want(bad, schemas.Refused, schemas.CodeInternal)
		})
	}
}

// work lets a replica take its messages from the broker, until stop is called.
func (s *sim) work(p *replica) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var working sync.WaitGroup
	for stream, role := range map[schemas.Stream]schemas.Role{
		schemas.Intents: schemas.RoleObserve, schemas.Observed: schemas.RoleRecommend, schemas.Recommended: schemas.RoleExecute,
	} {
		working.Go(func() {
			if err := s.logs[role].Work(ctx, stream, 4, p.handler(stream)); err != nil && ctx.Err() == nil {
				s.t.Error(err)
			}
		})
	}
	return func() { cancel(); working.Wait() }
}

// hopeless panics on some messages whatever is asked of it.
type hopeless struct {
	on     schemas.Name
	failed atomic.Int64
	done   chan schemas.Record
}

func (h *hopeless) Handle(_ context.Context, r schemas.Record) error {
	if s, _ := schemas.ParseSubject(r.Subject); s.Agent == h.on {
		panic("handling")
	}
	h.done <- r
	return nil
}

func (h *hopeless) Refuse(context.Context, schemas.Record, string) error {
	h.failed.Add(1)
	panic("refusing")
}

// TestPanicTwice: a message that cannot even be refused comes again, and the others
// pass.
func TestPanicTwice(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	h := &hopeless{on: "bot", done: make(chan schemas.Record, 10)}
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() { must(t, s.logs[schemas.RoleObserve].Work(ctx, schemas.Intents, 4, h)) })
	s.submit(schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}, "sys.small", `{}`)
	for h.failed.Load() < 2 {
		s.submit(schemas.Key{Agent: "bit", ID: schemas.NewIntentID(time.Now())}, "sys.small", `{}`)
		<-h.done
	}
	stop()
	working.Wait()
}

// TestPanicAtAnyWrite: a stage that panics at any of its writes refuses its message,
// and what it has written before stands: nothing is settled twice, and no decision
// or report both counts and does not.
func TestPanicAtAnyWrite(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	for _, c := range scenarios() {
		t.Run(c.name, func(t *testing.T) {
			for what := bugBefore; what <= bugAfter; what++ {
				for nth := 0; ; nth++ {
					s := newSim(t, a, uint64(nth))
					key := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
					s.intents = []schemas.Key{key}
					if hit := c.play(s, key, nth, what); !hit {
						break
					}
					s.settleDown()
					s.checkRecord()
				}
			}
		})
	}
}

// TestPanicAfterTheVote: the vote counts, is not rejected, and what follows from it
// is done when it no longer panics.
func TestPanicAfterTheVote(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bot", "sys.big")
	s.replicas[0].faults.set(1, bugBefore) // the settlement, after the vote
	s.follow(s.replicas[0], true)
	p := s.vote(k, "ann", schemas.Approve)
	s.drainAt(0)
	s.want(k, schemas.Parked, "")
	s.later(lookAgain)
	s.want(k, schemas.Released, "")
	s.wantRuling(p, "")
}

// TestPanicAtALateReport: the report counts, and its doubt is closed all the same.
func TestPanicAtALateReport(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bot", "sys.small")
	must(t, s.claim("run", k))
	s.later(2 * time.Minute)
	s.replicas[0].faults.set(0, bugBefore)
	p := s.reportOn(k)
	s.drainAt(0)
	s.want(k, schemas.InDoubt, "")
	s.later(lookAgain)
	s.want(k, schemas.Done, "")
	s.wantRuling(p, "")
}
