package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// verdictWait is how long submit waits for the first word of the gate, if it was
// not told to wait for the end.
const verdictWait = 10 * time.Second

// submitOptions are the flags of submit.
type submitOptions struct {
	params, reason, goal, session, id string
	param                             []string
	expiresIn, timeout                time.Duration
	wait, dryRun                      bool
}

func submitCommand() *cobra.Command {
	var o submitOptions
	cmd := &cobra.Command{
		Use:   "submit ACTION",
		Short: "Propose an action, as an agent",
		Long: `Propose an action, as an agent, and print where the intent stands: released,
parked or refused. With --wait, wait for the end and print the result.

Parameters are an object, from a file (--params FILE, or - for standard input)
or one by one (--param NAME=VALUE). A value that reads as JSON is taken as JSON,
any other as text; quote a number that is text: --param order='"17"'.

With --dry-run, nothing is proposed: the gate says whether the action exists, you
may propose it, and the parameters are as the catalog wants them. It does not say
what the rules would say.

Exit codes: 0 done or on its way, 1 failed, 3 refused, 4 still waiting when the
time was over, 5 expired, withdrawn or lapsed.`,
		Example: `  holdpoint submit shop.refund --key billing.key --param order=A-17 --param cents=1250
  holdpoint submit shop.refund --key billing.key --params refund.json --wait
  holdpoint submit shop.refund --key billing.key --params refund.json --dry-run`,
		Args: takes("ACTION"),
		RunE: func(cmd *cobra.Command, args []string) error { return submit(cmd, o, args[0]) },
	}
	connectionFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.params, "params", "", "`file` with the parameters, or -")
	f.StringArrayVar(&o.param, "param", nil, "one parameter, as `name=value`; may be repeated")
	f.StringVar(&o.reason, "reason", "", "why you want this, for the reviewers")
	f.StringVar(&o.goal, "goal", "", "what you were asked to do, for the reviewers")
	f.StringVar(&o.session, "session", "", "what belongs together")
	f.StringVar(&o.id, "id", "", "ULID of the intent, to submit the same one again safely; a fresh one if empty")
	f.DurationVar(&o.expiresIn, "expires-in", 0, "how long the intent may wait; 72h if 0")
	f.BoolVar(&o.wait, "wait", false, "wait for the end")
	f.BoolVar(&o.dryRun, "dry-run", false, "only check that the intent is well formed; propose nothing")
	cmd.MarkFlagsMutuallyExclusive("wait", "dry-run")
	cmd.ValidArgsFunction = completeActions
	f.DurationVar(&o.timeout, "timeout", 0, "with --wait, how long; for ever if 0")
	return cmd
}

func submit(cmd *cobra.Command, o submitOptions, action string) error {
	params, err := o.read(cmd.InOrStdin())
	if err != nil {
		return err
	}
	p := client.Proposal{
		Action: schemas.Action(action), Params: params, Reason: o.reason, Goal: o.goal, Session: o.session,
		ExpiresIn: o.expiresIn, ID: schemas.IntentID(strings.ToUpper(o.id)),
	}
	if p.ID != "" {
		if _, err := schemas.ParseIntentID(string(p.ID)); err != nil {
			return usage("--id: %v", err)
		}
	}
	conn, _, err := dial(cmd, schemas.RoleAgent)
	if err != nil {
		return err
	}
	defer conn.Close()
	agent := client.Agent{Conn: conn}
	if o.dryRun {
		return dryRun(cmd, agent, p)
	}
	ticket, err := agent.Submit(cmd.Context(), p)
	if errors.Is(err, schemas.ErrDenied) {
		return hint(err, "%s is not registered for %s", string(conn.Name()), action)
	}
	if err != nil {
		return err
	}
	if o.wait {
		return awaitEnd(cmd, agent, ticket, o.timeout)
	}
	return awaitWord(cmd, agent, ticket)
}

// dryRun says whether a proposal is well formed.
func dryRun(cmd *cobra.Command, agent client.Agent, p client.Proposal) error {
	var fault *schemas.Fault
	err := agent.Check(cmd.Context(), p)
	if errors.As(err, &fault) {
		return hint(ended{err, exitRefused}, "see \"holdpoint catalog show %s\"", p.Action)
	}
	if err != nil {
		return err
	}
	return output(cmd, schemas.Check{}, func(w printer) error {
		say(w, "well formed")
		return nil
	})
}

