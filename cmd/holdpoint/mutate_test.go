package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/holdpoint/holdpoint/schemas"
)

// rawMsg is a message as it goes over the wire.
type rawMsg struct {
	subject string
	header  string // the whole block, or "" for none
	body    []byte
}

// rawOf returns a draft as it goes over the wire.
func rawOf(d schemas.Draft) rawMsg {
	var header strings.Builder
	header.WriteString("NATS/1.0\r\n")
	for _, name := range slices.Sorted(maps.Keys(d.Header)) {
		for _, v := range d.Header[name] {
			header.WriteString(name + ": " + v + "\r\n")
		}
	}
	header.WriteString("\r\n")
	return rawMsg{subject: d.Subject, header: header.String(), body: d.Body}
}

// size is what the broker counts against the limit of a stream.
func (m rawMsg) size() int { return len(m.header) + len(m.body) }

// mutation changes a message. Hopeless says that what it makes of a valid message
// can never be one, if it is stored at all: no intent that is released or parked,
// no decision that counts.
type mutation struct {
	name     string
	hopeless bool
	mutate   func(*rand.Rand, *rawMsg)
}

// pick returns one of several.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// bodyMutations are those of JSON text, whatever it says.
func bodyMutations() []mutation {
	return []mutation{
		{"text that is cut short", true, func(r *rand.Rand, m *rawMsg) { m.body = m.body[:r.IntN(len(m.body))] }},
		{"text behind the end", true, func(r *rand.Rand, m *rawMsg) {
			m.body = append(bytes.Clone(m.body), pick(r, "}", "{}", ",", "\x00", "null", "//")...)
		}},
		{"other JSON", true, func(r *rand.Rand, m *rawMsg) {
			m.body = []byte(pick(r, "[]", "null", "{}", `""`, "1", "true", `[{}]`, "{", "\xff", " ", "{'a':1}", "\xef\xbb\xbf{}", "NaN"))
		}},
		{"a mark before the text", true, func(_ *rand.Rand, m *rawMsg) { m.body = append([]byte("\xef\xbb\xbf"), m.body...) }},
		{"a byte that changed", false, func(r *rand.Rand, m *rawMsg) {
			m.body = bytes.Clone(m.body)
			m.body[r.IntN(len(m.body))] ^= byte(1 << r.IntN(8))
		}},
		{"a byte more", false, func(r *rand.Rand, m *rawMsg) { m.insert(r.IntN(len(m.body)+1), string([]byte{byte(r.IntN(256))})) }},
		{"a byte less", false, func(r *rand.Rand, m *rawMsg) {
			i := r.IntN(len(m.body))
			m.body = append(bytes.Clone(m.body[:i]), m.body[i+1:]...)
		}},
		{"white space", false, func(r *rand.Rand, m *rawMsg) {
			m.afterToken(r, strings.Repeat(pick(r, " ", "\n", "\t", "\r\n"), 1+r.IntN(50)))
		}},
		{"no UTF-8", true, func(r *rand.Rand, m *rawMsg) {
			m.inText(r, pick(r, "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", `\ud800`, `\udc00\ud800`, "\x80"))
		}},
		{"a control character", true, func(r *rand.Rand, m *rawMsg) { m.inText(r, pick(r, "\x00", "\x01", "\x1b[2J", "\x1f")) }},
		{"a bad escape", true, func(r *rand.Rand, m *rawMsg) { m.inText(r, pick(r, `\x41`, `\u12`, `\`, `\U0041`, `\'`)) }},
		{"a key that stands there twice", true, func(r *rand.Rand, m *rawMsg) {
			of := m.fields()
			m.insert(1, fmt.Sprintf(`%q:%s,`, of[r.IntN(len(of))].name, pick(r, "null", "1", `"x"`, "{}")))
		}},
		{"a key that stands there twice, in two spellings", true, func(r *rand.Rand, m *rawMsg) {
			of := m.fields()
			f := of[r.IntN(len(of))]
			m.insert(1, fmt.Sprintf(`"\u%04x%s":%s,`, f.name[0], f.name[1:], f.value))
		}},
		{"a field that is none", true, func(r *rand.Rand, m *rawMsg) {
			m.insert(1, fmt.Sprintf(`%q:%s,`, pick(r, "x", "Params", "", "constructor", "digest ", "__proto__", "e\u0301"), pick(r, "null", "1", "{}")))
		}},
		{"a field that is null", true, func(r *rand.Rand, m *rawMsg) { m.replaceAny(r, "null") }},
		{"a field of another kind", false, func(r *rand.Rand, m *rawMsg) {
			m.replaceAny(r, pick(r, "1", "true", "[]", "{}", `""`, `"x"`, "-1", "1e3", "[null]"))
		}},
		{"a field that is deep", true, func(r *rand.Rand, m *rawMsg) {
			n := pick(r, 1, 31, 32, 33, 100, 5000)
			m.replaceAny(r, strings.Repeat("[", n)+strings.Repeat("]", n))
		}},
		{"a field that is deeper still", true, func(r *rand.Rand, m *rawMsg) {
			n := pick(r, 31, 32, 33, 2000)
			m.replaceAny(r, strings.Repeat(`{"a":`, n)+"1"+strings.Repeat("}", n))
		}},
		{"a number that readers disagree on", true, func(r *rand.Rand, m *rawMsg) {
			m.replaceAny(r, pick(r, "1e999", "-1e999", "9007199254740993", "-9007199254740993", "1e-999", strings.Repeat("9", 400), "1."+strings.Repeat("0", 400)+"e400"))
		}},
		{"a number that is none", true, func(r *rand.Rand, m *rawMsg) {
			m.replaceAny(r, pick(r, "0x10", "01", "+1", ".5", "1.", "NaN", "Infinity", "-", "1e", "1_0", "٣"))
		}},
		{"a field that is missing", false, func(r *rand.Rand, m *rawMsg) {
			of := m.fields()
			i := r.IntN(len(of))
			m.setFields(append(of[:i:i], of[i+1:]...))
		}},
		{"fields in another order", false, func(r *rand.Rand, m *rawMsg) {
			of := m.fields()
			r.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
			m.setFields(of)
		}},
	}
}

// jsonField is one member of an object, as it is written.
type jsonField struct {
	name  string
	value json.RawMessage
}

// fields takes the body of a valid message apart.
func (m *rawMsg) fields() []jsonField {
	d := json.NewDecoder(bytes.NewReader(m.body))
	var all []jsonField
	if _, err := d.Token(); err != nil {
		panic(err)
	}
	for d.More() {
		var f jsonField
		name, err := d.Token()
		if err == nil {
			err = d.Decode(&f.value)
		}
		if err != nil {
			panic(err)
		}
		f.name = name.(string)
		all = append(all, f)
	}
	return all
}

func (m *rawMsg) setFields(all []jsonField) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", f.name, f.value)
	}
	b.WriteByte('}')
	m.body = b.Bytes()
}

// replaceAny gives any field another value.
func (m *rawMsg) replaceAny(r *rand.Rand, value string) {
	of := m.fields()
	of[r.IntN(len(of))].value = json.RawMessage(value)
	m.setFields(of)
}

// set gives one field a value, quoted if it is a string.
func (m *rawMsg) set(name string, value any) {
	b, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	of := m.fields()
	for i := range of {
		if of[i].name == name {
			of[i].value = b
			m.setFields(of)
			return
		}
	}
	m.setFields(append(of, jsonField{name, b}))
}

func (m *rawMsg) insert(at int, text string) {
	m.body = append(append(bytes.Clone(m.body[:at]), text...), m.body[at:]...)
}

// inText inserts behind one of the quotes.
func (m *rawMsg) inText(r *rand.Rand, text string) { m.behind(r, `"`, text) }

// afterToken inserts where JSON may have white space: around the fields.
func (m *rawMsg) afterToken(r *rand.Rand, text string) {
	m.insert(pick(r, 0, 1, len(m.body)-1, len(m.body)), text)
}

func (m *rawMsg) behind(r *rand.Rand, what, text string) {
	n := r.IntN(bytes.Count(m.body, []byte(what)))
	at := 0
	for range n + 1 {
		at += bytes.Index(m.body[at:], []byte(what)) + len(what)
	}
	m.insert(at, text)
}
