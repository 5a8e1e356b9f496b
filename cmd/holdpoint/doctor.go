package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// longWait is how old a hold may be before the doctor speaks of it.
	longWait = time.Hour

	// backlogged is how many messages may wait for a stage.
	backlogged = 10_000

	// littleRoom is how much must be free where the broker keeps its data.
	littleRoom = 1 << 30
)

// symptom is something that is not as it should be, and what to do.
type symptom struct {
	Serious bool   `json:"serious"` // nothing, or not everything, is released
	What    string `json:"what"`
	Do      string `json:"do"`
}

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find what is wrong with a running gate, and say what to do",
		Long: `Find what is wrong with a running gate, and say what to do. Exits with 1 if
something keeps intents from going on.`,
		Example: "  holdpoint doctor",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := dialOperator(cmd, adminRoles()...)
			if err != nil {
				return err
			}
			defer o.Close()
			status, err := o.Gate(cmd.Context())
			if err != nil {
				return hint(err, "the broker answers and the gate does not: is a process with the execute stage running?")
			}
			present, _, err := o.Identities(cmd.Context(), "")
			if err != nil {
				return err
			}
			return report(cmd, examine(status, present, time.Now()))
		},
	}
	connectionFlags(cmd)
	return cmd
}

func report(cmd *cobra.Command, found []symptom) error {
	answer := struct {
		Symptoms []symptom `json:"symptoms"`
	}{found}
	err := output(cmd, answer, func(w printer) error {
		for _, s := range found {
			word := "note"
			if s.Serious {
				word = "WRONG"
			}
			say(w, "%-5s  %s", word, s.What)
			say(w, "       → %s", s.Do)
		}
		if len(found) == 0 {
			say(w, "everything is well")
		}
		return nil
	})
	if err == nil && slices.ContainsFunc(found, func(s symptom) bool { return s.Serious }) {
		err = ended{fmt.Errorf("something keeps intents from going on"), exitFailure}
	}
	return err
}

// examine looks for everything that keeps intents from going on, or will.
func examine(s schemas.GateStatus, present []schemas.Identity, now time.Time) []symptom {
	return slices.Concat(examineHealth(s), examinePeople(s, present, now), examineBroker(s.Broker))
}

func examineHealth(s schemas.GateStatus) []symptom {
	cures := map[string]string{
		"audit":  "nothing is released until AUDIT has caught up; if it does not, look at the broker's log, its disk and --audit-max-bytes",
		"clock":  "set the clocks of the gate's and the broker's machines: nothing is released while they differ",
		"policy": "activate a bundle: holdpoint policy push DIR",
	}
	var found []symptom
	for _, c := range s.Health {
		if !c.Healthy {
			found = append(found, symptom{true, c.Name + ": " + c.Detail, cures[c.Name]})
		}
	}
	for _, f := range s.Freezes {
		found = append(found, symptom{true, fmt.Sprintf("%s is frozen since %s: %s", f.Scope, f.At.Local().Format(time.DateTime), f.Reason),
			"when the reason is gone: holdpoint thaw " + scopeFlag(f.Scope)})
	}
	if s.InDoubt > 0 {
		found = append(found, symptom{true, fmt.Sprintf("%d intents are in doubt: their executors took them and never reported", s.InDoubt),
			"find out whether they were performed, then: holdpoint review resolve"})
	}
	return found
}

// scopeFlag is a scope as a command line has it.
func scopeFlag(s schemas.Scope) string {
	switch {
	case s.Agent != "":
		return "--agent " + string(s.Agent)
	case s.Action != "":
		return "--action " + string(s.Action)
	case s.System != "":
		return "--system " + s.System
	default:
		return "--all"
	}
}

// examinePeople looks for what waits for somebody who is not there.
func examinePeople(s schemas.GateStatus, present []schemas.Identity, now time.Time) []symptom {
	has := func(role schemas.Role, does func(schemas.Identity) bool) bool {
		return slices.ContainsFunc(present, func(id schemas.Identity) bool { return id.Role == role && does(id) })
	}
	var found []symptom
	for _, q := range s.Queues {
		name := schemas.Name(q.Name)
		switch {
		case !has(schemas.RoleReviewer, func(id schemas.Identity) bool { return slices.Contains(id.Queues, name) }):
			found = append(found, symptom{true, fmt.Sprintf("%d intents wait in queue %s, and nobody reviews it", q.Open, q.Name),
				"holdpoint identity add reviewer NAME --queues " + q.Name + " --out NAME.key"})
		case now.Sub(q.Oldest) > longWait:
			found = append(found, symptom{false, fmt.Sprintf("an intent waits in queue %s since %s", q.Name, now.Sub(q.Oldest).Round(time.Minute)),
				"holdpoint review list --queue " + q.Name})
		}
	}
	for _, q := range s.Systems {
		if !has(schemas.RoleExecutor, func(id schemas.Identity) bool { return slices.Contains(id.Systems, q.Name) }) {
			found = append(found, symptom{true, fmt.Sprintf("%d released intents wait for an executor of %s, and there is none", q.Open, q.Name),
				"holdpoint identity add executor NAME --systems " + q.Name + " --owner PERSON --out NAME.key"})
		}
	}
	if !has(schemas.RoleAuditor, func(schemas.Identity) bool { return true }) {
		found = append(found, symptom{false, "nobody may read the audit", "holdpoint identity add auditor NAME --out NAME.key"})
	}
	return found
}

func examineBroker(b *schemas.BrokerStatus) []symptom {
	if b == nil {
		return []symptom{{true, "the broker does not say how it keeps up", "look at the broker's log; on an external server, at the printed configuration: holdpoint provision --plan"}}
	}
	var found []symptom
	for _, s := range b.Stages {
		if s.Waiting > backlogged {
			found = append(found, symptom{false, fmt.Sprintf("%d messages of %s wait for the %s stage", s.Waiting, s.Stream, s.Stage),
				"run another process with that stage, or look at its log"})
		}
	}
	if b.AuditMaxBytes > 0 && b.AuditBytes > uint64(b.AuditMaxBytes)/100*80 {
		found = append(found, symptom{false, fmt.Sprintf("AUDIT holds %s of at most %s; near the limit nothing is released", size(b.AuditBytes), size(uint64(b.AuditMaxBytes))),
			"start the gate with a higher --audit-max-bytes or, on servers of your own, let their operator give AUDIT more room; it never drops anything by itself"})
	}
	if b.FreeBytes > 0 && b.FreeBytes < littleRoom {
		found = append(found, symptom{false, fmt.Sprintf("only %s are free where the broker keeps its data", size(b.FreeBytes)),
			"make room: a broker whose disk is full stores nothing, and nothing is released"})
	}
	return found
}
