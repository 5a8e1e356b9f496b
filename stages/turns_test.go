package stages

import (
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// turn changes the world: a freeze, a removal, another bundle, an illness.
func (s *sim) turn() {
	switch s.random.IntN(6) {
	case 0:
		s.freezeBot()
	case 1, 2:
		s.thaw()
	case 3:
		s.remove([]schemas.Name{"ann", "cat", "bit"}[s.random.IntN(3)], s.random.IntN(2) == 0)
	case 4:
		s.activate([]string{"bundle", "stricter"}[s.random.IntN(2)])
	case 5:
		s.sicken(!s.ill)
	}
}

// span is a time in which something was so.
type span struct {
	what     string
	from, to time.Time // to is zero while it is
}

// turned notes what is so from now on, or no more.
func (s *sim) turned(what string, on bool) {
	i := slices.IndexFunc(s.spans, func(was span) bool { return was.what == what && was.to.IsZero() })
	switch {
	case on && i < 0:
		s.spans = append(s.spans, span{what: what, from: s.now()})
	case !on && i >= 0:
		s.spans[i].to = s.now()
	}
}

// was reports whether something was so at a moment.
func (s *sim) was(what string, at time.Time) bool {
	return slices.ContainsFunc(s.spans, func(was span) bool {
		return was.what == what && at.After(was.from) && (was.to.IsZero() || at.Before(was.to))
	})
}

// remove removes somebody, or lets them have been there all the time.
func (s *sim) remove(name schemas.Name, away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed[name] = away
	s.turned("without "+string(name), away)
}

func (s *sim) sicken(ill bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ill = ill
	s.turned("ill", ill)
}

func (s *sim) activate(bundle string) {
	s.policy = bundle
	s.everywhere(schemas.Activation{By: "boss", Bundle: s.bundle[bundle].Digest(), At: s.now()})
	for _, r := range s.replicas {
		r.execute.Control.Load(s.bundle[bundle])
	}
}

func (s *sim) thaw() {
	s.frozen = false
	s.turned("frozen", false)
	s.everywhere(schemas.Thaw{By: "boss", Scope: schemas.Scope{Agent: "bot"}, Reason: "sim", At: s.now()})
}
