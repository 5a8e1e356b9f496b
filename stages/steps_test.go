package stages

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// The steps of a history that a test writes itself.

// submit publishes an intent.
func (s *sim) submit(k schemas.Key, a schemas.Action, params string) {
	s.t.Helper()
	d, err := schemas.Propose(k, a, schemas.Proposal{Params: []byte(params)}, time.Now())
	must(s.t, err)
	s.send(k.Agent, d)
}

// propose lets an agent propose something new, and the stages do their part.
func (s *sim) propose(agent schemas.Name, a schemas.Action) schemas.Key {
	s.t.Helper()
	k := schemas.Key{Agent: agent, ID: schemas.NewIntentID(time.Now())}
	s.submit(k, a, `{"n":1}`)
	s.drain()
	return k
}

func (s *sim) withdraw(k schemas.Key) (withdrawal schemas.Key) {
	s.t.Helper()
	withdrawal = schemas.Key{Agent: k.Agent, ID: schemas.NewIntentID(time.Now())}
	s.submit(withdrawal, schemas.Withdraw, `{"id":"`+string(k.ID)+`"}`)
	return withdrawal
}

// drainOnce delivers what there is to the first replica, each once, as far as it
// lives. What is not done with stays.
func (s *sim) drainOnce() {
	for range 3 { // the stages that an intent passes
		s.collect()
		todo := s.inbox
		s.inbox = nil
		for _, r := range todo {
			if !s.deliver(0, r) {
				s.inbox = append(s.inbox, r)
			}
		}
	}
}

// refuseOnce is drainOnce by a process that panics on the messages of a stream.
func (s *sim) refuseOnce(stream schemas.Stream) {
	for range 3 {
		s.collect()
		todo := s.inbox
		s.inbox = nil
		for _, r := range todo {
			done := false
			if r.Stream != stream {
				done = s.deliver(0, r)
			} else {
				done = s.asked(0, func(p *replica) error { return p.handler(stream).Refuse(context.Background(), r, "") })
			}
			if !done {
				s.inbox = append(s.inbox, r)
			}
		}
	}
}

// tick lets the first replica know everything, and do what is due.
func (s *sim) tick() {
	s.t.Helper()
	if p := s.replicas[0]; p != nil {
		s.follow(p, true)
	}
	s.timers(0)
}

// later lets time pass, and then do its work.
func (s *sim) later(d time.Duration) {
	s.t.Helper()
	s.pass(d)
	s.tick()
}

// held returns the hold on an intent, as a reviewer is shown it.
func (s *sim) held(k schemas.Key) (schemas.Hold, schemas.Record) {
	s.t.Helper()
	h, at, err := s.look.hold(s.t.Context(), k)
	must(s.t, err)
	return h, at
}

// decision is what a reviewer says who does everything right.
func (s *sim) decision(k schemas.Key, reviewer schemas.Name, verdict schemas.Verdict) schemas.Decision {
	s.t.Helper()
	h, at := s.held(k)
	return schemas.Decision{
		Reviewer: reviewer, Queue: h.Queue, Agent: k.Agent, Intent: k.ID, Digest: h.Intent.Digest,
		Verdict: verdict, Reason: "sim", Shown: at.Hash(),
	}
}

// say signs a decision and sends it.
func (s *sim) say(d schemas.Decision) schemas.Pointer {
	s.t.Helper()
	d, err := d.Sign(s.keys[d.Reviewer])
	must(s.t, err)
	return s.send(d.Reviewer, schemas.Write(d, "/sim", s.now(), ""))
}

// vote lets a reviewer decide as a reviewer should.
func (s *sim) vote(k schemas.Key, reviewer schemas.Name, verdict schemas.Verdict) schemas.Pointer {
	s.t.Helper()
	return s.say(s.decision(k, reviewer, verdict))
}

func (s *sim) freezeBot() {
	s.frozen = true
	s.turned("frozen", true)
	s.everywhere(schemas.Freeze{By: "boss", Scope: schemas.Scope{Agent: "bot"}, Reason: "sim", At: s.now()})
}

// claim lets an executor ask for an intent.
func (s *sim) claim(executor schemas.Name, k schemas.Key) error {
	s.t.Helper()
	_, err := s.replicas[0].execute.Claim(s.t.Context(), executor, k, "nonce of "+string(executor))
	return err
}

// claimOnce is claim, by a process that may end at it.
func (s *sim) claimOnce(k schemas.Key) {
	s.asked(0, func(p *replica) error {
		a := Answer{Execute: p.execute}
		return a.Claim(context.Background(), "run", k, schemas.Question{Nonce: "the same nonce"}).Problem.Err()
	})
}

// reportOn reports that the latest grant was performed.
func (s *sim) reportOn(k schemas.Key) schemas.Pointer {
	s.t.Helper()
	return s.sendReport(s.reportOf(k))
}

func (s *sim) reportOf(k schemas.Key) schemas.Report {
	s.t.Helper()
	g, at, err := s.look.lastGrant(s.t.Context(), k)
	must(s.t, err)
	return schemas.Report{
		Executor: g.Executor, Agent: k.Agent, Intent: k.ID, Digest: g.Digest, Grant: at.Pointer(),
		State: schemas.Done, Result: []byte(`"ok"`),
	}
}

