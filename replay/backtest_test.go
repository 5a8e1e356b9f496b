package replay_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

// shopHistory is a history in which the rules of all checkpoints, thresholds, schemas
// and the catalog decide.
func shopHistory(t testing.TB, bundle *rules.Bundle) *gate {
	t.Helper()
	g := newGate(t, bundle)
	read := stages.Past{Rate: 2, Exposure: schemas.Exposure{Seen: []schemas.Seen{{Action: "shop.ticket", Labels: []string{"untrusted"}, Until: g.at.Add(1000 * time.Hour)}}}}
	for range 4 {
		for _, p := range []struct {
			action schemas.Action
			params string
		}{
			{"shop.look", `{"order":"A-1"}`}, {"shop.burn", `{}`}, {"shop.ticket", `{}`}, {"shop.ticket", `{"secret":true}`}, {"shop.ticket", `{"big":true}`},
			{"shop.refund", `{"amount":20}`}, {"shop.refund", `{"amount":500}`}, {"shop.refund", `{"amount":-1}`}, {"shop.refund", `{"amount":"20"}`},
			{"shop.mail", `{"to":"a@example.com","text":"x"}`}, {"shop.mail", `{"text":"to nobody"}`}, {"shop.mail", `{"to":"a@example.com","text":"something that is rather long"}`},
			{"shop.report", `{}`},
		} {
			proposal := schemas.Proposal{Params: []byte(p.params), Reason: "why \"not\"\n", Goal: "ünï"}
			g.propose("bot", p.action, proposal, stages.Past{Rate: 1})
			g.propose("bit", p.action, proposal, read)
		}
		g.at = g.at.Add(20 * time.Hour)
	}
	return g
}

