package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

func watchCommand() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Watch what happens, one line for each change, until interrupted",
		Long: `Watch what happens, one line for each change, until interrupted, as far as you may
know of it: an agent its own intents, a reviewer the holds of the queues, an
auditor everything, from the audit.

An auditor's lines begin with a sequence; --since goes on after an interruption
exactly where it was. With -o json, each line is one JSON object, with -o yaml each is
a document.`,
		Example: `  holdpoint watch --key billing.key
  holdpoint watch --since 1h --key otto.key`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, key, err := dial(cmd, schemas.RoleAgent, schemas.RoleReviewer, schemas.RoleAuditor)
			if err != nil {
				return err
			}
			defer conn.Close()
			if since != "" && conn.Role() != schemas.RoleAuditor {
				return usage("--since belongs to an auditor: %s is %s", conn.Name(), article(conn.Role()))
			}
			switch conn.Role() {
			case schemas.RoleAgent:
				err = client.Agent{Conn: conn}.Watch(cmd.Context(), changeLine(cmd))
			case schemas.RoleReviewer:
				err = client.Reviewer{Conn: conn}.Watch(cmd.Context(), key.Queues, holdLine(cmd))
			default:
				err = watchAudit(cmd, client.Auditor{Conn: conn}, since)
			}
			return quiet(err)
		},
	}
	connectionFlags(cmd)
	sinceFlag(cmd, &since, "for an auditor; what comes from now on if empty")
	return cmd
}

// changeLine prints where an agent's intent came to.
func changeLine(cmd *cobra.Command) func(schemas.Status) error {
	if asData(cmd) {
		return func(s schemas.Status) error { return writeLine(cmd, s) }
	}
	return func(s schemas.Status) error {
		because := ""
		if s.State == schemas.Refused {
			because = ": " + refusedBecause(s)
		}
		say(cmd.OutOrStdout(), "%-9s %s/%s %s%s%s", string(s.State), string(s.Agent), string(s.Intent), string(s.Action), because, until(s))
		return nil
	}
}

// holdLine prints a hold that is open, or changed.
func holdLine(cmd *cobra.Command) func(schemas.HoldLine) error {
	if asData(cmd) {
		return func(h schemas.HoldLine) error { return writeLine(cmd, h) }
	}
	return func(h schemas.HoldLine) error {
		say(cmd.OutOrStdout(), "%s %s/%s %s risk %d seen %s", string(h.State), string(h.Agent), string(h.Intent), string(h.Action), h.Risk, h.Digest.Short())
		return nil
	}
}

// watchAudit follows AUDIT and prints the records that bring an intent into
// another state, and what operators do.
func watchAudit(cmd *cobra.Command, a client.Auditor, since string) error {
	first, err := firstToWatch(cmd.Context(), a, since)
	if err != nil {
		return err
	}
	return a.Tail("", first).Follow(cmd.Context(), followAudit, func(r schemas.Record) error {
		origin, err := broker.Origin(r)
		if err != nil {
			say(cmd.ErrOrStderr(), "holdpoint: AUDIT/%d: %s", r.Seq, err)
			return nil
		}
		if slices.Contains(quietStreams, origin.Stream) {
			return nil
		}
		word, lines := chapter(origin)
		if asData(cmd) {
			return writeLine(cmd, watchedLine(r.Seq, origin, word, lines))
		}
		about, says := whose(origin), lines[0]
		if says == about {
			says = ""
		}
		say(cmd.OutOrStdout(), "%d %s %-10s %s %s", r.Seq, origin.Time.UTC().Format("15:04:05.000"), word, about, says)
		return nil
	})
}

// firstToWatch returns the first sequence in AUDIT that --since includes. Without it,
// that is the one that comes next.
func firstToWatch(ctx context.Context, a client.Auditor, since string) (uint64, error) {
	if since == "" {
		last, err := a.Last(ctx)
		if err != nil && !errors.Is(err, schemas.ErrNotFound) {
			return 0, err
		}
		return last + 1, nil
	}
	begin, err := parseSince(since, time.Now())
	if err != nil {
		return 0, err
	}
	return begin.sequence(ctx, a)
}

// quietStreams are the streams whose records bring no intent into another state.
var quietStreams = []schemas.Stream{schemas.Observed, schemas.Recommended, schemas.Exposed, schemas.Budgets}

// watched is a line of watchAudit as JSON.
type watched struct {
	Audit uint64 `json:"audit"` // the sequence, for --since
	What  string `json:"what"`
	Of    string `json:"of"` // the intent, or the subject
	schemas.Pointer
	Says []string `json:"says"`
}

func watchedLine(seq uint64, origin schemas.Record, word string, lines []string) watched {
	return watched{Audit: seq, What: word, Of: whose(origin), Pointer: origin.Pointer(), Says: lines}
}

// whose returns the intent that a record is about, or else its subject.
func whose(r schemas.Record) string {
	s, err := schemas.ParseSubject(r.Subject)
	switch {
	case r.Stream == schemas.Intents:
		in, _ := schemas.ReadIntent("", r)
		return in.Key().String()
	case err == nil && s.Intent != "":
		return schemas.Key{Agent: s.Agent, ID: s.Intent}.String()
	default:
		return r.Subject
	}
}
