package stages

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// inDoubt is an intent whose executor said nothing in time.
func inDoubt(t *testing.T, a *arena, action schemas.Action) (*sim, schemas.Key) {
	t.Helper()
	s := newSim(t, a, 1)
	k := s.propose("bot", action)
	must(t, s.claim("run", k))
	s.later(2 * time.Minute)
	return s, k
}

// toRetry is an intent that was in doubt and is to be tried again.
func toRetry(t *testing.T) (*sim, schemas.Key) {
	t.Helper()
	s, k := inDoubt(t, newArena(t), "sys.small")
	s.vote(k, "ann", schemas.Retry)
	s.drain()
	return s, k
}

// TestDoubts: an executor that said nothing in time leaves a doubt, and a person's
// word or its own late report ends it.
func TestDoubts(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("it goes to the queue of its action, and nobody performs it", func(t *testing.T) {
		s, k := inDoubt(t, a, "sys.small")
		s.want(k, schemas.InDoubt, "")
		page, err := s.replicas[0].execute.Index.Page([]schemas.Name{"desk"}, 10, "")
		must(t, err)
		if len(page.Holds) != 1 || page.Holds[0].Intent != k.ID || page.Holds[0].State != schemas.InDoubt {
			t.Errorf("reviewers see %v", page.Holds)
		}
		s.later(1000 * time.Hour)
		s.want(k, schemas.InDoubt, "")
	})
	t.Run("to the default queue if the action is gone", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.small")
		must(t, s.claim("run", k))
		s.activate("elsewhere")
		s.later(2 * time.Minute)
		s.want(k, schemas.InDoubt, "")
		if h, _ := s.held(k); h.Queue != schemas.DefaultQueue {
			t.Errorf("in doubt in queue %s, want %s", h.Queue, schemas.DefaultQueue)
		}
	})
	t.Run("an idempotent action may be tried by another for a while", func(t *testing.T) {
		s, k := inDoubt(t, a, "sys.again")
		s.want(k, schemas.Granted, "")
		if work := s.replicas[0].execute.Index.Work([]string{"sys"}, 10); !slices.Contains(work, k) {
			t.Errorf("executors are not offered %s: %v", k, work)
		}
		s.later(claimAgain)
		s.want(k, schemas.InDoubt, "")
	})
	t.Run("done", func(t *testing.T) {
		s, k := inDoubt(t, a, "sys.small")
		s.wantRuling(func() schemas.Pointer { p := s.vote(k, "ann", schemas.WasDone); s.drain(); return p }(), "")
		s.want(k, schemas.Done, "")
	})
	t.Run("not done", func(t *testing.T) {
		s, k := inDoubt(t, a, "sys.small")
		s.vote(k, "ann", schemas.WasNotDone)
		s.drain()
		s.want(k, schemas.Failed, "")
	})
	t.Run("no approval ends it", func(t *testing.T) {
		s, k := inDoubt(t, a, "sys.small")
		s.wantRuling(func() schemas.Pointer { p := s.vote(k, "ann", schemas.Approve); s.drain(); return p }(), schemas.CodeSettled)
		s.want(k, schemas.InDoubt, "")
	})
	t.Run("the agent's owner has no word on it", func(t *testing.T) {
		s, k := inDoubt(t, a, "sys.small")
		s.wantRuling(func() schemas.Pointer { p := s.vote(k, "olga", schemas.WasDone); s.drain(); return p }(), schemas.CodeNotEligible)
		s.want(k, schemas.InDoubt, "")
	})
}

// TestRetries: what a reviewer says to try again waits for an executor once more.
func TestRetries(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("retry, and the grant names the decision", func(t *testing.T) {
		s, k := inDoubt(t, a, "sys.small")
		p := s.vote(k, "ann", schemas.Retry)
		s.drain()
		s.want(k, schemas.Released, "")
		must(t, s.claim("ran", k))
		g, _, err := s.look.lastGrant(t.Context(), k)
		must(t, err)
		if g.Attempt != 2 || !slices.Contains(g.Trail, p) || !slices.Contains(g.Trail, s.read().holds[k][0].Doubt.Grant) {
			t.Errorf("attempt %d, trail %v, want 2, %s and the grant before", g.Attempt, g.Trail, p)
		}
		s.later(2 * time.Minute)
		s.want(k, schemas.InDoubt, "")
	})
	t.Run("retry, and nobody tries", func(t *testing.T) {
		s, k := inDoubt(t, a, "sys.small")
		s.vote(k, "ann", schemas.Retry)
		s.drain()
		s.later(time.Hour)
		s.want(k, schemas.Lapsed, "")
	})
}

