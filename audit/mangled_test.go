package audit_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestMangled: whatever a stage leaves out of a record, or writes into it that
// belongs in another, the record is read to its end, forgotten and finished.
func TestMangled(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	for _, title := range []string{"in doubt, retried, done", "rejected decisions", "exposed", "retried and lapsed"} {
		stories[title](h)
	}
	mangled := 0
	for at, r := range h.records {
		if slices.Contains([]schemas.Stream{schemas.Intents, schemas.Decisions, schemas.Outcomes}, r.Stream) {
			continue
		}
		for _, body := range mangle(t, r, h.records) {
			records := slices.Clone(h.records)
			records[at].Body = body
			if got := verify(records, h.now); got.Records != len(records) {
				t.Errorf("%s/%d as %s: %d records were read of %d", r.Stream, r.Seq, body, got.Records, len(records))
			}
			mangled++
		}
	}
	if mangled < 500 {
		t.Errorf("only %d records were mangled", mangled)
	}
}

// mangle returns what r says without each of its fields, and with those of others
// of its stream.
func mangle(t *testing.T, r schemas.Record, all []schemas.Record) (bodies [][]byte) {
	t.Helper()
	own := fields(t, r)
	for name := range own {
		without := maps.Clone(own)
		delete(without, name)
		bodies = append(bodies, encoded(t, without))
	}
	taken := map[string]int{}
	for _, other := range slices.Backward(all) {
		if other.Stream != r.Stream {
			continue
		}
		for name, value := range fields(t, other) {
			if taken[name] < 2 && string(own[name]) != string(value) {
				with := maps.Clone(own)
				with[name] = value
				bodies = append(bodies, encoded(t, with))
				taken[name]++
			}
		}
	}
	return bodies
}

func fields(t *testing.T, r schemas.Record) map[string]json.RawMessage {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func encoded(t *testing.T, all map[string]json.RawMessage) []byte {
	t.Helper()
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
