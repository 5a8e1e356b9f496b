package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

func showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Tell the story of an intent, as far as you may know it",
		Long: `Tell the story of an intent, record by record, as far as you may know it: an
agent its own intent, verdict and result, an executor its releases and grants,
reviewers and admins everything. An auditor reads it from the audit.

ID is AGENT/ID, or an id alone if it is unique among what waits.`,
		Example: "  holdpoint show billing/01JD8X0G5T6M2N8Q4R7V9W3Y1Z --key ann.key",
		Args:    takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := parseKey(args[0])
			if err != nil {
				return err
			}
			records, agent, err := fetchTrail(cmd, key)
			if err != nil {
				return lost(err)
			}
			answer := struct {
				Records []schemas.Copy  `json:"records"`
				Status  *schemas.Status `json:"status,omitempty"`
			}{copies(records), agent}
			return output(cmd, answer, func(w printer) error { return tellStory(w, records, agent) })
		},
	}
	connectionFlags(cmd)
	cmd.ValidArgsFunction = completeIntents
	return cmd
}

func copies(records []schemas.Record) []schemas.Copy {
	all := make([]schemas.Copy, len(records))
	for i, r := range records {
		all[i] = schemas.CopyOf(r)
	}
	return all
}

// lost adds to err where an intent may be that was not found.
func lost(err error) error {
	if errors.Is(err, schemas.ErrNotFound) {
		return hint(err, "\"holdpoint list\" shows what waits; of what ended long ago only the audit knows")
	}
	return err
}

// fetchTrail returns the records of an intent and, for its agent, who may not see
// most of them, where it stands.
func fetchTrail(cmd *cobra.Command, k schemas.Key) ([]schemas.Record, *schemas.Status, error) {
	conn, _, err := dial(cmd, append(adminRoles(), schemas.RoleAgent, schemas.RoleReviewer, schemas.RoleExecutor, schemas.RoleAuditor)...)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	if conn.Role() == schemas.RoleAuditor {
		records, err := trailFromAudit(cmd.Context(), client.Auditor{Conn: conn}, k)
		return records, nil, err
	}
	records, err := conn.Show(cmd.Context(), k)
	if err != nil && (conn.Role() != schemas.RoleAgent || !errors.Is(err, schemas.ErrNotFound)) {
		return nil, nil, err
	}
	if conn.Role() != schemas.RoleAgent {
		return records, nil, nil
	}
	status, err := client.Agent{Conn: conn}.Status(cmd.Context(), k.ID)
	return records, &status, err
}

// inOrder sorts the records of an intent by when they were accepted. Those that an
// auditor reads have the times of their copies, and streams are copied side by side:
// so a record may seem older than the one that it was made from. What begins every
// story stands first all the same, and what a record names before it.
func inOrder(records []schemas.Record) {
	slices.SortStableFunc(records, func(a, b schemas.Record) int { return a.Time.Compare(b.Time) })
	first := 0
	for _, stream := range []schemas.Stream{schemas.Intents, schemas.Observed, schemas.Recommended} {
		at := slices.IndexFunc(records, func(r schemas.Record) bool { return r.Stream == stream })
		if at < first {
			continue
		}
		r := records[at]
		copy(records[first+1:at+1], records[first:at])
		records[first] = r
		first++
	}
	for i := first; i < len(records); {
		named := stages.Named(records[i : i+1])
		late := slices.IndexFunc(records[i+1:], func(r schemas.Record) bool { return slices.Contains(named, r.Pointer()) })
		if late < 0 {
			i++
			continue
		}
		r := records[i+1+late] // which may name others, but none in a circle: it has their hashes
		copy(records[i+1:i+2+late], records[i:i+1+late])
		records[i] = r
	}
}

// tellStory prints the records in the order in which they were accepted.
func tellStory(w io.Writer, records []schemas.Record, status *schemas.Status) error {
	inOrder(records)
	standings := standingsIn(records)
	for _, r := range records {
		word, lines := chapter(r)
		if r.Stream == schemas.ParkedHolds {
			word, lines = onHold(r, standings)
		}
		for i, l := range lines {
			if i == 0 {
				say(w, "%s  %-11s  %s", r.Time.Local().Format("15:04:05.000"), word, l)
			} else {
				say(w, "%27s%s", "", l)
			}
		}
	}
	if status != nil {
		say(w, "now %s%s", string(status.State), until(*status))
		if status.State == schemas.Parked && status.Tell != "" {
			say(w, "tell %s", status.Tell)
		}
		if len(status.Result) > 0 {
			say(w, "result %s", oneLine(status.Result))
		}
		if status.Error != "" {
			say(w, "error %s", status.Error)
		}
	}
	return nil
}

