package stages

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// All is the registry of a history.
func (s *sim) All() (present []schemas.Identity, removed []schemas.Name) {
	for name, id := range s.people {
		if s.removed[name] {
			removed = append(removed, name)
		} else if slices.Contains(schemas.OutsideRoles(), id.Role) {
			present = append(present, id)
		}
	}
	return present, removed
}

// About is All, of a name and of the holder of a key.
func (s *sim) About(name schemas.Name, key string) (present []schemas.Identity, removed []schemas.Name) {
	present, removed = s.All()
	present = slices.DeleteFunc(present, func(id schemas.Identity) bool { return id.Name != name && (key == "" || id.Key != key) })
	return present, slices.DeleteFunc(removed, func(n schemas.Name) bool { return n != name })
}

// answers is who answers in the first replica.
func (s *sim) answers() *Answer {
	s.t.Helper()
	s.follow(s.replicas[0], true)
	return &Answer{
		Execute: s.replicas[0].execute, Registry: s, Streams: s.logs[schemas.RoleExecute],
		Conditions: func() []schemas.Condition { return nil },
		Broker:     func(context.Context) (schemas.BrokerStatus, error) { return schemas.BrokerStatus{}, nil },
	}
}

// ask asks as somebody, and fails the test if that is refused.
func (s *sim) ask(name schemas.Name, what string, q schemas.Question) schemas.Answer {
	s.t.Helper()
	answer := s.answers().Ask(s.t.Context(), name, what, q)
	must(s.t, answer.Problem.Err())
	return answer
}

// refuses fails the test unless a question is refused in that way.
func (s *sim) refuses(name schemas.Name, what string, q schemas.Question, want error) {
	s.t.Helper()
	answer := s.answers().Ask(s.t.Context(), name, what, q)
	if err := answer.Problem.Err(); !errors.Is(err, want) {
		s.t.Errorf("%s asks for %s %v: %v, want %v", name, what, q, err, want)
	}
	if answer.Problem = nil; !isEmpty(answer) {
		s.t.Errorf("%s asks for %s %v and is refused, and given %+v", name, what, q, answer)
	}
}

func isEmpty(a schemas.Answer) bool {
	return a.Status == nil && a.Records == nil && a.Holds == nil && a.Hold == nil && a.Ruling == nil && a.Work == nil && a.Identities == nil && a.Gate == nil && a.Budgets == nil
}

// TestWhoMayAsk: what is answered depends on the role of the one who asks.
func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bot", "sys.big")
	roles := map[schemas.Name]schemas.Role{"bot": schemas.RoleAgent, "ann": schemas.RoleReviewer, "run": schemas.RoleExecutor, "boss": schemas.RolePolicyAdmin, "clerk": schemas.RoleIdentityAdmin}
	for _, name := range []schemas.Name{"boss", "clerk"} {
		s.people[name] = schemas.Identity{Name: name, Role: roles[name]}
	}
	may := map[string][]schemas.Role{
		schemas.AskStatus:     {schemas.RoleAgent},
		schemas.AskHolds:      {schemas.RoleReviewer},
		schemas.AskHold:       {schemas.RoleReviewer},
		schemas.AskStanding:   {schemas.RoleReviewer},
		schemas.AskWork:       {schemas.RoleExecutor},
		schemas.AskIdentities: {schemas.RolePolicyAdmin, schemas.RoleIdentityAdmin},
		schemas.AskGate:       {schemas.RolePolicyAdmin, schemas.RoleIdentityAdmin},
		schemas.AskBudgets:    {schemas.RolePolicyAdmin, schemas.RoleIdentityAdmin},
		"anything":            nil,
	}
	for what, allowed := range may {
		for name, role := range roles {
			q := schemas.Question{Agent: k.Agent, Intent: k.ID}
			if slices.Contains(allowed, role) {
				s.ask(name, what, q)
			} else {
				s.refuses(name, what, q, schemas.ErrDenied)
			}
		}
		s.refuses("nobody", what, schemas.Question{}, schemas.ErrDenied)
	}
	for _, what := range []string{schemas.AskDecision, schemas.AskReport} {
		s.refuses("bot", what, schemas.Question{Seq: 1}, schemas.ErrDenied)
		s.refuses("boss", what, schemas.Question{Seq: 1}, schemas.ErrDenied)
	}
	s.remove("ann", true)
	s.refuses("ann", schemas.AskHolds, schemas.Question{}, schemas.ErrDenied)
}

