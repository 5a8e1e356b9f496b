package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

func policyExplainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain DIR CASE",
		Short: "Say why a bundle decides an intent as it does",
		Long: `Say why the bundle in DIR decides as it does: every rule, risk, threshold and
approval that was considered, the values of their expressions and parts, and the
smallest change of one parameter that would have led to another outcome.

CASE is the name of a case of the bundle ("name: row" for the row of a table), or
a YAML or JSON file with the keys of a case: action, params, agent, session,
exposure, rate, now, reason, goal.`,
		Example: `  holdpoint policy explain examples/banking 'a large one waits'
  holdpoint policy explain examples/banking intent.json -o json`,
		Args: takes("DIR", "CASE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := loadBundle(args[0])
			if mistakes, ok := mistakesIn(err); ok {
				sayLines(cmd.ErrOrStderr(), mistakes.Error())
				return hint(fmt.Errorf("loading %s: %s", args[0], count(len(mistakes), "mistake")), "see \"holdpoint policy check %s\"", args[0])
			}
			if err != nil {
				return err
			}
			facts, at, err := factsNamed(b, args[1])
			if err != nil {
				return err
			}
			e := b.Explain(cmd.Context(), facts, at...)
			return output(cmd, e, func(w printer) error { tellExplanation(w, facts, e); return nil })
		},
	}
	return cmd
}

func loadBundle(dir string) (*rules.Bundle, error) {
	root, err := bundleDir(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return rules.Load(root.FS())
}

// factsNamed returns the facts of a file, or else of the case of that name, and
// the checkpoint that it asks, if it asks one.
func factsNamed(b *rules.Bundle, name string) (rules.Facts, []rules.Checkpoint, error) {
	text, err := os.ReadFile(name)
	if err == nil {
		facts, err := b.Facts(name, text)
		if err != nil {
			return facts, nil, fmt.Errorf("reading the intent: %w", err)
		}
		return facts, nil, b.CheckParams(facts.Intent.Action, facts.Intent.Params)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return rules.Facts{}, nil, fmt.Errorf("reading the intent: %w", err)
	}
	cases, err := b.Cases()
	if err != nil {
		return rules.Facts{}, nil, fmt.Errorf("reading the cases: %w", err)
	}
	for _, c := range cases {
		if c.Name == name && c.At != 0 {
			return c.Facts, []rules.Checkpoint{c.At}, nil
		} else if c.Name == name {
			return c.Facts, nil, nil
		}
	}
	return rules.Facts{}, nil, hint(fmt.Errorf("%q is neither a file nor a case of the bundle", name), "the cases are in cases/; a row of a table is \"name: row\"")
}

// tellExplanation writes an explanation for people.
func tellExplanation(w io.Writer, f rules.Facts, e rules.Explanation) {
	say(w, "%s of %s: %s, risk %d", string(e.Action), string(f.Agent.Name), e.Opinion.Outcome, e.Opinion.Risk)
	for _, c := range e.Checkpoints {
		say(w, "")
		say(w, "at %s: %s", c.At, c.Opinion.Outcome)
		if len(c.Considered) == 0 {
			say(w, "  nothing is said about this action")
		}
		for _, entry := range c.Considered {
			tellConsidered(w, entry)
		}
	}
	say(w, "")
	for _, a := range e.Opinion.Requirements() {
		if e.Opinion.Outcome == schemas.Park {
			say(w, "a release needs %s: %s", a.ID, requirement(a))
		}
	}
	for _, flip := range e.Flips {
		say(w, "it would be %s", flip.Text)
	}
	if len(e.Flips) == 0 {
		say(w, "no change of a single parameter to or past a constant that it is compared with leads to another outcome")
	}
}

func tellConsidered(w io.Writer, c rules.Considered) {
	does := "does not apply"
	switch {
	case c.Failed != "":
		does = "cannot be evaluated, so parks: " + c.Failed
	case c.Applies && c.Kind == "risk":
		does = fmt.Sprintf("adds %d", c.Add)
	case c.Applies && c.Outcome != "":
		does = "applies: " + c.Outcome
	case c.Applies:
		does = "applies"
	}
	if c.Reason != "" && c.Applies {
		does += " (" + c.Reason + ")"
	}
	say(w, "  %s %s %s", c.Kind, c.ID, does)
	width := 0
	for _, p := range c.Parts {
		width = max(width, len([]rune(visible(p.Expression)))+2*p.Depth)
	}
	for _, p := range c.Parts {
		say(w, "    %s  %s", fmt.Sprintf("%-*s", min(width, 100), strings.Repeat("  ", p.Depth)+visible(p.Expression)), p.Value)
	}
}

// requirement says who must agree, and until when.
func requirement(a schemas.Approval) string {
	parts := []string{fmt.Sprintf("%d of the queue", a.Quorum)}
	if a.Eligible != "" {
		parts = []string{fmt.Sprintf("%d for whom %s", a.Quorum, a.Eligible)}
	}
	if a.Deadline > 0 {
		parts = slices.Concat(parts, []string{"within " + a.Deadline.Duration().String()})
	}
	return strings.Join(parts, ", ")
}
