package schemas

import (
	"encoding/base64"
	"fmt"

	"github.com/nats-io/nkeys"
)

// Verdict is what a reviewer says.
type Verdict string

const (
	Approve Verdict = "approve"
	Deny    Verdict = "deny"

	// These three end a doubt: the action was performed, it was not, or it is to
	// be tried again.
	WasDone    Verdict = "done"
	WasNotDone Verdict = "not_done"
	Retry      Verdict = "retry"
)

// Valid reports whether v is a verdict that exists.
func (v Verdict) Valid() bool {
	switch v {
	case Approve, Deny, WasDone, WasNotDone, Retry:
		return true
	}
	return false
}

// OnDoubt reports whether v ends a doubt, rather than deciding on a release.
func (v Verdict) OnDoubt() bool { return v == WasDone || v == WasNotDone || v == Retry }

// MaxReason is the size of a reviewer's reason, in bytes.
const MaxReason = 1 << 10

// Decision is one reviewer's verdict on a hold, on the digest that the reviewer
// was shown, signed with the reviewer's key.
type Decision struct {
	Reviewer Name     `json:"reviewer"`
	Queue    Name     `json:"queue"`
	Agent    Name     `json:"agent"`
	Intent   IntentID `json:"intent"`
	Digest   Digest   `json:"digest"`
	Verdict  Verdict  `json:"verdict"`
	Reason   string   `json:"reason,omitzero"`

	// Shown is the hash of the record of the hold that the reviewer saw.
	Shown Digest `json:"shown"`

	// Signature is over signedBytes, in unpadded base64url.
	Signature string `json:"signature"`
}

// Key returns the intent that the decision is about.
func (d Decision) Key() Key { return Key{Agent: d.Agent, ID: d.Intent} }

// signedBytes is a line that says what is signed, and the canonical JSON of the
// decision without its signature.
func (d Decision) signedBytes() []byte {
	d.Signature = ""
	return signedBytes("holdpoint-decision-v1", d)
}

// signedBytes is a line that says what is signed, and the canonical JSON of v.
func signedBytes(what string, v any) []byte {
	canonical, err := Canonical(mustMarshal(v))
	if err != nil {
		panic(fmt.Sprintf("canonical form of what was just encoded: %v", err))
	}
	return append([]byte(what+"\n"), canonical...)
}

// Sign returns the decision signed with key.
func (d Decision) Sign(key nkeys.KeyPair) (Decision, error) {
	var err error
	d.Signature, err = sign(key, d.signedBytes(), "the decision on "+d.Key().String())
	return d, err
}

// VerifySignature returns an [ErrDenied] unless the holder of the public nkey
// signed d.
func (d Decision) VerifySignature(publicKey string) error {
	return verifySignature(d.Reviewer, publicKey, d.signedBytes(), d.Signature)
}

// sign returns the signature of text in unpadded base64url.
func sign(key nkeys.KeyPair, text []byte, what string) (string, error) {
	signature, err := key.Sign(text)
	if err != nil {
		return "", fmt.Errorf("signing %s: %w", what, err)
	}
	return base64.RawURLEncoding.EncodeToString(signature), nil
}

// verifySignature returns an [ErrDenied] unless the holder of the public nkey signed
// text.
func verifySignature(reviewer Name, publicKey string, text []byte, encoded string) error {
	key, err := nkeys.FromPublicKey(publicKey)
	if err != nil {
		return fmt.Errorf("key of %s: %w: %w", reviewer, ErrDenied, err)
	}
	signature, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("signature of %s: %w: %w", reviewer, ErrDenied, err)
	}
	if err := key.Verify(text, signature); err != nil {
		return fmt.Errorf("signature of %s: %w: %w", reviewer, ErrDenied, err)
	}
	return nil
}

func (d Decision) Subject() string {
	return Subject{Kind: "decisions", Writer: d.Reviewer, Queue: d.Queue, Agent: d.Agent, Intent: d.Intent}.String()
}

func (Decision) Type() string { return "decision.v1" }
