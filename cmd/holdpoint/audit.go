package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "audit",
		Short:   "Read and verify the record that nobody can write, as an auditor",
		Example: "  holdpoint audit verify --key otto.key",
	}
	cmd.AddCommand(auditTailCommand(), auditExportCommand(), auditVerifyCommand())
	return cmd
}

func dialAuditor(cmd *cobra.Command) (client.Auditor, error) {
	conn, _, err := dial(cmd, schemas.RoleAuditor)
	return client.Auditor{Conn: conn}, err
}

// dialAuditorSince connects as an auditor who begins to read where the flag --since
// says.
func dialAuditorSince(cmd *cobra.Command, since string) (a client.Auditor, from uint64, err error) {
	begin, err := parseSince(since, time.Now())
	if err != nil {
		return a, 0, err
	}
	if a, err = dialAuditor(cmd); err != nil {
		return a, 0, err
	}
	if from, err = begin.sequence(cmd.Context(), a); err != nil {
		a.Close()
	}
	return a, from, err
}

func auditTailCommand() *cobra.Command {
	var agent, since string
	var follow bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print the records of the audit",
		Long: `Print the records of the audit, one line each, from --since on. With --follow, go on
until interrupted, and say then with which sequence to go on. With -o json a line, and
with -o yaml a document, is the whole record.

--agent leaves out messages whose own subject is not one of the agent's.`,
		Example: `  holdpoint audit tail --since 1 --follow --key otto.key
  holdpoint audit tail --agent billing --since 1h -o json --key otto.key`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			auditor, from, err := dialAuditorSince(cmd, since)
			if err != nil {
				return err
			}
			defer auditor.Close()
			tail := auditor.Tail(schemas.Name(agent), from)
			if !follow {
				return tailAudit(cmd, tail)
			}
			if err := quiet(tail.Follow(cmd.Context(), followAudit, printRecord(cmd))); err != nil {
				return err
			}
			say(cmd.ErrOrStderr(), "holdpoint: to go on from here: --since %d", tail.Next())
			return nil
		},
	}
	connectionFlags(cmd)
	cmd.Flags().StringVar(&agent, "agent", "", "records of one agent")
	sinceFlag(cmd, &since, "all there is if empty")
	cmd.Flags().BoolVar(&follow, "follow", false, "go on with what comes")
	return cmd
}

// tailAudit prints what there is of a tail, and says so if it is nothing.
func tailAudit(cmd *cobra.Command, tail *broker.Tail) error {
	none, show := true, printRecord(cmd)
	err := tail.Read(cmd.Context(), func(r schemas.Record) error {
		none = false
		return show(r)
	})
	if err == nil && none {
		say(cmd.ErrOrStderr(), "holdpoint: there is no such record; without --since and --agent, all are read")
	}
	return err
}

// followAudit is how often a following reader looks.
const followAudit = 250 * time.Millisecond

func printRecord(cmd *cobra.Command) func(schemas.Record) error {
	return func(r schemas.Record) error {
		origin, err := broker.Origin(r)
		if err != nil {
			say(cmd.ErrOrStderr(), "holdpoint: AUDIT/%d: %s", r.Seq, err)
			return nil
		}
		if asData(cmd) {
			return writeLine(cmd, replay.EntryOf(r.Seq, origin))
		}
		_, lines := chapter(origin)
		says := strings.Join(lines[:min(1, len(lines))], "")
		if says == origin.Subject {
			says = ""
		}
		say(cmd.OutOrStdout(), "%d %s %s %s %s", r.Seq, origin.Time.UTC().Format("2006-01-02T15:04:05.000Z"), origin.Pointer(), origin.Subject, says)
		return nil
	}
}

func auditVerifyCommand() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify the audit from itself alone, and name the first record that is wrong",
		Long: `Verify the audit from itself alone: one settlement for each intent, no release
without a recommendation and enough eligible signed decisions on that digest, no
grant without a release, no outcome without a grant, no record that is missing, and
more. It names the first record that is wrong, and exits with 1 if there is one.

What the gate has not answered, and what names a record that is not there yet, is
pending. After a minute, by the clock of this machine, such a record is missing.`,
		Example: `  holdpoint audit verify --key otto.key
  holdpoint audit verify --since 7d -o json --key otto.key`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			auditor, from, err := dialAuditorSince(cmd, since)
			if err != nil {
				return err
			}
			defer auditor.Close()
			m := newMeter(cmd)
			report, err := verifyAudit(cmd.Context(), auditor, from, func(records uint64) {
				m.show("%d records, %.0f/s", records, m.perSecond(int(records)))
			})
			m.done()
			if err != nil {
				return err
			}
			if err := output(cmd, report, func(w printer) error { return printReport(w, report) }); err != nil {
				return err
			}
			return holds(report)
		},
	}
	connectionFlags(cmd)
	sinceFlag(cmd, &since, "what is before is not checked")
	return cmd
}

