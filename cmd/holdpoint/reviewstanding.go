package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

func reviewStandingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "standing",
		Short: "Approve in advance what is alike: for a time, and a number of uses",
		Long: `Approve in advance what is alike: the intents of one agent for one action, under a
condition, for a time and a number of uses, as far as the policy lets you. Each use
names the approval, and it can be revoked at once.`,
		Example: "  holdpoint review standing list --key ann.key",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(standingGrantCommand(), standingListCommand(), standingRevokeCommand())
	return cmd
}

// grantOptions are the flags of grant.
type grantOptions struct {
	agent, action, when, reason string
	uses                        int
	lifetime                    time.Duration
}

func standingGrantCommand() *cobra.Command {
	var o grantOptions
	cmd := &cobra.Command{
		Use:   "grant --agent AGENT --action ACTION",
		Short: "Approve an agent's intents for an action in advance",
		Long: `Approve an agent's intents for an action in advance. --when is a condition in CEL: it
knows params, agent, action, session, data and now. The approval is signed with your
key, and counts as your vote on what needs it until it is used up, over or revoked.

What the active policy does not allow is refused before it is signed. The gate asks
the policy of the moment again at each use. Whether there is an agent of that name is
not asked, because reviewers are not told who is registered: mind the spelling.`,
		Example: `  holdpoint review standing grant --agent billing --action shop.refund --when 'params.order.startsWith("A-7")' --uses 20 --for 4h --reason 'batch A-7 was broken' --key ann.key`,
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return grantStanding(cmd, o) },
	}
	connectionFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.agent, "agent", "", "whose intents")
	f.StringVar(&o.action, "action", "", "the action that they are for")
	f.StringVar(&o.when, "when", "", "condition on them, in CEL; all of them if empty")
	f.IntVar(&o.uses, "uses", 0, "how many at most")
	f.DurationVar(&o.lifetime, "for", 0, "how long, such as 4h")
	f.StringVar(&o.reason, "reason", "", "why, for the record")
	for _, required := range []string{"agent", "action", "uses", "for", "reason"} {
		_ = cmd.MarkFlagRequired(required)
	}
	_ = cmd.RegisterFlagCompletionFunc("action", completeActions)
	return cmd
}

// standing returns what is to be approved in advance, but for what only the gate
// knows.
func (o grantOptions) standing() (schemas.Standing, error) {
	agent, err := schemas.ParseName(o.agent)
	if err != nil {
		return schemas.Standing{}, usage("--agent: %v", err)
	}
	action, err := schemas.ParseAction(o.action)
	if err != nil {
		return schemas.Standing{}, usage("--action: %v", err)
	}
	now := time.Now().UTC()
	s := schemas.Standing{
		ID: schemas.NewIntentID(now), Agent: agent, Action: action, When: strings.TrimSpace(o.when),
		Uses: o.uses, At: now, Until: now.Add(o.lifetime), Reason: o.reason,
	}
	if err := s.Check(); err != nil {
		return s, usage("%v", err)
	}
	return s, nil
}

func grantStanding(cmd *cobra.Command, o grantOptions) error {
	s, err := o.standing()
	if err != nil {
		return err
	}
	reviewer, _, err := dialReviewer(cmd)
	if err != nil {
		return err
	}
	defer reviewer.Close()
	allowed, err := allowStanding(cmd, reviewer, o, &s)
	if err != nil {
		return err
	}
	s, err = reviewer.GiveStanding(cmd.Context(), s)
	if errors.Is(err, schemas.ErrDenied) {
		err = hint(err, "it is for reviewers of the queue %s", s.Queue)
	}
	if err != nil {
		return err
	}
	return output(cmd, s, func(w printer) error {
		say(w, "standing")
		say(w, "id       %s", s.Key())
		say(w, "covers   %s", covered(s))
		say(w, "uses     %d", s.Uses)
		say(w, "until    %s", s.Until.Local().Format(time.DateTime))
		say(w, "allowed  by %s of bundle %s", allowed.ID, s.Bundle.Short())
		return nil
	})
}

// allowStanding makes sure that the active policy allows the approval, and gives it
// the queue of its action and the digest of the bundle.
func allowStanding(cmd *cobra.Command, r client.Reviewer, o grantOptions, s *schemas.Standing) (rules.Allowance, error) {
	catalog, err := r.Catalog(cmd.Context(), "")
	if err != nil {
		return rules.Allowance{}, err
	}
	bundle, err := storedBundle(cmd.Context(), r.Conn, catalog.Bundle)
	if err != nil {
		return rules.Allowance{}, err
	}
	allowed, err := bundle.CheckStanding(s.Action, s.When, s.Uses, o.lifetime)
	if mistakes, ok := mistakesIn(err); ok {
		sayLines(cmd.ErrOrStderr(), mistakes.Error())
		return allowed, hint(fmt.Errorf("--when: %w: %s", schemas.ErrInvalid, count(len(mistakes), "mistake")), "it knows params, agent, action, session, data and now")
	}
	if err != nil {
		return allowed, hint(err, "what may be approved in advance stands under \"standing\" in the policy")
	}
	action, _ := bundle.Action(s.Action)
	s.Queue, s.Bundle = action.Queue, bundle.Digest()
	return allowed, nil
}

// covered says what a standing approval is of.
func covered(s schemas.Standing) string {
	text := string(s.Action) + " of " + string(s.Agent)
	if s.When != "" {
		text += " when " + s.When
	}
	return text
}

