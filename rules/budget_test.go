package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// refundsADay is a policy that releases every refund, up to a sum.
const refundsADay = `
rules:
  - {id: all, at: recommend, actions: [shop.refund], outcome: release}
budgets:
  - id: refunds-a-day
    actions: [shop.refund]
    key: agent.owner
    amount: params.amount
    limit: 1000
    window: 24h
    beyond: park
    reason: what one clerk may pay back
    tell: ask again tomorrow
`

func taken(f rules.Facts, amounts ...schemas.Taken) rules.Facts {
	f.Taken = amounts
	return f
}

func unread(f rules.Facts, id string) rules.Facts {
	f.Unread = []schemas.Match{{Rule: id, Outcome: schemas.Park, Reason: "it took too long"}}
	return f
}

// TestBudget: up to the limit a budget says nothing, beyond it what it is to say.
func TestBudget(t *testing.T) {
	t.Parallel()
	b := load(t, refundsADay)
	for _, c := range []struct {
		name    string
		facts   rules.Facts
		outcome schemas.Outcome
		reason  string
	}{
		{"nothing taken", refund(`{"amount":1000}`), schemas.Release, ""},
		{"one large", refund(`{"amount":1001}`), schemas.Park, "0 of 1000 are taken in 24h, and this takes 1001: what one clerk may pay back"},
		{"up to the limit", taken(refund(`{"amount":100}`), schemas.Taken{Budget: "refunds-a-day", Amount: 900}), schemas.Release, ""},
		{"many small", taken(refund(`{"amount":100}`), schemas.Taken{Budget: "refunds-a-day", Amount: 901}), schemas.Park, "901 of 1000 are taken in 24h, and this takes 100: what one clerk may pay back"},
		{"another budget", taken(refund(`{"amount":100}`), schemas.Taken{Budget: "other", Amount: 901}), schemas.Release, ""},
		{"reserved", taken(refund(`{"amount":100}`), schemas.Taken{Budget: "refunds-a-day", Amount: 5000, Reserved: true}), schemas.Release, ""},
		{"no amount", refund(`{}`), schemas.Park, "amount: no such key: amount"},
		{"negative", refund(`{"amount":-1}`), schemas.Park, "amount: want 0 or more, got -1"},
		{"a little less than nothing", refund(`{"amount":-0.5}`), schemas.Park, "amount: want 0 or more, got -0.5"},
		{"not known", unread(refund(`{"amount":100}`), "refunds-a-day"), schemas.Park, "it took too long"},
		{"another is not known", unread(refund(`{"amount":100}`), "other"), schemas.Release, ""},
		{"too large to count", refund(`{"amount":9007199254740992}`), schemas.Park, "amount: 9.007199254740992e+15 is more than can be counted"},
	} {
		o := b.Evaluate(t.Context(), rules.Execute, c.facts)
		if o.Outcome != c.outcome {
			t.Errorf("%s: got %s, want %s: %+v", c.name, o.Outcome, c.outcome, o)
		}
		matches := slices.Concat(o.Matched, o.Failed)
		if c.reason == "" && len(matches) > 0 || c.reason != "" && (len(matches) != 1 || matches[0].Reason != c.reason || matches[0].Rule != "refunds-a-day") {
			t.Errorf("%s: got %+v, want the reason %q", c.name, matches, c.reason)
		}
		if len(o.Matched) > 0 && o.Tell != "ask again tomorrow" {
			t.Errorf("%s: the agent is told %q", c.name, o.Tell)
		}
	}
	for _, at := range []rules.Checkpoint{rules.Observe, rules.Recommend} {
		if o := b.Evaluate(t.Context(), at, refund(`{"amount":1001}`)); o.Outcome != schemas.Release {
			t.Errorf("at %s: got %s, want release: budgets count at execute", at, o.Outcome)
		}
	}
}

