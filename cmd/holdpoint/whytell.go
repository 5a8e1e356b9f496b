package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// tell writes the reasons for people: the story in short, what was considered, who
// had to agree, what would have changed it, and whether it is what it should be.
func (r *reasons) tell(w io.Writer, records []schemas.Record) error {
	for _, record := range records {
		word, lines := chapter(record)
		say(w, "%s  %-11s  %s", record.Time.Local().Format("15:04:05.000"), word, lines[0])
	}
	for _, d := range r.Decided {
		d.tell(w)
	}
	r.tellFaults(w, records)
	r.tellNeeds(w, standingsIn(records))
	r.tellAgain(w)
	return nil
}

// tell writes what was considered for one record, and what would have changed it
// if the intent got its verdict by it.
func (d weighing) tell(w io.Writer) {
	for _, c := range d.Asked {
		say(w, "")
		when := ""
		if c.At != d.What && c.At+"d" != d.What && c.At+"ed" != d.What {
			when = ", when it was " + d.What
		}
		say(w, "at %s%s, %s, bundle %s: %s%s", c.At, when, d.At.Local().Format("15:04:05.000"), c.Bundle.Short(), c.Opinion.Outcome, risked(c.Opinion))
		if len(c.Considered) == 0 {
			say(w, "  nothing is said about this action")
		}
		for _, entry := range c.Considered {
			tellConsidered(w, entry)
		}
	}
	if d.Record.Stream == schemas.ParkedHolds || d.Record.Stream == schemas.Settled {
		say(w, "")
		if d.Waiting != "" {
			say(w, "it waits, whatever the rules say: %s", d.Waiting)
			return
		}
		if d.Partial {
			say(w, "what would have changed that is not known: other rules had a say before, and cannot be asked again")
			return
		}
		for _, flip := range d.Flips {
			say(w, "it would have been %s", flip.Text)
		}
		if len(d.Flips) == 0 {
			say(w, "no change of a single parameter would have changed that, to or past a constant that it is compared with")
		}
	}
}

func risked(o schemas.Opinion) string {
	if o.Risk == 0 {
		return ""
	}
	return fmt.Sprintf(", risk %d", o.Risk)
}

// tellFaults says why an intent was refused whatever the rules say.
func (r *reasons) tellFaults(w io.Writer, records []schemas.Record) {
	for _, record := range records {
		var s schemas.Settlement
		if record.Stream != schemas.Settled || schemas.Read(record, &s) != nil || s.Outcome != schemas.Refuse || s.Code == schemas.CodePolicy {
			continue
		}
		because := (&schemas.Fault{Code: s.Code, Detail: s.Detail}).Error()
		say(w, "")
		say(w, "refused whatever the rules say: %s", because)
	}
}

// tellNeeds writes who had to agree, and who did, some of them in advance.
func (r *reasons) tellNeeds(w io.Writer, standings map[schemas.Pointer]schemas.Key) {
	if len(r.Needs) == 0 {
		return
	}
	say(w, "")
	for _, a := range r.Needs {
		var who []string
		for _, v := range r.Votes {
			if r.eligible(a, v) {
				who = append(who, fmt.Sprintf("%s at %s%s", v.Reviewer, v.At.Local().Format(time.TimeOnly), byStanding(v, standings)))
			}
		}
		by := "nobody approved it"
		if len(who) > 0 {
			by = "approved by " + strings.Join(who, "; ")
		}
		say(w, "a release needs %s, %s: %s", a.ID, requirement(a), by)
	}
	for _, v := range r.Votes {
		if v.Verdict == schemas.Deny {
			say(w, "denied by %s at %s", string(v.Reviewer), v.At.Local().Format(time.TimeOnly))
		}
	}
}

// tellAgain writes what came of deciding everything again.
func (r *reasons) tellAgain(w io.Writer) {
	say(w, "")
	say(w, "decided again: %s identical, byte for byte", count(r.Identical, "record"))
	for _, one := range r.Again {
		switch {
		case one.Differs != nil:
			say(w, "  %s DIFFERS: %s", one.Record, inWords(*one.Differs))
		case one.Cannot != "":
			say(w, "  %s is not decided again: %s", one.Record, one.Cannot)
		case len(one.Given) > 0:
			say(w, "  %s is taken at its word: %s", one.Record, strings.Join(one.Given, "; "))
		}
	}
	if r.Registered == nil {
		say(w, "  who was registered is taken from the records; an auditor reads that, and what is not to be had here, from the audit")
	}
}
