package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/schemas"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "See how the gate is: what waits, what is frozen, whether stages and audit keep up",
		Example: `  holdpoint status
  holdpoint status -o json --key holdpoint-data/admin/policy-admin.key`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := dialOperator(cmd, adminRoles()...)
			if err != nil {
				return err
			}
			defer o.Close()
			status, err := o.Gate(cmd.Context())
			if err != nil {
				return err
			}
			return output(cmd, status, func(w printer) error { return printStatusOf(w, status) })
		},
	}
	connectionFlags(cmd)
	return cmd
}

func printStatusOf(w io.Writer, s schemas.GateStatus) error {
	line := func(name, format string, args ...any) { say(w, "%-11s "+format, append([]any{name}, args...)...) }
	line("gate", "%s", string(s.Gateway))
	line("bundle", "%s", dash(s.Bundle.Short()))
	for _, c := range s.Health {
		line(c.Name, "%s", wellOr(c))
	}
	for _, f := range s.Freezes {
		line("frozen", "%s by %s since %s: %s", f.Scope.String(), string(f.By), f.At.Local().Format(time.DateTime), f.Reason)
	}
	line("waiting", "%d for reviewers%s, %d for an executor, %d for a report, %d in doubt", s.Open, oldest(s.Oldest), s.Released, s.Granted, s.InDoubt)
	for _, q := range s.Queues {
		line("  queue", "%s: %d%s", q.Name, q.Open, oldest(q.Oldest))
	}
	for _, q := range s.Systems {
		line("  system", "%s: %d%s", q.Name, q.Open, oldest(q.Oldest))
	}
	if s.Broker == nil {
		line("broker", "does not say how it keeps up")
		return nil
	}
	return printBroker(w, *s.Broker)
}

func wellOr(c schemas.Condition) string {
	if c.Healthy {
		return "well"
	}
	return "NOT WELL: " + c.Detail
}

func oldest(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " (the oldest since " + ago(t) + ")"
}

func printBroker(w io.Writer, b schemas.BrokerStatus) error {
	limit := "no limit"
	if b.AuditMaxBytes > 0 {
		limit = "at most " + size(uint64(b.AuditMaxBytes))
	}
	say(w, "%-11s %d records, %s, %s", "AUDIT", b.AuditRecords, size(b.AuditBytes), limit)
	if b.FreeBytes > 0 {
		say(w, "%-11s %s free", "disk", size(b.FreeBytes))
	}
	say(w, "")
	waiting := map[schemas.Stream]schemas.StageStatus{}
	for _, s := range b.Stages {
		waiting[s.Stream] = s
	}
	var rows [][]string
	for _, s := range b.Streams {
		row := []string{string(s.Stream), strconv.FormatUint(s.Records, 10), size(s.Bytes), strconv.FormatUint(s.Behind, 10), "-", "-", "-", "-"}
		if at, ok := waiting[s.Stream]; ok {
			copy(row[4:], []string{string(at.Stage), strconv.FormatUint(at.Waiting, 10), strconv.Itoa(at.Taken), strconv.Itoa(at.Redelivered)})
		}
		rows = append(rows, row)
	}
	return table(w, "STREAM RECORDS SIZE AUDIT-BEHIND STAGE WAITING TAKEN AGAIN", rows)
}

// size is a number of bytes for people.
func size(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/1024, 0
	for ; value >= 1024 && i < len(units)-1; i++ {
		value /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", value, units[i])
}