// TestCharges says what an intent takes, of whom, and since when.
func TestCharges(t *testing.T) {
	t.Parallel()
	b := load(t, refundsADay+`
  - {id: mails, actions: [mail.send], limit: 3, calendar: week, beyond: refuse, when: session != 'free'}
  - {id: prices, actions: [shop.refund], key: params.amount, amount: params.price, limit: 10, calendar: month, beyond: refuse}
`)
	now := refund("").Now // a Sunday
	charges := func(f rules.Facts) []rules.Charge {
		got, unread := b.Charges(t.Context(), f)
		if len(unread) > 0 {
			t.Errorf("unread: got %+v, want none", unread)
		}
		return got
	}
	if diff := cmp.Diff([]rules.Charge{
		{Budget: "refunds-a-day", Key: "ann", Amount: 7, Limit: 1000, Since: now.Add(-24 * time.Hour), Forget: now.Add(-24*time.Hour - 10*time.Second), Grain: 45 * time.Minute},
		{Budget: "prices", Key: "7", Amount: 3, Limit: 10, Since: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Forget: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Grain: 31 * 45 * time.Minute},
	}, charges(refund(`{"amount":7,"price":2.01}`))); diff != "" {
		t.Errorf("refund (-want +got):\n%s", diff)
	}
	monday := time.Date(2026, 2, 23, 0, 0, 0, 0, time.UTC)
	want := []rules.Charge{{Budget: "mails", Amount: 1, Limit: 3, Since: monday, Forget: monday, Grain: 7 * 45 * time.Minute}}
	if diff := cmp.Diff(want, charges(about("mail.send", `{}`))); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
	free := about("mail.send", `{}`)
	free.Intent.Session = "free"
	for name, f := range map[string]rules.Facts{
		"does not apply": free, "another action": about("shop.look", `{}`), "unknown action": about("shop.sell", `{}`),
	} {
		if got := charges(f); len(got) > 0 {
			t.Errorf("%s: got %+v, want nothing", name, got)
		}
	}
	for name, f := range map[string]rules.Facts{"no amount": refund(`{"price":1}`), "infinite": refund(`{"amount":1e308,"price":1}`)} {
		got, unread := b.Charges(t.Context(), f)
		if len(unread) == 0 || unread[0].Rule != "refunds-a-day" || slices.ContainsFunc(got, func(c rules.Charge) bool { return c.Budget == "refunds-a-day" }) {
			t.Errorf("%s: got %+v, and %+v is not known; want nothing that cannot be counted", name, got, unread)
		}
	}
}

// TestChargesInTime: a budget that could not be counted in time is named, and who asks
// again knows that it was cut off by time.
func TestChargesInTime(t *testing.T) {
	t.Parallel()
	b, err := rules.Limits{Time: time.Nanosecond}.Load(files(refundsADay))
	if err != nil {
		t.Fatal(err)
	}
	got, unread := b.Charges(t.Context(), refund(`{"amount":7}`))
	if len(got) > 0 || len(unread) != 1 || unread[0].Rule != "refunds-a-day" || !rules.TookTooLong(unread[0]) {
		t.Errorf("got %+v, and %+v is not known; want that it took too long", got, unread)
	}
}

// TestCalendarTurns: what the clocks of others may still count is not forgotten when a
// window begins.
func TestCalendarTurns(t *testing.T) {
	t.Parallel()
	b := load(t, "budgets:\n  - {id: mails, actions: [mail.send], limit: 3, calendar: day, beyond: park}\n")
	midnight := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for after, want := range map[time.Duration]time.Time{0: midnight.AddDate(0, 0, -1), 9 * time.Second: midnight.AddDate(0, 0, -1), 10 * time.Second: midnight} {
		f := about("mail.send", `{}`)
		f.Now = midnight.Add(after)
		if got, _ := b.Charges(t.Context(), f); !got[0].Since.Equal(midnight) || !got[0].Forget.Equal(want) {
			t.Errorf("%s after midnight: got %+v, want to forget what was before %s", after, got, want)
		}
	}
}

// TestCalendar: a window of the calendar begins in UTC, a week on Monday.
func TestCalendar(t *testing.T) {
	t.Parallel()
	for calendar, want := range map[string]string{"hour": "2026-12-31T23:00:00Z", "day": "2026-12-31T00:00:00Z", "week": "2026-12-28T00:00:00Z", "month": "2026-12-01T00:00:00Z"} {
		b := load(t, "budgets:\n  - {id: mails, actions: [mail.send], limit: 3, calendar: "+calendar+", beyond: park}\n")
		f := about("mail.send", `{}`)
		f.Now = time.Date(2027, 1, 1, 0, 59, 59, 0, time.FixedZone("", 3600))
		if got, _ := b.Charges(t.Context(), f); got[0].Since.Format(time.RFC3339) != want {
			t.Errorf("%s: got %+v, want %s", calendar, got, want)
		}
	}
}

// TestRulesAskBudgets: a rule at execute knows what is taken and what is left.
func TestRulesAskBudgets(t *testing.T) {
	t.Parallel()
	b := load(t, strings.Replace(refundsADay, "rules:", `rules:
  - {id: nearly, at: execute, actions: [shop.refund], outcome: refuse, when: "budget.refunds_a_day.left < 200 && budget.refunds_a_day.taken + budget.refunds_a_day.left == budget.refunds_a_day.limit"}`, 1))
	for amount, want := range map[int64]schemas.Outcome{0: schemas.Release, 800: schemas.Release, 801: schemas.Refuse} {
		f := taken(refund(`{"amount":1}`), schemas.Taken{Budget: "refunds-a-day", Amount: amount})
		if got := b.Evaluate(t.Context(), rules.Execute, f); got.Outcome != want {
			t.Errorf("%d taken: got %+v, want %s", amount, got, want)
		}
	}
	if got := b.Evaluate(t.Context(), rules.Execute, refund(`{}`)); got.Outcome != schemas.Park || len(got.Failed) != 2 {
		t.Errorf("a budget that cannot be counted: got %+v, want a park by the budget and the rule", got)
	}
}

