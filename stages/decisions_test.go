package stages

import (
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// saying lets something be decided on an intent, and returns the decision.
type saying func(*sim, schemas.Key) schemas.Pointer

// by is a decision that is as it should be.
func by(reviewer schemas.Name, v schemas.Verdict) saying {
	return func(s *sim, k schemas.Key) schemas.Pointer { return s.vote(k, reviewer, v) }
}

// then is a decision after another one.
func then(first schemas.Name, v schemas.Verdict, next saying) saying {
	return func(s *sim, k schemas.Key) schemas.Pointer { s.vote(k, first, v); s.drain(); return next(s, k) }
}

// but is an approval by ann that is not as it should be.
func but(change func(*schemas.Decision)) saying {
	return func(s *sim, k schemas.Key) schemas.Pointer {
		d := s.decision(k, "ann", schemas.Approve)
		change(&d)
		return s.say(d)
	}
}

type decisionCase struct {
	action schemas.Action
	say    saying
	code   schemas.Code // why it does not count; "" if it does
	state  schemas.State
	refuse schemas.Code
}

func testDecisions(t *testing.T, cases map[string]decisionCase) {
	t.Helper()
	a := newArena(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			k := s.propose("bot", c.action)
			p := c.say(s, k)
			s.drain()
			s.wantRuling(p, c.code)
			s.want(k, c.state, c.refuse)
		})
	}
}

// TestDecisions: who may decide, and what it brings about. Whoever sent a decision is
// told, and it is on record.
func TestDecisions(t *testing.T) {
	t.Parallel()
	testDecisions(t, map[string]decisionCase{
		"one approval is enough":           {"sys.big", by("ann", schemas.Approve), "", schemas.Released, ""},
		"a denial refuses":                 {"sys.big", by("ann", schemas.Deny), "", schemas.Refused, schemas.CodeDenied},
		"one approval of two":              {"sys.two", by("ann", schemas.Approve), "", schemas.Parked, ""},
		"the second approval":              {"sys.two", then("ann", schemas.Approve, by("ben", schemas.Approve)), "", schemas.Released, ""},
		"one denial is stronger":           {"sys.two", then("ann", schemas.Approve, by("ben", schemas.Deny)), "", schemas.Refused, schemas.CodeDenied},
		"own approval becomes a denial":    {"sys.two", then("ann", schemas.Approve, by("ann", schemas.Deny)), "", schemas.Refused, schemas.CodeDenied},
		"no approval twice":                {"sys.two", then("ann", schemas.Approve, by("ann", schemas.Approve)), schemas.CodeVoted, schemas.Parked, ""},
		"one person is one vote":           {"sys.two", then("ann", schemas.Approve, by("ann-too", schemas.Approve)), schemas.CodeVoted, schemas.Parked, ""},
		"nobody turns another's approval":  {"sys.two", then("ann", schemas.Approve, by("ann-too", schemas.Deny)), schemas.CodeVoted, schemas.Parked, ""},
		"no denial becomes an approval":    {"sys.two", then("ann", schemas.Deny, by("ann", schemas.Approve)), schemas.CodeSettled, schemas.Refused, schemas.CodeDenied},
		"no denial after the release":      {"sys.big", then("ann", schemas.Approve, by("ann", schemas.Deny)), schemas.CodeSettled, schemas.Released, ""},
		"not in the group":                 {"sys.two", by("cat", schemas.Approve), schemas.CodeNotEligible, schemas.Parked, ""},
		"no denial from outside the group": {"sys.two", by("cat", schemas.Deny), schemas.CodeNotEligible, schemas.Parked, ""},
		"the agent's owner":                {"sys.big", by("olga", schemas.Approve), schemas.CodeNotEligible, schemas.Parked, ""},
	})
}

