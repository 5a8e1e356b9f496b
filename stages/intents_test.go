package stages

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestCheckpoints: each of the three checkpoints refuses what the other two let
// pass.
func TestCheckpoints(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	type outcomes struct{ observe, recommend, settle schemas.Outcome }
	for name, c := range map[string]struct {
		action schemas.Action
		params string
		before func(*sim)
		want   outcomes
	}{
		"observe: the agent is in a hurry": {"sys.small", `{"n":1}`, func(s *sim) { s.propose("bot", "sys.small"); s.propose("bot", "sys.small") },
			outcomes{schemas.Refuse, schemas.Refuse, schemas.Refuse}},
		"observe: it is not": {"sys.small", `{"n":1}`, func(s *sim) { s.propose("bot", "sys.small") },
			outcomes{schemas.Release, schemas.Release, schemas.Release}},
		"recommend: it is too much": {"sys.big", `{"n":2}`, nil, outcomes{schemas.Release, schemas.Refuse, schemas.Refuse}},
		"recommend: it is not":      {"sys.big", `{"n":1}`, nil, outcomes{schemas.Release, schemas.Release, schemas.Release}},
		"execute: the agent was given something meanwhile": {"sys.exposed", `{"n":1}`, func(s *sim) { s.propose("bot", "sys.read") },
			outcomes{schemas.Release, schemas.Release, schemas.Refuse}},
		"execute: another agent was": {"sys.exposed", `{"n":1}`, func(s *sim) { s.propose("bit", "sys.read") },
			outcomes{schemas.Release, schemas.Release, schemas.Release}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			s.activate("checkpoints")
			s.replicas[1] = s.replicas[0] // rates are those of one process
			s.forgetExposure("bot")
			if c.before != nil {
				c.before(s)
			}
			k := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
			s.submit(k, c.action, c.params)
			var rec schemas.Recommendation
			r := s.recommended()
			must(t, schemas.Read(r, &rec))
			var obs schemas.Observation
			must(t, schemas.Read(s.last(schemas.Observed), &obs))
			s.deliver(0, r)
			settled, _, err := s.look.settlement(t.Context(), k)
			must(t, err)
			if got := (outcomes{obs.Opinion.Outcome, rec.Opinion.Outcome, settled.Outcome}); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestExposureAtTheClaim: what an agent was given after the release stops the claim.
func TestExposureAtTheClaim(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bot", "sys.exposed")
	s.want(k, schemas.Released, "")
	s.propose("bot", "sys.read")
	s.wantErr(s.claim("run", k), schemas.ErrDenied)
	s.later(time.Hour)
	s.want(k, schemas.Lapsed, "")
}

// TestExposure: it belongs to the agent for a day, whatever session it names,
// unless the agent is registered as one that declares its sessions.
func TestExposure(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	read := func(s *sim, agent schemas.Name, session string, action schemas.Action) schemas.Key {
		k := schemas.Key{Agent: agent, ID: schemas.NewIntentID(time.Now())}
		d, err := schemas.Propose(k, action, schemas.Proposal{Params: []byte(`{}`), Session: session}, time.Now())
		must(s.t, err)
		s.send(agent, d)
		s.drain()
		return k
	}
	for name, c := range map[string]struct {
		agent   schemas.Name
		session string
		wait    time.Duration
		want    schemas.State
	}{
		"the same session":             {"bot", "one", 0, schemas.Parked},
		"another session":              {"bot", "two", 0, schemas.Parked},
		"another declared session":     {"bit", "two", 0, schemas.Released},
		"the same declared session":    {"bit", "one", 0, schemas.Parked},
		"no session of one that could": {"bit", "", 0, schemas.Parked},
		"within a day":                 {"bot", "one", 23 * time.Hour, schemas.Parked},
		"after a day":                  {"bot", "one", 26 * time.Hour, schemas.Released},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			s.forgetExposure(c.agent)
			s.want(read(s, c.agent, "one", "sys.read"), schemas.Released, "")
			s.pass(c.wait)
			s.want(read(s, c.agent, c.session, "sys.exposed"), c.want, "")
		})
	}
}

// TestWithdrawals: an agent takes back what is not settled, whatever is frozen, and
// learns when it is too late.
func TestWithdrawals(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	for name, c := range map[string]struct {
		target     func(*sim) schemas.Key
		withdrawal schemas.Code // "" if it is settled as released
		state      schemas.State
		code       schemas.Code
	}{
		"parked": {func(s *sim) schemas.Key { return s.propose("bot", "sys.big") }, "", schemas.Refused, schemas.CodeWithdrawn},
		"parked, frozen, ill and stricter": {func(s *sim) schemas.Key {
			k := s.propose("bot", "sys.big")
			s.freezeBot()
			s.ill = true
			s.activate("stricter")
			return k
		}, "", schemas.Refused, schemas.CodeWithdrawn},
		"withdrawn before": {func(s *sim) schemas.Key { k := s.propose("bot", "sys.big"); s.withdraw(k); s.drain(); return k }, "", schemas.Refused, schemas.CodeWithdrawn},
		"released":         {func(s *sim) schemas.Key { return s.propose("bot", "sys.small") }, schemas.CodeTooLate, schemas.Released, ""},
		"granted":          {func(s *sim) schemas.Key { k := s.propose("bot", "sys.small"); must(s.t, s.claim("run", k)); return k }, schemas.CodeTooLate, schemas.Granted, ""},
		"refused":          {func(s *sim) schemas.Key { return s.propose("bot", "sys.never") }, schemas.CodeTooLate, schemas.Refused, schemas.CodePolicy},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			k := c.target(s)
			w := s.withdraw(k)
			s.drain()
			s.want(k, c.state, c.code)
			want := schemas.Released
			if c.withdrawal != "" {
				want = schemas.Refused
			}
			s.want(w, want, c.withdrawal)
			s.later(time.Hour)
			s.want(w, want, c.withdrawal) // neither granted nor lapsed
		})
	}
}

