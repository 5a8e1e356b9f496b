package schemas

// Outcome is what a verdict tells the gate to do.
//
// The zero value is [Park]: a forgotten field, an unknown word on the wire and
// a rule that failed to run all end the same way, in front of a person. Compare
// outcomes with [Strictest], never by their numbers.
type Outcome uint8

const (
	Park Outcome = iota
	Release
	Refuse
)

func (o Outcome) String() string {
	switch o {
	case Release:
		return "release"
	case Refuse:
		return "refuse"
	default:
		return "park"
	}
}

// MarshalText writes the outcome as its verb.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads a verb. A word it does not know is Park.
func (o *Outcome) UnmarshalText(text []byte) error {
	switch string(text) {
	case "release":
		*o = Release
	case "refuse":
		*o = Refuse
	default:
		*o = Park
	}
	return nil
}

// Strictest returns the stricter of a and b: release < park < refuse.
func Strictest(a, b Outcome) Outcome {
	if a == Refuse || b == Refuse {
		return Refuse
	}
	if a == Release && b == Release {
		return Release
	}
	return Park
}

// State is where an intent stands.
type State string

// The states of an intent.
const (
	Proposed State = "proposed"
	Parked   State = "parked"
	Released State = "released"
	Refused  State = "refused"
	Granted  State = "granted"
	Done     State = "done"
	Failed   State = "failed"
	InDoubt  State = "in_doubt"
	Lapsed   State = "lapsed"
)

// Final reports whether nothing can happen to an intent in state s any more.
func (s State) Final() bool {
	return s == Refused || s == Lapsed || s == Done || s == Failed
}

// Code says why an intent was refused, or why a decision or a report does not
// count. The list is closed, and it is all that the sender learns beside the
// text that the policy's author wrote for it.
type Code string

// Why an intent is refused.
const (
	CodePolicy        Code = "policy"         // the rules refuse it
	CodeDenied        Code = "denied"         // a reviewer said no
	CodeExpired       Code = "expired"        // nobody decided in time
	CodeWithdrawn     Code = "withdrawn"      // its agent took it back
	CodeInvalid       Code = "invalid"        // it cannot be read, or its parameters break the schema
	CodeDuplicateID   Code = "duplicate_id"   // its agent used this id for something else
	CodeTooManyOpen   Code = "too_many_open"  // its agent has too many intents waiting
	CodeUnknownAction Code = "unknown_action" // not in the catalog
	CodeUnregistered  Code = "unregistered"   // its agent is not, or no longer, registered
	CodeTooLate       Code = "too_late"       // a withdrawal of something already settled
	CodeNotFound      Code = "not_found"      // a withdrawal of something unknown
	CodeInternal      Code = "internal"       // handling it failed in a way that would fail again
)

// Why a decision or a report does not count, beside invalid, not_found,
// unregistered, internal and too_late.
const (
	CodeSettled      Code = "already_settled" // the intent has its verdict
	CodeVoted        Code = "already_voted"   // this person has voted
	CodeWrongDigest  Code = "wrong_digest"    // about something else than what is held
	CodeNotShown     Code = "not_shown"       // about a view of the hold that never was
	CodeBadSignature Code = "bad_signature"   // not signed by the reviewer's key
	CodeNotEligible  Code = "not_eligible"    // this reviewer may not decide on this intent
	CodeNotNeeded    Code = "not_needed"      // the approvals that it could count for are complete
	CodeWrongQueue   Code = "wrong_queue"     // the hold stands in another queue
	CodeNotInDoubt   Code = "not_in_doubt"    // resolves a doubt that is not there
	CodeNotGranted   Code = "not_granted"     // a report without a grant of its own
)
