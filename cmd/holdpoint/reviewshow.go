package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// printHold prints a hold as its reviewer decides on it: first what the gate
// itself knows, whole, and apart from that, last, what the agent says.
func printHold(w io.Writer, h client.Held, standings map[schemas.Pointer]schemas.Key) error {
	in := h.Intent
	line := func(name, format string, args ...any) { say(w, "%-11s "+format, append([]any{name}, args...)...) }
	line("action", "%s", string(in.Action))
	line("agent", "%s", string(in.Agent))
	line("intent", "%s", in.Key())
	line("state", "%s%s", string(h.State), waitingFor(h.Hold))
	line("digest", "%s", string(in.Digest))
	line("seen", "%s", in.Digest.Short())
	line("risk", "%d", h.Opinion.Risk)
	line("proposed", "%s", in.Proposed.Local().Format(time.DateTime))
	if !h.Deadline.IsZero() {
		line("deadline", "%s (%s)", h.Deadline.Local().Format(time.DateTime), left(h.Deadline))
	}
	if h.Doubt != nil {
		line("in doubt", "%s took it at %s and never reported", string(h.Doubt.Executor), h.Doubt.Since.Local().Format(time.DateTime))
	}
	if len(h.Looking) > 0 {
		line("looking", "%s too, in the last minutes", strings.Join(names(h.Looking), ", "))
	}
	printParams(w, in.Params)
	printWhy(w, h.Hold, standings)
	printProse(w, in)
	return nil
}

func waitingFor(h schemas.Hold) string {
	if h.Waiting == "" {
		return ""
	}
	return " (" + h.Waiting + ")"
}

// printParams prints the parameters whole, one to a line.
func printParams(w io.Writer, params jsontext.Value) {
	say(w, "params")
	v := params.Clone()
	if err := v.Indent(jsontext.WithIndent("  "), jsontext.WithIndentPrefix("  ")); err != nil {
		say(w, "  %s", string(params))
		return
	}
	fmt.Fprintf(w, "  %s\n", visibleJSON(v))
}

func printWhy(w io.Writer, h schemas.Hold, standings map[schemas.Pointer]schemas.Key) {
	say(w, "why")
	for _, m := range h.Opinion.Matched {
		say(w, "  %s", matchLine(m))
	}
	for _, m := range h.Opinion.Failed {
		say(w, "  %s: could not be evaluated: %s", m.Rule, m.Reason)
	}
	if h.Opinion.More > 0 {
		say(w, "  and %d more", h.Opinion.More)
	}
	if len(h.Opinion.Matched)+len(h.Opinion.Failed) == 0 {
		say(w, "  no rule releases it")
	}
	say(w, "needs")
	for _, a := range h.Requirements() {
		who := "any reviewer of " + string(h.Queue)
		if a.Eligible != "" {
			who = a.Eligible
		}
		say(w, "  %s: %d of %s", a.ID, max(1, a.Quorum), who)
	}
	for _, v := range h.Votes {
		say(w, "  has %s of %s at %s%s", string(v.Verdict), string(v.Reviewer), v.At.Local().Format(time.DateTime), byStanding(v, standings))
	}
}

// printProse prints what the agent says, marked as that.
func printProse(w io.Writer, in schemas.Intent) {
	for _, p := range [][2]string{{"goal", in.Goal}, {"reason", in.Reason}, {"session", in.Session}} {
		if p[1] != "" {
			say(w, "the agent says, %s: %s", p[0], p[1])
		}
	}
}

// oneLine is JSON on one line, safe to look at.
func oneLine(v jsontext.Value) string { return strings.TrimSpace(string(visibleJSON(v))) }
