package audit

import (
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// defaultLag is longer than the gate goes on releasing while AUDIT stalls.
const defaultLag = time.Minute

// Eligibility says what the expression of an approval means.
type Eligibility interface {
	// Eligible reports whether the reviewer may decide on an intent of the agent
	// for the action. With an error, the reviewer may not. The same arguments
	// always give the same answer.
	Eligible(expr string, reviewer, agent schemas.Identity, a schemas.Action) (bool, error)
}

// Config is what a Verifier needs. Gateway is required.
type Config struct {
	// Gateway is the tenant whose record it is. Digests cover it.
	Gateway schemas.Name

	// Eligibility evaluates expressions. If nil, nobody is eligible by one.
	Eligibility Eligibility

	// From is the sequence in AUDIT of the first record that is added. If it is
	// more than 1, every origin may begin anywhere, and what a record names from
	// before that is counted as unchecked.
	From uint64

	// Check says what is wrong with an identity that no gate registers, whoever
	// wrote it. If nil, nothing is.
	Check func(schemas.Identity) error

	// Lag is how far one origin may be behind another in AUDIT. An intent that
	// changed within it takes five kilobytes. If zero, it is a minute.
	Lag time.Duration
}

// Verifier reads AUDIT. It may not be used concurrently.
type Verifier struct {
	cfg   Config
	audit *lane                    // AUDIT itself
	lanes map[schemas.Stream]*lane // its origins

	dates       dates
	members     members
	freezes     map[schemas.Scope][]freeze
	bundles     map[schemas.Digest]moment // since when each is known
	activations schemas.Activations
	made        map[schemas.Stream]schemas.StreamMade

	proposals   map[uint64]*proposal  // by sequence in INTENTS, until the intent is over
	withdrawals map[mark][]withdrawal // by the intent that is taken back, until it is over
	exposures   exposures
	budgets     budgets
	standings   standings
	decisions   inbox
	outcomes    inbox
	trails      map[schemas.Key]*trail // every intent that is not over
	over        map[mark]uint64        // every intent that is: how it ended
	idempotent  map[mark]idempotence   // by bundle and action, as the first grant says

	queue  queue
	found  findings
	counts Counts

	began, now time.Time // when the first and the latest record were copied

	judged, next progress // all that was written by judged is judged; next is later
}

// New returns a Verifier that has read nothing.
func New(cfg Config) *Verifier {
	if cfg.Lag <= 0 {
		cfg.Lag = defaultLag
	}
	v := &Verifier{
		cfg:         cfg,
		audit:       newLane(schemas.Audit, max(1, cfg.From)),
		lanes:       map[schemas.Stream]*lane{},
		dates:       dates{},
		members:     newMembers(),
		freezes:     map[schemas.Scope][]freeze{},
		bundles:     map[schemas.Digest]moment{},
		made:        map[schemas.Stream]schemas.StreamMade{},
		proposals:   map[uint64]*proposal{},
		withdrawals: map[mark][]withdrawal{},
		exposures:   newExposures(),
		budgets:     newBudgets(),
		standings:   newStandings(),
		idempotent:  map[mark]idempotence{},
		decisions:   newInbox(schemas.Decisions),
		outcomes:    newInbox(schemas.Outcomes),
		trails:      map[schemas.Key]*trail{},
		over:        map[mark]uint64{},
	}
	first := uint64(1)
	if v.partial() {
		first = 0
	}
	for _, stream := range schemas.Streams() {
		v.lanes[stream] = newLane(stream, first)
	}
	return v
}

// partial reports whether records from before may be named.
func (v *Verifier) partial() bool { return v.cfg.From > 1 }

// place is where a record stands.
type place struct {
	audit  uint64
	stream schemas.Stream
	seq    uint64
	copied time.Time   // when AUDIT got it
	key    schemas.Key // the intent that it is about, as far as that is known
}

// Add takes in the next record of AUDIT, which has the sequence seq there: its
// stream, sequence and subject are those that the broker says it was copied from.
// One that is no copy is added as the record of AUDIT that it is. Records must be
// added in the order of AUDIT. Whatever is wrong is kept for the report.
func (v *Verifier) Add(seq uint64, r schemas.Record) {
	v.counts.Records++
	if v.now.Before(r.Time) {
		v.now = r.Time
	}
	if v.began.IsZero() {
		v.began = r.Time
	}
	s, _ := schemas.ParseSubject(r.Subject)
	at := place{audit: seq, stream: r.Stream, seq: r.Seq, copied: r.Time}
	if s.Intent != "" {
		at.key = schemas.Key{Agent: s.Agent, ID: s.Intent}
	}
	if _, err := v.audit.advance(seq); err != nil {
		v.find(at, err.Error())
	}
	if v.copies(at) {
		v.take(at, s, r)
	}
	v.judgeDue()
	v.advance()
}

// copies reports whether a record is the copy of one that was not read yet.
func (v *Verifier) copies(at place) bool {
	l, known := v.lanes[at.stream]
	switch {
	case at.stream == schemas.Audit:
		v.find(at, "is no copy, and nobody may write to AUDIT")
		return false
	case !known:
		v.find(at, "is copied from a stream that AUDIT does not copy")
		return false
	}
	fresh, err := l.advance(at.seq)
	if err != nil && (fresh || !fromOutside(at.stream)) {
		v.find(at, err.Error())
	}
	return fresh
}

// fromOutside reports whether people outside the gate write a stream. They can
// write headers in which the broker, when it starts again, does not find how far it
// had copied the stream; then it copies the last records once more.
func fromOutside(stream schemas.Stream) bool {
	return stream == schemas.Intents || stream == schemas.Decisions || stream == schemas.Standings || stream == schemas.Outcomes || stream == schemas.Control
}

// take takes in what a record says.
func (v *Verifier) take(at place, s schemas.Subject, r schemas.Record) {
	switch r.Stream {
	case schemas.Intents:
		v.takeProposal(at, r)
	case schemas.Observed:
		v.takeObservation(at, r)
	case schemas.Recommended:
		v.takeRecommendation(at, r)
	case schemas.ParkedHolds:
		v.takeHold(at, r)
	case schemas.Decisions:
		v.takeDecision(at, s, r)
	case schemas.Standings:
		v.takeStanding(at, s, r)
	case schemas.Settled:
		v.takeSettlement(at, r)
	case schemas.Grants:
		v.takeGrant(at, s, r)
	case schemas.Outcomes:
		v.takeReport(at, s, r)
	case schemas.Rejected:
		v.takeRejection(at, r)
	case schemas.Exposed:
		v.takeExposure(at, r)
	case schemas.Budgets:
		v.takeBudget(at, r)
	case schemas.Control:
		v.takeControl(at, s, r)
	}
}

// read decodes a record of a stream that only the gate or an operator can write,
// where one that does not read is a finding.
func (v *Verifier) read(at place, r schemas.Record, c schemas.Content) bool {
	err := schemas.Read(r, c)
	if err != nil {
		v.find(at, "does not read: "+err.Error())
	}
	return err == nil
}

// verify makes sure that an intent in a record of the gate is one of this gate,
// and says what its digest says. An intent that could not be read has no params,
// and the hash of its record for a digest.
func (v *Verifier) verify(at place, in schemas.Intent) {
	if in.Gateway != v.cfg.Gateway {
		v.find(at, "is about an intent of gateway "+string(in.Gateway))
	} else if len(in.Params) > 0 {
		if err := in.Verify(); err != nil {
			v.find(at, "has been changed: "+err.Error())
		}
	}
}

// lean returns an intent without what only its digest needs.
func lean(in schemas.Intent) schemas.Intent {
	in.Params, in.Reason, in.Goal, in.Session = nil, "", "", ""
	return in
}