// reportFalsely reports on what was never granted.
func (s *sim) reportFalsely(k schemas.Key) schemas.Pointer {
	s.t.Helper()
	settled, at, err := s.look.settlement(s.t.Context(), k)
	must(s.t, err)
	return s.sendReport(schemas.Report{Executor: "run", Agent: k.Agent, Intent: k.ID, Digest: settled.Intent.Digest, Grant: at.Pointer(), State: schemas.Done})
}

func (s *sim) sendReport(r schemas.Report) schemas.Pointer {
	s.t.Helper()
	return s.send(r.Executor, schemas.Write(r, "/sim", s.now(), ""))
}

// want fails the test unless the intent is in that state and, if it is refused,
// for that reason.
func (s *sim) want(k schemas.Key, state schemas.State, code schemas.Code) {
	s.t.Helper()
	now, err := s.look.progress(s.t.Context(), k)
	if err != nil {
		s.t.Fatalf("%s: %v, want %s", k, err, state)
	}
	var got schemas.Code
	if now.settlement != nil {
		got = now.settlement.Code
	}
	if now.state() != state || got != code {
		s.t.Fatalf("%s: %s %q, want %s %q", k, now.state(), got, state, code)
	}
}

// wantRuling fails the test unless the sender of a decision or a report is told
// that it counts, or else why not, and that is on record.
func (s *sim) wantRuling(p schemas.Pointer, code schemas.Code) {
	s.t.Helper()
	r, err := s.look.Log.At(s.t.Context(), p.Stream, p.Seq)
	must(s.t, err)
	subject, err := schemas.ParseSubject(r.Subject)
	must(s.t, err)
	ruling, err := s.look.ruling(s.t.Context(), r, subject)
	if err != nil || ruling == nil || ruling.Counts != (code == "") || ruling.Code != code {
		s.t.Fatalf("%s: %+v, %v, want %q", p, ruling, err, code)
	}
	if on := s.read().rejected[p]; on != code {
		s.t.Fatalf("%s: REJECTED says %q, want %q", p, on, code)
	}
}

// wantErr fails the test unless err is the one that is wanted.
func (s *sim) wantErr(err, want error) {
	s.t.Helper()
	if !errors.Is(err, want) {
		s.t.Fatalf("got %v, want %v", err, want)
	}
}

// meanwhile lets something happen just before the first replica writes a record of
// that kind, such as "granted.".
func (s *sim) meanwhile(kind string, do func()) {
	s.replicas[0].faults.meanwhile = func(d schemas.Draft) func() {
		if !strings.HasPrefix(d.Subject, kind) {
			return nil
		}
		return do
	}
}

// underSequence is the id under which an intent is refused whose own id is taken.
func underSequence(t *testing.T, recommendation schemas.Record) schemas.Key {
	t.Helper()
	var rec schemas.Recommendation
	must(t, schemas.Read(recommendation, &rec))
	return schemas.Key{Agent: rec.Intent.Agent, ID: schemas.SequenceID(rec.Trail[0].Seq)}
}

// recommended brings what was submitted before the execute stage, and returns the
// recommendation without handing it over. Its trail begins with the intent.
func (s *sim) recommended() schemas.Record {
	s.t.Helper()
	for {
		s.collect()
		r, ok := s.take()
		if !ok {
			s.t.Fatal("there is no recommendation")
		}
		if r.Stream == schemas.Recommended {
			return r
		}
		s.deliver(1, r)
	}
}

// last returns the last record of a stream.
func (s *sim) last(stream schemas.Stream) schemas.Record {
	s.t.Helper()
	s.refresh()
	all := s.copies[stream].records
	return all[len(all)-1]
}

// drainAt delivers to one replica what there is, each once.
func (s *sim) drainAt(i int) {
	s.collect()
	for r, ok := s.take(); ok; r, ok = s.take() {
		s.deliver(i, r)
	}
}

// forgetExposure ends what histories before this one exposed the agent to.
func (s *sim) forgetExposure(agent schemas.Name) {
	s.t.Helper()
	_, at, err := s.look.exposure(s.t.Context(), agent)
	must(s.t, err)
	_, err = s.look.append(s.t.Context(), schemas.Exposure{Agent: agent, At: s.now()}, s.now(), "", schemas.Expect{Filter: schemas.Exposure{Agent: agent}.Subject(), Last: at.Seq})
	must(s.t, err)
}

// recommendAnyway recommends the release of what was found at fault.
func (s *sim) recommendAnyway(r schemas.Record) {
	s.t.Helper()
	var rec schemas.Recommendation
	must(s.t, schemas.Read(r, &rec))
	rec.Fault, rec.Opinion = nil, schemas.Opinion{Outcome: schemas.Release}
	written, err := s.logs[schemas.RoleRecommend].Append(s.t.Context(), schemas.Write(rec, "/sim", s.now(), ""), schemas.Expect{})
	must(s.t, err)
	s.wrote(written.Stream, written.Seq)
}