// TestStatus: what an agent is told of its intent in each state.
func TestStatus(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	small := func(s *sim) schemas.Key { return s.propose("bot", "sys.small") }
	granted := func(s *sim) schemas.Key { k := small(s); must(s.t, s.claim("run", k)); return k }
	doubted := func(s *sim) schemas.Key { k := granted(s); s.later(2 * time.Minute); return k }
	for name, c := range map[string]struct {
		make     func(*sim) schemas.Key
		state    schemas.State
		code     schemas.Code
		tell     string
		deadline time.Duration // about, from now; 0 for none
		result   string
	}{
		"parked":  {func(s *sim) schemas.Key { return s.propose("bot", "sys.two") }, schemas.Parked, "", "", 4 * time.Hour, ""},
		"refused": {func(s *sim) schemas.Key { return s.propose("bot", "sys.never") }, schemas.Refused, schemas.CodePolicy, "never", 0, ""},
		"denied": {func(s *sim) schemas.Key {
			k := s.propose("bot", "sys.big")
			s.vote(k, "ann", schemas.Deny)
			s.drain()
			return k
		}, schemas.Refused, schemas.CodeDenied, "", 0, ""},
		"released": {small, schemas.Released, "", "", 15 * time.Minute, ""},
		"granted":  {granted, schemas.Granted, "", "", time.Minute, ""},
		"done":     {func(s *sim) schemas.Key { k := granted(s); s.reportOn(k); s.drain(); return k }, schemas.Done, "", "", 0, `"ok"`},
		"lapsed":   {func(s *sim) schemas.Key { k := small(s); s.later(time.Hour); return k }, schemas.Lapsed, "", "", 0, ""},
		"in doubt": {doubted, schemas.InDoubt, "", "", 0, ""},
		"retried":  {func(s *sim) schemas.Key { k := doubted(s); s.vote(k, "ann", schemas.Retry); s.drain(); return k }, schemas.Released, "", "", 15 * time.Minute, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, a, 1)
			k := c.make(s)
			got := s.ask("bot", schemas.AskStatus, schemas.Question{Intent: k.ID}).Status
			if got.State != c.state || got.Code != c.code || got.Tell != c.tell || string(got.Result) != c.result {
				t.Errorf("got %+v", got)
			}
			left := got.Deadline.Sub(s.now())
			if got.Deadline.IsZero() != (c.deadline == 0) || c.deadline > 0 && (left > c.deadline || left < c.deadline*9/10) {
				t.Errorf("a deadline in %s, want %s", left, c.deadline)
			}
			s.refuses("bit", schemas.AskStatus, schemas.Question{Intent: k.ID}, schemas.ErrNotFound)
			s.refuses("bit", schemas.AskStatus, schemas.Question{Agent: "bot", Intent: k.ID}, schemas.ErrNotFound)
		})
	}
}

// TestNothingToProbe: two intents that are parked by other rules, for other reasons,
// by another risk, before other people, give their agent the same answer.
func TestNothingToProbe(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	s.activate("prying")
	var answers [2]string
	for i, params := range []string{`{"n":1}`, `{"n":2}`} {
		k := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
		s.submit(k, "sys.big", params)
		s.drain()
		answer := s.ask("bot", schemas.AskStatus, schemas.Question{Intent: k.ID})
		if answer.Status.State != schemas.Parked {
			t.Fatalf("%s: %s, want parked", params, answer.Status.State)
		}
		answer.Status.Intent, answer.Status.Digest, answer.Status.Deadline = "", "", time.Time{}
		text, err := schemas.Marshal(answer)
		must(t, err)
		answers[i] = string(text)
	}
	if answers[0] != answers[1] {
		t.Errorf("got %s and %s", answers[0], answers[1])
	}
}

// TestHolds: a reviewer sees the holds of its queues, and no others.
func TestHolds(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bot", "sys.big")
	by := schemas.Question{Agent: k.Agent, Intent: k.ID}
	if page := s.ask("ann", schemas.AskHolds, schemas.Question{}).Holds; page.Total != 1 || page.Holds[0].Intent != k.ID {
		t.Errorf("ann sees %+v", page)
	}
	if page := s.ask("far", schemas.AskHolds, schemas.Question{}).Holds; page.Total != 0 {
		t.Errorf("far sees %+v", page)
	}
	s.refuses("ann", schemas.AskHolds, schemas.Question{Queue: "attic"}, schemas.ErrDenied)
	s.refuses("ann", schemas.AskHolds, schemas.Question{After: "nonsense"}, schemas.ErrInvalid)
	s.refuses("far", schemas.AskHold, by, schemas.ErrNotFound)
	s.refuses("far", schemas.AskShow, by, schemas.ErrNotFound)
	s.refuses("ann", schemas.AskHold, schemas.Question{Agent: "bit", Intent: k.ID}, schemas.ErrNotFound)
	_, at := s.held(k)
	if got := s.ask("ann", schemas.AskHold, by).Hold.Record(); got.Hash() != at.Hash() {
		t.Errorf("ann is shown something else than is held")
	}
	// A bare id is enough as long as it is one agent's.
	bare := schemas.Question{Intent: k.ID}
	s.ask("ann", schemas.AskHold, bare)
	s.refuses("far", schemas.AskHold, bare, schemas.ErrNotFound)
	s.submit(schemas.Key{Agent: "bit", ID: k.ID}, "sys.big", `{}`)
	s.drain()
	s.refuses("ann", schemas.AskHold, bare, schemas.ErrInvalid)
}

