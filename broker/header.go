package broker

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

// The broker stores any bytes as the headers of a message, and senders write
// them. Readers of one record must still agree on what it says, whichever way
// it came to them, because its hash and its digest depend on that: the headers
// are those before the first empty line, or none of them can be read.

// unreadable is the header that stands for a block of headers that cannot be
// read. No sender may set it: it begins with "Nats-".
const unreadable = "Nats-Unreadable"

// errUnreadable is the answer to a direct get whose headers cannot be relied on:
// the broker appends its own to the sender's, and they may be lost in those.
var errUnreadable = errors.New("headers cannot be read")

// What a sender told the broker to expect is not in the copy: it takes away every
// line that begins like this, and whatever stands behind it up to the next "\r\n".
// Senders write such lines so that other headers vanish with them, or malformed
// ones without which the rest can be read. So whoever reads what people from
// outside wrote, and found such a line or nothing, asks for the block as it is
// stored, and reads it as AUDIT has it.
var uncopied = []string{"Nats-Expected-", "Nats-Batch-"}

// deliveredOtherwise reports whether the copy of what a consumer delivered may have
// other headers. What is hidden behind the end of them may take the end of the copy
// away: that takes more bytes than can hide behind a few lines.
func deliveredOtherwise(stream schemas.Stream, h schemas.Header, size int) bool {
	return copiedOtherwise(stream, h) || fromOutside(stream) && size > 0 && !covers(nats.Header(h), size, mostLinesOfOne)
}

// copiedOtherwise reports whether the copy of a record with these headers, and no
// others, may have other headers. A record of INTENTS may be: one with such headers
// is refused, whatever else there is.
func copiedOtherwise(stream schemas.Stream, h schemas.Header) bool {
	if !fromOutside(stream) {
		return false
	}
	for name := range h {
		if name == unreadable || slices.ContainsFunc(uncopied, func(line string) bool { return strings.HasPrefix(name, line) }) {
			return true
		}
	}
	return false
}

// fromOutside reports whether people outside the gate write a stream, on whose
// word more depends than whether it is refused.
func fromOutside(stream schemas.Stream) bool {
	return stream == schemas.Decisions || stream == schemas.Standings || stream == schemas.Outcomes || stream == schemas.Control
}

// asCopied returns a block of headers as AUDIT has it, without the line that says
// where the copy comes from: the broker writes that over the last two bytes. It
// reports whether the line stands by itself then, or is lost in what is before it.
func asCopied(block []byte) (copied []byte, alone bool) {
	const none, end = "NATS/1.0\r\n\r\n", "\r\n"
	for _, line := range uncopied {
		for from := 0; ; {
			i := bytes.Index(block[from:], []byte("\n"+line))
			if i < 0 {
				break
			}
			from += i
			length := bytes.Index(block[from+1:], []byte(end))
			if length < 0 {
				break
			}
			block = slices.Concat(block[:from+1], block[from+1+length+len(end):])
			if len(block) <= len(none) {
				return nil, true
			}
		}
	}
	if len(block) <= len(end) {
		return nil, true
	}
	kept := block[:len(block)-len(end)]
	return slices.Concat(kept, []byte(end)), bytes.HasSuffix(kept, []byte("\n"))
}

// deliveredHeader returns the headers of a message that a consumer delivered.
func deliveredHeader(m *nats.Msg) schemas.Header {
	if m.Header == nil && headerSize(m) > 0 {
		return schemas.Header{unreadable: {""}}
	}
	return schemas.Header(m.Header)
}

// storedHeader reads a block of headers as stream has it. Of an audit record the
// source is always found: the broker wrote it last.
func storedHeader(stream schemas.Stream, block []byte) schemas.Header {
	source, alone := "", true
	switch {
	case fromOutside(stream):
		block, alone = asCopied(block)
	case stream == schemas.Audit:
		source, alone = sourceOf(block)
	}
	if len(block) == 0 {
		return nil
	}
	h, err := nats.DecodeHeadersMsg(block)
	if err != nil || !alone {
		h = nats.Header{unreadable: {""}}
	}
	if last(h, sourceHeader) != source {
		h[sourceHeader] = append(h[sourceHeader], source)
	}
	return schemas.Header(h)
}

