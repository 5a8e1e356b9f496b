package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// farBehind is how far the gate can be ahead of what it has not answered: twice
	// what the broker hands out without an acknowledgement.
	farBehind = 1 << 14

	// longBehind is how long the gate may answer others meanwhile.
	longBehind = 24 * time.Hour
)

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

	signed, forged bool // what is known of the signature
}

// signedBy reports whether it was who made the decision: a name has one key for
// ever, so that this is found out once.
func (s *sent) signedBy(who *member) bool {
	if !s.signed && !s.forged {
		s.signed = s.decision.VerifySignature(who.Key) == nil
		s.forged = !s.signed
	}
	return s.signed
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

	last   uint64    // the last of those that were answered
	lastAt time.Time // when AUDIT got that answer
}

func newInbox(stream schemas.Stream) inbox {
	return inbox{stream: stream, kept: map[uint64]*sent{}, counted: bits{}, rejected: bits{}}
}

// count notes that a hold that AUDIT got at that time says that s counts.
func (in *inbox) count(s *sent, at time.Time) {
	s.answered = true
	in.counted.set(s.at.seq)
	in.answer(s.at.seq, at)
}

// reject notes that a record of REJECTED that AUDIT got at that time says that
// another does not count.
func (in *inbox) reject(seq uint64, at time.Time) {
	if s := in.kept[seq]; s != nil {
		s.answered, s.rejected = true, true
		delete(in.kept, seq)
	}
	in.rejected.set(seq)
	in.answer(seq, at)
}

func (in *inbox) answer(seq uint64, at time.Time) {
	if seq > in.last {
		in.last, in.lastAt = seq, at
	}
}

// passedOver reports whether the gate answered something so much later that it
// cannot be about to answer s.
func (in *inbox) passedOver(s *sent, lag time.Duration) bool {
	if in.last <= s.at.seq {
		return false
	}
	behind := in.lastAt.Sub(s.at.copied)
	return behind > longBehind || in.last-s.at.seq > farBehind && behind > lag
}

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
	report := &sent{at: at, writer: s.Writer, body: max(wasRefused+1, binary.BigEndian.Uint64(sum[:]))}
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
// same again. The gate does not write down that it does, so any other waits until
// it is rejected.
func (v *Verifier) answer(t *trail, s *sent) error {
	if s.answered {
		return nil
	}
	if err := v.reached(s.report.Grant); errors.Is(err, errBefore) {
		s.answered = true
		return nil
	}
	if g := t.reportedOn(s); g != nil && t.firstReport(g).body == s.body {
		s.answered = true
		return nil
	}
	return &missing{text: "is not rejected", quiet: true}
}
