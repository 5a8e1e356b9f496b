package main

import (
	"io"
	"strconv"
	"strings"

	"github.com/holdpoint/holdpoint/replay"
)

// maxRows is how long a table of a report is for people; JSON has all of it.
const maxRows = 25

// printReplay writes a report for people: what matters most first.
func printReplay(w io.Writer, r replay.Report) error {
	printTotals(w, r)
	err := printParts(w, []part{
		{"ACTION CALLS RELEASED PARKED REFUSED", actionRows(r)},
		{"DECIDED-BY OUTCOME CALLS WHY", ruleRows(r.Rules)},
		{"RELEASED-AND-STUCK OUTCOME CALLS WHY", ruleRows(r.Stuck)},
		{"ASKED QUEUE PERSONS CALLS VOTES", needRows(r)},
		{"REFUSED ACTION CALLS FIRST WHY", refusalRows(r)},
		{"BUSIEST-SESSION AGENT CALLS PARKED REFUSED", sessionRows(r)},
		{"DAY CALLS PARKED VOTES", traceDayRows(r.Days)},
	})
	if err != nil {
		return err
	}
	printTraceDays(w, r.Days)
	if len(r.Stuck) > 0 {
		say(w, "hint: no executor would be granted these calls, because their own result counts as given when they are claimed; put the rule at recommend")
	}
	if len(r.Quiet) > 0 {
		say(w, "")
		say(w, "rules that apply to none of these calls: %s", strings.Join(r.Quiet, ", "))
	}
	printUnknown(w, r)
	return nil
}

// part is one table of a report.
type part struct {
	heading string
	rows    [][]string
}

// printParts writes the parts that have rows, each as far as it is for people.
func printParts(w io.Writer, parts []part) error {
	for _, p := range parts {
		if len(p.rows) == 0 {
			continue
		}
		say(w, "")
		if err := table(w, p.heading, p.rows[:min(len(p.rows), maxRows)]); err != nil {
			return err
		}
		if more := len(p.rows) - maxRows; more > 0 {
			say(w, "and %d more, see -o json", more)
		}
	}
	return nil
}

func printTotals(w io.Writer, r replay.Report) {
	s := r.Sessions
	say(w, "%d calls in %d sessions", r.Calls, s.Sessions)
	say(w, "")
	for _, line := range []struct {
		what string
		n    int
	}{{"released", r.Released}, {"parked", r.Parked}, {"refused", r.Refused}} {
		say(w, "%-9s %8d  %s", line.what, line.n, percent(line.n, r.Calls))
	}
	say(w, "")
	say(w, "sessions without any human: %d of %d (%s); in %d somebody is asked, in %d something is refused and nobody is asked",
		s.Free, s.Sessions, percent(s.Free, s.Sessions), s.Parked, s.Refused)
	if s.Sessions > 0 {
		say(w, "parked calls a session: %s", strconv.FormatFloat(float64(r.Parked)/float64(s.Sessions), 'f', 2, 64))
	}
	if s.Cut > 0 {
		say(w, "sessions that begin before the log does: %d; what they had read before counts only where \"observed\" says so", s.Cut)
	}
	if r.BadLines > 0 {
		say(w, "lines that are no calls, and not counted above: %d", r.BadLines)
	}
}

func percent(n, of int) string {
	if of == 0 {
		return "-"
	}
	return strconv.FormatFloat(100*float64(n)/float64(of), 'f', 1, 64) + " %"
}

func counts(t replay.Totals) []string {
	return []string{strconv.Itoa(t.Calls), strconv.Itoa(t.Released), strconv.Itoa(t.Parked), strconv.Itoa(t.Refused)}
}

func actionRows(r replay.Report) (rows [][]string) {
	for _, a := range r.Actions {
		rows = append(rows, append([]string{string(a.Action)}, counts(a.Totals)...))
	}
	return rows
}

func ruleRows(all []replay.RuleTally) (rows [][]string) {
	for _, d := range all {
		rule, reason := d.Rule, d.Reason
		switch {
		case rule == "":
			rule = "-"
		case d.Failed:
			reason = "cannot be evaluated: " + reason
		}
		rows = append(rows, []string{rule, d.Outcome.String(), strconv.Itoa(d.Calls), reason})
	}
	return rows
}

func needRows(r replay.Report) (rows [][]string) {
	for _, n := range r.Needs {
		rows = append(rows, []string{n.Approval, string(n.Queue), strconv.Itoa(n.Quorum), strconv.Itoa(n.Calls), strconv.Itoa(n.Votes)})
	}
	return rows
}

func refusalRows(r replay.Report) (rows [][]string) {
	for _, f := range r.Refusals {
		rows = append(rows, []string{string(f.Code), string(f.Action), strconv.Itoa(f.Calls), f.Line, f.Detail})
	}
	return rows
}

// traceDayRows has the last days.
func traceDayRows(days []replay.DayTally) (rows [][]string) {
	for _, d := range days[max(0, len(days)-maxRows):] {
		rows = append(rows, []string{d.Day, strconv.Itoa(d.Calls), strconv.Itoa(d.Parked), strconv.Itoa(d.Votes)})
	}
	return rows
}

// printTraceDays sums up what reviewers have to do on a day.
func printTraceDays(w io.Writer, days []replay.DayTally) {
	if len(days) == 0 {
		return
	}
	var all, most replay.DayTally
	for _, d := range days {
		all.Parked, all.Votes = all.Parked+d.Parked, all.Votes+d.Votes
		most.Parked, most.Votes = max(most.Parked, d.Parked), max(most.Votes, d.Votes)
	}
	say(w, "")
	say(w, "on a day (%s): parked %s, at most %d; votes needed %s, at most %d", count(len(days), "day"),
		mean(all.Parked, len(days)), most.Parked, mean(all.Votes, len(days)), most.Votes)
}

func sessionRows(r replay.Report) (rows [][]string) {
	for _, s := range r.Sessions.Busiest {
		name := s.Session
		if name == "" {
			name = "-"
		}
		rows = append(rows, []string{name, string(s.Agent), strconv.Itoa(s.Calls), strconv.Itoa(s.Parked), strconv.Itoa(s.Refused)})
	}
	return rows
}

// printUnknown lists the actions that the catalog does not have, and how to get
// them in.
func printUnknown(w io.Writer, r replay.Report) {
	calls := 0
	var unknown []string
	for _, a := range r.Actions {
		if a.Unknown {
			calls += a.Calls
			unknown = append(unknown, string(a.Action)+" ("+strconv.Itoa(a.Calls)+")")
		}
	}
	if calls == 0 {
		return
	}
	say(w, "")
	say(w, "calls of actions that the catalog does not have, and so refused: %d", calls)
	for _, line := range unknown[:min(len(unknown), maxRows)] {
		say(w, "  %s", line)
	}
	if more := len(unknown) - maxRows; more > 0 {
		say(w, "and %d more, see -o json", more)
	}
	say(w, "hint: \"holdpoint policy init DIR --from tools.json\" makes a catalog of the tools of an agent")
}
