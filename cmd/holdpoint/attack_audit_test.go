package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
)

// copied makes sure that AUDIT holds a copy of every message of every stream, as
// it lies there, once, in the order of its stream, and nothing else.
func (s *siege) copied() {
	s.t.Helper()
	originals := map[string]kept{}
	for _, stream := range schemas.Streams() {
		for _, k := range s.read(stream, 1) {
			originals[fmt.Sprint(stream, "/", k.seq)] = k
		}
	}
	order := map[string]uint64{}
	audit := s.read(schemas.Audit, 1)
	for _, c := range audit {
		stream, seq, subject, header := s.source(c)
		at := fmt.Sprint(stream, "/", seq)
		k, ok := originals[at]
		delete(originals, at)
		if !ok || k.subject != subject || !bytes.Equal(k.body, c.body) || !bytes.Equal(stripped(k.header), header) {
			s.t.Fatalf("AUDIT/%d says it is a copy of %s:\n%s %q %q\nwhich is (known: %v)\n%s %q %q", c.seq, at, subject, header, c.body, ok, k.subject, stripped(k.header), k.body)
		}
		if order[stream] >= seq {
			s.t.Fatalf("AUDIT/%d: %s comes after %s/%d", c.seq, at, stream, order[stream])
		}
		order[stream] = seq
		if want := collapsed(subject); c.subject != want && !strings.ContainsAny(subject, "*>") {
			s.t.Fatalf("AUDIT/%d stands on %s, want %s", c.seq, c.subject, want)
		}
	}
	for at, k := range originals {
		s.t.Fatalf("AUDIT has no copy of %s (%d more): %s %q %q", at, len(originals)-1, k.subject, k.header, k.body)
	}
	s.t.Logf("AUDIT holds the %d records of all streams", len(audit))
}

// source takes the last header off an audit record and returns what it says.
func (s *siege) source(c kept) (stream string, seq uint64, subject string, header []byte) {
	s.t.Helper()
	rest := bytes.TrimSuffix(c.header, []byte("\r\n\r\n"))
	i := bytes.LastIndex(rest, []byte("\r\nNats-Stream-Source: "))
	if i < 0 {
		s.t.Fatalf("AUDIT/%d does not say where it comes from: %q", c.seq, c.header)
	}
	var where string
	fields := strings.Split(string(rest[i+len("\r\nNats-Stream-Source: "):]), " ")
	if _, err := fmt.Sscan(fields[1], &seq); err != nil || len(fields) < 5 {
		s.t.Fatalf("AUDIT/%d: source %q: %v", c.seq, fields, err)
	}
	where, subject = fields[0], fields[4]
	stream, _, _ = strings.Cut(where, ":")
	if header = append(rest[:i:i], "\r\n\r\n"...); string(header) == "NATS/1.0\r\n\r\n" {
		header = nil
	}
	return stream, seq, subject, header
}

// directed are the headers that the broker does not copy: they told it what to
// expect of the original.
var directed = regexp.MustCompile(`(?m)^Nats-(Expected|Batch)-.*\r\n`)

// stripped is the block of headers as the copy has it.
func stripped(header []byte) []byte {
	header = directed.ReplaceAll(header, nil)
	if string(header) == "NATS/1.0\r\n\r\n" {
		return nil
	}
	return header
}

// collapsed is the subject in AUDIT of what stood on subject.
func collapsed(subject string) string {
	tokens := strings.Split(subject, ".")
	who := map[string]int{"recommended": 2, "parked": 2, "decisions": 3, "standing": 3, "revoked": 3, "released": 2, "refused": 2, "granted": 2, "lapsed": 2, "outcomes": 2, "rejected": 2}[tokens[0]]
	return "audit." + tokens[0] + "." + tokens[max(1, who)]
}