func standingListCommand() *cobra.Command {
	var all bool
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the standing approvals in your queues, the latest first",
		Long: `List the standing approvals in your queues, yours and those of others, the latest
first, as far as they still approve something.`,
		Example: `  holdpoint review standing list --key ann.key
  holdpoint review standing list --all --key ann.key`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			reviewer, _, err := dialReviewer(cmd)
			if err != nil {
				return err
			}
			defer reviewer.Close()
			lines, err := reviewer.Standing(cmd.Context(), limit)
			if err != nil {
				return err
			}
			answer := struct {
				Standing []schemas.StandingLine `json:"standing"`
			}{inEffect(lines, all)}
			return output(cmd, answer, func(w printer) error { return printStanding(w, answer.Standing, all) })
		},
	}
	connectionFlags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "those that are over, too")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many at most")
	return cmd
}

// inEffect returns the lines of those that are not over, or all.
func inEffect(lines []schemas.StandingLine, all bool) []schemas.StandingLine {
	kept := []schemas.StandingLine{}
	for _, l := range lines {
		if all || !l.Over {
			kept = append(kept, l)
		}
	}
	return kept
}

func printStanding(w printer, lines []schemas.StandingLine, all bool) error {
	none := "no standing approval in your queues approves anything; --all lists those that are over"
	if all {
		none = "there are no standing approvals in your queues; \"holdpoint review standing grant\" gives one"
	}
	rows := make([][]string, len(lines))
	for i, l := range lines {
		rows[i] = []string{l.Key().String(), standingState(l), fmt.Sprintf("%d/%d", l.Used, l.Uses), left(l.Until), string(l.Reviewer), string(l.Queue), string(l.Action), dash(l.When), l.Reason}
	}
	return w.list("STANDING STATE USED LEFT REVIEWER QUEUE ACTION WHEN REASON", rows, none)
}

// standingState says in a word or two whether a standing approval still approves.
func standingState(l schemas.StandingLine) string {
	switch {
	case l.Revoked:
		return "revoked by " + string(l.By)
	case l.Used >= l.Uses:
		return "used up"
	case l.Over:
		return "over"
	}
	return "open"
}

func standingRevokeCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "End a standing approval at once, whoever gave it",
		Long: `End a standing approval at once, yours or that of another reviewer of the queue. What
was released by it and no executor took yet is not handed out any more, and lapses.

ID is AGENT/ID, or an id alone.`,
		Example: "  holdpoint review standing revoke billing/01JD8X0G5T6M2N8Q4R7V9W3Y1Z --reason 'the batch is sold' --key ann.key",
		Args:    takes("ID"),
		RunE:    func(cmd *cobra.Command, args []string) error { return revokeStanding(cmd, args[0], reason) },
	}
	connectionFlags(cmd)
	cmd.ValidArgsFunction = completeStanding
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func revokeStanding(cmd *cobra.Command, id, reason string) error {
	key, err := parseKey(id)
	if err != nil {
		return hint(err, "see \"holdpoint review standing list\"")
	}
	reviewer, _, err := dialReviewer(cmd)
	if err != nil {
		return err
	}
	defer reviewer.Close()
	line, err := reviewer.StandingOf(cmd.Context(), key)
	if err != nil {
		return hint(err, "see \"holdpoint review standing list --all\"")
	}
	if line.Revoked {
		err := ended{fmt.Errorf("revoking standing approval %s: %s revoked it already", line.Key(), line.By), exitConflict}
		return hint(err, "nothing is approved by it any more; your reason is not on record")
	}
	revocation, err := reviewer.Revoke(cmd.Context(), line.Standing, reason)
	if err != nil {
		return err
	}
	return output(cmd, revocation, func(w printer) error {
		say(w, "revoked")
		w.tell("%s was used %d of %d times", line.Key(), line.Used, line.Uses)
		return nil
	})
}

// standingChapter tells that something was approved in advance, or that this ended.
func standingChapter(r schemas.Record) (string, []string) {
	if strings.HasPrefix(r.Subject, "revoked.") {
		return decoded(r, "revoked", &schemas.Revocation{}, func(end *schemas.Revocation) []string {
			return []string{fmt.Sprintf("standing approval %s by %s: %s", end.Key(), end.Reviewer, end.Reason)}
		})
	}
	return decoded(r, "standing", &schemas.Standing{}, func(s *schemas.Standing) []string {
		return []string{
			fmt.Sprintf("approval %s by %s: %s", s.Key(), s.Reviewer, s.Reason),
			fmt.Sprintf("of %s, %s until %s", covered(*s), count(s.Uses, "use"), s.Until.Local().Format(time.DateTime)),
		}
	})
}

// standingsIn returns which standing approvals stand among records, and where.
func standingsIn(records []schemas.Record) map[schemas.Pointer]schemas.Key {
	standings := map[schemas.Pointer]schemas.Key{}
	for _, r := range records {
		var s schemas.Standing
		if r.Stream == schemas.Standings && schemas.Read(r, &s) == nil {
			standings[r.Pointer()] = s.Key()
		}
	}
	return standings
}

// standingsOf returns which standing approvals voted on a hold, if one did and the gate
// says so.
func standingsOf(ctx context.Context, r client.Reviewer, h client.Held) map[schemas.Pointer]schemas.Key {
	if !slices.ContainsFunc(h.Votes, func(v schemas.Vote) bool { return v.Decision.Stream == schemas.Standings }) {
		return nil
	}
	records, err := r.Show(ctx, h.Intent.Key())
	if err != nil {
		return nil // each is named by its record instead
	}
	return standingsIn(records)
}

// byStanding says of a vote that it is a standing approval's, and which, if it is one.
func byStanding(v schemas.Vote, standings map[schemas.Pointer]schemas.Key) string {
	if v.Decision.Stream != schemas.Standings {
		return ""
	}
	if k, ok := standings[v.Decision]; ok {
		return ", by standing approval " + k.String()
	}
	return ", by standing approval " + v.Decision.String()
}
