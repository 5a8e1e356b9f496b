package stages

import (
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestFreeze: nothing of what is frozen is released or granted, and afterwards
// everything that waited is evaluated again.
func TestFreeze(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("what the rules release waits for the thaw", func(t *testing.T) {
		s := newSim(t, a, 1)
		s.freezeBot()
		k := s.propose("bot", "sys.small")
		s.want(k, schemas.Parked, "")
		s.want(s.propose("bit", "sys.small"), schemas.Released, "")
		page, err := s.replicas[0].execute.Index.Page([]schemas.Name{"desk"}, 10, "")
		must(t, err)
		if page.Total != 0 {
			t.Errorf("reviewers see %v, on which there is nothing to decide", page.Holds)
		}
		s.later(time.Hour)
		s.want(k, schemas.Parked, "")
		s.thaw()
		s.tick()
		s.want(k, schemas.Released, "")
	})
	t.Run("what is approved meanwhile waits for the thaw", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.big")
		s.freezeBot()
		p := s.vote(k, "ann", schemas.Approve)
		s.drain()
		s.wantRuling(p, "")
		s.want(k, schemas.Parked, "")
		s.thaw()
		s.tick()
		s.want(k, schemas.Released, "")
	})
	t.Run("what is denied meanwhile is refused", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.big")
		s.freezeBot()
		s.vote(k, "ann", schemas.Deny)
		s.drain()
		s.want(k, schemas.Refused, schemas.CodeDenied)
	})
	t.Run("what waits can still be denied", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.two")
		s.freezeBot()
		s.vote(k, "ann", schemas.Approve)
		s.vote(k, "ben", schemas.Approve)
		s.drain()
		s.vote(k, "ann", schemas.Deny)
		s.drain()
		s.want(k, schemas.Refused, schemas.CodeDenied)
	})
}

// TestFreezeRunsOn: deadlines run on meanwhile, and nothing that was said before
// counts unseen.
func TestFreezeRunsOn(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("deadlines run on", func(t *testing.T) {
		s := newSim(t, a, 1)
		two, unclaimed := s.propose("bot", "sys.two"), s.propose("bot", "sys.small")
		s.freezeBot()
		small := s.propose("bot", "sys.small")
		s.later(5 * time.Hour)
		s.want(two, schemas.Refused, schemas.CodeExpired)
		s.want(unclaimed, schemas.Lapsed, "")
		s.later(80 * time.Hour)
		s.want(small, schemas.Refused, schemas.CodeExpired)
	})
	t.Run("approvals are counted again", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.big")
		s.freezeBot()
		s.vote(k, "ann", schemas.Approve)
		s.drain()
		s.remove("ann", true)
		s.thaw()
		s.tick()
		s.want(k, schemas.Parked, "")
		s.vote(k, "ben", schemas.Approve)
		s.drain()
		s.want(k, schemas.Released, "")
	})
}

// TestFreezeLasts: no restart ends a freeze, and no thaw is missed.
func TestFreezeLasts(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	t.Run("it is there after a restart, and so is what waits", func(t *testing.T) {
		s := newSim(t, a, 1)
		k := s.propose("bot", "sys.small")
		s.freezeBot()
		waits := s.propose("bot", "sys.small")
		s.replicas = [2]*replica{s.boot(), s.boot()}
		s.wantErr(s.claim("run", k), schemas.ErrUnavailable)
		s.later(time.Minute)
		s.want(waits, schemas.Parked, "")
		s.thaw()
		s.tick()
		s.want(waits, schemas.Released, "")
		must(t, s.claim("run", k))
	})
	t.Run("the thaw comes just before it waits", func(t *testing.T) {
		s := newSim(t, a, 1)
		s.freezeBot()
		s.meanwhile("parked.", func() { s.thaw(); s.tick() })
		k := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
		s.submit(k, "sys.small", `{"n":1}`)
		s.drainAt(0)
		s.drainAt(0)
		s.drainAt(0)
		s.want(k, schemas.Parked, "")
		s.dueAfter(lookSoon)
		s.want(k, schemas.Released, "")
	})
	t.Run("nobody is told of the thaw", func(t *testing.T) {
		s := newSim(t, a, 1)
		s.freezeBot()
		k := s.propose("bot", "sys.small")
		s.follow(s.replicas[0], true)
		for range 3 {
			s.dueAfter(lookAgain)
			s.want(k, schemas.Parked, "")
		}
		s.thaw()
		s.dueAfter(lookAgain)
		s.want(k, schemas.Released, "")
	})
}

// dueAfter is what the first replica does when time has passed, and nobody told it
// of a thaw.
func (s *sim) dueAfter(d time.Duration) {
	s.t.Helper()
	s.pass(d)
	held, _, _ := s.replicas[0].execute.Index.Due()
	for _, k := range held {
		must(s.t, s.replicas[0].execute.lookAtHold(s.t.Context(), k))
	}
}

// TestIll: while nothing may be released, nothing is, and nothing is lost.
func TestIll(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	parked, free := s.propose("bot", "sys.big"), schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
	s.ill = true
	s.submit(free, "sys.small", `{"n":1}`)
	recommended := s.recommended()
	approval := s.vote(parked, "ann", schemas.Approve)
	s.collect()
	vote, _ := s.take()
	if s.deliver(0, recommended) || s.deliver(0, vote) {
		t.Error("a message is done with, and nothing came of it")
	}
	s.want(parked, schemas.Parked, "")
	if n := len(s.read().settled[free]); n > 0 {
		t.Errorf("released while the audit was ill")
	}
	s.ill = false
	s.inbox = append(s.inbox, recommended, vote)
	s.drain()
	s.wantRuling(approval, "")
	s.want(parked, schemas.Released, "")
	s.want(free, schemas.Released, "")
}

