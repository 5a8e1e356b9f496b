package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// blockMutations are those of the block of headers, whatever stands in it. The
// broker stores any bytes.
func blockMutations() []mutation {
	return []mutation{
		{"a block of headers that is none", false, func(r *rand.Rand, m *rawMsg) {
			m.header = pick(r, "x", "NATS/1.0", "NATS/1.0\r\n", noHeader, "NATS/1.0\r\n\r\n\r\n", "NATS/9.9\r\nx: y\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
				"\r\n\r\n", "NATS/1.0\n\n", "NATS/1.0\r\n: y\r\n\r\n", "NATS/1.0\r\nx\r\n\r\n", "\x00\x00\x00", "NATS/1.0\r\nce-id : 1\r\n\r\n", "\xff\xfe")
		}},
		{"a status", false, func(r *rand.Rand, m *rawMsg) {
			status := pick(r, "100 Idle Heartbeat", "100 FlowControl Request", "404 No Messages", "408 Request Timeout", "503", "204 EOB")
			m.header = strings.Replace(m.header, "NATS/1.0", "NATS/1.0 "+status, 1)
		}},
		{"headers that look like a status", false, func(r *rand.Rand, m *rawMsg) {
			m.line("Status: " + pick(r, "100", "404", "409", "503", "204"))
			m.line("Description: " + pick(r, "Consumer Deleted", "EOB", "Message Size Exceeds MaxBytes"))
		}},
		{"headers that end early", false, func(r *rand.Rand, m *rawMsg) {
			lines := strings.SplitAfter(m.header, "\r\n")
			i := r.IntN(len(lines))
			m.header = strings.Join(lines[:i], "") + "\r\n" + strings.Join(lines[i:], "")
		}},
		{"headers that do not end", false, func(_ *rand.Rand, m *rawMsg) { m.header = strings.TrimSuffix(m.header, "\r\n") }},
		{"a header byte that changed", false, func(r *rand.Rand, m *rawMsg) {
			b := []byte(cmp.Or(m.header, noHeader))
			b[r.IntN(len(b))] ^= byte(1 << r.IntN(8))
			m.header = string(b)
		}},
		{"a header line that is odd", false, func(r *rand.Rand, m *rawMsg) {
			m.line(pick(r, "x", ": x", "x y: z", "x:", " folded", "\tfolded", "\x00: \x00", "é: é", "x: \xff", "x: "+strings.Repeat("y", 20_000), "Content-Length: 0", "x: a\rb", "x: a\nb"))
		}},
		{"very many headers", false, func(r *rand.Rand, m *rawMsg) {
			var all strings.Builder
			for i := range pick(r, 25, 33, 400) {
				fmt.Fprintf(&all, "x-%d: %d\r\n", i, i)
			}
			m.line(strings.TrimSuffix(all.String(), "\r\n"))
		}},
		{"a trace context that is odd", false, func(r *rand.Rand, m *rawMsg) {
			m.line("traceparent: " + pick(r, "", "00", strings.Repeat("0-", 900), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "\xff", `"><script>`))
		}},
		{"a trace context that stands there twice", true, func(_ *rand.Rand, m *rawMsg) {
			m.line("traceparent: a")
			m.line("TraceParent: b")
		}},
		{"no headers", false, func(_ *rand.Rand, m *rawMsg) { m.header = "" }},
		{"a header for tracing messages", false, func(r *rand.Rand, m *rawMsg) {
			m.line("Nats-Trace-Dest: " + pick(r, "audit.x", "released.x", "$JS.API.STREAM.DELETE.AUDIT", "_INBOX_ann.x"))
			if r.IntN(2) == 0 {
				m.line("Nats-Trace-Only: true")
			}
		}},
	}
}