// underGrant is an intent that an executor holds, and its report.
func underGrant(t *testing.T, a *arena) (*sim, schemas.Key, schemas.Report) {
	t.Helper()
	s := newSim(t, a, 1)
	k := s.propose("bot", "sys.small")
	must(t, s.claim("run", k))
	return s, k, s.reportOf(k)
}

// reports sends a report, and lets the stages do their part.
func (s *sim) reports(r schemas.Report) schemas.Pointer {
	s.t.Helper()
	p := s.sendReport(r)
	s.drain()
	return p
}

// TestReports: what counts is the first report of the executor that holds the
// grant.
func TestReports(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("failed", func(t *testing.T) {
		s, k, r := underGrant(t, a)
		r.State, r.Result, r.Error = schemas.Failed, nil, "no money"
		s.wantRuling(s.reports(r), "")
		s.want(k, schemas.Failed, "")
	})
	t.Run("the same again, and another", func(t *testing.T) {
		s, k, r := underGrant(t, a)
		s.wantRuling(s.reports(r), "")
		s.wantRuling(s.reports(r), "")
		r.State = schemas.Failed
		s.wantRuling(s.reports(r), schemas.CodeTooLate)
		s.want(k, schemas.Done, "")
	})
	for name, wrong := range map[string]func(*schemas.Report){
		"of another executor": func(r *schemas.Report) { r.Executor = "ran" },
		"of another intent":   func(r *schemas.Report) { r.Digest = r.Grant.Hash },
		"of another grant":    func(r *schemas.Report) { r.Grant.Seq++ },
	} {
		t.Run(name, func(t *testing.T) {
			s, k, r := underGrant(t, a)
			wrong(&r)
			s.wantRuling(s.reports(r), schemas.CodeNotGranted)
			s.want(k, schemas.Granted, "")
			s.later(2 * time.Minute)
			s.want(k, schemas.InDoubt, "")
		})
	}
	for name, wrong := range map[string]func(*schemas.Report){
		"neither done nor failed": func(r *schemas.Report) { r.State = schemas.Released },
		"too much":                func(r *schemas.Report) { r.Result = []byte(`"` + strings.Repeat("x", schemas.MaxResultSize) + `"`) },
	} {
		t.Run(name, func(t *testing.T) {
			s, k, r := underGrant(t, a)
			wrong(&r)
			s.wantRuling(s.reports(r), schemas.CodeInvalid)
			s.want(k, schemas.Granted, "")
		})
	}
}

// TestLateReports: a late report ends the doubt, unless a reviewer did, or another
// tries by then.
func TestLateReports(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("late, and it ends the doubt", func(t *testing.T) {
		s, k, r := underGrant(t, a)
		s.later(2 * time.Minute)
		s.want(k, schemas.InDoubt, "")
		s.wantRuling(s.reports(r), "")
		s.want(k, schemas.Done, "")
	})
	t.Run("late, and a retry is not needed any more", func(t *testing.T) {
		s, k, r := underGrant(t, a)
		s.later(2 * time.Minute)
		s.vote(k, "ann", schemas.Retry)
		s.drain()
		s.wantRuling(s.reports(r), "")
		s.want(k, schemas.Done, "")
		s.wantErr(s.claim("ran", k), schemas.ErrClosed)
	})
	t.Run("later than a reviewer's word", func(t *testing.T) {
		s, k, r := underGrant(t, a)
		s.later(2 * time.Minute)
		s.vote(k, "ann", schemas.WasNotDone)
		s.drain()
		s.wantRuling(s.reports(r), schemas.CodeTooLate)
		s.want(k, schemas.Failed, "")
		now, err := s.look.progress(t.Context(), k)
		must(t, err)
		if status := now.status(k); status.Result != nil {
			t.Errorf("the agent is given %s, the result of a report that does not count", status.Result)
		}
	})
	t.Run("after the retry was granted", func(t *testing.T) {
		s, k, r := underGrant(t, a)
		s.later(2 * time.Minute)
		s.vote(k, "ann", schemas.Retry)
		s.drain()
		must(t, s.claim("ran", k))
		s.wantRuling(s.reports(r), schemas.CodeNotGranted)
		s.want(k, schemas.Granted, "")
	})
}

