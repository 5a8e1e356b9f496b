package client_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestIdentitiesComeAndGo: who was added may connect when Add returns; who was
// removed is cut off, and neither the name nor, while it is in use, the key is
// anybody else's.
func TestIdentitiesComeAndGo(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	ida := g.operator(schemas.RoleIdentityAdmin)
	bot := g.agent("bot")
	present, removed, err := ida.Identities(g.ctx(), "bot")
	if err != nil || len(present) != 1 || present[0].Owner != "olga" || present[0].By != "identity-admin" || len(removed) > 0 {
		t.Errorf("registered as %+v, %v, %v", present, removed, err)
	}
	fresh := g.key("fresh", schemas.RoleAgent)
	freshKey, err := fresh.Public()
	check(t, err)
	refused := func(what string, id schemas.Identity, want error) {
		t.Helper()
		before, err := g.log(schemas.RoleExecute).LastSeq(g.ctx(), schemas.Control)
		check(t, err)
		if err := ida.Add(g.ctx(), id); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if after, err := g.log(schemas.RoleExecute).LastSeq(g.ctx(), schemas.Control); err != nil || after != before {
			t.Errorf("%s: written to CONTROL all the same, %v", what, err)
		}
	}
	refused("a name that is taken", schemas.Identity{Name: "bot", Role: schemas.RoleAgent, Owner: "olga", Key: freshKey}, schemas.ErrClosed)
	refused("a key that is taken", schemas.Identity{Name: "bat", Role: schemas.RoleAgent, Owner: "olga", Key: g.public("bot")}, schemas.ErrClosed)
	refused("one that is not whole", schemas.Identity{Name: "bat", Role: schemas.RoleAgent, Key: freshKey}, schemas.ErrInvalid)
	check(t, ida.Remove(g.ctx(), "bot", "test"))
	short, cancel := context.WithTimeout(g.ctx(), time.Second/2)
	defer cancel()
	if ticket, err := bot.Submit(short, proposal("shop.small")); err == nil {
		t.Errorf("who was removed submits %s", ticket.Key)
	}
	if _, err := client.Dial(client.Config{Key: g.keys["bot"], Server: g.server.URL()}); !errors.Is(err, schemas.ErrDenied) {
		t.Errorf("who was removed connects: %v, want ErrDenied", err)
	}
	refused("a name that was taken", schemas.Identity{Name: "bot", Role: schemas.RoleAgent, Owner: "olga", Key: freshKey}, schemas.ErrClosed)
	if err := ida.Remove(g.ctx(), "bot", "again"); !errors.Is(err, schemas.ErrNotFound) {
		t.Errorf("removing it again: %v, want ErrNotFound", err)
	}
	present, removed, err = ida.Identities(g.ctx(), "")
	if err != nil || len(present) != 2 || !slices.Equal(removed, []schemas.Name{"bot"}) {
		t.Errorf("in the end %+v, %v, %v", present, removed, err)
	}
}

// TestFreeze: nothing in its scope is released until it is thawed; then what waited
// is.
func TestFreeze(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, poe := g.agent("bot"), g.operator(schemas.RolePolicyAdmin)
	scope := schemas.Scope{Agent: "bot"}
	check(t, poe.Freeze(g.ctx(), scope, "test"))
	g.until("it is frozen", func() bool {
		s, err := poe.Gate(g.ctx())
		check(t, err)
		return len(s.Freezes) == 1 && s.Freezes[0].Scope == scope && s.Freezes[0].By == "policy-admin"
	})
	ticket := g.submit(bot, proposal("shop.small"))
	if s, err := bot.Stand(g.ctx(), ticket); err != nil || s.State != schemas.Parked {
		t.Errorf("while it is frozen: %+v, %v", s, err)
	}
	check(t, poe.Thaw(g.ctx(), scope, "test"))
	if s, err := bot.Await(g.ctx(), ticket); err != nil || s.Outcome != schemas.Release {
		t.Errorf("when it is thawed: %+v, %v", s, err)
	}
}

// TestOnlyOperatorsOperate: whoever calls itself one is told by the broker that it
// is not.
func TestOnlyOperatorsOperate(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, poe, ida := g.agent("bot"), g.operator(schemas.RolePolicyAdmin), g.operator(schemas.RoleIdentityAdmin)
	all := schemas.Scope{All: true}
	_, gateErr := client.Operator(bot).Gate(g.ctx())
	_, budgetsErr := client.Operator(bot).Budgets(g.ctx(), "", 0, 0, "")
	_, activateErr := ida.Activate(g.ctx(), "sha256:x", []byte("x"), 0, "x")
	for what, err := range map[string]error{
		"an agent freezes":             client.Operator(bot).Freeze(g.ctx(), all, "x"),
		"an agent asks":                gateErr,
		"an agent asks what is taken":  budgetsErr,
		"an identity-admin freezes":    ida.Freeze(g.ctx(), all, "x"),
		"an identity-admin activates":  activateErr,
		"a policy-admin adds":          poe.Add(g.ctx(), schemas.Identity{Name: "x", Role: schemas.RoleAgent, Owner: "x", Key: g.public("observe")}),
		"a policy-admin removes":       poe.Remove(g.ctx(), "bot", "x"),
		"an agent publishes a verdict": bot.Publish(g.ctx(), schemas.Draft{Subject: "released.x.bot.shop.small"}),
	} {
		if !errors.Is(err, schemas.ErrDenied) {
			t.Errorf("%s: %v, want ErrDenied", what, err)
		}
	}
}

