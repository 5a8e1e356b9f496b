package stages

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// claimCase is a claim, and what becomes of it.
type claimCase struct {
	before func(*sim) schemas.Key
	as     schemas.Name
	want   error
}

func testClaims(t *testing.T, cases map[string]claimCase) {
	t.Helper()
	a := newArena(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			k := c.before(s)
			if err := s.claim(c.as, k); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestClaims: who may have a grant, and when.
func TestClaims(t *testing.T) {
	t.Parallel()
	small := func(s *sim) schemas.Key { return s.propose("bot", "sys.small") }
	testClaims(t, map[string]claimCase{
		"a release":         {small, "run", nil},
		"not an executor":   {small, "ann", schemas.ErrDenied},
		"nobody":            {small, "nobody", schemas.ErrDenied},
		"what never was":    {func(*sim) schemas.Key { return schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())} }, "run", schemas.ErrNotFound},
		"what is parked":    {func(s *sim) schemas.Key { return s.propose("bot", "sys.big") }, "run", schemas.ErrNotFound},
		"what is refused":   {func(s *sim) schemas.Key { return s.propose("bot", "sys.never") }, "run", schemas.ErrClosed},
		"a withdrawal":      {func(s *sim) schemas.Key { w := s.withdraw(s.propose("bot", "sys.big")); s.drain(); return w }, "run", schemas.ErrDenied},
		"what has lapsed":   {func(s *sim) schemas.Key { k := small(s); s.later(time.Hour); return k }, "run", schemas.ErrClosed},
		"what should lapse": {func(s *sim) schemas.Key { k := small(s); s.pass(time.Hour); return k }, "run", schemas.ErrClosed},
	})
}

// TestClaimsEvaluated: everything is evaluated once more at the claim.
func TestClaimsEvaluated(t *testing.T) {
	t.Parallel()
	small := func(s *sim) schemas.Key { return s.propose("bot", "sys.small") }
	testClaims(t, map[string]claimCase{
		"while frozen": {func(s *sim) schemas.Key { k := small(s); s.freezeBot(); return k }, "run", schemas.ErrUnavailable},
		"while the audit is ill": {func(s *sim) schemas.Key { k := small(s); s.ill = true; return k },
			"run", schemas.ErrUnavailable},
		"the rules refuse it now": {func(s *sim) schemas.Key { k := small(s); s.activate("stricter"); return k },
			"run", schemas.ErrDenied},
		"approved by who answers for the executor": {func(s *sim) schemas.Key {
			k := s.propose("bot", "sys.big")
			s.vote(k, "cat", schemas.Approve)
			s.drain()
			return k
		}, "ran", schemas.ErrDenied},
		"approved by somebody who was removed": {func(s *sim) schemas.Key {
			k := s.propose("bot", "sys.big")
			s.vote(k, "ann", schemas.Approve)
			s.drain()
			s.remove("ann", true)
			return k
		}, "run", schemas.ErrDenied},
	})
}

// TestClaimsAgain: nobody has a grant while another has it, or may have used it.
func TestClaimsAgain(t *testing.T) {
	t.Parallel()
	small := func(s *sim) schemas.Key { return s.propose("bot", "sys.small") }
	again := func(s *sim) schemas.Key { return s.propose("bot", "sys.again") }
	testClaims(t, map[string]claimCase{
		"granted to another": {func(s *sim) schemas.Key { k := small(s); must(s.t, s.claim("ran", k)); return k },
			"run", schemas.ErrUnavailable},
		"after another's lease": {func(s *sim) schemas.Key {
			k := small(s)
			must(s.t, s.claim("ran", k))
			s.pass(2 * time.Minute)
			return k
		}, "run", schemas.ErrClosed},
		"idempotent, during another's lease": {func(s *sim) schemas.Key { k := again(s); must(s.t, s.claim("ran", k)); return k },
			"run", schemas.ErrUnavailable},
		"idempotent, after another's lease": {func(s *sim) schemas.Key {
			k := again(s)
			must(s.t, s.claim("ran", k))
			s.pass(2 * time.Minute)
			return k
		}, "run", nil},
		"idempotent, after another's report": {func(s *sim) schemas.Key {
			k := again(s)
			must(s.t, s.claim("ran", k))
			s.reportOn(k)
			s.drain()
			s.pass(2 * time.Minute)
			return k
		}, "run", schemas.ErrClosed},
		"in doubt": {func(s *sim) schemas.Key {
			k := small(s)
			must(s.t, s.claim("ran", k))
			s.later(2 * time.Minute)
			return k
		},
			"run", schemas.ErrClosed},
	})
}