// eventMutations are those of the CloudEvents attributes.
func eventMutations() []mutation {
	return []mutation{
		{"another type", true, func(r *rand.Rand, m *rawMsg) {
			m.attribute("ce-type", pick(r, "", "x", "dev.holdpoint.", "dev.holdpoint.intent.proposed.v2", "dev.holdpoint.intent.released.v1", "dev.holdpoint.decision.v9", "%64", "\xff", "v1"))
		}},
		{"another version of CloudEvents", true, func(r *rand.Rand, m *rawMsg) {
			m.attribute("ce-specversion", pick(r, "", "0.3", "2.0", "1", "\xc3\xa9"))
		}},
		{"a time that is none", true, func(r *rand.Rand, m *rawMsg) {
			m.attribute("ce-time", pick(r, "now", "2026-13-01T00:00:00Z", "0", "2026-11-24", "\xff", "99999-01-01T00:00:00Z"))
		}},
		{"data that is not JSON", true, func(r *rand.Rand, m *rawMsg) {
			m.attribute("ce-datacontenttype", pick(r, "text/plain", "application/xml", ";", "application/", "json"))
		}},
		{"an attribute that does not decode", true, func(r *rand.Rand, m *rawMsg) {
			m.attribute("ce-source", pick(r, "", "%", "%z1", "%C3%28", `"x`, `"x"y"`, `"\`, "%ff", "\x80"))
		}},
		{"an attribute that stands there twice", true, func(r *rand.Rand, m *rawMsg) {
			m.line(pick(r, "ce-id: x", "CE-Id: x", "ce-type: x", "Ce-Source: /agents/x", "ce-specversion: 1.0"))
		}},
		{"an attribute that is missing", true, func(r *rand.Rand, m *rawMsg) {
			name := pick(r, "ce-id", "ce-type", "ce-source", "ce-specversion")
			m.drop(name)
		}},
		{"a media type that the body has not", true, func(r *rand.Rand, m *rawMsg) {
			m.line("content-type: " + pick(r, "application/cloudevents+json", "application/cloudevents-batch+json", "application/cloudevents", "application/cloudevents+xml", "application/cloudevents;;"))
		}},
		{"another media type", false, func(r *rand.Rand, m *rawMsg) {
			m.line("Content-Type: " + pick(r, "text/plain", "application/json; charset=utf-16", "", "\xff", strings.Repeat("a/", 500)))
		}},
		{"structured mode", false, func(r *rand.Rand, m *rawMsg) {
			m.structured(pick(r, "", `,"x":1`, `,"subject":null`))
		}},
		{"structured mode that is odd", true, func(r *rand.Rand, m *rawMsg) {
			m.structured(pick(r, `,"id":"twice"`, `,"data_base64":"e30="`, `,"specversion":null`, `,"time":5`, `,"type":["x"]`, `,"subject":{}`, `,`, `}`, `,"data":{}`))
		}},
	}
}

// directions are headers that tell the broker what to do, or that it writes itself.
// None may stand on an intent. It replaces or obeys the ones that are left out.
func directions() []string {
	return slices.DeleteFunc(brokerHeaders(schemas.Key{ID: someID}), func(line string) bool {
		for _, harmless := range []string{"Nats-Msg-Id", "Nats-Expected-Stream", "Nats-Request-Info", "Nats-Trace", "Status", "Description"} {
			if strings.HasPrefix(line, harmless) {
				return true
			}
		}
		return false
	})
}

// line adds a line to the headers.
func (m *rawMsg) line(line string) {
	head := strings.TrimSuffix(cmp.Or(m.header, noHeader), "\r\n")
	m.header = head + line + "\r\n\r\n"
}

// drop removes a header.
func (m *rawMsg) drop(name string) {
	var left []string
	for _, line := range strings.SplitAfter(m.header, "\r\n") {
		if !strings.HasPrefix(line, name+": ") {
			left = append(left, line)
		}
	}
	m.header = strings.Join(left, "")
}

// attribute gives a header another value.
func (m *rawMsg) attribute(name, value string) {
	m.drop(name)
	m.line(name + ": " + value)
}

// attributeOf returns the value of a header.
func (m *rawMsg) attributeOf(name string) string {
	_, rest, _ := strings.Cut(m.header, "\r\n"+name+": ")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// structured puts the attributes and the body into one JSON event, with more.
func (m *rawMsg) structured(more string) {
	m.body = fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":%q,"type":%q,"time":%q,"data":%s%s}`,
		m.attributeOf("ce-id"), m.attributeOf("ce-source"), m.attributeOf("ce-type"), time.Now().UTC().Format(time.RFC3339Nano), m.body, more)
	m.header = "NATS/1.0\r\nContent-Type: application/cloudevents+json\r\n\r\n"
}

// oddTokens are parts of subjects that no name, id or action has.
func oddTokens(r *rand.Rand) string {
	return pick(r, "*", ">", "a*", "é", "\xff\xfe", "\x01", "\x7f", strings.Repeat("x", 65), strings.Repeat("y", 700), "$JS", "$O", "%20", `"`, "{}", `\`, "'", "a/b", "_INBOX", "A B"[:1]+":", "٣", "\u202e")
}

// intentMutations are those that only an intent can have. Known are ids that the
// agent has used.
func intentMutations(known []schemas.IntentID) []mutation {
	subject := func(system, operation string) func(*rawMsg) {
		return func(m *rawMsg) {
			m.subject = strings.Join(append(strings.Split(m.subject, ".")[:2], system, operation), ".")
		}
	}
	return []mutation{
		{"an action that does not exist", true, func(r *rand.Rand, m *rawMsg) {
			subject(pick(r, "shop", "holdpoint", "Shop", "nothing"), pick(r, "unreadable", "Refund", "nothing", "withdrawal"))(m)
		}},
		{"an action that is none", true, func(r *rand.Rand, m *rawMsg) {
			if r.IntN(2) == 0 {
				subject(oddTokens(r), "refund")(m)
			} else {
				subject("shop", oddTokens(r))(m)
			}
		}},
		{"a withdrawal of nothing", true, func(r *rand.Rand, m *rawMsg) {
			subject("holdpoint", "withdraw")(m)
			m.set("params", pick[any](r, map[string]any{}, map[string]any{"id": 1}, map[string]any{"id": "x"}, map[string]any{"id": string(someID[1:])}, map[string]any{"id": nil}, map[string]any{"id": someID, "more": 1}))
		}},
		{"a withdrawal of before", false, func(r *rand.Rand, m *rawMsg) {
			subject("holdpoint", "withdraw")(m)
			m.set("params", map[string]any{"id": pick(r, known...)})
		}},
		{"a header of the broker", true, func(r *rand.Rand, m *rawMsg) { m.line(pick(r, directions()...)) }},
		{"a message id", false, func(r *rand.Rand, m *rawMsg) {
			m.line(pick(r, "Nats-Msg-Id: x", "Nats-Msg-Id: ", "Nats-Expected-Stream: INTENTS"))
		}},
		{"an id that is none", true, func(r *rand.Rand, m *rawMsg) {
			id := m.attributeOf("ce-id")
			m.attribute("ce-id", pick(r, strings.ToLower(id), id[1:], id+"0", "8"+id[1:], "0000000000"+id[10:], "7ZZZZZZZZZ"+id[10:], "01"+strings.Repeat("0", 8)+id[10:],
				string(schemas.SequenceID(uint64(1+r.IntN(100)))), "x", "*", ">", "../"+id, strings.Replace(id, "0", "O", 1), strings.Replace(id, "0", "%30", 1)+"%"))
		}},
		{"an id of before", false, func(r *rand.Rand, m *rawMsg) { m.attribute("ce-id", string(pick(r, known...))) }},
		{"another agent's name", true, func(r *rand.Rand, m *rawMsg) {
			m.attribute("ce-source", pick(r, "/agents/eve", "/agents/", "/agents/Bot", "/agents/bot/x"))
		}},
		{"parameters that the catalog does not know", true, func(r *rand.Rand, m *rawMsg) {
			m.set("params", pick[any](r, map[string]any{}, map[string]any{"order": "A-1"}, map[string]any{"order": 1, "amount": 1}, map[string]any{"order": "A-1", "amount": "1"},
				map[string]any{"order": "A-1", "amount": 1.5}, map[string]any{"order": "A-1", "amount": 0}, map[string]any{"order": "A-1", "amount": 20, "x": 1},
				map[string]any{"order": strings.Repeat("A", 41), "amount": 20}, map[string]any{"order": "A-1", "amount": -20}, []any{}, "x", nil))
		}},
		{"a lifetime that is none", true, func(r *rand.Rand, m *rawMsg) { m.set("expires_in", pick[any](r, -1, 259201, 1.5, "60", 1<<40)) }},
		{"a session that is none", true, func(r *rand.Rand, m *rawMsg) {
			m.set("session", pick[any](r, "a b", strings.Repeat("s", 129), "é", "a/b", "\u202e", 1, "*"))
		}},
		{"a cause", true, func(r *rand.Rand, m *rawMsg) {
			m.set("cause", pick[any](r, "x", map[string]any{"id": someID}, 0, false))
		}},
		{"prose that is too long", true, func(r *rand.Rand, m *rawMsg) {
			m.set(pick(r, "reason", "goal"), strings.Repeat("x", schemas.MaxProse+1+r.IntN(9000)))
		}},
		{"prose that is odd", false, func(r *rand.Rand, m *rawMsg) {
			m.set(pick(r, "reason", "goal"), pick(r, "\x1b[2J\x00", "\u202e\u200b\ufeff", strings.Repeat("é", 2048), "<script>", "{{.}}", "%s%n", "../../etc"))
		}},
		{"the largest size", true, func(_ *rand.Rand, m *rawMsg) { m.grow("goal", schemas.MaxIntentSize) }},
		{"more than the largest size", true, func(r *rand.Rand, m *rawMsg) { m.grow("goal", schemas.MaxIntentSize+1+r.IntN(9000)) }},
	}
}

// grow makes the message that large, by one of its fields.
func (m *rawMsg) grow(field string, size int) {
	m.set(field, "")
	m.set(field, strings.Repeat("x", size-m.size()))
}