// TestShow: who sees which records of an intent.
func TestShow(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bot", "sys.big")
	s.vote(k, "ann", schemas.Approve)
	s.drain()
	must(t, s.claim("run", k))
	s.reportOn(k)
	s.drain()
	s.people["boss"] = schemas.Identity{Name: "boss", Role: schemas.RolePolicyAdmin}
	s.people["else"] = schemas.Identity{Name: "else", Role: schemas.RoleExecutor, Systems: []string{"other"}}
	intents, observed, recommended, parked := schemas.Intents, schemas.Observed, schemas.Recommended, schemas.ParkedHolds
	decisions, settled, grants, outcomes := schemas.Decisions, schemas.Settled, schemas.Grants, schemas.Outcomes
	everything := []schemas.Stream{intents, observed, recommended, parked, parked, parked, decisions, settled, grants, outcomes}
	for name, want := range map[schemas.Name][]schemas.Stream{
		"boss": everything,
		"ben":  everything,
		"bot":  {intents, settled},
		"run":  {settled, grants, outcomes},
		"ran":  {settled},
	} {
		var got []schemas.Stream
		for _, c := range s.ask(name, schemas.AskShow, schemas.Question{Agent: k.Agent, Intent: k.ID}).Records {
			got = append(got, c.Stream)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s sees %v, want %v", name, got, want)
		}
	}
	for _, name := range []schemas.Name{"bit", "far", "else"} {
		s.refuses(name, schemas.AskShow, schemas.Question{Agent: k.Agent, Intent: k.ID}, schemas.ErrNotFound)
	}
}

// TestWork: an executor is offered what it may claim.
func TestWork(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	s.people["else"] = schemas.Identity{Name: "else", Role: schemas.RoleExecutor, Systems: []string{"other"}}
	first, second := s.propose("bot", "sys.small"), s.propose("bit", "sys.again")
	s.propose("bot", "sys.big")
	if got := s.ask("run", schemas.AskWork, schemas.Question{}).Work; !slices.Equal(got, []schemas.Key{first, second}) {
		t.Errorf("run is offered %v, want %v, the oldest first", got, []schemas.Key{first, second})
	}
	if got := s.ask("else", schemas.AskWork, schemas.Question{}).Work; len(got) > 0 {
		t.Errorf("else is offered %v", got)
	}
	must(t, s.claim("run", second))
	if got := s.ask("ran", schemas.AskWork, schemas.Question{}).Work; !slices.Equal(got, []schemas.Key{first}) {
		t.Errorf("ran is offered %v, want %v", got, first)
	}
}

// TestRuling: the sender of a message is told what became of it, once that is known,
// and nobody else is.
func TestRuling(t *testing.T) {
	t.Parallel()
	s := newSim(t, newArena(t), 1)
	k := s.propose("bot", "sys.two")
	p := s.vote(k, "ann", schemas.Approve)
	q := schemas.Question{Seq: p.Seq}
	a := s.answers()
	hurried := *a.Execute
	began := s.now()
	hurried.Now = func() time.Time { began = began.Add(time.Second); return began }
	impatient := &Answer{Execute: &hurried, Registry: s}
	if err := impatient.Ask(t.Context(), "ann", schemas.AskDecision, q).Problem.Err(); !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("before it was handled: %v, want an ErrUnavailable", err)
	}
	given, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Ask(given, "ann", schemas.AskDecision, q).Problem.Err(); err == nil {
		t.Error("an asker that has gone is answered")
	}
	s.drain()
	if got := s.ask("ann", schemas.AskDecision, q).Ruling; !got.Counts || got.State != schemas.Parked || got.Waiting != "both: 1 more" {
		t.Errorf("got %+v", got)
	}
	s.refuses("ben", schemas.AskDecision, q, schemas.ErrNotFound)
	s.refuses("ann", schemas.AskDecision, schemas.Question{Seq: 1 << 40}, schemas.ErrNotFound)
	s.freezeBot()
	last := s.vote(k, "ben", schemas.Approve)
	s.drain()
	if got := s.ask("ben", schemas.AskDecision, schemas.Question{Seq: last.Seq}).Ruling; !got.Counts || got.Waiting != "frozen: agent bot" {
		t.Errorf("got %+v", got)
	}
	nothing := s.send("ann", schemas.Draft{Subject: "decisions.ann.desk.bot.nothing", Body: []byte(`{}`)})
	if got := s.ask("ann", schemas.AskDecision, schemas.Question{Seq: nothing.Seq}).Ruling; got.Counts || got.Code != schemas.CodeInvalid {
		t.Errorf("got %+v", got)
	}
}
