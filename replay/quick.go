package replay

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/holdpoint/holdpoint/schemas"
)

// quick reads JSON of the very form in which the gate writes it: fields in their
// order, no space between them. Whatever else it meets, it gives up, and the strict
// decoder says what that is. So it may be narrow, and must never take what the
// strict decoder refuses, nor take it for something else.
type quick struct {
	text []byte
	at   int
	off  bool // given up

	// names are texts that come again and again, so that they are kept once.
	names map[string]string
}

// maxNames bounds the names that are kept.
const maxNames = 1 << 14

// give gives up.
func (q *quick) give() { q.off = true }

// is passes over s, if that is what comes next.
func (q *quick) is(s string) bool {
	if q.off || len(q.text)-q.at < len(s) || string(q.text[q.at:q.at+len(s)]) != s {
		return false
	}
	q.at += len(s)
	return true
}

// must passes over s, or gives up.
func (q *quick) must(s string) {
	if !q.is(s) {
		q.give()
	}
}

// string reads a string.
func (q *quick) string() string { return string(q.raw()) }

// raw reads a string as part of the text, where it can be.
func (q *quick) raw() []byte {
	from := q.at + 1
	q.skipString()
	if q.off {
		return nil
	}
	s := q.text[from : q.at-1]
	if bytes.IndexByte(s, '\\') < 0 {
		return s
	}
	plain, err := jsontext.AppendUnquote(nil, q.text[from-1:q.at])
	if err != nil {
		q.give()
	}
	return plain
}

// skipString passes over a string.
func (q *quick) skipString() {
	if !q.is(`"`) {
		q.give()
		return
	}
	text, i, ascii := q.text, q.at, true
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			if !ascii && !utf8.Valid(text[q.at:i]) {
				q.give()
			}
			q.at = i + 1
			return
		case c == '\\':
			// A surrogate is half a character. Few texts have one.
			if i++; i == len(text) || strings.IndexByte(`"\/bfnrt`, text[i]) < 0 {
				q.give()
				return
			}
		case c < ' ':
			q.give()
			return
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	q.give()
}

// kept reads a string that comes again and again.
func (q *quick) kept() string {
	raw := q.raw()
	if known, ok := q.names[string(raw)]; ok || len(raw) == 0 {
		return known
	}
	if len(q.names) == maxNames {
		clear(q.names)
	}
	s := string(raw)
	q.names[s] = s
	return s
}

// maxDigits is how long a number may be of which nobody doubts that readers agree.
const maxDigits = 15

// number reads a whole number that is not negative.
func (q *quick) number() int64 {
	from := q.at
	q.digits()
	if q.off || q.at-from > maxDigits || q.text[from] == '0' && q.at-from > 1 {
		q.give()
		return 0
	}
	n, err := strconv.ParseInt(string(q.text[from:q.at]), 10, 64)
	if err != nil {
		q.give()
	}
	return n
}

func (q *quick) digits() {
	from := q.at
	for q.at < len(q.text) && '0' <= q.text[q.at] && q.text[q.at] <= '9' {
		q.at++
	}
	if q.at == from {
		q.give()
	}
}

// time reads a moment in UTC.
func (q *quick) time() time.Time {
	from := q.at + 1
	q.skipString()
	if q.off || q.text[q.at-2] != 'Z' {
		q.give()
		return time.Time{}
	}
	var t time.Time
	if t.UnmarshalText(q.text[from:q.at-1]) != nil {
		q.give()
	}
	return t
}

// maxQuickDepth is how deep values may nest: far less than is allowed.
const maxQuickDepth = 24

// value reads any value that its sender shapes.
func (q *quick) value() jsontext.Value {
	from := q.at
	q.skipValue(1)
	if q.off {
		return nil
	}
	return q.text[from:q.at:q.at]
}

func (q *quick) skipValue(depth int) {
	if q.off || q.at == len(q.text) || depth > maxQuickDepth {
		q.give()
		return
	}
	switch c := q.text[q.at]; {
	case c == '{':
		q.skipObject(depth)
	case c == '[':
		q.skipArray(depth)
	case c == '"':
		q.skipString()
	case c == '-', '0' <= c && c <= '9':
		q.skipNumber()
	case !q.is("true") && !q.is("false"):
		q.must("null")
	}
}

// skipObject passes over an object whose names are in the order of their bytes, so
// that none is there twice.
func (q *quick) skipObject(depth int) {
	q.must("{")
	if q.is("}") {
		return
	}
	for last := []byte(nil); !q.off; {
		from := q.at + 1
		q.skipString()
		if q.off {
			return
		}
		name := q.text[from : q.at-1]
		if bytes.IndexByte(name, '\\') >= 0 || last != nil && bytes.Compare(name, last) <= 0 {
			q.give()
			return
		}
		last = name
		q.must(":")
		q.skipValue(depth + 1)
		if q.is("}") {
			return
		}
		q.must(",")
	}
}

func (q *quick) skipArray(depth int) {
	q.must("[")
	if q.is("]") {
		return
	}
	for !q.off {
		q.skipValue(depth + 1)
		if q.is("]") {
			return
		}
		q.must(",")
	}
}

func (q *quick) skipNumber() {
	q.is("-")
	from := q.at
	q.digits()
	zero := !q.off && q.text[from] == '0' && q.at-from > 1
	if q.is(".") {
		q.digits()
	}
	more := q.at < len(q.text) && (q.text[q.at]|' ' == 'e')
	if zero || more || q.at-from > maxDigits {
		q.give()
	}
}

// The words of schemas, read as their own decoders do.

func word[T ~string](q *quick, parse func(string) (T, error)) T {
	w, err := parse(q.kept())
	if err != nil {
		q.give()
	}
	return w
}

func (q *quick) name() schemas.Name     { return word(q, schemas.ParseName) }
func (q *quick) action() schemas.Action { return word(q, schemas.ParseAction) }
func (q *quick) bundle() schemas.Digest { return word(q, schemas.ParseDigest) }

func (q *quick) id() schemas.IntentID {
	id, err := schemas.ParseIntentID(q.string())
	if err != nil {
		q.give()
	}
	return id
}

func (q *quick) digest() schemas.Digest {
	raw := q.raw()
	if len(raw) != len("sha256:")+64 || string(raw[:len("sha256:")]) != "sha256:" {
		q.give()
		return ""
	}
	for _, c := range raw[len("sha256:"):] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			q.give()
			return ""
		}
	}
	return schemas.Digest(raw)
}

func (q *quick) outcome() (o schemas.Outcome) {
	_ = o.UnmarshalText(q.raw()) // never fails
	return o
}

// many reads an array with something in it.
func many[T any](q *quick, read func(*quick) T) (items []T) {
	q.must("[")
	for !q.off {
		items = append(items, read(q))
		if q.is("]") {
			return items
		}
		q.must(",")
	}
	return nil
}