// TestBudgetFlips: the smallest change takes what is left.
func TestBudgetFlips(t *testing.T) {
	t.Parallel()
	f := taken(refund(`{"amount":500}`), schemas.Taken{Budget: "refunds-a-day", Amount: 880})
	e := load(t, refundsADay).Explain(t.Context(), f)
	if len(e.Flips) != 1 || e.Flips[0].Text != "released if params.amount ≤ 120" {
		t.Errorf("flips: got %+v, want released if params.amount ≤ 120", e.Flips)
	}
	x := e.Checkpoints[2].Considered[0]
	if x.Kind != "budget" || !x.Applies || x.Parts[len(x.Parts)-1].Value != "880 of 1000 in 24h" {
		t.Errorf("considered: got %+v", x)
	}
}

// TestBudgetCases: a case says what is taken, and a budget that no case exceeds is
// a gap.
func TestBudgetCases(t *testing.T) {
	t.Parallel()
	cases := `
- {name: enough left, action: shop.refund, params: {amount: 10}, taken: {refunds-a-day: 990}, want: {outcome: release}}
- {name: too little left, action: shop.refund, params: {amount: 10}, taken: {refunds-a-day: 991}, want: {outcome: park, matched: [refunds-a-day, all]}}
`
	results, err := rules.Test(t.Context(), files(refundsADay, "cases/a.yaml", cases))
	if err != nil || results.Failed() > 0 || len(results.Coverage.Gaps) > 0 {
		t.Errorf("got %+v, %v, want two cases that pass and no gaps", results, err)
	}
	first, _, _ := strings.Cut(cases, "\n- {name: too")
	results, err = rules.Test(t.Context(), files(refundsADay, "cases/a.yaml", first))
	if err != nil || len(results.Coverage.Gaps) != 1 || results.Coverage.Gaps[0].About != "refunds-a-day" {
		t.Errorf("gaps: got %+v, %v, want that no case goes beyond", results.Coverage.Gaps, err)
	}
	misspelt := strings.ReplaceAll(cases, "refunds-a-day: 99", "refunds-a-dai: 99")
	if _, err := rules.Test(t.Context(), files(refundsADay, "cases/a.yaml", misspelt)); err == nil || !strings.Contains(err.Error(), "no budget 'refunds-a-dai' (did you mean 'refunds-a-day'?)") {
		t.Errorf("a budget that does not exist: got %v", err)
	}
}

// TestBudgetsOfBundle: a bundle says of each budget what its policy does, and until when
// what is taken counts: just as long as a window that begins later is without it.
func TestBudgetsOfBundle(t *testing.T) {
	t.Parallel()
	b := load(t, `
budgets:
  - {id: span, actions: [mail.send], limit: 3, window: 90m, beyond: park}
  - {id: hour, actions: [mail.send], limit: 4, calendar: hour, beyond: refuse}
  - {id: day, actions: [shop.refund], limit: 5, calendar: day, beyond: park}
  - {id: week, actions: [shop.refund], limit: 6, calendar: week, beyond: park}
  - {id: month, actions: [shop.refund], limit: 7, calendar: month, beyond: park}
`)
	at := time.Date(2027, 2, 27, 23, 30, 0, 1, time.UTC) // a Saturday
	ends := map[string]time.Time{
		"span": at.Add(90 * time.Minute), "hour": time.Date(2027, 2, 28, 0, 0, 0, 0, time.UTC), "day": time.Date(2027, 2, 28, 0, 0, 0, 0, time.UTC),
		"week": time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC), "month": time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC),
	}
	var said []string
	for _, one := range b.Budgets() {
		said = append(said, fmt.Sprint(one.ID, " ", one.Limit, " ", one.Window(), " ", one.Beyond))
		over := one.Over(at)
		if !over.Equal(ends[one.ID]) {
			t.Errorf("%s: what is taken at %s counts until %s, want %s", one.ID, at, over, ends[one.ID])
		}
		if since := one.Charge("", 1, over.Add(-1)).Since; at.Before(since) {
			t.Errorf("%s: it does not count right before: the window begins at %s", one.ID, since)
		}
		if since := one.Charge("", 1, over.Add(1)).Since; !at.Before(since) {
			t.Errorf("%s: it counts behind: the window begins at %s", one.ID, since)
		}
	}
	want := []string{"span 3 1h30m park", "hour 4 hour refuse", "day 5 day park", "week 6 week park", "month 7 month park"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("budgets (-want +got):\n%s", diff)
	}
}