// TestWithdrawalsOvertake: a withdrawal that comes too early waits, and one that
// comes at the same time as the verdict loses or wins.
func TestWithdrawalsOvertake(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("what is not there yet is waited for", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
		s.withdraw(k)
		early := s.recommended()
		if s.deliver(0, early) {
			t.Fatal("the withdrawal is done with, and what it is about was not there")
		}
		s.submit(k, "sys.big", `{"n":1}`)
		s.drain()
		s.inbox = append(s.inbox, early)
		s.drain()
		s.want(k, schemas.Refused, schemas.CodeWithdrawn)
	})
	t.Run("what never comes is not found", func(t *testing.T) {
		s := newSim(t, a, 1)
		w := s.withdraw(schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())})
		s.pass(withdrawalWait)
		s.drain()
		s.want(w, schemas.Refused, schemas.CodeNotFound)
	})
	t.Run("another agent's stands", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.big")
		w := s.withdraw(schemas.Key{Agent: "bit", ID: k.ID})
		s.pass(withdrawalWait)
		s.drain()
		s.want(w, schemas.Refused, schemas.CodeNotFound)
		s.want(k, schemas.Parked, "")
	})
	t.Run("a release that is just being written wins", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.big")
		s.vote(k, "ann", schemas.Approve)
		w := s.withdraw(k)
		withdrawal := s.recommended()
		s.meanwhile("refused."+string(k.ID), func() { s.drainAt(1) })
		if !s.deliver(0, withdrawal) {
			s.inbox = append(s.inbox, withdrawal)
		}
		s.drain()
		s.want(k, schemas.Released, "")
		s.want(w, schemas.Refused, schemas.CodeTooLate)
	})
}

// TestSameID: the same intent again has the same answer, and another one of that id
// is refused under its own sequence.
func TestSameID(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	for name, c := range map[string]struct {
		action schemas.Action
		then   func(*sim)
		state  schemas.State
		code   schemas.Code
	}{
		"released":                  {"sys.small", nil, schemas.Released, ""},
		"released, and refused now": {"sys.small", func(s *sim) { s.activate("stricter") }, schemas.Released, ""},
		"released, and expired now": {"sys.small", func(s *sim) { s.pass(80 * time.Hour) }, schemas.Released, ""},
		"released, and frozen now":  {"sys.small", func(s *sim) { s.freezeBot() }, schemas.Released, ""},
		"refused":                   {"sys.never", nil, schemas.Refused, schemas.CodePolicy},
		"parked":                    {"sys.big", nil, schemas.Parked, ""},
		"parked, and released now":  {"sys.big", func(s *sim) { s.activate("checkpoints") }, schemas.Parked, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			k := s.propose("bot", c.action)
			if c.then != nil {
				c.then(s)
			}
			s.submit(k, c.action, `{"n":1}`)
			again := s.recommended()
			s.inbox = append(s.inbox, again)
			s.drain()
			s.want(k, c.state, c.code)
			if n := len(s.read().settled[underSequence(t, again)]); n != 0 {
				t.Errorf("it is refused under its sequence too")
			}
			s.submit(k, c.action, `{"n":2}`)
			other := s.recommended()
			s.inbox = append(s.inbox, other)
			s.drain()
			s.want(k, c.state, c.code)
			s.want(underSequence(t, other), schemas.Refused, schemas.CodeDuplicateID)
		})
	}
}

// TestInvented: what its agent never proposed, or proposed otherwise, is not acted
// on, whatever is recommended.
func TestInvented(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	for name, change := range map[string]func(*schemas.Recommendation){
		"other parameters": func(r *schemas.Recommendation) {
			r.Intent.Params = []byte(`{"n":1000}`)
			r.Intent.Digest = schemas.DigestOf(r.Intent)
		},
		"another agent":       func(r *schemas.Recommendation) { r.Intent.Agent = "bit" },
		"no intent":           func(r *schemas.Recommendation) { r.Trail = nil },
		"one that is not":     func(r *schemas.Recommendation) { r.Trail[0].Seq += 1000 },
		"another of its own":  func(r *schemas.Recommendation) { r.Trail[0].Seq-- },
		"with other contents": func(r *schemas.Recommendation) { r.Trail[0].Hash = r.Intent.Digest },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			s.propose("bot", "sys.small")
			s.submit(schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}, "sys.small", `{"n":1}`)
			r := s.recommended()
			var rec schemas.Recommendation
			must(t, schemas.Read(r, &rec))
			before := len(s.read().settled)
			change(&rec)
			d := schemas.Write(rec, "/sim", s.now(), "")
			forged := schemas.Record{Stream: schemas.Recommended, Seq: r.Seq, Subject: d.Subject, Header: d.Header, Body: d.Body}
			s.wantErr(s.replicas[0].execute.Recommendations().Handle(t.Context(), forged), schemas.ErrInvalid)
			if after := len(s.read().settled); after != before {
				t.Errorf("it was settled")
			}
		})
	}
}

