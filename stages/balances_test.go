package stages

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// newTill is a purse of which an intent is refused that knows what is left, and an
// operator who is told.
func newTill(t *testing.T) purse {
	t.Helper()
	p := newPurse(t, newSim(t, newArena(t), 1))
	p.activate("balances")
	p.people["boss"] = schemas.Identity{Name: "boss", Role: schemas.RolePolicyAdmin}
	return p
}

// list is what the operator is told.
func (s *sim) list(q schemas.Question) schemas.BudgetPage {
	s.t.Helper()
	return *s.ask("boss", schemas.AskBudgets, q).Budgets
}

// spend takes of the purse.
func (p purse) spend(amount int) schemas.Key {
	p.t.Helper()
	k := p.submit("bot", amount, 72*time.Hour)
	p.drain()
	return k
}

// tells is whether the next intent is told that so much is left of the purse.
func (p purse) tells(left int64) bool {
	p.t.Helper()
	k := schemas.Key{Agent: "bit", ID: schemas.NewIntentID(time.Now())}
	p.sim.submit(k, "sys.paid", fmt.Sprintf(`{"n":0,"purse":%q,"left":%d}`, p.name, left))
	p.drain()
	v, _, err := p.look.settlement(p.t.Context(), k)
	return err == nil && v.Outcome == schemas.Refuse && v.Tell == "exactly"
}

// holds fails the test unless the operator and the next intent are told that so much is
// taken. It returns what the operator is told.
func (p purse) holds(taken, back int64) schemas.BudgetLine {
	p.t.Helper()
	page := p.list(schemas.Question{})
	if len(page.Budgets) != 1 || page.Total != 1 || page.After != "" || page.Unread != 0 || page.Bundle != p.bundle["balances"].Digest() {
		p.t.Fatalf("listed: %+v, want one budget", page)
	}
	b := page.Budgets[0]
	want := schemas.BudgetLine{
		Budget: "purse", Key: p.name, Window: "24h", Limit: limitOfPurse, Taken: taken, Left: max(0, limitOfPurse-taken), Back: back,
		BackAt: b.BackAt, Beyond: schemas.Park, Agent: b.Agent, Intent: b.Intent,
	}
	if b != want {
		p.t.Errorf("listed: %+v\nwant    %+v", b, want)
	}
	if !p.tells(b.Left) {
		p.t.Errorf("the next intent is not told that %d are left", b.Left)
	}
	return b
}

// TestBudgetList: an operator is told what the next intent is told: of what was taken,
// of what parks, of what was approved beyond the limit, and of what is over.
func TestBudgetList(t *testing.T) {
	t.Parallel()
	p := newTill(t)
	if page := p.list(schemas.Question{}); len(page.Budgets) != 0 || page.Total != 0 {
		t.Fatalf("before anything is taken: %+v", page)
	}
	k := p.spend(600)
	if b := p.holds(600, 600); b.Agent != k.Agent || b.Intent != k.ID || b.BackAt.Sub(p.now()).Round(time.Minute) != 24*time.Hour {
		t.Errorf("taken by %s/%s, and back at %s; want %s, in a day", b.Agent, b.Intent, b.BackAt, k)
	}
	p.pass(2 * time.Hour)
	p.want(p.spend(300), schemas.Released, "")
	p.holds(900, 600)
	parked := p.spend(101)
	h, _ := p.held(parked)
	p.want(parked, schemas.Parked, "")
	if b := p.holds(900, 600); len(h.Taken) != 1 || h.Taken[0].Amount != b.Taken {
		t.Errorf("the hold says that %+v is taken, the operator is told %d", h.Taken, b.Taken)
	}
	p.vote(parked, "ann", schemas.Approve)
	p.drain()
	p.want(parked, schemas.Released, "")
	b := p.holds(1001, 600)
	p.pass(b.BackAt.Sub(p.now()) - time.Minute)
	p.holds(1001, 600)
	p.pass(2 * time.Minute)
	p.holds(401, 401) // what is taken within a part of the window comes back together
	if p.tells(598) {
		t.Error("an intent is told what is not so")
	}
	p.pass(24 * time.Hour)
	if page := p.list(schemas.Question{}); len(page.Budgets) != 0 || page.Total != 0 {
		t.Errorf("when all is over: %+v", page)
	}
}

// TestBudgetListGivenBack: what is reserved is told apart until it is settled; and what
// was given back is not taken, whether or not a record says so yet.
func TestBudgetListGivenBack(t *testing.T) {
	t.Parallel()
	p := newTill(t)
	p.submit("bot", 1000, time.Hour)
	r := p.recommended()
	p.replicas[0].faults.set(1, crashed) // after the share is taken
	if p.deliver(0, r) {
		t.Fatal("there was no second write")
	}
	p.revive()
	page := p.list(schemas.Question{From: 100})
	if len(page.Budgets) != 1 || page.Budgets[0].Taken != 1000 || page.Budgets[0].Reserved != 1000 || page.Budgets[0].Left != 0 {
		t.Errorf("before it is settled: %+v, want all reserved", page)
	}
	p.inbox = append(p.inbox, r)
	p.pass(2 * time.Hour)
	p.drain()
	if page := p.list(schemas.Question{}); len(page.Budgets) != 0 || page.Total != 0 {
		t.Errorf("when it is refused: %+v, want nothing", page)
	}
	p.want(p.spend(1000), schemas.Released, "")
	if b := p.holds(1000, 1000); b.Reserved != 0 {
		t.Errorf("listed: %+v, want nothing reserved", b)
	}
}

