package audit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// MaxFindings is how many findings a report lists, the first ones in AUDIT.
const MaxFindings = 1000

// Finding is something that a gate that keeps its promises does not write.
type Finding struct {
	// Audit is the sequence in AUDIT of the record that the finding is about,
	// Stream and Seq say where that was copied from.
	Audit  uint64         `json:"audit"`
	Stream schemas.Stream `json:"stream"`
	Seq    uint64         `json:"seq"`

	// Intent is the intent that the record is about. It is empty if there is none.
	Intent schemas.Key `json:"intent,omitzero"`

	// Text says what the record does, so that "SETTLED/7" and Text make a sentence.
	Text string `json:"text"`
}

func (f Finding) String() string {
	if f.Intent == (schemas.Key{}) {
		return fmt.Sprintf("AUDIT/%d: %s/%d %s", f.Audit, f.Stream, f.Seq, f.Text)
	}
	return fmt.Sprintf("AUDIT/%d: %s/%d (%s) %s", f.Audit, f.Stream, f.Seq, f.Intent, f.Text)
}

// Counts says what was read.
type Counts struct {
	Records  int `json:"records"`
	Intents  int `json:"intents"` // records of INTENTS
	Released int `json:"released"`
	Refused  int `json:"refused"`
	Granted  int `json:"granted"` // grants, every attempt
	Lapsed   int `json:"lapsed"`
	Done     int `json:"done"`
	Failed   int `json:"failed"`

	// InDoubt and Open are intents as they stand at the end: those in doubt, and
	// all that are not over.
	InDoubt int `json:"in_doubt"`
	Open    int `json:"open"`

	// Pending are decisions and reports that the gate has not answered yet, and
	// records that name what AUDIT has not copied yet.
	Pending int `json:"pending"`

	// Unchecked are records that name what is from before the reading.
	Unchecked int `json:"unchecked"`
}

// Report is what a Verifier found.
type Report struct {
	Counts

	// Findings are in the order of AUDIT. More counts those beyond MaxFindings.
	Findings []Finding `json:"findings"`
	More     int       `json:"more,omitzero"`
}

// First returns the first finding, or nil.
func (r Report) First() *Finding {
	if len(r.Findings) == 0 {
		return nil
	}
	return &r.Findings[0]
}

// Finish returns what is known when the reading ends, at a time by the clock of
// the broker. A zero time stands for that of the latest record. More records may
// be added afterwards.
func (v *Verifier) Finish(at time.Time) Report {
	if at.IsZero() {
		at = v.now
	}
	now := reading{Verifier: v, at: at, counts: v.counts, found: v.found.clone()}
	now.judgeAll()
	now.countOpen()
	now.countUnanswered(&v.decisions)
	now.countUnanswered(&v.outcomes)
	return Report{Counts: now.counts, Findings: now.found.kept, More: now.found.more}
}

// reading is a Verifier at one moment.
type reading struct {
	*Verifier
	at     time.Time
	counts Counts
	found  findings
}

// judgeAll judges what waits for its time. What it misses it may still get, if it
// is not older than the lag.
func (now *reading) judgeAll() {
	for _, c := range now.queue.items[now.queue.head:] {
		err := c.ask()
		m, lacking := errors.AsType[*missing](err)
		switch young := c.at.copied.Add(now.cfg.Lag).After(now.at); {
		case err == nil, lacking && m.quiet:
		case lacking && young:
			now.counts.Pending++
		case errors.Is(err, errBefore):
			now.counts.Unchecked++
		default:
			now.found.add(c.at, err.Error())
		}
	}
}

// countOpen counts the intents that were not counted when they were over.
func (now *reading) countOpen() {
	unobserved := len(now.proposals)
	for _, t := range now.trails {
		for _, seq := range t.proposals {
			if now.proposals[seq] != nil {
				unobserved--
			}
		}
		now.counts.end(t)
		if !t.isOver() && !t.isEmpty() {
			now.counts.Open++
		}
		if h := t.hold(); h != nil && h.state == schemas.InDoubt {
			now.counts.InDoubt++
		}
	}
	now.counts.Open += unobserved
}

// countUnanswered counts the decisions or reports without an answer. One that the
// gate passed over is a finding.
func (now *reading) countUnanswered(in *inbox) {
	for _, s := range in.kept {
		if s.answered {
			continue
		}
		now.counts.Pending++
		if in.passedOver(s, now.cfg.Lag) && !(now.partial() && s.at.copied.Before(now.began.Add(now.cfg.Lag))) {
			now.found.add(s.at, fmt.Sprintf("counts nowhere and is not rejected, although %s/%d was answered", in.stream, in.last))
		}
	}
}

// end counts how an intent ended that was granted.
func (c *Counts) end(t *trail) {
	switch t.outcome() {
	case schemas.Done:
		c.Done++
	case schemas.Failed:
		c.Failed++
	}
}

// findings are the first findings in the order of AUDIT.
type findings struct {
	kept []Finding
	more int
}

func (f findings) clone() findings { return findings{kept: slices.Clone(f.kept), more: f.more} }

func (f *findings) add(at place, text string) {
	if len(f.kept) == MaxFindings {
		f.more++
		if at.audit >= f.kept[MaxFindings-1].Audit {
			return
		}
		f.kept = f.kept[:MaxFindings-1]
	}
	i, _ := slices.BinarySearchFunc(f.kept, at.audit, func(have Finding, audit uint64) int {
		return cmp.Or(cmp.Compare(have.Audit, audit), -1) // after those of the same record
	})
	f.kept = slices.Insert(f.kept, i, Finding{Audit: at.audit, Stream: clip(at.stream), Seq: at.seq, Intent: at.key, Text: clip(text)})
}

// clip bounds what a record made a finding say.
func clip[S ~string](text S) S {
	const most = 400
	return S(strings.ToValidUTF8(string(text[:min(len(text), most)]), "\uFFFD"))
}

// find notes that there is something wrong with a record.
func (v *Verifier) find(at place, text string) { v.found.add(at, text) }
