package schemas

import (
	"strings"
	"time"

	"github.com/nats-io/nkeys"
)

const (
	// MaxStandingFor and MaxStandingUses bound every standing approval, whatever
	// the policy allows.
	MaxStandingFor  = 7 * 24 * time.Hour
	MaxStandingUses = 1000

	// MaxStandingWhen is the size of the condition of a standing approval, in bytes.
	MaxStandingWhen = 1 << 10

	// StandingBudget is the budget that counts the uses of standing approvals. No
	// budget of a policy has such an id.
	StandingBudget = "-standing"
)

// Standing is a reviewer's approval in advance: of the intents of one agent for one
// action, for a time and a number of uses. It is as much as the policy lets it be
// when it is used, signed with the reviewer's key, and ends with its [Revocation].
type Standing struct {
	ID       IntentID `json:"id"`
	Reviewer Name     `json:"reviewer"`
	Queue    Name     `json:"queue"`
	Agent    Name     `json:"agent"`
	Action   Action   `json:"action"`

	// When is the condition, in CEL, on the intents that are approved. Without one
	// it is every intent of the agent for the action.
	When string `json:"when,omitzero"`

	// Uses is how many intents may be released by it, until the time Until.
	Uses  int       `json:"uses"`
	Until time.Time `json:"until"`

	Reason string `json:"reason"`

	// Bundle was the active one when the approval was given, as far as its reviewer
	// knew.
	Bundle Digest    `json:"bundle,omitzero"`
	At     time.Time `json:"at"`

	// Signature is of everything else, in unpadded base64url.
	Signature string `json:"signature"`
}

// Revocation ends a standing approval at once, whoever gave it.
type Revocation struct {
	ID IntentID `json:"id"`

	// Reviewer is the one who revokes.
	Reviewer Name `json:"reviewer"`

	// Queue and Agent are those of the standing approval.
	Queue Name `json:"queue"`
	Agent Name `json:"agent"`

	Reason string    `json:"reason"`
	At     time.Time `json:"at"`

	// Signature is of everything else, in unpadded base64url.
	Signature string `json:"signature"`
}

// Key returns what the standing approval is known by: its agent and its id.
func (s Standing) Key() Key { return Key{Agent: s.Agent, ID: s.ID} }

// Key returns what the standing approval that ends is known by.
func (r Revocation) Key() Key { return Key{Agent: r.Agent, ID: r.ID} }

// Account returns the budget that counts the uses of s. Whoever else writes one of
// that id, for another agent or in another queue, has another.
func (s Standing) Account() Budget {
	return Budget{Budget: StandingBudget, Key: strings.Join([]string{string(s.Reviewer), string(s.Queue), string(s.Agent), string(s.ID)}, "/")}
}

// Check returns an [ErrInvalid] for an approval that no policy can allow.
func (s Standing) Check() error {
	span := s.Until.Sub(s.At)
	switch {
	case s.Uses < 1 || s.Uses > MaxStandingUses:
		return invalid("standing approval %s: %d uses, want 1 to %d", s.Key(), s.Uses, MaxStandingUses)
	case span <= 0 || span > MaxStandingFor:
		return invalid("standing approval %s: for %s, want more than nothing and at most %s", s.Key(), span, MaxStandingFor)
	case len(s.When) > MaxStandingWhen:
		return invalid("standing approval %s: a condition of %d bytes, at most %d", s.Key(), len(s.When), MaxStandingWhen)
	case len(s.Reason) > MaxReason:
		return invalid("standing approval %s: a reason of %d bytes, at most %d", s.Key(), len(s.Reason), MaxReason)
	case strings.TrimSpace(s.Reason) == "":
		return invalid("standing approval %s: no reason", s.Key())
	}
	return nil
}

// Check returns an [ErrInvalid] for a revocation that says too much.
func (r Revocation) Check() error {
	if len(r.Reason) > MaxReason {
		return invalid("revocation of %s: a reason of %d bytes, at most %d", r.Key(), len(r.Reason), MaxReason)
	}
	return nil
}

// signedBytes is a line that says what is signed, and the canonical JSON of the
// approval without its signature.
func (s Standing) signedBytes() []byte {
	s.Signature = ""
	return signedBytes("holdpoint-standing-v1", s)
}

// Sign returns the approval signed with key.
func (s Standing) Sign(key nkeys.KeyPair) (Standing, error) {
	var err error
	s.Signature, err = sign(key, s.signedBytes(), "the standing approval "+s.Key().String())
	return s, err
}

// VerifySignature returns an [ErrDenied] unless the holder of the public nkey
// signed s.
func (s Standing) VerifySignature(publicKey string) error {
	return verifySignature(s.Reviewer, publicKey, s.signedBytes(), s.Signature)
}

func (r Revocation) signedBytes() []byte {
	r.Signature = ""
	return signedBytes("holdpoint-revocation-v1", r)
}

// Sign returns the revocation signed with key.
func (r Revocation) Sign(key nkeys.KeyPair) (Revocation, error) {
	var err error
	r.Signature, err = sign(key, r.signedBytes(), "the revocation of "+r.Key().String())
	return r, err
}

// VerifySignature returns an [ErrDenied] unless the holder of the public nkey
// signed r.
func (r Revocation) VerifySignature(publicKey string) error {
	return verifySignature(r.Reviewer, publicKey, r.signedBytes(), r.Signature)
}

func (s Standing) Subject() string {
	return Subject{Kind: "standing", Writer: s.Reviewer, Queue: s.Queue, Agent: s.Agent, Intent: s.ID}.String()
}

func (Standing) Type() string { return "standing.v1" }

func (r Revocation) Subject() string {
	return Subject{Kind: "revoked", Writer: r.Reviewer, Queue: r.Queue, Agent: r.Agent, Intent: r.ID}.String()
}

func (Revocation) Type() string { return "standing.revoked.v1" }

// RevocationFilter matches every revocation of a standing approval, whoever wrote it.
func RevocationFilter(queue, agent Name, id IntentID) string {
	return Subject{Kind: "revoked", Queue: queue, Agent: agent, Intent: id}.String()
}

// StandingLine is a standing approval in a list, and what became of it.
type StandingLine struct {
	Standing `json:"standing"`

	// Used is how many intents were released by it.
	Used int `json:"used"`

	// Revoked says that it was revoked, and By by whom.
	Revoked bool `json:"revoked"`
	By      Name `json:"by,omitzero"`

	// Over says that it approves nothing any more: revoked, used up, or late.
	Over bool `json:"over"`
}