// TestWrongDecisions: why a decision does not count.
func TestWrongDecisions(t *testing.T) {
	t.Parallel()
	testDecisions(t, map[string]decisionCase{
		"the hold is in another queue":        {"sys.big", but(func(d *schemas.Decision) { d.Reviewer, d.Queue = "far", "attic" }), schemas.CodeWrongQueue, schemas.Parked, ""},
		"something else than is held":         {"sys.big", but(func(d *schemas.Decision) { d.Digest = d.Shown }), schemas.CodeWrongDigest, schemas.Parked, ""},
		"a view that never was":               {"sys.big", but(func(d *schemas.Decision) { d.Shown = d.Digest }), schemas.CodeNotShown, schemas.Parked, ""},
		"a denial without a reason":           {"sys.big", but(func(d *schemas.Decision) { d.Verdict, d.Reason = schemas.Deny, "" }), schemas.CodeInvalid, schemas.Parked, ""},
		"a reason that is too long":           {"sys.big", but(func(d *schemas.Decision) { d.Reason = strings.Repeat("x", schemas.MaxReason+1) }), schemas.CodeInvalid, schemas.Parked, ""},
		"a word that does not exist":          {"sys.big", but(func(d *schemas.Decision) { d.Verdict = "approved" }), schemas.CodeInvalid, schemas.Parked, ""},
		"an approval needs no reason":         {"sys.big", but(func(d *schemas.Decision) { d.Reason = "" }), "", schemas.Released, ""},
		"a word on a doubt that is not there": {"sys.big", by("ann", schemas.WasDone), schemas.CodeNotInDoubt, schemas.Parked, ""},
		"an intent that is not there": {"sys.big", but(func(d *schemas.Decision) { d.Intent = schemas.NewIntentID(time.Now()) }),
			schemas.CodeNotFound, schemas.Parked, ""},
		"an intent that the rules released": {"sys.big", func(s *sim, k schemas.Key) schemas.Pointer {
			d := s.decision(k, "ann", schemas.Deny)
			d.Intent = s.propose("bot", "sys.small").ID
			return s.say(d)
		}, schemas.CodeSettled, schemas.Parked, ""},
	})
}

// TestSignature: a decision counts only as its reviewer signed it.
func TestSignature(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	for name, forge := range map[string]func(*sim, *schemas.Decision){
		"changed after signing": func(_ *sim, d *schemas.Decision) { d.Reason = "another" },
		"a denial made an approval": func(s *sim, d *schemas.Decision) {
			d.Verdict = schemas.Deny
			*d, _ = d.Sign(s.keys["ann"])
			d.Verdict = schemas.Approve
		},
		"of another intent": func(s *sim, d *schemas.Decision) {
			other := s.decision(s.propose("bot", "sys.big"), "ann", schemas.Approve)
			other, _ = other.Sign(s.keys["ann"])
			d.Signature = other.Signature
		},
		"of another view":   func(s *sim, d *schemas.Decision) { d.Shown = d.Digest },
		"signed by another": func(s *sim, d *schemas.Decision) { *d, _ = d.Sign(s.keys["ben"]) },
		"not signed":        func(_ *sim, d *schemas.Decision) { d.Signature = "" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			k := s.propose("bot", "sys.big")
			d, err := s.decision(k, "ann", schemas.Approve).Sign(s.keys["ann"])
			must(t, err)
			forge(s, &d)
			p := s.send("ann", schemas.Write(d, "/sim", s.now(), ""))
			s.drain()
			s.wantRuling(p, schemas.CodeBadSignature)
			s.want(k, schemas.Parked, "")
		})
	}
}

// TestUnreadable: what names no intent that can be, or is no decision at all, is
// answered all the same.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bot", "sys.big")
	for _, subject := range []string{"decisions.ann.desk.bot." + string(k.ID), "decisions.ann.desk.bot.nonsense", "decisions.ann.desk.BOT." + string(k.ID)} {
		p := s.send("ann", schemas.Draft{Subject: subject, Body: []byte(`{"verdict":`)})
		s.drain()
		if code := s.read().rejected[p]; code != schemas.CodeInvalid {
			t.Errorf("%s: REJECTED says %q, want invalid", subject, code)
		}
	}
	s.want(k, schemas.Parked, "")
}

// TestShownBefore: what a reviewer was shown may have changed since; the digest has
// not.
func TestShownBefore(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bot", "sys.two")
	early := s.decision(k, "ben", schemas.Approve)
	s.vote(k, "ann", schemas.Approve)
	s.drain()
	s.wantRuling(func() schemas.Pointer { p := s.say(early); s.drain(); return p }(), "")
	s.want(k, schemas.Released, "")
}

