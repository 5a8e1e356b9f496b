package schemas

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// attributes are values and how the binding writes them: the examples of the HTTP
// binding (section 3.1.3.2), which the NATS binding shares, and the borders.
var attributeValues = map[string]string{
	"Euro € 😀":        "Euro%20%E2%82%AC%20%F0%9F%98%80",
	"plain":           "plain",
	"":                "",
	"!#$&'()*+,-./:~": "!#$&'()*+,-./:~",
	"a\"b":            "a%22b",
	"100%":            "100%25",
	"%20":             "%2520",
	" ":               "%20",
	"\x7f":            "%7F",
	"\r\nce-id: 1":    "%0D%0Ace-id:%201",
	"\x00":            "%00",
	"ü":               "%C3%BC",
	"\u10ffff":        "%E1%83%BFff",
	"\U0010ffff":      "%F4%8F%BF%BF",
}

func TestEncodeAttribute(t *testing.T) {
	t.Parallel()
	for value, want := range attributeValues {
		if got := encodeAttribute(value); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
		if got, err := decodeAttribute(want); err != nil || got != value {
			t.Errorf("%q back: got %q, %v, want %q", want, got, err, value)
		}
	}
}

func TestDecodeAttribute(t *testing.T) {
	t.Parallel()
	for encoded, want := range map[string]string{
		"%e2%82%ac":             "€",   // lower-case digits
		"%61":                   "a",   // encoded without need
		"€":                     "€",   // not encoded in spite of need
		"a b":                   "a b", // the same
		"%2520":                 "%20", // one round only
		`"Euro%20%E2%82%AC"`:    "Euro €",
		`"a b"`:                 "a b",
		`"a \"quoted\" \\word"`: `a "quoted" \word`,
		`""`:                    "",
		`a"b`:                   `a"b`, // only an opening quote quotes
	} {
		if got, err := decodeAttribute(encoded); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", encoded, got, err, want)
		}
	}
	for _, encoded := range []string{
		"%", "a%", "%2", "a%2", "%zz", "%2g", "%%20", "%-1", // no hexadecimal digits
		"%C3", "%C3%28", "%ED%A0%80", "%F4%90%80%80", "%C0%80", "\xff", // not UTF-8; the third is a surrogate
		`"`, `"a`, `"a"b"`, `"a\"`, `"a"b`, `"\`, // quotes that do not end where they should
	} {
		if got, err := decodeAttribute(encoded); err == nil || got != "" {
			t.Errorf("%q: got %q, %v, want an error", encoded, got, err)
		}
	}
}

// FuzzAttribute: what is decoded encodes to something that decodes to the same,
// and what is encoded is printable ASCII.
func FuzzAttribute(f *testing.F) {
	for value, encoded := range attributeValues {
		f.Add(value)
		f.Add(encoded)
		f.Add(`"` + encoded + `"`)
	}
	f.Add(`"a \"quoted\" \\word"`)
	f.Add("%ED%A0%80")
	f.Fuzz(func(t *testing.T, s string) {
		encoded := encodeAttribute(s)
		if strings.ContainsFunc(encoded, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
			t.Errorf("%q encodes to %q, want printable ASCII without quotes", s, encoded)
		}
		got, err := decodeAttribute(encoded)
		if valid := utf8.ValidString(s); valid != (err == nil) || valid && got != s {
			t.Errorf("%q back from %q: got %q, %v", s, encoded, got, err)
		}
		decoded, err := decodeAttribute(s)
		if err != nil {
			return
		}
		if again, err := decodeAttribute(encodeAttribute(decoded)); err != nil || again != decoded {
			t.Errorf("%q, decoded from %q: got %q, %v, want it back", decoded, s, again, err)
		}
	})
}