// TestReportMeetsDoubt: a report that arrives while the doubt is written counts, and
// the doubt is closed without anybody's word.
func TestReportMeetsDoubt(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bot", "sys.small")
	must(t, s.claim("run", k))
	var p schemas.Pointer
	s.meanwhile("parked.", func() {
		p = s.reportOn(k)
		s.collect()
		r, _ := s.take()
		s.deliver(1, r)
	})
	s.later(2 * time.Minute)
	s.want(k, schemas.InDoubt, "")
	s.later(lookSoon)
	s.want(k, schemas.Done, "")
	s.wantRuling(p, "")
	for i, r := range s.replicas {
		s.follow(r, true)
		if left := standings(r.execute.Index); len(left) > 0 {
			t.Errorf("replica %d still waits for %v", i, left)
		}
	}
}

// TestReportMeetsLapse: a late report that nobody took in yet is found before a
// retry lapses.
func TestReportMeetsLapse(t *testing.T) {
	t.Parallel()
	s, k := toRetry(t)
	p := s.reportOn(k)
	s.later(time.Hour)
	s.want(k, schemas.Done, "")
	s.drain()
	s.wantRuling(p, "")
}

// TestReportDuringLapse: a late report that is taken in while the retry lapses stands:
// the action was performed.
func TestReportDuringLapse(t *testing.T) {
	t.Parallel()
	s, k := toRetry(t)
	var p schemas.Pointer
	s.meanwhile("lapsed.", func() { p = s.reportOn(k); s.drainAt(1) })
	s.later(time.Hour)
	s.want(k, schemas.Done, "")
	s.drain()
	s.wantErr(s.claim("ran", k), schemas.ErrClosed)
	if code, rejected := s.read().rejected[p]; rejected {
		t.Errorf("the report is rejected: %s", code)
	}
	for i, r := range s.replicas {
		s.follow(r, true)
		if left := standings(r.execute.Index); len(left) > 0 {
			t.Errorf("replica %d still waits for %v", i, left)
		}
	}
}

// TestDoubtOfOneOfTwo: an agent used an id twice, and both intents passed before
// either was seen. What is put before the reviewers is the one that was granted,
// and the other is refused.
func TestDoubtOfOneOfTwo(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	for name, closed := range map[string]bool{"the hold is closed": true, "the hold is still open": false} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			k := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
			s.submit(k, "sys.big", `{"n":1}`)
			other := s.recommended()
			s.submit(k, "sys.small", `{"n":1}`)
			small := s.recommended()
			s.meanwhile("parked.", func() { s.deliver(1, small) })
			s.deliver(0, other)
			must(t, s.claim("run", k))
			s.pass(2 * time.Minute)
			if closed {
				s.tick()
			} else {
				// The process that would close it is slow: only the lease is looked at.
				s.follow(s.replicas[0], true)
				must(t, s.replicas[0].execute.lookAtWork(t.Context(), k))
			}
			s.later(time.Minute)
			s.want(k, schemas.InDoubt, "")
			if h, _ := s.held(k); h.Intent.Action != "sys.small" {
				t.Errorf("reviewers are shown %s, and sys.small was granted", h.Intent.Action)
			}
			s.want(underSequence(t, other), schemas.Refused, schemas.CodeDuplicateID)
			s.vote(k, "ann", schemas.WasDone)
			s.drain()
			s.want(k, schemas.Done, "")
		})
	}
}