// TestTooManyOpen: one agent cannot fill the reviewers' queue, not even with many
// intents at once, and has its places back when they are decided on.
func TestTooManyOpen(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	const limit = 5
	s.limit(limit)
	var keys []schemas.Key
	for range 4 * limit {
		k := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
		s.submit(k, "sys.big", `{"n":1}`)
		keys = append(keys, k)
	}
	var all sync.WaitGroup
	for range keys {
		r := s.recommended()
		all.Go(func() { s.deliver(0, r) })
	}
	all.Wait()
	var open []schemas.Key
	for _, k := range keys {
		now, err := s.look.progress(t.Context(), k)
		must(t, err)
		switch {
		case now.state() == schemas.Parked:
			open = append(open, k)
		case now.settlement.Code != schemas.CodeTooManyOpen:
			t.Errorf("refused as %s, want too_many_open", now.settlement.Code)
		}
	}
	if len(open) != limit {
		t.Fatalf("%d wait for reviewers, want %d", len(open), limit)
	}
	for _, p := range s.replicas {
		s.follow(p, true)
	}
	s.want(s.propose("bot", "sys.big"), schemas.Refused, schemas.CodeTooManyOpen)
	s.want(s.propose("bot", "sys.small"), schemas.Released, "")
	s.want(s.propose("bit", "sys.big"), schemas.Parked, "")
	s.freezeBot()
	s.want(s.propose("bot", "sys.small"), schemas.Parked, "") // reviewers do not see it
	s.vote(open[0], "ann", schemas.Deny)
	s.drain()
	for _, p := range s.replicas {
		s.follow(p, true)
	}
	s.want(s.propose("bot", "sys.big"), schemas.Parked, "")
	s.want(s.propose("bot", "sys.big"), schemas.Refused, schemas.CodeTooManyOpen)
	if n := len(s.replicas[0].execute.Index.admits); n > 0 {
		t.Errorf("%d places are never given back", n)
	}
}

// TestRefusals: what can never be accepted is refused with its reason, and only
// that.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	for _, c := range []struct {
		subject, body string
		code          schemas.Code
	}{
		{"intents.bot.sys.small", `{"params":{}}`, ""},
		{"intents.bot.sys.unknown", `{"params":{}}`, schemas.CodeUnknownAction},
		{"intents.bot.sys.small", `{"params":`, schemas.CodeInvalid},
		{"intents.bot.sys.small", `{"params":1}`, schemas.CodeInvalid},
		{"intents.bot.sys.small", `{"params":{"a":1,"a":2}}`, schemas.CodeInvalid},
		{"intents.bot.sys.small", `{"params":{},"cause":"x"}`, schemas.CodeInvalid},
		{"intents.bot.sys.sm@ll", `{"params":{}}`, schemas.CodeInvalid},
		{"intents.bot.holdpoint.withdraw", `{"params":{"id":"nonsense"}}`, schemas.CodeInvalid},
	} {
		p := s.send("bot", schemas.Draft{Subject: c.subject, Body: []byte(c.body)})
		s.drain()
		key := schemas.Key{Agent: "bot", ID: schemas.SequenceID(p.Seq)}
		t.Run(fmt.Sprintf("%s %s", c.subject, c.body), func(t *testing.T) {
			state := schemas.Refused
			if c.code == "" {
				state = schemas.Released
			}
			s.want(key, state, c.code)
		})
	}
	s.remove("bot", true)
	p := s.send("bot", schemas.Draft{Subject: "intents.bot.sys.small", Body: []byte(`{"params":{}}`)})
	s.drain()
	s.want(schemas.Key{Agent: "bot", ID: schemas.SequenceID(p.Seq)}, schemas.Refused, schemas.CodeUnregistered)
}

// TestLaterVersion: what a later holdpoint wrote waits for one, and is not given up.
func TestLaterVersion(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	s.submit(schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}, "sys.small", `{}`)
	recommended := s.recommended()
	for _, r := range []schemas.Record{s.last(schemas.Observed), recommended} {
		r.Header = maps.Clone(r.Header)
		r.Header["ce-type"] = []string{strings.TrimSuffix(r.Header["ce-type"][0], "v1") + "v2"}
		h := s.replicas[0].handler(r.Stream)
		s.wantErr(h.Handle(t.Context(), r), schemas.ErrUnavailable)
		s.wantErr(h.Refuse(t.Context(), r, ""), schemas.ErrUnavailable)
	}
}
