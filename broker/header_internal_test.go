package broker

import (
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/holdpoint/holdpoint/schemas"
)

// FuzzHeaders: whatever somebody from outside writes as headers, AUDIT says where
// its copy comes from, and the copy says what the gate read.
func FuzzHeaders(f *testing.F) {
	for _, block := range []string{
		"NATS/1.0\r\nce-id: 1\r\n", "NATS/1.0\r\n", "", "x", "NATS/1.0\nce-id: 1\n\nce-id: 2",
		"NATS/1.0\r\nNats-Expected-X: 1\nce-id: 1\r\nce-type: x\r\n", "NATS/1.0\r\nce-id: 1\r\nNats-Batch-X\r\n",
		"NATS/1.0\r\nce-id: 1\r\n\r\nNats-Stream-Source: INTENTS 1 > > intents.x\r\n", "NATS/1.0\nNats-Expected-X: 1\r\n",
		"NATS/1.0\r\nNats-Expected-\nNats-Expected-\r\nNats-Batch-\r\nNats-Expected-: 1\r\n", "NATS/1.0 100 Idle\r\nce-id:1\r\n",
		"NATS/1.0\r\nce-id: 1\r\nx: y\nNats-Batch-\nNats-Expected-X", "NATS/1.0\r\nce-id: 1\nNats-Batch-0",
		"NATS/1.0\na:b\na:b\na:b\na:b\na:b\na:b\na:b\na:b\na:b\na:b\na:b\na:b\na:b\na:b\na:b\na:b\nce-id: 1\r\n\nxyz\nNats-Batch-\nNats-Expected-",
		"NATS/1.0\r\nce-id: 1\nNats-Stream-Source: SETTLED:x 1 > > released.x\nx: yz\nNats-Batch-\nNats-Expected-X",
	} {
		f.Add([]byte(block))
	}
	f.Fuzz(func(t *testing.T, block []byte) {
		// The broker ends every block that comes through the wall.
		block = slices.Concat(block, []byte("\r\n\r\n"))
		original := schemas.Record{Stream: schemas.Outcomes, Seq: 7, Subject: "outcomes.x.y.z", Header: storedHeader(schemas.Outcomes, block)}
		copied := schemas.Record{Stream: schemas.Audit, Seq: 9, Header: storedHeader(schemas.Audit, copyOf(block))}
		got, err := Origin(copied)
		if err != nil {
			t.Fatalf("%q: %v", block, err)
		}
		if got.Pointer() != original.Pointer() || got.Subject != original.Subject {
			t.Errorf("%q is copied as %s %s %q, want %s %s %q", block, got.Pointer(), got.Subject, got.Header, original.Pointer(), original.Subject, original.Header)
		}
		// Without the raw block, AUDIT is believed only where that says the same.
		answer := slices.Concat(copyOf(block)[:len(copyOf(block))-2], []byte(batchHeaders))
		if h, err := nats.DecodeHeadersMsg(answer); err == nil && covers(h, len(answer), mostLines) && sourced(h) {
			plain, err := Origin(schemas.Record{Stream: schemas.Audit, Header: schemas.Header(h)})
			if err != nil || plain.Hash() != got.Hash() || plain.Pointer() != got.Pointer() {
				t.Errorf("%q reads as %s %q (%v) in a batch, want %s %q", block, plain.Pointer(), plain.Header, err, got.Pointer(), got.Header)
			}
		}
		// What a consumer delivers is believed only where it is copied as it is.
		h, err := nats.DecodeHeadersMsg(block)
		if err == nil && !deliveredOtherwise(schemas.Outcomes, schemas.Header(h), len(block)) && (schemas.Record{Header: schemas.Header(h)}).Hash() != (schemas.Record{Header: original.Header}).Hash() {
			t.Errorf("%q is delivered as %q, and copied as %q", block, h, original.Header)
		}
	})
}

// batchHeaders is what the broker appends to a record in a batch.
const batchHeaders = "Nats-Num-Pending: 1\r\nNats-Last-Sequence: 8\r\nNats-Stream: AUDIT\r\nNats-Subject: audit.outcomes.y\r\n" +
	"Nats-Sequence: 9\r\nNats-Time-Stamp: 2026-11-25T08:46:43.123456789Z\r\n\r\n"

// copyOf is the block of headers of the copy that the broker makes of one: it takes
// lines away, then writes the source over the end.
func copyOf(block []byte) []byte {
	before, _ := asCopied(block)
	if len(before) == 0 {
		before = []byte("NATS/1.0\r\n\r\n")
	}
	return slices.Concat(before[:len(before)-2], []byte("Nats-Stream-Source: OUTCOMES:x 7 > > outcomes.x.y.z\r\n\r\n"))
}