func shop(t testing.TB) *rules.Bundle {
	t.Helper()
	bundle, err := replay.Load(os.DirFS("testdata/shop"))
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// changedShop returns the bundle of the shop with some text replaced.
func changedShop(t testing.TB, pairs ...string) *rules.Bundle {
	t.Helper()
	var texts []string
	for _, name := range []string{"catalog.yaml", "policy.yaml"} {
		text, err := os.ReadFile("testdata/shop/" + name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, strings.NewReplacer(pairs...).Replace(string(text)))
	}
	return writeBundle(t, texts[0], texts[1])
}

// backtest judges a file.
func backtest(t testing.TB, bundle *rules.Bundle, file []byte) replay.BacktestReport {
	t.Helper()
	b := replay.NewBacktest(replay.BacktestConfig{Bundle: bundle, Examples: 2})
	if err := b.File(t.Context(), "file", bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	return b.Report()
}

// moved returns the changes of a report as text.
func moved(r replay.BacktestReport) (text []string) {
	for _, m := range r.Changes {
		if m.Was != m.Would {
			text = append(text, fmt.Sprintf("%s %s %d", m.Was, m.Would, m.Intents))
		}
	}
	return text
}

func apart(r replay.BacktestReport) map[string]int {
	all := map[string]int{}
	for _, a := range r.Apart {
		all[a.Why] = a.Intents
	}
	return all
}

// TestBacktestSame: the bundle that decided would decide the same again, whatever
// decided, and the rules on record are those that decide.
func TestBacktestSame(t *testing.T) {
	t.Parallel()
	g := shopHistory(t, shop(t))
	r := backtest(t, shop(t), lines(t, g.audit))
	if r.Intents != 104 || r.Otherwise != 0 || len(r.Apart) > 0 || r.BadLines > 0 || r.Repeated > 0 || r.Records != len(g.audit) {
		t.Errorf("got %d intents, %v, apart %v, want 104 as they were", r.Intents, moved(r), r.Apart)
	}
	if r.Was != r.Would || r.Was.Released == 0 || r.Was.Parked == 0 || r.Was.Refused == 0 {
		t.Errorf("got %+v and %+v, want all three, and the same", r.Was, r.Would)
	}
	recorded := slices.DeleteFunc(r.OldRules, func(r replay.RuleChange) bool { return r.Rule == "nothing" }) // a risk of no points looks like a rule
	if diff := cmp.Diff(recorded, r.Rules); diff != "" {
		t.Errorf("rules (-recorded +evaluated):\n%s", diff)
	}
	if len(r.Days) != 4 || r.Days[0].Parked.Was == 0 || r.Days[0].Parked.Was != r.Days[0].Parked.Would || r.Days[0].Votes.Was != r.Days[0].Votes.Would {
		t.Errorf("days: got %+v, want four alike", r.Days)
	}
}

// TestBacktestRate: execute is not told the rate, neither by a gate nor here.
func TestBacktestRate(t *testing.T) {
	t.Parallel()
	bundle := changedShop(t, "now.getHours() < 6", "rate > 0")
	r := backtest(t, bundle, lines(t, shopHistory(t, bundle).audit))
	if r.Otherwise != 0 || r.Intents == 0 {
		t.Errorf("got %d of %d otherwise, want none", r.Otherwise, r.Intents)
	}
}

// TestBacktestBudgets: what is released adds up in the order in which it was observed,
// and each day begins anew.
func TestBacktestBudgets(t *testing.T) {
	t.Parallel()
	g := newGate(t, shop(t))
	purse := stages.NewPurse()
	for range 3 {
		for range 8 {
			g.propose("bot", "shop.refund", schemas.Proposal{Params: []byte(`{"amount":20,"order":"b"}`)}, stages.Past{Rate: 1, Purse: purse})
			g.propose("bot", "shop.refund", schemas.Proposal{Params: []byte(`{"amount":20,"order":"c"}`)}, stages.Past{Rate: 1, Purse: purse})
		}
		g.at = g.at.Add(25 * time.Hour)
	}
	text := lines(t, g.audit)
	if r := backtest(t, shop(t), text); r.Otherwise != 0 || r.Was != (replay.Fates{Released: 39, Parked: 9}) {
		t.Errorf("the same: got %+v, %d otherwise, want none", r.Was, r.Otherwise)
	}
	r := backtest(t, changedShop(t, "limit: 100", "limit: 60"), text)
	if diff := cmp.Diff([]string{"release park 6"}, moved(r)); diff != "" {
		t.Errorf("less a day (-want +got):\n%s", diff)
	}
	i := slices.IndexFunc(r.Rules, func(r replay.RuleChange) bool { return r.Rule == "a-day" })
	if i < 0 || r.Rules[i].Shift != (replay.Shift{Intents: 15, Stricter: 6}) {
		t.Errorf("rules: got %+v, want a-day with 15", r.Rules)
	}
	if r := backtest(t, changedShop(t, "window: 24h", "window: 40h"), text); !cmp.Equal(moved(r), []string{"release park 5"}) {
		t.Errorf("a longer window: got %v, want none on the second day", moved(r))
	}
}

// TestBacktestChanges: what another bundle changes is told by action, by rule, by day
// and by who is asked.
func TestBacktestChanges(t *testing.T) {
	t.Parallel()
	g := shopHistory(t, shop(t))
	bundle := changedShop(t, "params.amount <= 50", "params.amount <= 500", "amount: {type: integer}", "amount: {type: [integer, string]}",
		"id: reports, at: recommend, actions: [shop.report], outcome: release", "id: reports, at: recommend, actions: [shop.report], outcome: refuse",
		"quorum: 2", "quorum: 3")
	var changed []replay.Case
	b := replay.NewBacktest(replay.BacktestConfig{Bundle: bundle, Examples: 2, Changed: func(c replay.Case) error {
		changed = append(changed, c)
		return nil
	}})
	if err := b.File(t.Context(), "file", bytes.NewReader(lines(t, g.audit))); err != nil {
		t.Fatal(err)
	}
	r := b.Report()
	// Of two agents, four times: 500 is small now, for the one who has read nothing;
	// "20" is in the catalog, and no rule can compare it; reports are refused.
	want := []string{"park release 4", "refuse park 8", "release refuse 8"}
	if diff := cmp.Diff(want, moved(r)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]replay.Apart{{Why: "denied", Intents: 4}}, r.Changes[0].Then); diff != "" {
		t.Errorf("how they ended (-want +got):\n%s", diff)
	}
	if r.Otherwise != 20 || len(changed) != 20 || r.Guessed != 8 {
		t.Errorf("got %d otherwise, %d told, %d guessed, want 20, 20 and 8", r.Otherwise, len(changed), r.Guessed)
	}
	if a := r.Actions[0]; a.Action != "shop.refund" || a.Looser != 12 || a.Stricter != 0 {
		t.Errorf("actions: got %+v first, want shop.refund with 12", a)
	}
	rule := func(all []replay.RuleChange, id string, o schemas.Outcome) replay.RuleChange {
		i := slices.IndexFunc(all, func(r replay.RuleChange) bool { return r.Rule == id && r.Outcome == o })
		if i < 0 {
			t.Fatalf("no rule %s %s in %+v", id, o, all)
		}
		return all[i]
	}
	if got := rule(r.Rules, "small", schemas.Release).Shift; got != (replay.Shift{Intents: 8, Looser: 4}) {
		t.Errorf("small: got %+v", got)
	}
	if got := rule(r.OldRules, "reports", schemas.Release).Shift; got != (replay.Shift{Intents: 8, Stricter: 8}) {
		t.Errorf("reports, as recorded: got %+v", got)
	}
	first := changed[0]
	if first.Action != "shop.refund" || first.Old.Outcome != schemas.Park || first.New.Outcome != schemas.Release || first.Old.Needs[0].ID != "finance" || first.New.By[0].Rule != "small" || first.Agent != "bot" || first.Intent == "" {
		t.Errorf("first: got %+v", first)
	}
	ask := map[int]replay.Asked{}
	for _, a := range r.Load {
		if a.Approval == "finance" {
			ask[a.Quorum] = a
		}
	}
	// Twelve refunds were parked: three a day, two votes each.
	if got := ask[2]; got.Parked != (replay.Pair{Was: 12}) || got.Votes != (replay.Pair{Was: 24}) || got.Most != (replay.Pair{Was: 6}) {
		t.Errorf("asked of two: got %+v", got)
	}
	// Of them eight still are, and eight that were refused: four a day, three votes each.
	if got := ask[3]; got.Parked != (replay.Pair{Would: 16}) || got.Votes != (replay.Pair{Would: 48}) || got.Most != (replay.Pair{Would: 12}) {
		t.Errorf("asked of three: got %+v", got)
	}
}

// TestBacktestAnyOrder: streams are copied side by side; in whatever order their
// records come, the report is the same.
func TestBacktestAnyOrder(t *testing.T) {
	t.Parallel()
	g := shopHistory(t, shop(t))
	bundle := changedShop(t, "params.amount <= 50", "params.amount <= 500")
	want := backtest(t, bundle, lines(t, g.audit))
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, seed))
		streams := map[schemas.Stream][]replay.Entry{}
		for _, e := range g.audit {
			streams[e.Stream] = append(streams[e.Stream], e)
		}
		var mixed []replay.Entry
		for len(streams) > 0 {
			names := slices.Sorted(func(yield func(schemas.Stream) bool) {
				for s := range streams {
					if !yield(s) {
						return
					}
				}
			})
			name := names[random.IntN(len(names))]
			n := min(len(streams[name]), 1+random.IntN(200))
			mixed, streams[name] = append(mixed, streams[name][:n]...), streams[name][n:]
			if len(streams[name]) == 0 {
				delete(streams, name)
			}
		}
		for i := range mixed {
			mixed[i].Audit = uint64(i + 1)
		}
		got := backtest(t, bundle, lines(t, mixed))
		for i := range got.Changes {
			got.Changes[i].Examples, want.Changes[i].Examples = nil, nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("seed %d (-in order +mixed):\n%s", seed, diff)
		}
	}
}

