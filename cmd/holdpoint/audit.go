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
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "audit",
		Short:   "Read and verify the record that nobody can write, as an auditor",
		Example: "  holdpoint audit verify --key otto.key",
	}
	cmd.AddCommand(auditTailCommand(), auditVerifyCommand())
	return cmd
}

func dialAuditor(cmd *cobra.Command) (client.Auditor, error) {
	conn, _, err := dial(cmd, schemas.RoleAuditor)
	return client.Auditor{Conn: conn}, err
}

func auditTailCommand() *cobra.Command {
	var agent string
	var since uint64
	var follow bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print the records of the audit",
		Long: `Print the records of the audit, one line each, from a sequence on. With --follow,
go on until interrupted. With -o json a line is the whole record.`,
		Example: "  holdpoint audit tail --since 1 --follow --key otto.key",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			auditor, err := dialAuditor(cmd)
			if err != nil {
				return err
			}
			defer auditor.Close()
			tail := auditor.Tail(schemas.Name(agent), since)
			if follow {
				return quiet(tail.Follow(cmd.Context(), followAudit, printRecord(cmd)))
			}
			return tail.Read(cmd.Context(), printRecord(cmd))
		},
	}
	connectionFlags(cmd)
	cmd.Flags().StringVar(&agent, "agent", "", "records of one agent")
	cmd.Flags().Uint64Var(&since, "since", 1, "sequence in AUDIT to begin with")
	cmd.Flags().BoolVar(&follow, "follow", false, "go on with what comes")
	return cmd
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
		if asJSON(cmd) {
			return writeJSONLine(cmd.OutOrStdout(), struct {
				Audit uint64 `json:"audit"`
				schemas.Copy
			}{r.Seq, schemas.CopyOf(origin)})
		}
		_, lines := chapter(origin)
		say(cmd.OutOrStdout(), "%d %s %s %s %s", r.Seq, origin.Time.UTC().Format("2006-01-02T15:04:05.000Z"), origin.Pointer(), origin.Subject, strings.Join(lines[:min(1, len(lines))], ""))
		return nil
	}
}

func auditVerifyCommand() *cobra.Command {
	var since uint64
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify the audit from itself alone, and name the first record that is wrong",
		Long: `Verify the audit from itself alone: one settlement for each intent, no release
without a recommendation and enough eligible signed decisions on that digest, no
grant without a release, no outcome without a grant, and more. It names the first
record that is wrong, and exits with 1 if there is one.`,
		Example: "  holdpoint audit verify --key otto.key",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			auditor, err := dialAuditor(cmd)
			if err != nil {
				return err
			}
			defer auditor.Close()
			report, err := verifyAudit(cmd.Context(), auditor, since, progress(cmd))
			if err != nil {
				return err
			}
			if err := output(cmd, report, func(w io.Writer) error { return printReport(w, report) }); err != nil {
				return err
			}
			if first := report.First(); first != nil {
				return ended{fmt.Errorf("the audit does not hold: %s", first), exitFailure}
			}
			return nil
		},
	}
	connectionFlags(cmd)
	cmd.Flags().Uint64Var(&since, "since", 1, "sequence in AUDIT to begin with; what is before is not checked")
	return cmd
}

// verifyAudit reads all of AUDIT that there is and verifies it.
func verifyAudit(ctx context.Context, a client.Auditor, since uint64, tick func(records uint64)) (audit.Report, error) {
	gateway, err := gatewayOf(ctx, a)
	if err != nil {
		return audit.Report{}, err
	}
	v := audit.New(audit.Config{Gateway: gateway, Eligibility: eligibility{&rules.Eligibility{}}, From: since})
	var n uint64
	err = a.Tail("", since).Read(ctx, func(r schemas.Record) error {
		if n++; n%1000 == 0 {
			tick(n)
		}
		origin, err := broker.Origin(r)
		if err != nil {
			return fmt.Errorf("AUDIT/%d: %w", r.Seq, err)
		}
		v.Add(r.Seq, origin)
		return nil
	})
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
		if err != nil {
			return err
		}
		var o schemas.Observation
		if schemas.Read(origin, &o) == nil {
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

// progress says on a terminal how far a long reading is.
func progress(cmd *cobra.Command) func(records uint64) {
	m := newMeter(cmd)
	return func(records uint64) { m.show("%d records", records) }
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
	verdict := "everything holds"
	if n := len(r.Findings) + r.More; n > 0 {
		verdict = fmt.Sprintf("%d findings", n)
	}
	return fmt.Sprintf("%d records, %d intents: %d released, %d refused, %d granted, %d done, %d failed, %d lapsed, %d open; %s",
		r.Records, r.Intents, r.Released, r.Refused, r.Granted, r.Done, r.Failed, r.Lapsed, r.Open, verdict)
}
