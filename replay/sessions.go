package replay

import (
	"container/list"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// maxSessions is how many sessions are followed at once. One that was silent
// while as many others spoke is taken for ended.
const maxSessions = 1 << 15

// sessionKey is what a session is known by.
type sessionKey struct {
	agent schemas.Name
	name  string
}

// Session is what is known of one session of one agent.
type Session struct {
	key      sessionKey
	exposure schemas.Exposure
	tally    SessionTally
	calls    int64 // all that the log has, also those before its first line
}

// sessions are those that are followed, and how long ago each spoke.
type sessions struct {
	most   int
	byKey  map[sessionKey]*list.Element
	silent *list.List // the one that spoke last first
	ended  func(*Session)
}

func newSessions(most int, ended func(*Session)) *sessions {
	return &sessions{most: most, byKey: map[sessionKey]*list.Element{}, silent: list.New(), ended: ended}
}

// of returns the session of c, and gives c its number in it if it has none.
func (s *sessions) of(c *Call) *Session {
	key := sessionKey{c.Agent, c.Session}
	at, known := s.byKey[key]
	if known {
		s.silent.MoveToFront(at)
	} else {
		at = s.silent.PushFront(&Session{key: key, exposure: schemas.Exposure{Agent: c.Agent}, tally: SessionTally{Agent: c.Agent, Session: c.Session}})
		s.byKey[key] = at
		s.endSilent(s.most)
	}
	of := at.Value.(*Session)
	of.number(c)
	return of
}

// number gives c its number, if it has none. A first call that has a number other
// than 0 says that the log does not have the beginning.
func (s *Session) number(c *Call) {
	if !c.numbered {
		c.Seq = s.calls
	}
	if s.calls == 0 {
		s.tally.Cut = c.Seq > 0
	}
	s.calls = max(s.calls, c.Seq) + 1
}

// endSilent ends the sessions that were silent longest, until there are no more
// than that.
func (s *sessions) endSilent(most int) {
	for s.silent.Len() > most {
		last := s.silent.Remove(s.silent.Back()).(*Session)
		delete(s.byKey, last.key)
		s.ended(last)
	}
}

// saw exposes the session to seen, from time at on.
func (s *Session) saw(seen schemas.Seen, at time.Time) error {
	if len(seen.Labels) == 0 {
		return nil
	}
	next, err := s.exposure.Add(seen, at)
	if err != nil {
		return err
	}
	s.exposure = next
	return nil
}
