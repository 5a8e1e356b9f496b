package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

func reviewCommand() *cobra.Command {
	var o deciderOptions
	cmd := &cobra.Command{
		Use:   "review",
		Short: "Decide on what is parked, as a reviewer",
		Long: `Decide on what is parked, as a reviewer.

With --exec, a program decides: it is started for every parked intent with the
hold as JSON on standard input, and answers with {"verdict": "approve", "deny"
or "skip", "reason": "…"} on standard output. Anything else, and any exit code
but 0, skips the intent: it stays parked.`,
		Example: `  holdpoint review list --key ann.key
  holdpoint review watch --key ann.key
  holdpoint review --exec ./decider --key risk-service.key`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.program == "" {
				return cmd.Help()
			}
			return runDecider(cmd, o)
		},
	}
	connectionFlags(cmd)
	o.add(cmd)
	cmd.AddCommand(reviewListCommand(), reviewShowCommand(), reviewWatchCommand(),
		reviewDecideCommand("approve", schemas.Approve), reviewDecideCommand("deny", schemas.Deny), reviewResolveCommand(), reviewHistoryCommand(), reviewStandingCommand())
	return cmd
}

func dialReviewer(cmd *cobra.Command) (client.Reviewer, []schemas.Name, error) {
	conn, key, err := dial(cmd, schemas.RoleReviewer)
	return client.Reviewer{Conn: conn}, key.Queues, err
}

func reviewListCommand() *cobra.Command {
	var queue, after string
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List what is parked in your queues, the riskiest first",
		Example: "  holdpoint review list --key ann.key --queue refunds",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			reviewer, _, err := dialReviewer(cmd)
			if err != nil {
				return err
			}
			defer reviewer.Close()
			page, err := reviewer.List(cmd.Context(), schemas.Name(queue), limit, after)
			if err != nil {
				return err
			}
			return output(cmd, page, func(w printer) error { return printHolds(w, page) })
		},
	}
	connectionFlags(cmd)
	cmd.Flags().StringVar(&queue, "queue", "", "one queue; all of yours if empty")
	pageFlags(cmd, &limit, &after)
	return cmd
}

func printHolds(w printer, page schemas.HoldPage) error {
	rows := make([][]string, len(page.Holds))
	for i, h := range page.Holds {
		rows[i] = []string{
			string(h.Agent) + "/" + string(h.Intent), string(h.Action), string(h.State), strconv.Itoa(h.Risk),
			fmt.Sprintf("%d/%d", h.Votes, h.Quorum), string(h.Queue), ago(h.Since), left(h.Deadline), h.Digest.Short(),
		}
	}
	if err := w.list("INTENT ACTION STATE RISK VOTES QUEUE SINCE LEFT SEEN", rows, "nothing waits for you; \"holdpoint review watch\" shows what comes"); err != nil {
		return err
	}
	w.tellMore(len(page.Holds), page.Total, page.After)
	return nil
}

func ago(t time.Time) string { return time.Since(t).Round(time.Second).String() }

func left(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return time.Until(t).Round(time.Second).String()
}

func reviewShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show one hold: exactly what is asked for, why it is parked, who must agree",
		Example: "  holdpoint review show billing/01JD8X0G5T6M2N8Q4R7V9W3Y1Z --key ann.key",
		Args:    takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			reviewer, held, err := fetchHold(cmd, args[0])
			if err != nil {
				return err
			}
			defer reviewer.Close()
			return output(cmd, held.Hold, func(w printer) error { return printHold(w, held, standingsOf(cmd.Context(), reviewer, held)) })
		},
	}
	connectionFlags(cmd)
	cmd.ValidArgsFunction = completeHolds
	return cmd
}

func fetchHold(cmd *cobra.Command, id string) (client.Reviewer, client.Held, error) {
	key, err := parseKey(id)
	if err != nil {
		return client.Reviewer{}, client.Held{}, err
	}
	reviewer, _, err := dialReviewer(cmd)
	if err != nil {
		return reviewer, client.Held{}, err
	}
	held, err := reviewer.Hold(cmd.Context(), key)
	if err != nil {
		reviewer.Close()
		err = hint(err, "see \"holdpoint review list\"")
	}
	return reviewer, held, err
}

