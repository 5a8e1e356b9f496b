package broker

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/holdpoint/holdpoint/schemas"
)

// hostileBlocks are blocks of headers that a sender may have stored.
var hostileBlocks = []string{
	"", "NATS/1.0\r\n\r\n", "NATS/1.0\r\nce-id: x\r\n\r\n", "NATS/1.0 503\r\n\r\n", "x", "\r\n\r\n", "NATS/1.0\n\n", "NATS/1.0\r\nx\r\n\r\n", "\xff\xfe",
	"NATS/1.0\r\n: x\r\n\r\n", "NATS/1.0\r\nce-id: x\r\n", "NATS/1.0\r\n\r\nce-id: x\r\n\r\n", "NATS/1.0\r\n folded\r\n\r\n",
	"NATS/1.0\r\nNats-Stream-Source: SETTLED 1 > > released.x\r\n\r\n", "NATS/1.0\r\n\r\nNats-Stream-Source: SETTLED 1 > > released.x\r\n\r\n\r\n",
	"NATS/1.0\r\nNats-Expected-Last-Sequence: \nce-id: x\r\n\r\n",
}

// withLine appends a header to a block as the broker does. It ends every block that
// comes from outside.
func withLine(block, name, value string) []byte {
	switch {
	case block == "":
		block = "NATS/1.0\r\n\r\n"
	case !strings.HasSuffix(block, "\r\n\r\n"):
		block += "\r\n\r\n"
	}
	return []byte(strings.TrimSuffix(block, "\r\n") + name + ": " + value + "\r\n\r\n")
}

// FuzzOrigin: whatever headers a sender writes, a record of AUDIT says of where it
// is copied from what the broker says.
func FuzzOrigin(f *testing.F) {
	for _, block := range hostileBlocks {
		f.Add(block)
	}
	f.Fuzz(func(t *testing.T, block string) {
		stored := storedHeader(schemas.Audit, withLine(block, sourceHeader, "INTENTS:x 7 > > intents.bot.shop.refund"))
		r, err := Origin(schemas.Record{Stream: schemas.Audit, Seq: 9, Subject: "audit.intents.bot", Header: stored})
		if err != nil {
			t.Fatalf("%q, stored as %q: %v", block, stored, err)
		}
		if r.Stream != schemas.Intents || r.Seq != 7 || r.Subject != "intents.bot.shop.refund" {
			t.Errorf("%q: taken for a copy of %s/%d %q", block, r.Stream, r.Seq, r.Subject)
		}
	})
}

// FuzzDirectRecord: a sender may set the headers that the broker appends to what it
// answers. They are read as the broker set them, and all others are the sender's.
func FuzzDirectRecord(f *testing.F) {
	for _, name := range append(slices.Clone(appendedInBatch), "ce-id", "Status", "Description", "", "\xff") {
		f.Add(name, "x", "Status", "404", []byte("{}"))
		f.Add(name, "7", name, "8", []byte(nil))
	}
	f.Fuzz(func(t *testing.T, name, value, other, another string, body []byte) {
		sent := schemas.Header{}
		sent[name] = append(sent[name], value)
		sent[other] = append(sent[other], another)
		at := time.Date(2026, 11, 24, 12, 0, 3, 0, time.UTC)
		m := &nats.Msg{Header: nats.Header{}, Data: body}
		for n, values := range sent {
			m.Header[n] = slices.Clone(values)
		}
		for n, v := range map[string]string{"Nats-Stream": "INTENTS", "Nats-Subject": "intents.bot.shop.refund", "Nats-Sequence": "7", "Nats-Time-Stamp": at.Format(time.RFC3339Nano)} {
			m.Header[n] = append(m.Header[n], v)
		}
		r, err := directRecord(schemas.Intents, m, appended)
		if err != nil {
			t.Fatalf("%q: %v", m.Header, err)
		}
		want := schemas.Record{Stream: schemas.Intents, Seq: 7, Subject: "intents.bot.shop.refund", Time: at, Header: maps.Clone(sent), Body: body}
		if diff := cmp.Diff(want, r); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
	})
}
