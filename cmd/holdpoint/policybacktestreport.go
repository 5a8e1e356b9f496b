package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/schemas"
)

// printBacktest writes a report for people: what matters most first.
func printBacktest(w io.Writer, r replay.BacktestReport) error {
	printCompared(w, r)
	err := printParts(w, []part{
		{"WAS WOULD-BE INTENTS AND-ENDED", moveRows(r)},
		{"EXAMPLE ACTION WAS WOULD-BE DECIDED-BY", exampleRows(r)},
		{"ACTION INTENTS LOOSER STRICTER RELEASED PARKED REFUSED", actionChangeRows(r)},
		{"WOULD-DECIDE OUTCOME INTENTS LOOSER STRICTER WHY", ruleChangeRows(r.Rules)},
		{"DID-DECIDE OUTCOME INTENTS LOOSER STRICTER WHY", ruleChangeRows(r.OldRules)},
		{"ASKED QUEUE PERSONS PARKED VOTES VOTES-A-DAY BUSIEST-DAY", askedRows(r)},
		{"DAY INTENTS PARKED VOTES", dayRows(r.Days)},
	})
	if err != nil {
		return err
	}
	printPerDay(w, r.Days)
	printApart(w, r)
	return nil
}

func printCompared(w io.Writer, r replay.BacktestReport) {
	if r.Intents == 0 {
		say(w, "no intents to compare in %s", count(r.Records, "record"))
		return
	}
	say(w, "%s from %s to %s", count(r.Intents, "intent"), r.From.Format(time.DateOnly), r.To.Format(time.DateOnly))
	say(w, "would have ended otherwise: %d (%s)", r.Otherwise, percent(r.Otherwise, r.Intents))
	say(w, "")
	for _, line := range []struct {
		what       string
		was, would int
	}{
		{"released", r.Was.Released, r.Would.Released}, {"parked", r.Was.Parked, r.Would.Parked}, {"refused", r.Was.Refused, r.Would.Refused},
	} {
		say(w, "%-9s %s", line.what, pair(replay.Pair{Was: line.was, Would: line.would}))
	}
}

// pair is a number as it was, and as it would have been if that is another.
func pair(p replay.Pair) string {
	if p.Was == p.Would {
		return strconv.Itoa(p.Was)
	}
	return fmt.Sprintf("%d → %d", p.Was, p.Would)
}

func moveRows(r replay.BacktestReport) (rows [][]string) {
	for _, m := range r.Changes {
		if m.Was != m.Would {
			var ends []string
			for _, end := range m.Then {
				ends = append(ends, fmt.Sprintf("%d %s", end.Intents, end.Why))
			}
			rows = append(rows, []string{participle(m.Was), participle(m.Would), strconv.Itoa(m.Intents), strings.Join(ends, ", ")})
		}
	}
	return rows
}

// participle is the state that an outcome leads to.
func participle(o schemas.Outcome) string {
	switch o {
	case schemas.Release:
		return string(schemas.Released)
	case schemas.Refuse:
		return string(schemas.Refused)
	default:
		return string(schemas.Parked)
	}
}

func exampleRows(r replay.BacktestReport) (rows [][]string) {
	for _, m := range r.Changes {
		for _, c := range m.Examples {
			rows = append(rows, []string{
				schemas.Key{Agent: c.Agent, ID: c.Intent}.String(), string(c.Action), participle(c.Old.Outcome), participle(c.New.Outcome), because(c.New),
			})
		}
	}
	return rows
}

// because says in short what decided.
func because(f replay.Fate) string {
	var names []string
	for _, b := range f.By {
		if b.Rule == "" {
			return b.Reason
		}
		names = append(names, b.Rule)
	}
	if len(names) == 0 {
		return string(f.Code)
	}
	return strings.Join(names, ", ")
}

func shift(s replay.Shift) []string {
	return []string{strconv.Itoa(s.Intents), strconv.Itoa(s.Looser), strconv.Itoa(s.Stricter)}
}