// sourceOf returns what the end of a block says that it is a copy of, and whether
// that stands on a line of its own.
func sourceOf(block []byte) (source string, alone bool) {
	const name = sourceHeader + ": "
	i := bytes.LastIndex(block, []byte(name))
	if i < 0 {
		return "", true
	}
	value, rest, _ := bytes.Cut(block[i+len(name):], []byte("\r\n"))
	if string(rest) != "\r\n" {
		return "", true
	}
	return string(value), i > 0 && block[i-1] == '\n'
}

// sourced reports whether nothing in the headers of an audit record mentions a
// source but the name of the one that says so. A sender may write another, and see
// to it that the broker's is lost in what is before it.
func sourced(h nats.Header) bool {
	mentions := 0
	for name, values := range h {
		for _, v := range values {
			mentions += strings.Count(name, sourceHeader) + strings.Count(v, sourceHeader)
		}
	}
	return mentions == 1 && len(h[sourceHeader]) == 1
}

// headerSize is the size of the block of headers that came with m.
func headerSize(m *nats.Msg) int { return m.Size() - len(m.Subject) - len(m.Reply) - len(m.Data) }

// mostLines is the most headers that whole looks through, in the answer to a direct
// get and in a message that a consumer delivered.
const (
	mostLines      = 32
	mostLinesOfOne = 12
)

// whole reports whether what can be seen of the headers of m, the answer to a
// direct get, are all of them. A sender may end the block early, and write what
// looks like the broker's own before that; what the broker did append is hidden
// then.
//
// The visible headers are at least their names and values long, two bytes of
// punctuation, and a line end of one byte or two. That leaves less than a
// hundred bytes in which something could hide, and what the broker appends to a
// record is longer.
func whole(m *nats.Msg) bool { return covers(m.Header, headerSize(m), mostLines) }

// covers reports whether a block of that size has no more in it than can be seen,
// and no more lines than most.
func covers(h nats.Header, size, most int) bool {
	seen, lines := len("NATS/1.0\r\n\r\n"), 0
	for name, values := range h {
		for _, v := range values {
			seen += len(name) + len(": ") + len(v) + len("\r\n")
			lines++
		}
	}
	return lines > 0 && lines <= most && size <= seen
}

// appended are the headers that the broker appends to a record in the answer to
// a direct get, and to one of a batch.
var (
	appended        = []string{"Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp"}
	appendedInBatch = append([]string{"Nats-Num-Pending", "Nats-Last-Sequence"}, appended...)
)

// directRecord reads the answer to a direct get. A sender may have set the names
// of the headers that the broker appends: the last value is the broker's. An
// answer without them is a status.
func directRecord(stream schemas.Stream, m *nats.Msg, appended []string) (schemas.Record, error) {
	if !whole(m) {
		return schemas.Record{}, errUnreadable
	}
	if len(m.Header["Nats-Subject"]) == 0 {
		switch status := m.Header.Get("Status"); status {
		case "":
			return schemas.Record{}, errUnreadable
		case "404":
			return schemas.Record{}, jetstream.ErrMsgNotFound
		default:
			return schemas.Record{}, fmt.Errorf("answered with status %s %s", status, m.Header.Get("Description"))
		}
	}
	seq, err := strconv.ParseUint(last(m.Header, "Nats-Sequence"), 10, 64)
	if err != nil {
		return schemas.Record{}, errUnreadable
	}
	at, err := time.Parse(time.RFC3339Nano, last(m.Header, "Nats-Time-Stamp"))
	if err != nil {
		return schemas.Record{}, errUnreadable
	}
	r := schemas.Record{Stream: stream, Seq: seq, Subject: text(last(m.Header, "Nats-Subject")), Time: at, Body: m.Data}
	for _, name := range appended {
		take(m.Header, name)
	}
	r.Header = schemas.Header(m.Header)
	if copiedOtherwise(stream, r.Header) || stream == schemas.Audit && !sourced(m.Header) {
		return schemas.Record{}, errUnreadable
	}
	return r, nil
}

// take removes the last value of a header, which is the broker's, and returns it.
func take(h nats.Header, name string) string {
	value := last(h, name)
	if len(h[name]) > 1 {
		h[name] = h[name][:len(h[name])-1]
	} else {
		delete(h, name)
	}
	return value
}

func last(h nats.Header, name string) string {
	values := h[name]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// text returns a subject as the broker itself gives it in JSON: what is not
// UTF-8 replaced, byte by byte.
func text(subject string) string { return strings.Map(func(r rune) rune { return r }, subject) }