// read returns the parameters as JSON.
func (o submitOptions) read(stdin io.Reader) (jsontext.Value, error) {
	switch {
	case o.params != "" && len(o.param) > 0:
		return nil, usage("--params and --param: give one of them")
	case o.params == "-":
		b, err := io.ReadAll(io.LimitReader(stdin, schemas.MaxIntentSize+1))
		return b, err
	case o.params != "":
		b, err := os.ReadFile(o.params)
		if err != nil {
			return nil, fmt.Errorf("reading parameters: %w", err)
		}
		return b, nil
	}
	object := map[string]jsontext.Value{}
	for _, p := range o.param {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, usage("--param %s: want name=value", p)
		}
		object[name] = parameter(value)
	}
	return schemas.Marshal(object)
}

// parameter is value as JSON: itself if it reads as JSON, else a string.
func parameter(value string) jsontext.Value {
	v := jsontext.Value(value)
	if v.IsValid() {
		return v
	}
	text, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(value, "\ufffd"))
	if err != nil {
		return jsontext.Value("null")
	}
	return text
}

// awaitWord waits for the gate's first word.
func awaitWord(cmd *cobra.Command, agent client.Agent, t client.Ticket) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), verdictWait)
	defer cancel()
	status, err := agent.Stand(ctx, t)
	if errors.Is(err, context.DeadlineExceeded) && cmd.Context().Err() == nil {
		return hint(ended{fmt.Errorf("%s is accepted, and the gate has not looked at it yet", t.Key), exitUnavailable},
			"see \"holdpoint show %s\"", t.Key)
	}
	if err != nil {
		return err
	}
	return printStatus(cmd, status)
}

// awaitEnd waits for the end, and says meanwhile where the intent stands.
func awaitEnd(cmd *cobra.Command, agent client.Agent, t client.Ticket, timeout time.Duration) error {
	ctx := cmd.Context()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	status, err := agent.Follow(ctx, t, func(s schemas.Status) {
		say(cmd.ErrOrStderr(), "holdpoint: %s is %s%s", t.Key, string(s.State), until(s))
	})
	if errors.Is(err, context.DeadlineExceeded) && cmd.Context().Err() == nil {
		if err := writeStatus(cmd, status); err != nil {
			return err
		}
		return hint(ended{fmt.Errorf("%s is not over yet", t.Key), exitParked}, "see \"holdpoint show %s\"", t.Key)
	}
	if err != nil {
		return err
	}
	return printStatus(cmd, status)
}

func until(s schemas.Status) string {
	if s.Deadline.IsZero() || s.State.Final() {
		return ""
	}
	return ", until " + s.Deadline.Local().Format(time.DateTime)
}

// printStatus prints where an intent stands, and returns what the exit code
// follows from.
func printStatus(cmd *cobra.Command, s schemas.Status) error {
	if err := writeStatus(cmd, s); err != nil {
		return err
	}
	key := schemas.Key{Agent: s.Agent, ID: s.Intent}
	switch s.State {
	case schemas.Refused:
		return instead(ended{fmt.Errorf("%s was refused: %s", key, refusedBecause(s)), codeExit(s.Code)}, s)
	case schemas.Lapsed:
		return ended{fmt.Errorf("%s was released, and no executor took it in time", key), exitOver}
	case schemas.Failed:
		return ended{fmt.Errorf("%s failed: %s", key, s.Error), exitFailure}
	}
	return nil
}

// instead adds what helps whoever asked for something that does not exist.
func instead(err error, s schemas.Status) error {
	switch s.Code {
	case schemas.CodeUnknownAction:
		return hint(err, "see \"holdpoint catalog list\"")
	case schemas.CodeInvalid:
		return hint(err, "see \"holdpoint catalog show %s\"", s.Action)
	}
	return err
}

func refusedBecause(s schemas.Status) string {
	because := string(s.Code)
	if s.Detail != "" {
		because += ": " + s.Detail
	}
	if s.Tell != "" {
		because += "; " + s.Tell
	}
	return because
}

// writeStatus writes the state on a line of its own, then what else there is.
func writeStatus(cmd *cobra.Command, s schemas.Status) error {
	return output(cmd, s, func(w printer) error {
		say(w, "%s", string(s.State))
		lines := [][2]string{
			{"intent", string(s.Agent) + "/" + string(s.Intent)},
			{"code", string(s.Code)},
			{"detail", s.Detail},
			{"tell", s.Tell},
			{"until", strings.TrimPrefix(until(s), ", until ")},
			{"result", string(s.Result)},
			{"error", s.Error},
		}
		for _, l := range lines {
			if l[1] != "" {
				say(w, "%-8s %s", l[0], l[1])
			}
		}
		return nil
	})
}
