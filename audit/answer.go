package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/holdpoint/holdpoint/schemas"
)

// passedOver is how far the gate can be ahead of what it has not answered: twice
// what the broker hands out without an acknowledgement.
const passedOver = 1 << 14

// sent is a decision or a report, which is answered or else counts.
type sent struct {
	at       place
	writer   schemas.Name
	hash     schemas.Digest
	body     uint64            // the same if the body is the same
	decision *schemas.Decision // nil if it does not read
	report   *schemas.Report   // nil if it does not read

	answered bool // it counts, or it is rejected
	rejected bool
}

// on reports whether s is a report on g by the executor that holds it.
func (s *sent) on(g *grant) bool {
	return s.report.Grant == g.at && s.report.Executor == g.Executor && s.report.Digest == g.Digest
}

// inbox is DECISIONS or OUTCOMES: what was answered, and what was sent, until it
// is answered and the intent is over.
type inbox struct {
	stream   schemas.Stream
	kept     map[uint64]*sent
	counted  bits
	rejected bits
	last     uint64 // the last of those that were answered
}

func newInbox(stream schemas.Stream) inbox {
	return inbox{stream: stream, kept: map[uint64]*sent{}, counted: bits{}, rejected: bits{}}
}

// count notes that a hold says that s counts.
func (in *inbox) count(s *sent) {
	s.answered = true
	in.counted.set(s.at.seq)
	in.last = max(in.last, s.at.seq)
}

// reject notes that REJECTED says that a record does not count.
func (in *inbox) reject(seq uint64) {
	if s := in.kept[seq]; s != nil {
		s.answered, s.rejected = true, true
		delete(in.kept, seq)
	}
	in.rejected.set(seq)
	in.last = max(in.last, seq)
}

// passedOver reports whether the gate answered something so much later that it
// cannot be about to answer this.
func (in *inbox) passedOver(seq uint64) bool { return in.last > seq && in.last-seq > passedOver }

// bits is a set of numbers that mostly follow on each other.
type bits map[uint64]*[64]uint64

func (b bits) set(n uint64) {
	page := b[n>>12]
	if page == nil {
		page = new([64]uint64)
		b[n>>12] = page
	}
	page[n>>6&63] |= 1 << (n & 63)
}

func (b bits) has(n uint64) bool {
	page := b[n>>12]
	return page != nil && page[n>>6&63]&(1<<(n&63)) != 0
}

func (v *Verifier) takeDecision(at place, s schemas.Subject, r schemas.Record) {
	if s.Writer == "" {
		return // nobody to answer
	}
	d := &schemas.Decision{}
	if schemas.Read(r, d) != nil {
		d = nil
	}
	v.decisions.kept[r.Seq] = &sent{at: at, writer: s.Writer, hash: r.Hash(), decision: d}
}

// takeReport takes in what an executor says. It need not be about anything that
// there is: then it waits in the inbox until it is rejected.
func (v *Verifier) takeReport(at place, s schemas.Subject, r schemas.Record) {
	if s.Writer == "" {
		return // nobody to answer
	}
	sum := sha256.Sum256(r.Body)
	report := &sent{at: at, writer: s.Writer, body: max(1, binary.BigEndian.Uint64(sum[:]))}
	v.outcomes.kept[r.Seq] = report
	if report.report = readReport(r); report.report == nil {
		return
	}
	key := report.report.Key()
	t := v.trail(key)
	if t == nil {
		if v.over[markOfKey(key)] == report.body {
			delete(v.outcomes.kept, r.Seq)
		}
		return
	}
	t.reports = append(t.reports, report)
	v.pose(at, t, func() error { return v.answer(t, report) })
}

// readReport returns what a report says, or nil if the gate cannot count it.
func readReport(r schemas.Record) *schemas.Report {
	report := &schemas.Report{}
	if schemas.Read(r, report) != nil || len(report.Result) > schemas.MaxResultSize {
		return nil
	}
	if report.State != schemas.Done && report.State != schemas.Failed {
		return nil
	}
	report.Result, report.Error = nil, ""
	return report
}

// answer notes that a report counts: the first on its grant, or one that says the
// same again. The gate does not write down that it does.
func (v *Verifier) answer(t *trail, s *sent) error {
	if s.answered {
		return nil
	}
	switch err := v.reached(s.report.Grant); {
	case isMissing(err):
		return &missing{text: err.Error(), quiet: true}
	case err != nil:
		s.answered = errors.Is(err, errBefore)
		return nil
	}
	for _, g := range t.grants {
		if s.on(g) && t.firstReport(g).body == s.body {
			s.answered = true
		}
	}
	return nil
}

// takeRejection takes in that a decision or a report does not count.
func (v *Verifier) takeRejection(at place, r schemas.Record) {
	var rejection schemas.Rejection
	if !v.read(at, r, &rejection) {
		return
	}
	t := v.trails[at.key] // if there is one, it is not to be forgotten before
	p := rejection.Record
	switch p.Stream {
	case schemas.Decisions:
		v.pose(at, t, func() error { return v.rejects(&v.decisions, rejection) })
	case schemas.Outcomes:
		v.pose(at, t, func() error { return v.rejects(&v.outcomes, rejection) })
	default:
		v.find(at, fmt.Sprintf("rejects %s, which is neither a decision nor a report", p))
	}
}

// rejects says why a record may not be rejected. It is known by its sequence: the
// hash adds nothing, and is lost with headers that cannot be read.
func (v *Verifier) rejects(in *inbox, r schemas.Rejection) error {
	if err := v.reached(r.Record); err != nil {
		return err
	}
	s := in.kept[r.Record.Seq]
	switch {
	case in.counted.has(r.Record.Seq):
		return fmt.Errorf("rejects %s, which counts", r.Record)
	case s != nil && s.writer != r.Of:
		return fmt.Errorf("rejects %s, and says so to %s instead of %s", r.Record, r.Of, s.writer)
	case s != nil && v.endedDoubt(s):
		return fmt.Errorf("rejects %s, which ended a doubt", r.Record)
	}
	in.reject(r.Record.Seq)
	return nil
}

// endedDoubt reports whether a hold says that a doubt ended by what s reports.
func (v *Verifier) endedDoubt(s *sent) bool {
	t := v.trails[s.at.key]
	if t == nil {
		return false
	}
	for _, h := range t.holds {
		for _, g := range t.grants {
			if h.byReport() && h.doubt.Grant == g.at && t.firstReport(g) == s {
				return true
			}
		}
	}
	return false
}