// holds returns an error that names the first record that is wrong, if there is one.
func holds(r audit.Report) error {
	first := r.First()
	switch {
	case first == nil:
		return nil
	case first.Intent == (schemas.Key{}):
		return hint(fmt.Errorf("the audit does not hold: %s", first), "see \"holdpoint audit tail --since %d\"", first.Audit)
	default:
		return hint(fmt.Errorf("the audit does not hold: %s", first), "see \"holdpoint show %s\"", first.Intent)
	}
}

// verifyAudit reads all of AUDIT that there is and verifies it. There always is
// something: somebody registered the auditor.
func verifyAudit(ctx context.Context, a client.Auditor, since uint64, tick func(records uint64)) (audit.Report, error) {
	gateway, err := gatewayOf(ctx, a)
	if err != nil {
		return audit.Report{}, err
	}
	v := audit.New(audit.Config{Gateway: gateway, Eligibility: eligibility{&rules.Eligibility{}}, Check: identity.Check, From: since})
	var n uint64
	err = a.Tail("", since).Read(ctx, func(r schemas.Record) error {
		if n++; n%1000 == 0 {
			tick(n)
		}
		origin, err := broker.Origin(r)
		if err != nil {
			origin = r // no copy of anything
		}
		v.Add(r.Seq, origin)
		return nil
	})
	if err == nil && n == 0 {
		err = hint(fmt.Errorf("reading the audit: %w: nothing from AUDIT/%d on", schemas.ErrNotFound, since), "begin earlier: what was not read is not verified")
		return audit.Report{}, err
	}
	if err != nil {
		return audit.Report{}, fmt.Errorf("reading the audit: %w", err)
	}
	return v.Finish(time.Now()), nil
}

// gatewayOf returns the tenant whose audit this is, as the first intent that was
// observed says; if there is none, it does not matter.
func gatewayOf(ctx context.Context, a client.Auditor) (schemas.Name, error) {
	var gateway schemas.Name
	err := a.Kind("observed", 1).Read(ctx, func(r schemas.Record) error {
		origin, err := broker.Origin(r)
		var o schemas.Observation
		if err == nil && schemas.Read(origin, &o) == nil {
			gateway = o.Intent.Gateway
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return "", fmt.Errorf("reading the audit: %w", err)
	}
	return gateway, nil
}

var errEnough = errors.New("read enough")

// eligibility evaluates the expressions of approvals for an auditor.
type eligibility struct{ rules *rules.Eligibility }

func (e eligibility) Eligible(expr string, reviewer, agent schemas.Identity, a schemas.Action) (bool, error) {
	who := rules.Reviewer{Name: reviewer.Name, Person: reviewer.Principal(), Groups: reviewer.Groups, Service: reviewer.Service}
	facts := schemas.AgentFacts{Name: agent.Name, Owner: agent.Owner, Groups: agent.Groups}
	return e.rules.Eligible(context.Background(), expr, who, facts, a)
}

func printReport(w io.Writer, r audit.Report) error {
	for _, f := range r.Findings {
		say(w, "%s", f)
	}
	if r.More > 0 {
		say(w, "and %d more", r.More)
	}
	say(w, "%s", summary(r))
	return nil
}

// summary is a report in one sentence.
func summary(r audit.Report) string {
	text := fmt.Sprintf("%d records, %d intents: %d released, %d refused, %d granted, %d done, %d failed, %d lapsed, %d open",
		r.Records, r.Intents, r.Released, r.Refused, r.Granted, r.Done, r.Failed, r.Lapsed, r.Open)
	for _, some := range []struct {
		n    int
		what string
	}{{r.InDoubt, "in doubt"}, {r.Pending, "pending"}, {r.Unchecked, "from before, and not checked"}} {
		if some.n > 0 {
			text += fmt.Sprintf(", %d %s", some.n, some.what)
		}
	}
	switch n := len(r.Findings) + r.More; n {
	case 0:
		return text + "; everything holds"
	case 1:
		return text + "; 1 finding"
	default:
		return text + fmt.Sprintf("; %d findings", n)
	}
}