// story tells of one intent that a rule would release: how it is observed, and how it
// is parked or settled, if at all.
func (g *gate) story(observed func(*schemas.Observation), parked func(*schemas.Hold), settled func(*schemas.Settlement)) {
	g.t.Helper()
	g.at = g.at.Add(time.Second)
	d, err := schemas.Propose(schemas.Key{Agent: "bot", ID: schemas.NewIntentID(g.at)}, "shop.look", schemas.Proposal{Params: []byte(`{}`)}, g.at)
	if err != nil {
		g.t.Fatal(err)
	}
	r := g.write(schemas.Intents, d)
	in, err := schemas.ReadIntent("shop", r)
	if err != nil {
		g.t.Fatal(err)
	}
	o := schemas.Observation{Intent: in, Agent: schemas.AgentFacts{Name: "bot"}, Opinion: schemas.Opinion{Outcome: schemas.Release}, Bundle: g.bundle.Digest(), At: g.at, Trail: []schemas.Pointer{r.Pointer()}}
	if observed != nil {
		observed(&o)
	}
	seen := g.say(schemas.Observed, o)
	trail := []schemas.Pointer{r.Pointer(), seen.Pointer()}
	said := g.say(schemas.Recommended, schemas.Recommendation{Intent: o.Intent, Opinion: schemas.Opinion{Outcome: schemas.Release}, At: g.at, Trail: trail})
	trail = append(trail, said.Pointer())
	if parked != nil {
		h := schemas.Hold{Intent: o.Intent, State: schemas.Parked, Queue: "refunds", Opinion: schemas.Opinion{Outcome: schemas.Release}, At: g.at, Trail: trail}
		parked(&h)
		trail = append(trail, g.say(schemas.ParkedHolds, h).Pointer())
	}
	if settled != nil {
		s := schemas.Settlement{Intent: o.Intent, Outcome: schemas.Release, At: g.at, Trail: trail}
		settled(&s)
		g.say(schemas.Settled, s)
	}
}

