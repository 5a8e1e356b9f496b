package schemas

import (
	"encoding/hex"
	"fmt"
	"mime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Header is the header of a message: names, case-sensitive as on NATS, and
// their values.
type Header map[string][]string

// Event is the CloudEvents context of a message: CloudEvents 1.0.2, NATS
// protocol binding 1.0.3-wip.
type Event struct {
	ID     string
	Source string
	Type   string
	Time   time.Time

	// TraceParent is the W3C trace context of the message that caused this one,
	// or empty: what does not look like one is not passed on.
	TraceParent string
}

// Header returns the event in binary mode, for a body that is JSON. Names are in
// lower case, because NATS compares them byte by byte.
func (e Event) Header() Header {
	h := Header{
		"ce-specversion":     {"1.0"},
		"ce-id":              {encodeAttribute(e.ID)},
		"ce-source":          {encodeAttribute(e.Source)},
		"ce-type":            {encodeAttribute(e.Type)},
		"ce-datacontenttype": {"application/json"},
	}
	if !e.Time.IsZero() {
		h["ce-time"] = []string{e.Time.UTC().Format(time.RFC3339Nano)}
	}
	if trace := traceParent(e.TraceParent); trace != "" {
		h["traceparent"] = []string{trace}
	}
	return h
}

// ReadEvent returns the event and its data that a message carries, in binary or
// structured mode. A message without any CloudEvents attribute is a bare one: an
// Event whose ID and Type are empty. Names are accepted in any case, but given
// twice they are a [Fault], as is every attribute that does not read as the
// binding says.
func ReadEvent(h Header, body []byte) (Event, []byte, error) {
	media, err := single(h, "content-type")
	if err != nil {
		return Event{}, nil, err
	}
	trace, err := single(h, "traceparent")
	if err != nil {
		return Event{}, nil, err
	}
	var e Event
	if isCloudEvents(media) {
		e, body, err = readStructured(media, body)
	} else {
		e, err = readBinary(h)
	}
	e.TraceParent = traceParent(trace)
	return e, body, err
}

// single returns the value of a header whose name may be written in any case, or
// "" if it is not there.
func single(h Header, name string) (value string, err error) {
	found := 0
	for key, values := range h {
		if len(key) == len(name) && strings.EqualFold(key, name) {
			found += len(values)
			value = strings.Join(values, "")
		}
	}
	if found > 1 {
		return "", invalid("header %s: given twice", name)
	}
	return value, nil
}

func readBinary(h Header) (Event, error) {
	context := make(map[string]string, len(h))
	for key, values := range h {
		if len(key) < 3 || !strings.EqualFold(key[:3], "ce-") {
			continue
		}
		attribute := strings.ToLower(key[3:])
		if _, twice := context[attribute]; twice || len(values) != 1 {
			return Event{}, invalid("header ce-%s: given twice", clip(attribute))
		}
		decoded, err := decodeAttribute(values[0])
		if err != nil {
			return Event{}, invalid("header ce-%s: %v", clip(attribute), err)
		}
		context[attribute] = decoded
	}
	if len(context) == 0 {
		return Event{}, nil
	}
	return newEvent(context)
}

// textAttributes are those of the specification itself. An extension may also be a
// number or a boolean.
var textAttributes = []string{"specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema"}

// readStructured reads the JSON event format.
func readStructured(media string, body []byte) (Event, []byte, error) {
	if base, _, err := mime.ParseMediaType(media); err != nil || base != "application/cloudevents" && base != "application/cloudevents+json" {
		return Event{}, nil, invalid("header content-type: %q is not one JSON CloudEvent", clip(media))
	}
	var envelope map[string]jsontext.Value
	if err := Unmarshal(body, &envelope); err != nil {
		return Event{}, nil, err
	}
	data := envelope["data"]
	context := make(map[string]string, len(envelope))
	for name, value := range envelope {
		switch {
		case name == "data":
		case name == "data_base64":
			return Event{}, nil, invalid("/data_base64: want JSON in data")
		case value.Kind() == 'n': // the same as not given
		case value.Kind() == '{', value.Kind() == '[', value.Kind() != '"' && slices.Contains(textAttributes, name):
			return Event{}, nil, invalid("/%s: want a string", clip(name))
		case value.Kind() != '"': // an extension
		default:
			text, err := jsontext.AppendUnquote(nil, value)
			if err != nil {
				return Event{}, nil, invalid("/%s: %v", clip(name), err)
			}
			context[name] = string(text)
		}
	}
	e, err := newEvent(context)
	return e, data, err
}

// traceParent returns s if it has the form of a W3C traceparent, else nothing: as
// it is copied from record to record it must not grow them.
func traceParent(s string) string {
	parts := strings.Split(s, "-")
	if len(parts) != 4 {
		return ""
	}
	for i, size := range []int{2, 32, 16, 2} {
		if !only(parts[i], size, size, hexByte) {
			return ""
		}
	}
	return s
}

// newEvent checks the context attributes.
func newEvent(context map[string]string) (Event, error) {
	for _, name := range []string{"specversion", "id", "source", "type"} {
		if context[name] == "" {
			return Event{}, invalid("ce-%s: missing or empty", name)
		}
	}
	if v := context["specversion"]; v != "1.0" {
		return Event{}, invalid("ce-specversion: %q, want 1.0", clip(v))
	}
	if t, ok := context["datacontenttype"]; ok && !isJSON(t) {
		return Event{}, invalid("ce-datacontenttype: %q, want application/json", clip(t))
	}
	e := Event{ID: context["id"], Source: context["source"], Type: context["type"]}
	if t, ok := context["time"]; ok {
		parsed, err := time.Parse(time.RFC3339Nano, t)
		if err != nil {
			return Event{}, invalid("ce-time: %q is not a time as in RFC 3339", clip(t))
		}
		e.Time = parsed
	}
	return e, nil
}

func isCloudEvents(media string) bool {
	return strings.HasPrefix(strings.ToLower(media), "application/cloudevents")
}

func isJSON(media string) bool {
	if media == "application/json" {
		return true
	}
	base, _, err := mime.ParseMediaType(media)
	return err == nil && (base == "application/json" || strings.HasSuffix(base, "+json"))
}

// encodeAttribute writes a value as the HTTP binding (section 3.1.3.2) does,
// which the NATS binding shares: space, double quote, percent and everything
// outside printable ASCII are percent-encoded.
func encodeAttribute(value string) string {
	if only(value, 0, len(value), plainByte) {
		return value
	}
	var b strings.Builder
	for i := range len(value) {
		if c := value[i]; plainByte(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// plainByte is one that stands for itself in a header.
func plainByte(c byte) bool { return '!' <= c && c <= '~' && c != '"' && c != '%' }

// decodeAttribute reads what encodeAttribute wrote: an optional pair of double
// quotes with backslash escapes, then one round of percent-decoding.
func decodeAttribute(value string) (string, error) {
	if only(value, 0, len(value), plainByte) {
		return value, nil
	}
	value, err := unquoteAttribute(value)
	if err != nil {
		return "", err
	}
	out := make([]byte, 0, len(value))
	for rest := value; rest != ""; {
		if rest[0] != '%' {
			out, rest = append(out, rest[0]), rest[1:]
			continue
		}
		if len(rest) < 3 {
			return "", fmt.Errorf("percent sign without two hexadecimal digits")
		}
		b, err := hex.DecodeString(rest[1:3])
		if err != nil {
			return "", fmt.Errorf("percent sign without two hexadecimal digits")
		}
		out, rest = append(out, b...), rest[3:]
	}
	if !utf8.Valid(out) {
		return "", fmt.Errorf("not UTF-8")
	}
	return string(out), nil
}

func unquoteAttribute(value string) (string, error) {
	if !strings.HasPrefix(value, `"`) {
		return value, nil
	}
	if len(value) < 2 || !strings.HasSuffix(value, `"`) {
		return "", fmt.Errorf("opening double quote without a closing one")
	}
	var b strings.Builder
	inside := value[1 : len(value)-1]
	for i := 0; i < len(inside); i++ {
		if inside[i] == '\\' {
			i++
		} else if inside[i] == '"' {
			return "", fmt.Errorf("double quote inside double quotes")
		}
		if i == len(inside) {
			return "", fmt.Errorf("backslash before nothing")
		}
		b.WriteByte(inside[i])
	}
	return b.String(), nil
}

// names returns the names in h in byte order.
func (h Header) names() []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