// reviewDecideCommand makes approve and deny.
func reviewDecideCommand(word string, verdict schemas.Verdict) *cobra.Command {
	var seen, reason string
	cmd := &cobra.Command{
		Use:   word + " ID --seen DIGEST",
		Short: strings.ToUpper(word[:1]) + word[1:] + " exactly what you were shown",
		Long: strings.ToUpper(word[:1]) + word[1:] + ` exactly what you were shown: --seen is the beginning of its digest, at least
12 hexadecimal digits. The decision is signed with your key, and counts on
nothing else. A denial needs a reason.`,
		Example: "  holdpoint review " + word + " billing/01JD8X0G5T6M2N8Q4R7V9W3Y1Z --seen 9f2c41d07be8 --reason 'as agreed' --key ann.key",
		Args:    takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if verdict == schemas.Deny && reason == "" {
				return usage("deny needs --reason")
			}
			return decide(cmd, args[0], seen, verdict, reason)
		},
	}
	connectionFlags(cmd)
	cmd.ValidArgsFunction = completeHolds
	cmd.Flags().StringVar(&seen, "seen", "", "beginning of the `digest` you were shown")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	_ = cmd.MarkFlagRequired("seen")
	return cmd
}

func reviewResolveCommand() *cobra.Command {
	var seen, reason string
	var done, notDone, retry bool
	cmd := &cobra.Command{
		Use:   "resolve ID --seen DIGEST",
		Short: "Say of an intent in doubt whether it was performed",
		Long: `Say of an intent in doubt, whose executor took it and never reported, whether it
was performed: it was done, it was not done, or it is to be tried again.`,
		Example: "  holdpoint review resolve billing/01JD8X0G5T6M2N8Q4R7V9W3Y1Z --not-done --seen 9f2c41d07be8 --reason 'no trace at the bank' --key ann.key",
		Args:    takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			verdict := schemas.WasDone
			switch {
			case notDone:
				verdict = schemas.WasNotDone
			case retry:
				verdict = schemas.Retry
			}
			return decide(cmd, args[0], seen, verdict, reason)
		},
	}
	connectionFlags(cmd)
	cmd.ValidArgsFunction = completeHolds
	f := cmd.Flags()
	f.StringVar(&seen, "seen", "", "beginning of the `digest` you were shown")
	f.StringVar(&reason, "reason", "", "how you know, for the record")
	f.BoolVar(&done, "done", false, "it was performed")
	f.BoolVar(&notDone, "not-done", false, "it was not performed")
	f.BoolVar(&retry, "retry", false, "it is to be tried again")
	cmd.MarkFlagsOneRequired("done", "not-done", "retry")
	cmd.MarkFlagsMutuallyExclusive("done", "not-done", "retry")
	_ = cmd.MarkFlagRequired("seen")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func decide(cmd *cobra.Command, id, seen string, verdict schemas.Verdict, reason string) error {
	reviewer, held, err := fetchHold(cmd, id)
	if err != nil {
		return err
	}
	defer reviewer.Close()
	if !held.Open() {
		return hint(fmt.Errorf("%s %s: %w (%s)", verdict, held.Intent.Key(), schemas.ErrClosed, held.State),
			"see \"holdpoint show %s\"", held.Intent.Key())
	}
	if err := held.Seen(seen); err != nil {
		return hint(err, "look again: \"holdpoint review show %s\"", held.Intent.Key())
	}
	ruling, err := reviewer.Decide(cmd.Context(), held, verdict, reason)
	if err != nil {
		return err
	}
	return printRuling(cmd, held.Intent.Key(), ruling)
}

// printRuling prints what became of a decision: the state of the intent after it.
func printRuling(cmd *cobra.Command, k schemas.Key, r schemas.Ruling) error {
	if !r.Counts {
		err := fmt.Errorf("the decision on %s does not count: %w", k, rulingError(r))
		return hint(err, "see \"holdpoint show %s\"", k)
	}
	return output(cmd, r, func(w printer) error {
		say(w, "%s", string(r.State))
		if r.Waiting != "" {
			w.tell("%s still needs %s", k, r.Waiting)
		}
		return nil
	})
}

// rulingError gives a code that says why a decision does not count the reason
// that its exit code follows from.
func rulingError(r schemas.Ruling) error {
	reason := schemas.ErrInvalid
	switch r.Code {
	case schemas.CodeSettled, schemas.CodeTooLate, schemas.CodeVoted, schemas.CodeNotNeeded, schemas.CodeNotInDoubt:
		reason = schemas.ErrClosed
	case schemas.CodeWrongDigest, schemas.CodeNotShown:
		reason = schemas.ErrStale
	case schemas.CodeNotEligible, schemas.CodeUnregistered, schemas.CodeBadSignature, schemas.CodeWrongQueue:
		reason = schemas.ErrDenied
	}
	text := string(r.Code)
	if r.Detail != "" {
		text += ": " + r.Detail
	}
	return fmt.Errorf("%w (%s)", reason, text)
}

var errQuit = errors.New("quit")

func quiet(err error) error {
	if errors.Is(err, errQuit) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
