package stages

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestStaleIndex: a process that reads nothing for a long time, and then does what it
// thinks is due, brings nothing wrong about and learns what is so.
func TestStaleIndex(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	small := func(s *sim) schemas.Key { return s.propose("bot", "sys.small") }
	granted := func(s *sim) schemas.Key { k := small(s); must(s.t, s.claim("run", k)); return k }
	doubt := func(s *sim, _ schemas.Key) { s.later(2 * time.Minute) }
	retry := func(s *sim, k schemas.Key) { doubt(s, k); s.vote(k, "ann", schemas.Retry); s.drain() }
	for name, c := range map[string]struct {
		known func(*sim) schemas.Key
		then  []func(*sim, schemas.Key)
		want  schemas.State // when it thinks that something is due
	}{
		"released, and granted":               {small, []func(*sim, schemas.Key){func(s *sim, k schemas.Key) { must(s.t, s.claim("run", k)) }}, schemas.InDoubt},
		"released, and lapsed":                {small, []func(*sim, schemas.Key){func(s *sim, _ schemas.Key) { s.later(time.Hour) }}, schemas.Lapsed},
		"granted, and reported":               {granted, []func(*sim, schemas.Key){func(s *sim, k schemas.Key) { s.reportOn(k); s.drain() }}, schemas.Done},
		"granted, and in doubt":               {granted, []func(*sim, schemas.Key){doubt}, schemas.InDoubt},
		"granted, in doubt and resolved":      {granted, []func(*sim, schemas.Key){doubt, func(s *sim, k schemas.Key) { s.vote(k, "ann", schemas.WasNotDone); s.drain() }}, schemas.Failed},
		"granted, to be tried again":          {granted, []func(*sim, schemas.Key){retry}, schemas.Lapsed},
		"granted, tried again":                {granted, []func(*sim, schemas.Key){retry, func(s *sim, k schemas.Key) { must(s.t, s.claim("ran", k)) }}, schemas.InDoubt},
		"granted, tried again, and reported":  {granted, []func(*sim, schemas.Key){retry, func(s *sim, k schemas.Key) { must(s.t, s.claim("ran", k)); s.reportOn(k); s.drain() }}, schemas.Done},
		"granted, retried, and lapsed":        {granted, []func(*sim, schemas.Key){retry, func(s *sim, _ schemas.Key) { s.later(time.Hour) }}, schemas.Lapsed},
		"released, in doubt and to try again": {small, []func(*sim, schemas.Key){func(s *sim, k schemas.Key) { must(s.t, s.claim("run", k)) }, retry}, schemas.Lapsed},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			k := c.known(s)
			known := s.inTime()
			for _, then := range c.then {
				then(s, k)
			}
			stale := s.replicas[1].execute
			stale.Index = fold(t, known)
			stale.Index.now = s.now
			for range 3 { // at most: a release, a grant and another grant come due
				s.pass(2 * time.Hour)
				s.timers(1)
			}
			s.want(k, c.want, "")
			got, want := standings(stale.Index), standings(s.boot().execute.Index)
			if !maps.Equal(got, want) {
				t.Errorf("it knows of %v, and there is %v", got, want)
			}
			if n := len(s.read().grants[k]); n > 2 {
				t.Errorf("%d grants", n)
			}
		})
	}
}

// TestTrimmed: what the streams do not have any more waits for nobody.
func TestTrimmed(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	tales := []*tale{newTale(t).park(), newTale(t).release(), newTale(t).release().claim(), newTale(t).release().claim().doubt()}
	e := s.replicas[0].execute
	for _, known := range tales {
		for _, r := range known.records {
			must(t, e.Index.Apply(r))
		}
	}
	s.pass(2 * time.Hour)
	s.timers(0)
	if left := standings(e.Index); len(left) > 0 {
		t.Errorf("still there: %v", slices.Collect(maps.Keys(left)))
	}
}