// TestBacktestApart: what no policy is behind is counted apart, and why.
func TestBacktestApart(t *testing.T) {
	t.Parallel()
	g := newGate(t, shop(t))
	released := func(*schemas.Settlement) {}
	refused := func(code schemas.Code) func(*schemas.Settlement) {
		return func(s *schemas.Settlement) { s.Outcome, s.Code = schemas.Refuse, code }
	}
	g.story(nil, nil, released)
	g.story(func(o *schemas.Observation) { o.Intent.Action = schemas.Withdraw }, nil, released)
	g.story(func(o *schemas.Observation) {
		o.Bundle, o.Fault = "", &schemas.Fault{Code: schemas.CodeUnregistered}
	}, nil, refused(schemas.CodeUnregistered))
	g.story(func(o *schemas.Observation) { o.Bundle, o.Fault = "", &schemas.Fault{Code: schemas.CodeInvalid} }, nil, refused(schemas.CodeInvalid))
	for _, code := range []schemas.Code{schemas.CodeDuplicateID, schemas.CodeTooManyOpen, schemas.CodeExpired, schemas.CodeInternal} {
		g.story(nil, nil, refused(code))
	}
	g.story(nil, func(h *schemas.Hold) { h.Waiting = "frozen: all" }, released)
	g.story(nil, nil, nil)
	// It crashed before it was acknowledged, and the first observation was not used.
	g.story(nil, nil, nil)
	again := g.audit[len(g.audit)-2]
	g.story(nil, nil, released)
	g.copied++
	again.Audit, again.Seq = g.copied, 100
	g.audit = append(g.audit, again)
	got := backtest(t, shop(t), lines(t, g.audit))
	want := map[string]int{
		"withdrawal": 1, "unregistered": 1, "invalid": 1, "duplicate_id": 1, "too_many_open": 1, "expired": 1, "internal": 1, "waiting": 1, "open": 2,
	}
	if diff := cmp.Diff(want, apart(got)); diff != "" || got.Intents != 2 || got.Otherwise != 0 {
		t.Errorf("got %d intents, %d otherwise, apart (-want +got):\n%s", got.Intents, got.Otherwise, diff)
	}
}

// TestBacktestTwice: an intent that was observed twice is counted once, by the
// observation that its verdict was made of.
func TestBacktestTwice(t *testing.T) {
	t.Parallel()
	for _, used := range []string{"first", "second"} {
		g := newGate(t, shop(t))
		g.seqs[schemas.Observed] = 10
		g.story(nil, nil, func(*schemas.Settlement) {})
		again := g.audit[1]
		var o schemas.Observation
		if err := schemas.Read(again.Record(), &o); err != nil {
			t.Fatal(err)
		}
		o.Rate = 100 // hasty
		d := schemas.Write(o, "/gateways/shop/observe", g.at, "")
		hasty := replay.EntryOf(2, schemas.Record{Stream: schemas.Observed, Seq: again.Seq, Subject: d.Subject, Time: g.at, Header: d.Header, Body: d.Body})
		entries := []replay.Entry{g.audit[0], hasty, again, g.audit[2], g.audit[3]}
		if used == "second" {
			entries[1].Seq = 5
		} else {
			entries[2].Seq = 100
		}
		for i := range entries {
			entries[i].Audit = uint64(i + 1)
		}
		r := backtest(t, shop(t), lines(t, entries))
		if r.Intents != 1 || apart(r)["again"] != 1 || (r.Otherwise == 1) != (used == "first") {
			t.Errorf("the %s observation was used: got %d intents, %d otherwise, apart %v", used, r.Intents, r.Otherwise, r.Apart)
		}
	}
}
