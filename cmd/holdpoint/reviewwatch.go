package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

func reviewWatchCommand() *cobra.Command {
	var notify string
	var pass []string
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Watch your queues; on a terminal, decide on each parked intent in turn",
		Long: `Watch your queues until interrupted. On a terminal each parked intent is shown
whole and offered in turn: approve, deny, skip or quit. Otherwise each is one
line, with -o json one line of JSON, with -o yaml one document.

With --notify, a program is started for each as it is parked, with the line as
JSON on standard input, no shell and a clean environment: to ring a bell, or post
to a chat. What it does changes nothing.`,
		Example: `  holdpoint review watch --key ann.key
  holdpoint review watch --notify ./tell-the-team --pass CHAT_TOKEN --key ann.key`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := program{path: notify, pass: pass}
			if notify != "" {
				if err := p.check("--notify"); err != nil {
					return err
				}
			}
			reviewer, queues, err := dialReviewer(cmd)
			if err != nil {
				return err
			}
			defer reviewer.Close()
			watch := watcher(cmd, reviewer)
			if notify != "" {
				watch = notifying(cmd, p, watch)
			}
			return quiet(reviewer.Watch(cmd.Context(), queues, watch))
		},
	}
	connectionFlags(cmd)
	cmd.Flags().StringVar(&notify, "notify", "", "`program` to start for each hold")
	cmd.Flags().StringSliceVar(&pass, "pass", nil, "environment variables that the program gets")
	return cmd
}

// notifyWithin is how long the program of --notify may take.
const notifyWithin = 10 * time.Second

// notifying starts a program for each hold, then does what watch does.
func notifying(cmd *cobra.Command, p program, watch func(schemas.HoldLine) error) func(schemas.HoldLine) error {
	return func(h schemas.HoldLine) error {
		input, err := schemas.Marshal(h)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), notifyWithin)
		defer cancel()
		switch o, err := p.run(ctx, input); {
		case err != nil:
			say(cmd.ErrOrStderr(), "holdpoint: --notify: %s", err)
		case o.killed || o.code != 0:
			say(cmd.ErrOrStderr(), "holdpoint: --notify: %s failed: %s", p.path, o.complaint)
		}
		return watch(h)
	}
}

// watcher returns what is done with each hold: on a terminal it is offered, else
// printed.
func watcher(cmd *cobra.Command, r client.Reviewer) func(schemas.HoldLine) error {
	if asData(cmd) || !onTerminal(cmd.InOrStdin()) {
		return holdLine(cmd)
	}
	o := &offer{reviewer: r, out: cmd.OutOrStdout(), err: cmd.ErrOrStderr(), lines: readLines(cmd.Context(), cmd.InOrStdin())}
	return func(h schemas.HoldLine) error { return o.make(cmd.Context(), h) }
}

// offer puts holds before a person at a terminal, one after the other.
type offer struct {
	reviewer client.Reviewer
	out, err io.Writer
	lines    <-chan string
}

// readLines reads lines until ctx ends, so that waiting for one can be given up.
func readLines(ctx context.Context, r io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// make shows one hold and does what the person says. What is shown is read anew,
// and the decision is on exactly that.
func (o *offer) make(ctx context.Context, h schemas.HoldLine) error {
	held, err := o.reviewer.Hold(ctx, schemas.Key{Agent: h.Agent, ID: h.Intent})
	if err != nil {
		return ifUnavailable(err)
	}
	if !held.Open() {
		return nil // decided meanwhile
	}
	fmt.Fprintln(o.out)
	if err := printHold(o.out, held, standingsOf(ctx, o.reviewer, held)); err != nil {
		return err
	}
	verdict, reason, err := o.ask(ctx, held)
	if err != nil || verdict == "" {
		return err
	}
	ruling, err := o.reviewer.Decide(ctx, held, verdict, reason)
	switch {
	case err != nil:
		say(o.err, "holdpoint: %s", err)
		return ifUnavailable(err)
	case !ruling.Counts:
		say(o.err, "holdpoint: does not count: %s %s", string(ruling.Code), ruling.Detail)
	case ruling.Waiting != "":
		say(o.out, "%s, still needs %s", string(ruling.State), ruling.Waiting)
	default:
		say(o.out, "%s", string(ruling.State))
	}
	return nil
}

// ask returns what the person decides, or no verdict to skip.
func (o *offer) ask(ctx context.Context, h client.Held) (schemas.Verdict, string, error) {
	choices := map[string]schemas.Verdict{"a": schemas.Approve, "d": schemas.Deny}
	prompt := "[a]pprove, [d]eny, [s]kip, [q]uit"
	if h.State == schemas.InDoubt {
		choices = map[string]schemas.Verdict{"y": schemas.WasDone, "n": schemas.WasNotDone, "r": schemas.Retry}
		prompt = "was it done? [y]es, [n]o, [r]etry, [s]kip, [q]uit"
	}
	for {
		word, err := o.line(ctx, prompt)
		if err != nil {
			return "", "", err
		}
		switch word {
		case "s":
			return "", "", nil
		case "q":
			return "", "", errQuit
		}
		verdict, ok := choices[word]
		if !ok {
			continue
		}
		if verdict == schemas.Approve {
			return verdict, "", nil
		}
		reason, err := o.line(ctx, "reason")
		if err != nil {
			return "", "", err
		}
		if reason != "" {
			return verdict, reason, nil
		}
	}
}

// line asks for one line. The end of the input is a wish to quit.
func (o *offer) line(ctx context.Context, prompt string) (string, error) {
	fmt.Fprintf(o.err, "%s: ", prompt)
	select {
	case text, ok := <-o.lines:
		if !ok {
			return "", errQuit
		}
		return strings.TrimSpace(text), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