// TestBudgetListSettled: what was reserved so long ago that its intent must be over is
// settled, also if SETTLED does not say so any more.
func TestBudgetListSettled(t *testing.T) {
	t.Parallel()
	p := newTill(t)
	k := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
	p.sim.submit(k, "sys.over", `{}`)
	r := p.recommended()
	p.replicas[0].faults.set(1, crashed)
	p.deliver(0, r)
	p.revive()
	for _, want := range []int64{1, 0} {
		page := p.list(schemas.Question{Budget: "long"})
		if len(page.Budgets) != 1 || page.Budgets[0].Taken != 1 || page.Budgets[0].Reserved != want || page.Budgets[0].Key != "bot" {
			t.Errorf("listed: %+v, want 1 taken and %d reserved", page, want)
		}
		p.pass(schemas.MaxLifetime + time.Minute)
	}
}

// TestBudgetListPages: the fullest come first, and pages of any size are the same list.
func TestBudgetListPages(t *testing.T) {
	t.Parallel()
	p := newTill(t)
	if p.now().Add(5*time.Minute).UTC().Day() != p.now().UTC().Day() {
		p.pass(5 * time.Minute) // a day is to last as long as the test
	}
	for key, amount := range map[string]int{"a b": 125, "b": 900, "c": 500, "": 500} {
		q := p
		q.name = key
		q.spend(amount)
	}
	often := p
	often.name = "a b"
	often.spend(125)
	p.propose("bot", "sys.over")
	p.propose("bot", "sys.small")
	all := []string{"purse b", "purse ", "purse c", "long bot", "purse a b", "today "}
	lists := func(q schemas.Question, want ...string) schemas.BudgetPage {
		t.Helper()
		page := p.list(q)
		var got []string
		for _, b := range page.Budgets {
			got = append(got, b.Budget+" "+b.Key)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v: got %q, want %q", q, got, want)
		}
		return page
	}
	lists(schemas.Question{}, all...)
	lists(schemas.Question{From: 50}, all[:3]...)
	lists(schemas.Question{From: 51}, all[0])
	lists(schemas.Question{Budget: "today"}, "today ")
	for size := 1; size <= len(all); size++ {
		q := schemas.Question{Limit: size}
		for some := range slices.Chunk(all, size) {
			page := lists(q, some...)
			if page.Total != len(all) {
				t.Errorf("there are %d, want %d", page.Total, len(all))
			}
			q.After = page.After
		}
		if q.After != "" {
			t.Errorf("pages of %d: the last names another", size)
		}
	}
	for most, want := range map[int]string{1: "a b", 4: "b"} {
		answer, err := p.answers().budgets(t.Context(), schemas.Question{}, most)
		must(t, err)
		if page := answer.Budgets; len(page.Budgets) != most || page.Unread != len(all)-most || page.Budgets[0].Key != want {
			t.Errorf("of %d keys at most: %+v, want that of which was taken most often, and to be told of the others", most, page)
		}
	}
	p.activate("daily") // what is listed is what the active bundle limits
	lists(schemas.Question{Budget: "purse"}, all[0], all[1], all[2], all[4])
	lists(schemas.Question{}, all[0], all[1], all[2], all[4])
}

// TestBudgetListRefuses: nobody but admins is told, of nothing but what there is, and
// nothing that is not known.
func TestBudgetListRefuses(t *testing.T) {
	t.Parallel()
	p := newTill(t)
	p.spend(1)
	p.people["aud"] = schemas.Identity{Name: "aud", Role: schemas.RoleAuditor}
	for _, name := range []schemas.Name{"bot", "bit", "ann", "run", "aud", "execute", "nobody"} {
		p.refuses(name, schemas.AskBudgets, schemas.Question{}, schemas.ErrDenied)
		p.refuses(name, schemas.AskBudgets, schemas.Question{Budget: "purse"}, schemas.ErrDenied)
		p.refuses(name, schemas.AskBudgets, schemas.Question{Budget: "none"}, schemas.ErrDenied)
	}
	p.refuses("boss", schemas.AskBudgets, schemas.Question{Budget: "none"}, schemas.ErrNotFound)
	p.refuses("boss", schemas.AskBudgets, schemas.Question{Budget: schemas.StandingBudget}, schemas.ErrNotFound)
	p.refuses("boss", schemas.AskBudgets, schemas.Question{Budget: "*"}, schemas.ErrNotFound)
	p.refuses("boss", schemas.AskBudgets, schemas.Question{From: 101}, schemas.ErrInvalid)
	p.refuses("boss", schemas.AskBudgets, schemas.Question{From: -1}, schemas.ErrInvalid)
	for _, after := range []string{"x", "!", "MSAyIGI", "MCAwIGIgaw", "eCAxIGIgaw"} { // "1 2 b", "0 0 b k", "x 1 b k"
		p.refuses("boss", schemas.AskBudgets, schemas.Question{After: after}, schemas.ErrInvalid)
	}
	a := p.answers()
	a.Execute.Log = unsettledLog{a.Execute.Log}
	answer := a.Ask(t.Context(), "boss", schemas.AskBudgets, schemas.Question{})
	if answer.Budgets != nil || answer.Problem == nil {
		t.Errorf("what cannot be read is answered with %+v", answer)
	}
}

// unsettledLog cannot read SETTLED.
type unsettledLog struct{ Log }

func (l unsettledLog) Last(ctx context.Context, stream schemas.Stream, filter string) (schemas.Record, error) {
	if stream == schemas.Settled {
		return schemas.Record{}, schemas.ErrUnavailable
	}
	return l.Log.Last(ctx, stream, filter)
}
