package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// deciderOptions are the flags by which a program decides.
type deciderOptions struct {
	program string
	pass    []string
	timeout time.Duration
}

func (o *deciderOptions) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.program, "exec", "", "`program` that decides")
	f.StringSliceVar(&o.pass, "pass", nil, "environment variables that the program gets")
	f.DurationVar(&o.timeout, "decide-within", 30*time.Second, "how long the program may take")
}

// verdictOf is what a deciding program answers.
type verdictOf struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitzero"`
}

// runDecider lets a program decide on every parked intent, until interrupted. What
// it does not clearly decide stays parked, for people.
func runDecider(cmd *cobra.Command, o deciderOptions) error {
	p := program{path: o.program, pass: o.pass}
	if err := p.check("--exec"); err != nil {
		return err
	}
	reviewer, queues, err := dialReviewer(cmd)
	if err != nil {
		return err
	}
	defer reviewer.Close()
	return quiet(reviewer.Watch(cmd.Context(), queues, func(h schemas.HoldLine) error {
		if h.State != schemas.Parked {
			return nil
		}
		held, err := reviewer.Hold(cmd.Context(), schemas.Key{Agent: h.Agent, ID: h.Intent})
		if err != nil {
			return ifUnavailable(err) // else it was decided meanwhile
		}
		return letDecide(cmd, reviewer, p, o.timeout, held)
	}))
}

func letDecide(cmd *cobra.Command, r client.Reviewer, p program, timeout time.Duration, h client.Held) error {
	key := h.Intent.Key()
	v, why := askProgram(cmd.Context(), p, timeout, h)
	if why != "" {
		say(cmd.ErrOrStderr(), "holdpoint: %s stays parked: %s", key, why)
		return nil
	}
	ruling, err := r.Decide(cmd.Context(), h, schemas.Verdict(v.Verdict), v.Reason)
	if err != nil {
		say(cmd.ErrOrStderr(), "holdpoint: %s", err)
		return ifUnavailable(err)
	}
	if !ruling.Counts {
		say(cmd.ErrOrStderr(), "holdpoint: the decision on %s does not count: %s %s", key, string(ruling.Code), ruling.Detail)
		return nil
	}
	say(cmd.OutOrStdout(), "%s %s %s", v.Verdict, key, string(ruling.State))
	return nil
}

// ifUnavailable returns err if the gate did not answer, so that the hold is
// offered again. Any other error is about this hold, and not worth stopping for.
func ifUnavailable(err error) error {
	if errors.Is(err, schemas.ErrUnavailable) {
		return err
	}
	return nil
}

// askProgram returns the verdict of the program, or why there is none.
func askProgram(ctx context.Context, p program, timeout time.Duration, h client.Held) (v verdictOf, why string) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	input, err := schemas.Marshal(h.Hold)
	if err != nil {
		return v, err.Error()
	}
	o, err := p.run(ctx, input)
	switch {
	case err != nil:
		return v, err.Error()
	case o.killed:
		return v, "the program did not end by itself"
	case o.code != 0:
		return v, "the program failed: " + o.complaint
	}
	if err := schemas.Unmarshal(o.output, &v); err != nil {
		return v, "the program's answer: " + err.Error()
	}
	switch schemas.Verdict(v.Verdict) {
	case schemas.Approve, schemas.Deny:
		return v, ""
	case "skip":
		return v, "skipped"
	default:
		return v, "the program's answer: /verdict: want approve, deny or skip"
	}
}
