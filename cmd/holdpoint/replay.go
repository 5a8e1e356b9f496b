package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/schemas"
)

// replayOptions are the flags of replay.
type replayOptions struct {
	bundle, decisions, agent, owner string
	groups                          []string

	live, wait bool
	keys       string
	parallel   int
}

func replayCommand() *cobra.Command {
	o := replayOptions{parallel: 16}
	cmd := &cobra.Command{
		Use:   "replay FILE...",
		Short: "Say what a bundle would have done with calls that agents made before",
		Long: `Say what a bundle would have done with calls that agents made before, with or
without a gate: what would be released, parked or refused, by which rule, and in
how many sessions nobody would have been asked. It decides by the code of the gate.

FILE has one call a line, as JSON; - is standard input:

  {"session": "t-17", "action": "shop.refund", "params": {"order": "A-1", "amount": 20}}

"action" and "params" say what was called; an action is SYSTEM.OPERATION, as in the
catalog. "session" is what belongs together. Optional: "agent", "seq" (number in the
session), "observed" (actions whose results the agent had been given before),
"goal", "time" (RFC 3339). Other fields are passed over. With jq, a log of chat
completions becomes such a file like this:

  jq -c '{session: .thread, action: ("shop." + .function.name),
          params: (.function.arguments | fromjson)}' calls.log > calls.jsonl

What an agent had read counts as the log says, by "observed" and by the calls
before in its session: a parked call as one that somebody released, a refused one
as one that gave nothing. Calls without a time count as made now, and none of them as
close to another. Budgets count what would be released of calls with a time.

A line that is no call is named on standard error and counted, and the exit code is
1 at the end; all others are counted nevertheless.

With --live the calls go through a running gate, as the agents of the log: the key
of agent NAME is --keys DIR/NAME.key, or --key FILE is the key of all. The calls of
a session go one after the other, each when the one before was released, parked or
refused; with --wait, when it was released or refused.`,
		Example: `  holdpoint replay --bundle examples/customer-operations calls.jsonl
  holdpoint replay --bundle examples/customer-operations calls.jsonl --decisions decisions.jsonl -o json
  holdpoint replay --live --keys keys calls.jsonl`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("%s: FILE is missing", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runReplay(cmd, o, args) },
	}
	connectionFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.bundle, "bundle", "", "`directory` of the bundle")
	f.StringVar(&o.decisions, "decisions", "", "`file`, for you alone, for a line of JSON on every call: session, seq, decision (release, park or deny), and why")
	f.StringVar(&o.agent, "agent", "", "`name` of the agent, whatever the log says")
	f.StringVar(&o.owner, "owner", "", "`person` who answers for the agents, as the rules are told")
	f.StringSliceVar(&o.groups, "groups", nil, "groups of the agents, as the rules are told")
	f.BoolVar(&o.live, "live", false, "send the calls through a running gate")
	f.StringVar(&o.keys, "keys", "", "with --live, `directory` with the keys of the agents")
	f.BoolVar(&o.wait, "wait", false, "with --live, wait for reviewers")
	f.IntVar(&o.parallel, "parallel", o.parallel, "with --live, how many sessions go on at once")
	cmd.MarkFlagsMutuallyExclusive("bundle", "live")
	cmd.MarkFlagsOneRequired("bundle", "live")
	return cmd
}

// check says which flags do not go together.
func (o replayOptions) check() error {
	if _, err := schemas.ParseName(o.agent); o.agent != "" && err != nil {
		return usage("--agent: %v", err)
	}
	switch {
	case !o.live && (o.keys != "" || o.wait):
		return usage("--keys and --wait belong to --live")
	case o.live && (o.owner != "" || len(o.groups) > 0):
		return usage("--owner and --groups are what a running gate knows already; leave them out with --live")
	case o.live && o.parallel < 1:
		return usage("--parallel %d: want at least 1", o.parallel)
	}
	return nil
}

func runReplay(cmd *cobra.Command, o replayOptions, paths []string) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	in, err := openLog(cmd, paths)
	if err != nil {
		return err
	}
	defer in.close()
	lines, err := createLineFile(o.decisions, "decisions")
	if err != nil {
		return err
	}
	out := decisions{lines}
	defer func() { err = errors.Join(err, out.close()) }()
	if o.live {
		return replayLive(cmd, o, in, out)
	}
	return replayOffline(cmd, o, in, out)
}

// replayOffline judges the calls by a bundle.
func replayOffline(cmd *cobra.Command, o replayOptions, in *callLog, out decisions) error {
	bundle, err := bundleToTry(o.bundle)
	if err != nil {
		return err
	}
	r := replay.New(replay.Config{
		Bundle:  bundle,
		Agent:   schemas.Name(o.agent),
		Owner:   o.owner,
		Groups:  o.groups,
		Decided: out.write,
		Bad:     in.complain,
		Tick:    in.tick,
	})
	err = r.Run(cmd.Context(), in.next)
	in.meter.done()
	report := r.Report()
	if err := output(cmd, report, func(w printer) error { return printReplay(w, report) }); err != nil {
		return err
	}
	return errors.Join(err, in.verdict())
}
