package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limits of what a message may weigh, header and body together, in bytes. The
// broker enforces them. An intent of exactly MaxIntentSize fits every record
// that is made of it.
const (
	MaxIntentSize = 32 << 10
	MaxRecordSize = 48 << 10
	MaxReportSize = 32 << 10

	// MaxResultSize is what an executor may return as result.
	MaxResultSize = 24 << 10
)

// Record is a message as the broker keeps it: where it stands, when it was
// accepted, and what it says.
type Record struct {
	Stream  Stream
	Seq     uint64
	Subject string

	// Time is when the stream accepted the message, by the broker's clock. In a
	// copy (AUDIT) it is the time of the copy.
	Time time.Time

	Header Header
	Body   []byte
}

// Pointer names one record and what it says.
type Pointer struct {
	Stream Stream `json:"stream"`
	Seq    uint64 `json:"seq"`
	Hash   Digest `json:"hash"`
}

func (p Pointer) String() string { return fmt.Sprintf("%s/%d", p.Stream, p.Seq) }

// Pointer returns the pointer that names r.
func (r Record) Pointer() Pointer {
	return Pointer{Stream: r.Stream, Seq: r.Seq, Hash: r.Hash()}
}

// Hash covers the subject, the body and those headers that have a meaning here:
// ce-*, content-type and traceparent. Everything in it is length-prefixed, so
// that two records have the same hash only if they say the same. Sequence and
// time are the broker's, not the sender's, and are left out; a copy has the hash
// of its original.
func (r Record) Hash() Digest {
	covered := make([]byte, 0, 1024+len(r.Body))
	covered = append(covered, "holdpoint-record-v1\n"...)
	covered = part(covered, r.Subject)
	for _, name := range r.Header.names() {
		if !hasMeaning(name) {
			continue
		}
		for _, value := range r.Header[name] {
			covered = part(part(covered, name), value)
		}
	}
	covered = append(covered, '\n')
	return digestOf(append(covered, r.Body...))
}

// hasMeaning reports whether the gate reads a header, in whatever case.
func hasMeaning(name string) bool {
	return len(name) > 3 && strings.EqualFold(name[:3], "ce-") ||
		strings.EqualFold(name, "content-type") || strings.EqualFold(name, "traceparent")
}

// part appends s with its length before it.
func part(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	b = append(b, s...)
	return append(b, '\n')
}

func digestOf(b []byte) Digest {
	h := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(h[:]))
}

// Content is what a record says: one of the types of this package.
type Content interface {
	// Subject is where the content is published.
	Subject() string
	// Type is its CloudEvents type without the common prefix, such as
	// "intent.released.v1".
	Type() string
}

// TypePrefix begins the CloudEvents type of every message.
const TypePrefix = "dev.holdpoint."

// Draft is a record that the broker has not accepted yet.
type Draft struct {
	Subject string
	Header  Header
	Body    []byte
}

// size is what the broker counts against the limit of a stream: the header as it
// stands on the wire, and the body.
func (d Draft) size() int {
	size := len("NATS/1.0\r\n\r\n") + len(d.Body)
	for name, values := range d.Header {
		for _, v := range values {
			size += len(name) + len(": ") + len(v) + len("\r\n")
		}
	}
	return size
}

// Expect is the condition of a write: that the last record of the stream that
// matches Filter has the sequence Last, 0 meaning that there is none. The zero
// Expect is no condition.
type Expect struct {
	Filter string
	Last   uint64
}

// Write returns c as a draft by source, such as "/gateways/shop/execute", at
// time at. The same arguments give the same bytes.
func Write(c Content, source string, at time.Time, traceParent string) Draft {
	subject, body := c.Subject(), mustMarshal(c)
	id := sha256.Sum256(append(part(nil, subject), body...))
	e := Event{
		ID:          hex.EncodeToString(id[:16]),
		Source:      source,
		Type:        TypePrefix + c.Type(),
		Time:        at,
		TraceParent: traceParent,
	}
	return Draft{Subject: subject, Header: e.Header(), Body: body}
}

// Read decodes what r says into c, a pointer to the content that is expected
// there. It returns a [Fault] if r has another type, a later version, headers of
// the broker's, or stands on a subject that is not the one its content names or
// not one of the grammar: what a subject says (agent, intent, queue …) is fit for
// a filter once it was read.
func Read(r Record, c Content) error {
	if err := CheckHeaders(r); err != nil {
		return err
	}
	e, data, err := ReadEvent(r.Header, r.Body)
	if err != nil {
		return err
	}
	if err := checkVersion(e.Type); err != nil {
		return err
	}
	if err := Unmarshal(data, c); err != nil {
		return err
	}
	if want := TypePrefix + c.Type(); e.Type != want {
		return invalid("ce-type: %q, want %q", clip(e.Type), want)
	}
	if want := c.Subject(); r.Subject != want {
		return invalid("subject %q: its content belongs to %q", clip(r.Subject), clip(want))
	}
	_, err = ParseSubject(r.Subject)
	return err
}

// CheckHeaders returns an [ErrInvalid] for headers that direct the broker or pretend to come
// from it. They tell a record of its writer's from an answer of the broker that
// somebody had sent there, by asking a question in its name. A message id has no
// meaning to the gate; what the gate expected of a stream as it wrote has none
// any more.
func CheckHeaders(r Record) error {
	refused := ""
	for name := range r.Header {
		switch {
		case len(name) < len("Nats-") || !strings.EqualFold(name[:len("Nats-")], "Nats-"), name == "Nats-Msg-Id":
		case strings.HasPrefix(name, "Nats-Expected-Last-Subject-Sequence") && !fromOutside(r.Subject):
		case refused == "" || name < refused:
			refused = name
		}
	}
	if refused != "" {
		return invalid("header %s: not allowed", clip(refused))
	}
	return nil
}

// fromOutside reports whether somebody outside the gate may publish on a subject.
func fromOutside(subject string) bool {
	kind, rest, _ := strings.Cut(subject, ".")
	writer, _, _ := strings.Cut(rest, ".")
	switch kind {
	case "intents", "decisions", "standing", "revoked", "outcomes":
		return true
	case "control":
		return writer != string(RoleProvision)
	}
	return false
}

// checkVersion refuses what a later holdpoint wrote, before its fields are read.
func checkVersion(eventType string) error {
	if !strings.HasPrefix(eventType, TypePrefix) {
		return invalid("ce-type: %q, want one that begins with %q", clip(eventType), TypePrefix)
	}
	if version := eventType[strings.LastIndexByte(eventType, '.')+1:]; version != "v1" {
		return invalid("ce-type: %q is of version %q, and this program knows v1", clip(eventType), clip(version))
	}
	return nil
}