func actionChangeRows(r replay.BacktestReport) (rows [][]string) {
	for _, a := range r.Actions {
		rows = append(rows, append(append([]string{string(a.Action)}, shift(a.Shift)...),
			pair(replay.Pair{Was: a.Was.Released, Would: a.Would.Released}),
			pair(replay.Pair{Was: a.Was.Parked, Would: a.Would.Parked}),
			pair(replay.Pair{Was: a.Was.Refused, Would: a.Would.Refused})))
	}
	return rows
}

func ruleChangeRows(all []replay.RuleChange) (rows [][]string) {
	for _, r := range all {
		reason := r.Reason
		if r.Failed {
			reason = "cannot be evaluated: " + reason
		}
		rows = append(rows, append(append([]string{dash(r.Rule), r.Outcome.String()}, shift(r.Shift)...), reason))
	}
	return rows
}

func askedRows(r replay.BacktestReport) (rows [][]string) {
	for _, a := range r.Load {
		rows = append(rows, []string{
			a.Approval, string(a.Queue), strconv.Itoa(a.Quorum), pair(a.Parked), pair(a.Votes), perDay(a.Votes, len(r.Days)), pair(a.Most),
		})
	}
	return rows
}

// perDay is the mean of a number over some days.
func perDay(p replay.Pair, days int) string {
	was, would := mean(p.Was, days), mean(p.Would, days)
	if was == would {
		return was
	}
	return was + " → " + would
}

func mean(n, days int) string {
	return strconv.FormatFloat(float64(n)/float64(max(1, days)), 'f', 1, 64)
}

// dayRows has the last days.
func dayRows(days []replay.Day) (rows [][]string) {
	for _, d := range days[max(0, len(days)-maxRows):] {
		rows = append(rows, []string{d.Day, strconv.Itoa(d.Intents), pair(d.Parked), pair(d.Votes)})
	}
	return rows
}

// printPerDay sums up what reviewers have to do on a day.
func printPerDay(w io.Writer, days []replay.Day) {
	if len(days) == 0 {
		return
	}
	var parked, votes, mostParked, mostVotes replay.Pair
	for _, d := range days {
		for _, sum := range []struct{ all, most, one *replay.Pair }{{&parked, &mostParked, &d.Parked}, {&votes, &mostVotes, &d.Votes}} {
			sum.all.Was, sum.all.Would = sum.all.Was+sum.one.Was, sum.all.Would+sum.one.Would
			sum.most.Was, sum.most.Would = max(sum.most.Was, sum.one.Was), max(sum.most.Would, sum.one.Would)
		}
	}
	say(w, "")
	say(w, "on a day (%s): parked %s, at most %s; votes needed %s, at most %s", count(len(days), "day"),
		perDay(parked, len(days)), pair(mostParked), perDay(votes, len(days)), pair(mostVotes))
}

// printApart says what was not compared.
func printApart(w io.Writer, r replay.BacktestReport) {
	reasons := map[string]string{
		"withdrawal": "withdrawals", "waiting": "held by a freeze alone", "open": "without a verdict yet", "unanswered": "without a verdict for long",
		"unobserved": "not observed in what was read", "before": "observed before the beginning", "again": "observed once more after a crash",
	}
	var parts []string
	for _, a := range r.Apart {
		why := reasons[a.Why]
		if why == "" {
			why = a.Why
		}
		parts = append(parts, fmt.Sprintf("%d %s", a.Intents, why))
	}
	if len(parts) > 0 {
		say(w, "not compared: %s", strings.Join(parts, ", "))
	}
	for _, line := range []struct {
		n    int
		what string
	}{
		{r.Guessed, "refused by the catalog of then, and judged as if their agents had been given nothing: %d"},
		{r.BadLines, "lines that are no records of the audit: %d"},
		{r.Repeated, "records that were read before, or stand behind later ones: %d"},
	} {
		if line.n > 0 {
			say(w, line.what, line.n)
		}
	}
}