// TestEmptyAnswers: an answer that does not say what was asked for is trouble, and
// is taken for nothing else.
func TestEmptyAnswers(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, ann, poe := g.agent("bot"), g.reviewer("ann"), g.operator(schemas.RolePolicyAdmin)
	g.answers.set(func(string, schemas.Answer) schemas.Answer { return schemas.Answer{} })
	k := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
	_, statusErr := bot.Status(g.ctx(), k.ID)
	_, listErr := ann.List(g.ctx(), "", 1, "")
	_, holdErr := ann.Hold(g.ctx(), k)
	_, gateErr := poe.Gate(g.ctx())
	_, budgetsErr := poe.Budgets(g.ctx(), "", 0, 0, "")
	for what, err := range map[string]error{"status": statusErr, "list": listErr, "hold": holdErr, "gate": gateErr, "budgets": budgetsErr} {
		if !errors.Is(err, schemas.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		}
	}
}

// TestAuditorReads: everything, one agent's records, or those of one kind.
func TestAuditorReads(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, bit := g.agent("bot"), g.agent("bit")
	aud := client.Auditor{Conn: g.add(schemas.Identity{Name: "aud", Role: schemas.RoleAuditor, Person: "audrey"})}
	for _, a := range []client.Agent{bot, bit} {
		_, err := a.Await(g.ctx(), g.submit(a, proposal("shop.small")))
		check(t, err)
	}
	reads := func(tail *broker.Tail) (kinds map[string]int) {
		t.Helper()
		kinds = map[string]int{}
		check(t, tail.Read(g.ctx(), func(r schemas.Record) error {
			o, err := broker.Origin(r)
			check(t, err)
			s, err := schemas.ParseSubject(o.Subject)
			check(t, err)
			kinds[s.Kind+" "+string(s.Agent)]++
			return nil
		}))
		return kinds
	}
	g.until("AUDIT has everything", func() bool { return len(reads(aud.Kind("released", 1))) == 2 && len(reads(aud.Tail("", 1))) == 9 })
	if got := reads(aud.Tail("bot", 1)); got["intents bot"] != 1 || got["observed bot"] != 1 || got["released bot"] != 1 || len(got) != 4 {
		t.Errorf("of bot: %v", got)
	}
	if got := reads(aud.Tail("", 1)); got["intents bit"] != 1 || got["control "] == 0 {
		t.Errorf("of everybody: %v", got)
	}
}

// TestShow: an agent is shown what it may see of its own intent, as records that can
// be checked, and nothing of another's.
func TestShow(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, bit := g.agent("bot"), g.agent("bit")
	ticket := g.submit(bot, proposal("shop.small"))
	_, err := bot.Await(g.ctx(), ticket)
	check(t, err)
	records, err := bot.Show(g.ctx(), ticket.Key)
	if err != nil || len(records) == 0 {
		t.Errorf("shown %d records, %v", len(records), err)
	}
	for _, r := range records {
		stands, err := g.log(schemas.RoleExecute).At(g.ctx(), r.Stream, r.Seq)
		if err != nil || stands.Hash() != r.Hash() {
			t.Errorf("%s is shown otherwise than it stands, %v", r.Pointer(), err)
		}
	}
	if records, err := bit.Show(g.ctx(), ticket.Key); !errors.Is(err, schemas.ErrNotFound) {
		t.Errorf("another agent is shown %d records, %v, want ErrNotFound", len(records), err)
	}
}

// TestAddAsksForFew: to know whether a name or a key is taken, not everybody is asked
// for.
func TestAddAsksForFew(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	g.agent("bot")
	g.agent("bat")
	var most atomic.Int64
	g.answers.set(func(what string, a schemas.Answer) schemas.Answer {
		if n := int64(len(a.Identities)); what == schemas.AskIdentities && n > most.Load() {
			most.Store(n)
		}
		return a
	})
	g.agent("bet")
	if most.Load() != 1 {
		t.Errorf("%d identities came in one answer, want the one that was added", most.Load())
	}
}