// TestDeadline: nobody decides in time, or only just too late, and the intent is
// refused. Nothing is approved by a time-out.
func TestDeadline(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	for name, late := range map[string]func(*sim, schemas.Key) schemas.Pointer{
		"nobody":                  nil,
		"an approval comes later": func(s *sim, k schemas.Key) schemas.Pointer { return s.vote(k, "ben", schemas.Approve) },
		"a denial comes later":    func(s *sim, k schemas.Key) schemas.Pointer { return s.vote(k, "ben", schemas.Deny) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			k := s.propose("bot", "sys.two") // within 4 h
			s.vote(k, "ann", schemas.Approve)
			s.drain()
			s.later(4*time.Hour - time.Minute)
			s.want(k, schemas.Parked, "")
			s.pass(2 * time.Minute)
			if late == nil {
				s.tick()
			} else {
				p := late(s, k)
				s.drain() // before any timer fires
				s.wantRuling(p, schemas.CodeTooLate)
			}
			s.want(k, schemas.Refused, schemas.CodeExpired)
		})
	}
}

// away removes somebody, and lets that have its effects.
func (s *sim) away(name schemas.Name) {
	s.t.Helper()
	s.remove(name, true)
	for _, p := range s.replicas {
		s.follow(p, true)
		p.execute.Index.LookAt(name)
	}
	s.tick()
}

// TestRemovedReviewer: who was removed has no vote any more.
func TestRemovedReviewer(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("a reviewer who approved", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.two")
		s.vote(k, "ann", schemas.Approve)
		s.drain()
		s.away("ann")
		s.vote(k, "ben", schemas.Approve)
		s.drain()
		s.want(k, schemas.Parked, "")
	})
	t.Run("a reviewer who decides", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.big")
		s.remove("ann", true)
		p := s.vote(k, "ann", schemas.Approve)
		s.drain()
		s.wantRuling(p, schemas.CodeUnregistered)
		s.want(k, schemas.Parked, "")
	})
}

// TestRemovedAgent: what a removed agent proposed is refused, and what it left in
// doubt can still be decided.
func TestRemovedAgent(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("the agent", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.big")
		s.away("bot")
		s.want(k, schemas.Refused, schemas.CodeUnregistered)
	})
	t.Run("the agent, before an approval", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.big")
		s.remove("bot", true)
		p := s.vote(k, "ann", schemas.Approve)
		s.drain()
		s.wantRuling(p, schemas.CodeSettled)
		s.want(k, schemas.Refused, schemas.CodeUnregistered)
	})
	t.Run("the agent, after its release", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.small")
		s.remove("bot", true)
		s.wantErr(s.claim("run", k), schemas.ErrClosed)
		s.later(time.Hour)
		s.want(k, schemas.Lapsed, "")
	})
	t.Run("the agent, whose intent is in doubt", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.small")
		must(t, s.claim("run", k))
		s.later(2 * time.Minute)
		s.away("bot")
		s.want(k, schemas.InDoubt, "")
		owner := s.vote(k, "olga", schemas.WasNotDone)
		s.drain()
		s.wantRuling(owner, schemas.CodeNotEligible)
		p := s.vote(k, "ann", schemas.WasNotDone)
		s.drain()
		s.wantRuling(p, "")
		s.want(k, schemas.Failed, "")
	})
}

// TestStricterMeanwhile: an approval is an input to the rules of the moment, and
// what was recommended stays required.
func TestStricterMeanwhile(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("the rules refuse it now", func(t *testing.T) {
		s := newSim(t, a, 1)
		s.freezeBot()
		k := s.propose("bot", "sys.small")
		s.want(k, schemas.Parked, "")
		s.activate("stricter")
		s.thaw()
		s.tick()
		s.want(k, schemas.Refused, schemas.CodePolicy)
	})
	t.Run("the rules ask for less now", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.two")
		s.vote(k, "ann", schemas.Approve)
		s.drain()
		s.activate("looser")
		s.tick()
		s.want(k, schemas.Parked, "")
		s.vote(k, "ben", schemas.Approve)
		s.drain()
		s.want(k, schemas.Released, "")
	})
	t.Run("the rules ask for more now", func(t *testing.T) {
		s := newSim(t, a, 1)
		s.activate("looser")
		k := s.propose("bot", "sys.two")
		s.want(k, schemas.Parked, "")
		s.activate("bundle")
		s.vote(k, "ann", schemas.Approve)
		s.drain()
		s.want(k, schemas.Parked, "")
		s.vote(k, "ben", schemas.Approve)
		s.drain()
		s.want(k, schemas.Parked, "") // two of the chiefs, and one more as recommended
		s.vote(k, "cat", schemas.Approve)
		s.drain()
		s.want(k, schemas.Released, "")
	})
}
