package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

func whyCommand() *cobra.Command {
	var bundles []string
	var file string
	cmd := &cobra.Command{
		Use:   "why [ID]",
		Short: "Say why an intent was released, parked or refused, and decide it again",
		Long: `Say why an intent was released, parked or refused: at each checkpoint what was
considered, with the value of every expression and its parts, what was added to the
risk, who must agree and who did, and the smallest change of one parameter that would
have led to another outcome.

Everything is decided again from the records of the intent and the bundles that they
name, by the code of the gate and on this machine. What comes of it must be the records,
byte for byte: if not, the first difference is named, and the exit code is 1. Times,
rates, freezes and what observe took the agent for exposed to are taken from the
records, and so is what others had taken of budgets, where it is not known what became
of them. What cannot be decided again is listed, with the reason.

For auditors, admins and reviewers. An auditor reads the audit, which also knows who
was registered at the time, and is given the bundles with --bundle; the others get them
from the gate. An agent is told what it is always told: the state, a code from a closed
list, the text that the author of the policy wrote for it, and the deadline.

With -o json the answer has all records in it. Whoever is given that, and the bundles,
decides again without a gate: with --records, and without an ID.

ID is AGENT/ID, or an id alone if it is unique among what waits.`,
		Example: `  holdpoint why billing/01JD8X0G5T6M2N8Q4R7V9W3Y1Z --key ann.key
  holdpoint why billing/01JD8X0G5T6M2N8Q4R7V9W3Y1Z --bundle examples/customer-operations --key otto.key`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case file != "" && len(args) > 0:
				return usage("%s: with --records, which intent it is stands in the file", cmd.CommandPath())
			case file != "":
				return explainFile(cmd, file, bundles)
			case len(args) == 0:
				return hint(usage("%s: ID is missing", cmd.CommandPath()), "\"holdpoint list\" shows what waits; see \"%s --help\"", cmd.CommandPath())
			}
			key, err := parseKey(args[0])
			if err != nil {
				return err
			}
			return explainHere(cmd, key, bundles)
		},
	}
	connectionFlags(cmd)
	cmd.Flags().StringArrayVar(&bundles, "bundle", nil, "`directory` or archive of a bundle that the records name; may be given again")
	cmd.Flags().StringVar(&file, "records", "", "`file` with the records of an intent, as JSON, to decide without a gate")
	cmd.ValidArgsFunction = completeIntents
	return cmd
}

// explainFile explains an intent whose records stand in a file.
func explainFile(cmd *cobra.Command, path string, bundles []string) error {
	e, err := readEvidence(path)
	if err != nil {
		return err
	}
	shelf, err := shelve(nil, bundles)
	if err != nil {
		return err
	}
	return explainIntent(cmd, e, shelf)
}

// explainHere explains an intent of a gate, as far as whoever asks may know it.
func explainHere(cmd *cobra.Command, k schemas.Key, bundles []string) error {
	conn, _, err := dial(cmd, append(adminRoles(), schemas.RoleAgent, schemas.RoleReviewer, schemas.RoleAuditor)...)
	if err != nil {
		return err
	}
	defer conn.Close()
	if conn.Role() == schemas.RoleAgent {
		return lost(tellAgent(cmd, client.Agent{Conn: conn}, k))
	}
	e, err := gather(cmd.Context(), conn, k)
	if err != nil {
		return lost(err)
	}
	shelf, err := shelve(conn, bundles)
	if err != nil {
		return err
	}
	return explainIntent(cmd, e, shelf)
}

// told is all that an agent is told.
type told struct {
	Agent    schemas.Name     `json:"agent"`
	Intent   schemas.IntentID `json:"intent"`
	State    schemas.State    `json:"state"`
	Code     schemas.Code     `json:"code,omitzero"`
	Tell     string           `json:"tell,omitzero"`
	Deadline time.Time        `json:"deadline,omitzero"`
}

func tellAgent(cmd *cobra.Command, a client.Agent, k schemas.Key) error {
	if k.Agent != "" && k.Agent != a.Name() {
		return fmt.Errorf("%s: %w", k, schemas.ErrNotFound)
	}
	s, err := a.Status(cmd.Context(), k.ID)
	if err != nil {
		return err
	}
	t := told{Agent: s.Agent, Intent: s.Intent, State: s.State, Code: s.Code, Tell: s.Tell, Deadline: s.Deadline}
	return output(cmd, t, func(w printer) error {
		say(w, "%s is %s%s", schemas.Key{Agent: t.Agent, ID: t.Intent}, string(t.State), until(s))
		if t.Code != "" {
			say(w, "because %s", string(t.Code))
		}
		if t.Tell != "" {
			say(w, "%s", t.Tell)
		}
		return nil
	})
}

// reasons is why an intent is where it is.
type reasons struct {
	Agent  schemas.Name     `json:"agent"`
	Intent schemas.IntentID `json:"intent"`
	evidence
	Decided   []weighing          `json:"decided"`
	Needs     []schemas.Approval  `json:"needs,omitempty"`
	Votes     []schemas.Vote      `json:"votes,omitempty"`
	Again     []stages.Redecision `json:"again"`
	Identical int                 `json:"identical"`

	eligible func(schemas.Approval, schemas.Vote) bool
}