// chapter returns what one record says, in a word and some lines.
func chapter(r schemas.Record) (string, []string) {
	switch r.Stream {
	case schemas.Intents:
		return proposedChapter(r)
	case schemas.Observed:
		return decoded(r, "observed", &schemas.Observation{}, observedChapter)
	case schemas.Recommended:
		return decoded(r, "recommended", &schemas.Recommendation{}, recommendedChapter)
	case schemas.ParkedHolds:
		return onHold(r, nil)
	case schemas.Decisions:
		return decoded(r, "decision", &schemas.Decision{}, decisionChapter)
	case schemas.Standings:
		return standingChapter(r)
	case schemas.Settled:
		return decoded(r, "settled", &schemas.Settlement{}, settledChapter)
	case schemas.Grants:
		if strings.HasPrefix(r.Subject, "lapsed.") {
			return "lapsed", []string{"no executor took it in time"}
		}
		return decoded(r, "granted", &schemas.Grant{}, grantChapter)
	case schemas.Outcomes:
		return decoded(r, "reported", &schemas.Report{}, reportChapter)
	case schemas.Rejected:
		return decoded(r, "rejected", &schemas.Rejection{}, rejectedChapter)
	case schemas.Exposed:
		return decoded(r, "exposed", &schemas.Exposure{}, exposedChapter)
	case schemas.Budgets:
		return decoded(r, "budget", &schemas.Budget{}, budgetChapter)
	}
	return controlChapter(r)
}

// decoded tells a record, or that it cannot be read.
func decoded[C schemas.Content](r schemas.Record, word string, c C, tell func(C) []string) (string, []string) {
	if err := schemas.Read(r, c); err != nil {
		return word, []string{err.Error()}
	}
	return word, tell(c)
}

// controlChapter tells what an operator did.
func controlChapter(r schemas.Record) (string, []string) {
	s, _ := schemas.ParseSubject(r.Subject)
	switch s.About {
	case "freeze":
		return decoded(r, "freeze", &schemas.Freeze{}, func(f *schemas.Freeze) []string {
			return []string{fmt.Sprintf("of %s by %s: %s", f.Scope, f.By, f.Reason)}
		})
	case "thaw":
		return decoded(r, "thaw", &schemas.Thaw{}, func(t *schemas.Thaw) []string {
			return []string{fmt.Sprintf("of %s by %s: %s", t.Scope, t.By, t.Reason)}
		})
	case "bundle":
		return decoded(r, "policy", &schemas.Activation{}, func(a *schemas.Activation) []string {
			return []string{fmt.Sprintf("bundle %s activated by %s: %s", a.Bundle.Short(), a.By, a.Reason)}
		})
	case "shadow":
		return decoded(r, "shadow", &schemas.Shadow{}, func(s *schemas.Shadow) []string {
			return []string{fmt.Sprintf("bundle %s by %s: %s", dash(s.Bundle.Short()), s.By, s.Reason)}
		})
	case "identity":
		return decoded(r, "identity", &schemas.Identity{}, func(id *schemas.Identity) []string {
			return []string{fmt.Sprintf("%s added by %s as %s", id.Name, id.By, article(id.Role))}
		})
	case "removal":
		return decoded(r, "removal", &schemas.Removal{}, func(m *schemas.Removal) []string {
			return []string{fmt.Sprintf("of %s by %s: %s", m.Name, m.By, m.Reason)}
		})
	}
	return strings.ToLower(string(r.Stream)), []string{r.Subject}
}

func proposedChapter(r schemas.Record) (string, []string) {
	in, err := schemas.ReadIntent("", r)
	lines := []string{fmt.Sprintf("%s by %s, id %s", in.Action, in.Agent, in.ID)}
	if err != nil {
		return "proposed", append(lines, err.Error())
	}
	lines = append(lines, "params "+string(in.Params))
	for _, p := range [][2]string{{"goal", in.Goal}, {"reason", in.Reason}, {"session", in.Session}} {
		if p[1] != "" {
			lines = append(lines, "the agent says, "+p[0]+": "+p[1])
		}
	}
	return "proposed", lines
}

func observedChapter(o *schemas.Observation) []string {
	lines := []string{"digest " + string(o.Intent.Digest)}
	if o.Fault != nil {
		lines = append(lines, "refuse: "+o.Fault.Error())
	}
	if len(o.Exposure.Labels) > 0 {
		lines = append(lines, "exposed to "+strings.Join(o.Exposure.Labels, ", "))
	}
	return append(lines, opinionLines(o.Opinion)...)
}