// TestGrant: a grant is on record, says until when, and is the same if the same
// claim is repeated.
func TestGrant(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bot", "sys.small")
	began := s.now()
	must(t, s.claim("run", k))
	must(t, s.claim("run", k))
	g, at, err := s.look.lastGrant(t.Context(), k)
	must(t, err)
	settled, settledAt, err := s.look.settlement(t.Context(), k)
	must(t, err)
	switch lease := g.LeaseUntil.Sub(began); {
	case len(s.read().grants[k]) != 1:
		t.Errorf("%d grants of one claim, want 1", len(s.read().grants[k]))
	case g.Executor != "run" || g.Attempt != 1 || g.Digest != settled.Intent.Digest:
		t.Errorf("got %+v", g)
	case lease < defaultLease || lease > 2*defaultLease:
		t.Errorf("a lease of %s, want %s", lease, defaultLease)
	case len(g.Trail) == 0 || g.Trail[0] != settledAt.Pointer():
		t.Errorf("the grant does not name the release")
	}
	c, err := s.replicas[1].execute.Claim(t.Context(), "run", k, "nonce of run")
	must(t, err)
	if c.Grant.Record().Pointer() != at.Pointer() || c.Settlement.Record().Pointer() != settledAt.Pointer() {
		t.Errorf("another process answers the same claim otherwise")
	}
	_, err = s.replicas[1].execute.Claim(t.Context(), "run", k, "another nonce")
	s.wantErr(err, schemas.ErrUnavailable)
	_, err = s.replicas[1].execute.Claim(t.Context(), "ran", k, "nonce of run")
	s.wantErr(err, schemas.ErrUnavailable)
}

// TestLease: an executor has as long as the catalog says.
func TestLease(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	s.activate("narrow") // 5 m
	k := s.propose("bot", "sys.small")
	must(t, s.claim("run", k))
	s.later(4 * time.Minute)
	s.want(k, schemas.Granted, "")
	s.later(2 * time.Minute)
	s.want(k, schemas.InDoubt, "")
}

// TestOneGrant: of many who claim at once, from several processes, one is granted
// it.
func TestOneGrant(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	for range 20 {
		k := s.propose("bot", "sys.small")
		var all sync.WaitGroup
		var granted [4]bool
		for i := range granted {
			all.Go(func() {
				name := []schemas.Name{"run", "ran"}[i%2]
				_, err := s.replicas[i/2].execute.Claim(t.Context(), name, k, string(rune('a'+i)))
				granted[i] = err == nil
				if err != nil && !errors.Is(err, schemas.ErrUnavailable) {
					t.Errorf("got %v, want an ErrUnavailable", err)
				}
			})
		}
		all.Wait()
		if n := len(s.read().grants[k]); n != 1 || slices.Index(granted[:], true) < 0 {
			t.Fatalf("%d grants, %v", n, granted)
		}
	}
}

// TestLapseExcludesGrant: whichever is written first, the other is not.
func TestLapseExcludesGrant(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("the lapse first", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.small")
		s.meanwhile("granted.", func() { s.pass(time.Hour); s.follow(s.replicas[1], true); s.timers(1) })
		s.wantErr(s.claim("run", k), schemas.ErrUnavailable)
		s.want(k, schemas.Lapsed, "")
		s.wantErr(s.claim("run", k), schemas.ErrClosed)
	})
	t.Run("the grant first", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.small")
		s.meanwhile("lapsed.", func() {
			s.pass(-time.Hour)
			_, err := s.replicas[1].execute.Claim(t.Context(), "run", k, "nonce")
			must(t, err)
		})
		s.later(time.Hour)
		s.want(k, schemas.Granted, "")
	})
}
