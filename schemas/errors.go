package schemas

import "errors"

// The reasons an operation can fail, as far as a caller may branch on them.
// Any other error is trouble inside: log it and try again later.
var (
	ErrInvalid     = errors.New("invalid")                 // can never succeed as it stands
	ErrDenied      = errors.New("not permitted")           // not for this identity
	ErrNotFound    = errors.New("not found")               // or not for you to know of
	ErrStale       = errors.New("changed meanwhile")       // lost a race: look again, then decide again
	ErrClosed      = errors.New("already settled")         // came too late; nothing is left to do
	ErrUnavailable = errors.New("temporarily unavailable") // try again later
)

// Fault says why something can never be accepted as it stands, in words for
// whoever sent it: Detail names the field and what is wrong with it. It is an
// [ErrInvalid].
type Fault struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail,omitempty"`
}

func (f *Fault) Error() string {
	if f.Detail == "" {
		return string(f.Code)
	}
	return string(f.Code) + ": " + f.Detail
}

// Unwrap makes a Fault an ErrInvalid.
func (f *Fault) Unwrap() error { return ErrInvalid }

// reasons gives each reason the word by which it travels.
var reasons = []struct {
	word string
	err  error
}{
	{"invalid", ErrInvalid},
	{"denied", ErrDenied},
	{"not_found", ErrNotFound},
	{"stale", ErrStale},
	{"closed", ErrClosed},
	{"unavailable", ErrUnavailable},
}

// ProblemOf returns err as it travels. An error that has none of the six reasons
// travels as unavailable and without its text, which may say more than the asker
// may know.
func ProblemOf(err error) *Problem {
	for _, reason := range reasons {
		if errors.Is(err, reason.err) {
			return &Problem{Reason: reason.word, Text: err.Error()}
		}
	}
	return &Problem{Reason: "unavailable", Text: ErrUnavailable.Error()}
}

// Err returns the problem as an error with its reason, or nil.
func (p *Problem) Err() error {
	if p == nil {
		return nil
	}
	for _, reason := range reasons {
		if reason.word == p.Reason {
			return &problemError{text: p.Text, reason: reason.err}
		}
	}
	return &problemError{text: p.Text, reason: ErrUnavailable}
}

type problemError struct {
	text   string
	reason error
}

func (e *problemError) Error() string { return e.text }
func (e *problemError) Unwrap() error { return e.reason }
