package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// checked is the answer of policy check.
type checked struct {
	Digest   schemas.Digest  `json:"digest,omitzero"`
	Actions  int             `json:"actions"`
	Mistakes []rules.Mistake `json:"mistakes"`
	Findings []rules.Finding `json:"findings"`
}

// warnings counts the findings that nobody waived.
func (c checked) warnings() int {
	n := 0
	for _, f := range c.Findings {
		if f.Level == rules.Warning && f.Waived == "" {
			n++
		}
	}
	return n
}

func (c checked) write(w io.Writer, all bool) {
	for _, m := range c.Mistakes {
		sayLines(w, m.String())
	}
	hidden := 0
	for _, f := range c.Findings {
		if !all && (f.Level == rules.Note || f.Waived != "") {
			hidden++
			continue
		}
		sayLines(w, f.String())
	}
	if len(c.Mistakes) == 0 {
		say(w, "%s loads: %s, %s, %d waived or notes", c.Digest.Short(), count(c.Actions, "action"), count(c.warnings(), "warning"), len(c.Findings)-c.warnings())
	}
	if hidden > 0 {
		say(w, "--all shows those, too")
	}
}

// checkBundle checks the bundle in a directory. Mistakes are no error.
func checkBundle(ctx context.Context, dir string, seats []rules.Seat) (checked, error) {
	c := checked{Mistakes: []rules.Mistake{}, Findings: []rules.Finding{}}
	root, err := bundleDir(dir)
	if err != nil {
		return c, err
	}
	defer root.Close()
	b, findings, err := rules.Check(ctx, root.FS(), seats)
	if mistakes, ok := mistakesIn(err); ok {
		c.Mistakes = mistakes
		return c, nil
	}
	if err != nil {
		return c, err
	}
	c.Digest, c.Actions = b.Digest(), len(b.Actions())
	c.Findings = append(c.Findings, findings...)
	return c, nil
}

func policyCheckCommand() *cobra.Command {
	var strict, all bool
	var identities string
	cmd := &cobra.Command{
		Use:   "check DIR",
		Short: "Check a bundle: mistakes, and what is likely meant otherwise",
		Long: `Check a bundle as the gateway does when it loads it, and for what a gateway
does not mind: optional parameters that are read as if they were always there,
rules that never have a say, writes that nothing holds up after the agent read
what others wrote. Mistakes end with exit code 1, warnings with --strict only.`,
		Example: `  holdpoint policy check examples/banking
  holdpoint policy check examples/banking --strict -o json`,
		Args: takes("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			seats, err := readSeats(identities)
			if err != nil {
				return err
			}
			c, err := checkBundle(cmd.Context(), args[0], seats)
			if err != nil {
				return fmt.Errorf("checking %s: %w", args[0], err)
			}
			if err := output(cmd, c, func(w printer) error { c.write(w, all); return nil }); err != nil {
				return err
			}
			switch {
			case len(c.Mistakes) > 0:
				return fmt.Errorf("checking %s: %s", args[0], count(len(c.Mistakes), "mistake"))
			case strict && c.warnings() > 0:
				return hint(fmt.Errorf("checking %s: %s", args[0], count(c.warnings(), "warning")), "mend them, or waive them in policy.yaml with a reason")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "fail because of warnings, too")
	cmd.Flags().StringVar(&identities, "identities", "", "see whether somebody can give each approval: a `file` as \"identity list -o json\" writes it")
	cmd.Flags().BoolVar(&all, "all", false, "show notes and what is waived, too")
	return cmd
}

// readSeats returns the reviewers in a file of identities, or nil without a file.
func readSeats(path string) ([]rules.Seat, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the identities: %w", err)
	}
	var listed struct {
		Identities []schemas.Identity `json:"identities"`
	}
	if err := json.Unmarshal(text, &listed); err != nil {
		return nil, hint(fmt.Errorf("reading %s: %w", path, err), "write it with \"holdpoint identity list -o json\"")
	}
	seats := []rules.Seat{}
	for _, id := range listed.Identities {
		if id.Role == schemas.RoleReviewer {
			r := rules.Reviewer{Name: id.Name, Person: id.Principal(), Groups: id.Groups, Service: id.Service}
			seats = append(seats, rules.Seat{Reviewer: r, Queues: id.Queues})
		}
	}
	return seats, nil
}
