package schemas

import (
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// Name is the name of an identity, a queue or a tenant: [a-z0-9-]{1,32}. It is
// safe as a token of a subject. Names of identities are unique over all roles
// and never used again after removal.
type Name string

// Action is a cataloged operation, "<system>.<operation>", each part
// [A-Za-z0-9_-]{1,64}.
type Action string

// IntentID is a canonical upper-case ULID. One whose time is zero is a sequence
// of INTENTS, see [SequenceID].
type IntentID string

// Digest is "sha256:" and 64 lower-case hexadecimal digits.
type Digest string

// Seconds is a span of time in whole seconds.
type Seconds int64

// Duration returns s as a time.Duration.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// only reports whether s is min to max bytes long and each of them is ok.
func only(s string, shortest, longest int, ok func(byte) bool) bool {
	if len(s) < shortest || len(s) > longest {
		return false
	}
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func digit(c byte) bool    { return '0' <= c && c <= '9' }
func lower(c byte) bool    { return 'a' <= c && c <= 'z' }
func upper(c byte) bool    { return 'A' <= c && c <= 'Z' }
func nameByte(c byte) bool { return lower(c) || digit(c) || c == '-' }
func partByte(c byte) bool { return lower(c) || upper(c) || digit(c) || c == '_' || c == '-' }
func hexByte(c byte) bool  { return digit(c) || 'a' <= c && c <= 'f' }

// ulidByte is an upper-case digit of Crockford's base 32.
func ulidByte(c byte) bool {
	return digit(c) || upper(c) && c != 'I' && c != 'L' && c != 'O' && c != 'U'
}

// ParseName returns s as a Name, or a Fault.
func ParseName(s string) (Name, error) {
	if !only(s, 1, 32, nameByte) {
		return "", invalid("name %q: want 1 to 32 of a-z, 0-9 and -", clip(s))
	}
	return Name(s), nil
}

// ParseAction returns s as an Action, or a Fault.
func ParseAction(s string) (Action, error) {
	system, operation, _ := strings.Cut(s, ".")
	if !only(system, 1, 64, partByte) || !only(operation, 1, 64, partByte) {
		return "", invalid("action %q: want <system>.<operation>, each 1 to 64 of A-Z, a-z, 0-9, _ and -", clip(s))
	}
	return Action(s), nil
}

// UnmarshalText makes a name that is none impossible in anything that is decoded;
// so it is with the other words below. That keeps wildcards out of subjects.
func (n *Name) UnmarshalText(text []byte) (err error) {
	*n, err = ParseName(string(text))
	return err
}

// UnmarshalText reads what ParseAction accepts.
func (a *Action) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAction(string(text))
	return err
}

// UnmarshalText reads what ParseIntentID accepts.
func (id *IntentID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseIntentID(string(text))
	return err
}

// UnmarshalText reads what ParseDigest accepts.
func (d *Digest) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDigest(string(text))
	return err
}

// System returns the part before the dot.
func (a Action) System() string {
	system, _, _ := strings.Cut(string(a), ".")
	return system
}

// Operation returns the part after the dot.
func (a Action) Operation() string {
	_, operation, _ := strings.Cut(string(a), ".")
	return operation
}

// DefaultQueue is the queue of what names no other, and of reviewers who name
// none.
const DefaultQueue Name = "default"

// Withdraw is the built-in action by which an agent takes back its own intent.
const Withdraw Action = "holdpoint.withdraw"

// unreadable stands in for an action whose own tokens may not enter a subject.
const unreadable Action = "holdpoint.unreadable"

// ParseIntentID returns s as an IntentID, or a Fault.
func ParseIntentID(s string) (IntentID, error) {
	if !only(s, 26, 26, ulidByte) || s[0] > '7' {
		return "", invalid("id %q: want an upper-case ULID of 26 characters", clip(s))
	}
	return IntentID(s), nil
}

// SequenceID is the id of an intent that has no usable id of its own: its
// sequence in INTENTS as 26 decimal digits. No agent can choose such an id,
// because as a ULID its time is zero.
func SequenceID(seq uint64) IntentID { return IntentID(fmt.Sprintf("%026d", seq)) }

// Time returns the time that the id carries, to the millisecond.
func (id IntentID) Time() time.Time {
	u, err := ulid.ParseStrict(string(id))
	if err != nil {
		return time.Time{}
	}
	return ulid.Time(u.Time()).UTC()
}

// NewIntentID returns a fresh id for an intent proposed at t.
func NewIntentID(t time.Time) IntentID {
	return IntentID(ulid.MustNew(ulid.Timestamp(t), ulid.DefaultEntropy()).String())
}

// ParseDigest returns s as a Digest, or a Fault.
func ParseDigest(s string) (Digest, error) {
	hex, ok := strings.CutPrefix(s, "sha256:")
	if !ok || !only(hex, 64, 64, hexByte) {
		return "", invalid("digest %q: want sha256: and 64 hexadecimal digits", clip(s))
	}
	return Digest(s), nil
}

// Short returns the first twelve hexadecimal digits: what a person compares.
func (d Digest) Short() string {
	hex := strings.TrimPrefix(string(d), "sha256:")
	return hex[:min(12, len(hex))]
}

// HasPrefix reports whether prefix, at least twelve hexadecimal digits with or
// without "sha256:", begins d.
func (d Digest) HasPrefix(prefix string) bool {
	prefix = strings.TrimPrefix(prefix, "sha256:")
	return len(prefix) >= 12 && strings.HasPrefix(strings.TrimPrefix(string(d), "sha256:"), prefix)
}

// Key is what an intent is known by: agent and id together.
type Key struct {
	Agent Name     `json:"agent"`
	ID    IntentID `json:"id"`
}

func (k Key) String() string { return string(k.Agent) + "/" + string(k.ID) }

// invalid returns a Fault. Its detail goes into records, and so it is UTF-8
// whatever somebody sent.
func invalid(format string, args ...any) *Fault {
	return &Fault{Code: CodeInvalid, Detail: strings.ToValidUTF8(fmt.Sprintf(format, args...), "\uFFFD")}
}

// clip shortens what somebody sent, for use in an error message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
