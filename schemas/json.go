package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is how deep objects and arrays may nest in a value that its sender
// shapes, such as params, wherever a record carries it.
const MaxDepth = 32

// Unmarshal decodes JSON strictly into v: one value, valid UTF-8, no field that
// v does not have, none missing that v always writes and none null, no key
// twice, at most [MaxDepth] deep, and no number that two readers could take for
// different ones (RFC 7493, I-JSON). It returns a [Fault] that names the field by
// its JSON Pointer (RFC 6901). A field that is added later must be one that may
// be missing, or old records no longer read.
func Unmarshal(b []byte, v any) error {
	if err := shapeOf(reflect.TypeOf(v)).check(jsontext.NewDecoder(bytes.NewBuffer(b)), 0); err != nil {
		return err
	}
	return jsonFault(json.Unmarshal(b, v, json.RejectUnknownMembers(true)))
}

// Marshal encodes v as JSON without insignificant white space. Its output
// depends on v alone.
func Marshal(v any) ([]byte, error) {
	return json.Marshal(v, json.Deterministic(true))
}

// Canonical returns the RFC 8785 form of the JSON value b.
func Canonical(b []byte) ([]byte, error) {
	v := jsontext.Value(bytes.Clone(b))
	if err := v.Canonicalize(); err != nil {
		return nil, jsonFault(err)
	}
	return v, nil
}

// interoperable reports whether a binary64 reader and an integer reader take
// the number for the same: it is finite, does not vanish, and an integer stays
// within ±(2^53-1) (RFC 7493, section 2.2).
func interoperable(number string) bool {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsInf(f, 0) {
		return false
	}
	if f == 0 {
		mantissa, _, _ := strings.Cut(strings.ToLower(number), "e")
		return !strings.ContainsAny(mantissa, "123456789")
	}
	const largest = 1<<53 - 1
	if f == math.Trunc(f) {
		return math.Abs(f) <= largest
	}
	return true
}

// jsonFault says in one line, field first, what the JSON library found.
func jsonFault(err error) error {
	if err == nil {
		return nil
	}
	return explainJSON(err)
}

func explainJSON(err error) error {
	var syntactic *jsontext.SyntacticError
	var semantic *json.SemanticError
	var fault *Fault
	switch {
	case errors.As(err, &semantic) && errors.As(err, &fault):
		return invalid("%s: %s", field(semantic.JSONPointer), fault.Detail)
	case errors.As(err, &fault):
		return fault
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntactic):
		return invalid("%s: given twice", field(syntactic.JSONPointer))
	case errors.As(err, &syntactic):
		return invalid("%s: not JSON at byte %d: %v", field(syntactic.JSONPointer), syntactic.ByteOffset, syntactic.Err)
	case errors.Is(err, json.ErrUnknownName) && errors.As(err, &semantic):
		return invalid("%s: no such field", field(semantic.JSONPointer))
	case errors.As(err, &semantic) && semantic.Err != nil:
		return invalid("%s: %v", field(semantic.JSONPointer), semantic.Err)
	case errors.As(err, &semantic):
		return invalid("%s: a JSON %s does not fit here", field(semantic.JSONPointer), kindName(semantic.JSONKind))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("empty, or cut short")
	default:
		return invalid("%v", err)
	}
}

func field(p jsontext.Pointer) string {
	if p == "" {
		return "/"
	}
	return clip(string(p))
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '"':
		return "string"
	case '0':
		return "number"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	default:
		return k.String()
	}
}

// mustMarshal encodes a type of this package, which cannot fail: its fields are
// strings, numbers, times and JSON values that were read strictly. What is not
// UTF-8 in a string becomes U+FFFD.
func mustMarshal(v any) []byte {
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(fmt.Sprintf("encoding %s: %v", reflect.TypeOf(v), err))
	}
	return b
}
