package replay

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// Entry is one record of AUDIT: the sequence of the copy, and what it is a copy of.
type Entry struct {
	Audit   uint64         `json:"audit"`
	Stream  schemas.Stream `json:"stream"`
	Seq     uint64         `json:"seq"`
	Subject string         `json:"subject"`
	Time    time.Time      `json:"time"` // of the copy
	Header  schemas.Header `json:"header"`
	Body    []byte         `json:"body"`
}

// EntryOf returns the entry of r, of which AUDIT has a copy.
func EntryOf(audit uint64, r schemas.Record) Entry {
	c := schemas.CopyOf(r)
	return Entry{audit, c.Stream, c.Seq, c.Subject, c.Time, c.Header, c.Body}
}

// Record returns the record that e is a copy of.
func (e Entry) Record() schemas.Record {
	return schemas.Record{Stream: e.Stream, Seq: e.Seq, Subject: e.Subject, Time: e.Time, Header: e.Header, Body: e.Body}
}

// ParseEntry reads a line as "holdpoint audit tail -o json" writes it.
func ParseEntry(line []byte) (Entry, error) {
	var e Entry
	err := schemas.Unmarshal(line, &e)
	var fault *schemas.Fault
	if errors.As(err, &fault) {
		err = errors.New(fault.Detail)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("no record of the audit: %w", err)
	}
	return e, nil
}

// head reads what a line begins with, up to the subject.
func (q *quick) head(line []byte) (e Entry, ok bool) {
	q.begin(line)
	q.must(`{"audit":`)
	e.Audit = uint64(q.number())
	q.must(`,"stream":`)
	e.Stream = q.stream()
	q.must(`,"seq":`)
	e.Seq = uint64(q.number())
	q.must(`,"subject":`)
	return e, !q.off
}

// rest reads the rest of a line after its head, if its record is an event of type
// kind that the gate wrote. The body is decoded into buf.
func (q *quick) rest(e *Entry, kind string, buf []byte) []byte {
	e.Subject = q.string()
	q.must(`,"time":`)
	e.Time = q.time()
	q.must(`,"header":{`)
	q.header(kind)
	q.must(`,"body":"`)
	if q.off || !bytes.HasSuffix(q.text, []byte(`"}`)) || len(q.text)-q.at < 2 {
		q.give()
		return nil
	}
	code := q.text[q.at : len(q.text)-2]
	buf = grow(buf, base64.StdEncoding.DecodedLen(len(code)))
	n, err := base64.StdEncoding.Decode(buf, code)
	// The decoder passes over line ends.
	if err != nil || len(code)%4 != 0 || n < len(code)/4*3-2 || bytes.IndexByte(code, '\n') >= 0 || bytes.IndexByte(code, '\r') >= 0 {
		q.give()
	}
	return buf[:n]
}

func grow(buf []byte, size int) []byte {
	if cap(buf) < size {
		return make([]byte, size, 2*size)
	}
	return buf[:size]
}

// header passes over a header in which every name stands once with one value, all
// of them as the gate writes them.
func (q *quick) header(kind string) {
	event := 0
	for last := []byte(nil); !q.off; {
		name := q.raw()
		if bytes.Compare(name, last) <= 0 {
			q.give()
		}
		last = name
		q.must(":[")
		if q.attribute(name, kind) {
			event++
		}
		q.must("]")
		if q.is("}") {
			break
		}
		q.must(",")
	}
	if event != 4 {
		q.give()
	}
}

// attribute passes over the value of a header, and reports whether it is one of
// those that every event has.
func (q *quick) attribute(name []byte, kind string) bool {
	switch string(name) {
	case "ce-specversion":
		q.must(`"1.0"`)
	case "ce-type":
		q.must(`"` + schemas.TypePrefix)
		q.must(kind)
		q.must(`"`)
	case "ce-id", "ce-source":
		value := q.raw()
		if len(value) == 0 || bytes.ContainsFunc(value, encoded) {
			q.give()
		}
	case "ce-datacontenttype":
		q.must(`"application/json"`)
		return false
	case "ce-time":
		q.time()
		return false
	default:
		if !harmless(string(name)) {
			q.give()
		}
		q.skipString()
		return false
	}
	return true
}

// plainEvent reports whether a header is one that the method of quick passes over.
func plainEvent(h schemas.Header, kind string) bool {
	event := 0
	for name, values := range h {
		if len(values) != 1 {
			return false
		}
		switch value := values[0]; name {
		case "ce-specversion", "ce-type", "ce-id", "ce-source":
			if !plainAttribute(name, value, kind) {
				return false
			}
			event++
		case "ce-datacontenttype":
			if value != "application/json" {
				return false
			}
		case "ce-time":
			if _, err := time.Parse(time.RFC3339Nano, value); err != nil {
				return false
			}
		default:
			if !harmless(name) {
				return false
			}
		}
	}
	return event == 4
}

func plainAttribute(name, value, kind string) bool {
	switch name {
	case "ce-specversion":
		return value == "1.0"
	case "ce-type":
		suffix, ok := strings.CutPrefix(value, schemas.TypePrefix)
		return ok && suffix == kind
	default:
		return value != "" && !strings.ContainsFunc(value, encoded)
	}
}

// encoded reports whether a character of an attribute may stand for another.
func encoded(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '%' }

// harmless reports whether a header says nothing of an event: what the gate expected
// as it wrote, and where it comes from.
func harmless(name string) bool {
	return name == "traceparent" || name == "Nats-Msg-Id" || strings.HasPrefix(name, "Nats-Expected-Last-Subject-Sequence")
}