// weighing is what was considered for one record.
type weighing struct {
	Record schemas.Pointer `json:"record"`
	What   string          `json:"what"`
	At     time.Time       `json:"at"`

	// Asked are the checkpoints that were asked for it, Opinion what they and those
	// before say together, and Flips what would have changed that.
	Asked   []rules.CheckpointExplanation `json:"asked"`
	Opinion schemas.Opinion               `json:"opinion"`
	Flips   []rules.Flip                  `json:"flips"`

	// Waiting is why the hold waits although nothing is missing.
	Waiting string `json:"waiting,omitzero"`

	// Partial says that rules before these had a say that is not known.
	Partial bool `json:"partial,omitzero"`
}

// explainIntent says why an intent is where it is, and decides it again.
func explainIntent(cmd *cobra.Command, e evidence, shelf *shelf) error {
	ctx, records := cmd.Context(), e.records()
	registered, done := e.lookUp()
	patient := &rules.Eligibility{Limits: rules.Limits{Time: time.Minute}}
	again := stages.Again{
		Policy: func(ctx context.Context, digest schemas.Digest) (stages.Policy, error) {
			b, err := shelf.get(ctx, digest)
			if err != nil {
				return nil, err
			}
			return b.Patient(), nil
		},
		Eligibility: patient,
		Registered:  registered,
		Copied:      e.Copied,
	}
	r := reasons{Again: again.Decide(ctx, records), eligible: eligibleThen(ctx, patient, registered, records)}
	if err := cmp.Or(ctx.Err(), shelf.unused()); err != nil {
		return err
	}
	if err := r.explain(ctx, shelf, records); err != nil {
		return err
	}
	done()
	r.evidence = e
	if err := output(cmd, r, func(w printer) error { return r.tell(w, records) }); err != nil {
		return err
	}
	return r.failure(shelf)
}

// explain says of every record for which rules were asked what they considered.
func (r *reasons) explain(ctx context.Context, shelf *shelf, records []schemas.Record) error {
	r.Decided = []weighing{}
	for _, one := range r.Again {
		if one.Same {
			r.Identical++
		}
		if len(one.Asked) == 0 {
			continue
		}
		var questions []rules.Question
		for _, a := range slices.Concat(one.Before, one.Asked) {
			b, err := shelf.get(ctx, a.Bundle)
			if err != nil {
				return err
			}
			questions = append(questions, rules.Question{Bundle: b, At: a.At, Facts: a.Facts})
		}
		e := rules.Explain(ctx, questions...)
		last := one.Asked[len(one.Asked)-1].Facts
		what, waiting := occasion(records, one.Record)
		r.Decided = append(r.Decided, weighing{
			Record: one.Record, What: what, Waiting: waiting, At: last.Now,
			Asked: e.Checkpoints[len(one.Before):], Opinion: e.Opinion, Flips: e.Flips, Partial: one.Partial,
		})
	}
	for _, record := range records {
		var h schemas.Hold
		if record.Stream == schemas.ParkedHolds && schemas.Read(record, &h) == nil {
			r.Needs, r.Votes = h.Requirements(), h.Votes
		}
		if in, err := schemas.ReadIntent("", record); record.Stream == schemas.Intents && err == nil && r.Agent == "" {
			r.Agent, r.Intent = in.Agent, in.ID
		}
	}
	return ctx.Err()
}

// occasion says for what the rules were asked, and what it waits for then.
func occasion(records []schemas.Record, p schemas.Pointer) (what, waiting string) {
	i := slices.IndexFunc(records, func(r schemas.Record) bool { return r.Pointer() == p })
	var h schemas.Hold
	var s schemas.Settlement
	switch {
	case i < 0:
		return "", ""
	case schemas.Read(records[i], &h) == nil && len(h.States) == 0:
		return "put on hold", h.Waiting
	case p.Stream == schemas.ParkedHolds:
		return "evaluated again", h.Waiting
	case schemas.Read(records[i], &s) == nil:
		return string(s.State()), ""
	case p.Stream == schemas.Grants:
		return "claimed", ""
	case p.Stream == schemas.Observed:
		return "observed", ""
	default:
		return "recommended", ""
	}
}

// failure returns an error that says that a record is not what was decided again, or
// that rules are missing.
func (r *reasons) failure(shelf *shelf) error {
	for _, one := range r.Again {
		if d := one.Differs; d != nil {
			return ended{hint(fmt.Errorf("%s is not what its inputs lead to: %s", one.Record, inWords(*d)), "see \"holdpoint audit verify\""), exitFailure}
		}
	}
	return shelf.missing
}

func inWords(d stages.Difference) string {
	where := ""
	if d.Path != "" {
		where = "at " + d.Path + " "
	}
	return fmt.Sprintf("%sit says %s, decided again it is %s", where, d.Recorded, d.Decided)
}

// eligibleThen reports whether a vote filled a place of a requirement, as far as that
// is known. Who voted counts, or else it would not be a vote.
func eligibleThen(ctx context.Context, e *rules.Eligibility, registered stages.Registered, records []schemas.Record) func(schemas.Approval, schemas.Vote) bool {
	var agent schemas.AgentFacts
	var action schemas.Action
	for _, r := range records {
		var o schemas.Observation
		if r.Stream == schemas.Observed && schemas.Read(r, &o) == nil {
			agent, action = o.Agent, o.Intent.Action
		}
	}
	return func(a schemas.Approval, v schemas.Vote) bool {
		if v.Verdict != schemas.Approve || registered == nil {
			return v.Verdict == schemas.Approve
		}
		id, _, known := registered(v.Reviewer, v.At)
		who := rules.Reviewer{Name: id.Name, Person: id.Principal(), Groups: id.Groups, Service: id.Service}
		ok, err := e.Eligible(ctx, a.Eligible, who, agent, action)
		return !known || ok && err == nil
	}
}