// controllers are people of whom one may freeze and thaw.
func controllers() roles {
	return roles{"boss": schemas.RolePolicyAdmin, "clerk": schemas.RoleIdentityAdmin, "ann": schemas.RoleReviewer}
}

func frozen(c *ControlState, agent schemas.Name, action schemas.Action) bool {
	_, is := c.Frozen(agent, action)
	return is
}

func freezing(by schemas.Name, scope schemas.Scope) schemas.Record {
	return controlRecord(schemas.Freeze{By: by, Scope: scope, Reason: "x", At: time.Now()})
}

func thawing(by schemas.Name, scope schemas.Scope) schemas.Record {
	return controlRecord(schemas.Thaw{By: by, Scope: scope, Reason: "x", At: time.Now()})
}

func controlRecord(content schemas.Content) schemas.Record {
	d := schemas.Write(content, "/test", time.Now(), "")
	return schemas.Record{Stream: schemas.Control, Subject: d.Subject, Header: d.Header, Body: d.Body}
}

// TestScopes: a freeze covers its scope, until the thaw of that scope.
func TestScopes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		scope      schemas.Scope
		bot, other bool // whether sys.big of bot is frozen, and sys2.small of another
	}{
		"everything": {schemas.Scope{All: true}, true, true},
		"an agent":   {schemas.Scope{Agent: "bot"}, true, false},
		"an action":  {schemas.Scope{Action: "sys.big"}, true, false},
		"a system":   {schemas.Scope{System: "sys"}, true, false},
		"not this":   {schemas.Scope{Agent: "bit"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			state := NewControlState(controllers())
			must(t, state.Apply(freezing("boss", c.scope)))
			if got, other := frozen(state, "bot", "sys.big"), frozen(state, "cat", "sys2.small"); got != c.bot || other != c.other {
				t.Errorf("frozen: %t and %t, want %t and %t", got, other, c.bot, c.other)
			}
			must(t, state.Apply(thawing("boss", schemas.Scope{Agent: "nobody"})))
			if frozen(state, "bot", "sys.big") != c.bot {
				t.Error("the thaw of something else thawed it")
			}
			must(t, state.Apply(thawing("boss", c.scope)))
			if frozen(state, "bot", "sys.big") || len(state.Freezes()) > 0 {
				t.Error("frozen after the thaw")
			}
			select {
			case <-state.Thawed():
			default:
				t.Error("nobody is told of the thaw")
			}
		})
	}
}

// TestControl: nothing thaws but the thaw of one who may, and what cannot be read is
// taken for the stricter thing.
func TestControl(t *testing.T) {
	t.Parallel()
	t.Run("two freezes need two thaws", func(t *testing.T) {
		state := NewControlState(controllers())
		for _, scope := range []schemas.Scope{{All: true}, {Agent: "bot"}} {
			must(t, state.Apply(freezing("boss", scope)))
		}
		must(t, state.Apply(thawing("boss", schemas.Scope{All: true})))
		if !frozen(state, "bot", "sys.big") || frozen(state, "bit", "sys.big") {
			t.Error("the thaw of one freeze ended the other, or none")
		}
	})
	t.Run("whoever may not write it", func(t *testing.T) {
		state := NewControlState(controllers())
		for _, by := range []schemas.Name{"clerk", "ann", "nobody"} {
			if err := state.Apply(freezing(by, schemas.Scope{All: true})); err == nil {
				t.Errorf("%s froze", by)
			}
		}
		must(t, state.Apply(freezing("boss", schemas.Scope{All: true})))
		if err := state.Apply(thawing("clerk", schemas.Scope{All: true})); err == nil {
			t.Error("the clerk thawed")
		}
		if !frozen(state, "bot", "sys.big") {
			t.Error("not frozen any more")
		}
	})
	t.Run("what cannot be read freezes, and does not thaw", func(t *testing.T) {
		state := NewControlState(controllers())
		freeze := freezing("boss", schemas.Scope{Agent: "bot"})
		freeze.Body = []byte(`{`)
		if err := state.Apply(freeze); err == nil || !frozen(state, "bit", "sys.big") {
			t.Errorf("got %v, frozen %t, want an error and a full freeze", err, frozen(state, "bit", "sys.big"))
		}
		thaw := thawing("boss", schemas.Scope{All: true})
		thaw.Body = []byte(`{`)
		if err := state.Apply(thaw); err == nil || !frozen(state, "bit", "sys.big") {
			t.Errorf("got %v, frozen %t, want an error and no thaw", err, frozen(state, "bit", "sys.big"))
		}
	})
}

// roles is a directory of people who have nothing but a role.
type roles map[schemas.Name]schemas.Role

func (r roles) ByName(name schemas.Name) (schemas.Identity, bool) {
	role, known := r[name]
	return schemas.Identity{Name: name, Role: role}, known
}

func (r roles) Ever(name schemas.Name) (schemas.Identity, bool) { return r.ByName(name) }