func recommendedChapter(r *schemas.Recommendation) []string {
	lines := []string{fmt.Sprintf("%s, risk %d, bundle %s", r.Opinion.Outcome, r.Opinion.Risk, r.Bundle.Short())}
	if r.Fault != nil {
		lines[0] = "refuse: " + r.Fault.Error()
	}
	return append(lines, opinionLines(r.Opinion)...)
}

func opinionLines(o schemas.Opinion) []string {
	var lines []string
	for _, m := range o.Matched {
		lines = append(lines, matchLine(m))
	}
	for _, m := range o.Failed {
		lines = append(lines, fmt.Sprintf("%s: could not be evaluated: %s", m.Rule, m.Reason))
	}
	for _, a := range o.Approvals {
		lines = append(lines, fmt.Sprintf("needs %s: %d of %s", a.ID, max(1, a.Quorum), a.Eligible))
	}
	return lines
}

// matchLine says what a rule said of an intent, or what it added to the risk.
func matchLine(m schemas.Match) string {
	line := m.Rule + ": " + m.Outcome.String()
	if m.Add != 0 {
		line = fmt.Sprintf("%s: risk %+d", m.Rule, m.Add)
	}
	if m.Reason != "" {
		line += ", " + m.Reason
	}
	return line
}

func budgetChapter(b *schemas.Budget) []string {
	sum := b.Taken(b.Since, schemas.Intent{})
	if b.Budget == schemas.StandingBudget {
		return []string{fmt.Sprintf("%d of %d uses are taken of standing approval %s", sum, b.Limit, b.Key)}
	}
	return []string{fmt.Sprintf("%d of %d are taken of %s%s", sum, b.Limit, b.Budget, keyed(b.Key))}
}

// keyed says for what a budget counts apart.
func keyed(key string) string {
	if key == "" {
		return ""
	}
	return " for " + key
}

func exposedChapter(e *schemas.Exposure) []string {
	lines := []string{fmt.Sprintf("%s to %s", e.Agent, count(len(e.Seen), "result"))}
	for _, seen := range e.Seen {
		lines = append(lines, fmt.Sprintf("%s: %s, until %s", seen.Action, strings.Join(seen.Labels, ", "), seen.Until.Local().Format(time.DateTime)))
	}
	return lines
}

// onHold tells of a state of a hold. Standing approvals that are known are named.
func onHold(r schemas.Record, standings map[schemas.Pointer]schemas.Key) (string, []string) {
	return decoded(r, "on hold", &schemas.Hold{}, func(h *schemas.Hold) []string { return holdChapter(h, standings) })
}

func holdChapter(h *schemas.Hold, standings map[schemas.Pointer]schemas.Key) []string {
	lines := []string{fmt.Sprintf("%s in queue %s%s", h.State, h.Queue, waitingFor(*h))}
	if h.State == schemas.Parked && !h.Deadline.IsZero() {
		lines[0] += ", until " + h.Deadline.Local().Format(time.DateTime)
	}
	if len(h.States) == 0 && h.Recommended == nil {
		// The rules of the last checkpoint put it on hold: nothing before says why.
		lines = append(lines, opinionLines(h.Opinion)...)
	}
	for _, v := range h.Votes {
		lines = append(lines, fmt.Sprintf("%s of %s counts%s", v.Verdict, v.Reviewer, byStanding(v, standings)))
	}
	return lines
}

func decisionChapter(d *schemas.Decision) []string {
	line := fmt.Sprintf("%s by %s on %s", d.Verdict, d.Reviewer, d.Digest.Short())
	if d.Reason != "" {
		line += ": " + d.Reason
	}
	return []string{line}
}

func settledChapter(s *schemas.Settlement) []string {
	line := string(s.State())
	if s.Outcome == schemas.Refuse {
		line += ": " + refusedBecause(schemas.Status{Code: s.Code, Detail: s.Detail, Tell: s.Tell})
	} else if !s.ExecuteBy.IsZero() {
		line += ", to be taken before " + s.ExecuteBy.Local().Format(time.DateTime)
	}
	return []string{line}
}

func grantChapter(g *schemas.Grant) []string {
	return []string{fmt.Sprintf("to %s until %s, attempt %d", g.Executor, g.LeaseUntil.Local().Format(time.DateTime), g.Attempt)}
}

func reportChapter(r *schemas.Report) []string {
	lines := []string{fmt.Sprintf("%s by %s", r.State, r.Executor)}
	if len(r.Result) > 0 {
		lines = append(lines, "result "+string(r.Result))
	}
	if r.Error != "" {
		lines = append(lines, "error "+r.Error)
	}
	return lines
}

func rejectedChapter(r *schemas.Rejection) []string {
	line := fmt.Sprintf("%s of %s does not count: %s", r.Record, r.Of, r.Code)
	if r.Detail != "" {
		line += ": " + r.Detail
	}
	return []string{line}
}
