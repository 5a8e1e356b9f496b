package audit_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestStories: what a correct gate writes has no findings.
func TestStories(t *testing.T) {
	t.Parallel()
	for title, tell := range stories {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t)
			tell(h)
			got := h.verify()
			for _, f := range got.Findings {
				t.Error(f)
			}
			if got.Pending != 0 || got.Unchecked != 0 || got.First() != nil {
				t.Errorf("%d pending and %d unchecked, want none", got.Pending, got.Unchecked)
			}
		})
	}
}

// TestCounts: a report says what was read.
func TestCounts(t *testing.T) {
	t.Parallel()
	h := everything(t)
	want := audit.Counts{
		Records: len(h.records), Intents: 80, Released: 51, Refused: 21, Granted: 35, Lapsed: 2,
		Done: 22, Failed: 4, InDoubt: 1, Open: 25,
	}
	if diff := cmp.Diff(want, h.verify().Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// interleaved returns an order in which AUDIT may hold the records: each origin in
// order. No origin is further behind another than reach.
func interleaved(seed uint64, records []schemas.Record, reach time.Duration) []schemas.Record {
	dice := rand.New(rand.NewPCG(seed, 0))
	lanes := map[schemas.Stream][]schemas.Record{}
	for _, r := range records {
		lanes[r.Stream] = append(lanes[r.Stream], r)
	}
	var mixed []schemas.Record
	for len(mixed) < len(records) {
		oldest := records[len(records)-1].Time
		for _, lane := range lanes {
			if len(lane) > 0 && lane[0].Time.Before(oldest) {
				oldest = lane[0].Time
			}
		}
		stream := schemas.Streams()[dice.IntN(len(schemas.Streams()))]
		if lane := lanes[stream]; len(lane) > 0 && !lane[0].Time.After(oldest.Add(reach)) {
			mixed, lanes[stream] = append(mixed, lane[0]), lane[1:]
		}
	}
	return mixed
}

// inTime returns such an order where AUDIT is at most a minute late, and when it got
// the last record.
func inTime(seed uint64, records []schemas.Record) (mixed []schemas.Record, copied time.Time) {
	mixed = interleaved(seed, records, time.Minute)
	for i, r := range mixed {
		if r.Time.After(copied) {
			copied = r.Time
		}
		mixed[i].Time = copied
	}
	return mixed, copied
}

// TestInterleavings: whatever the order in which the origins are copied, nothing
// is found and the counts are the same; also when the reading ends anywhere.
func TestInterleavings(t *testing.T) {
	t.Parallel()
	h := everything(t)
	want := h.verify().Counts
	rapid.Check(t, func(t *rapid.T) {
		mixed := interleaved(rapid.Uint64().Draw(t, "seed"), h.records, 1000*time.Hour)
		for i := range mixed {
			mixed[i].Time = h.now // all copied at once, after the broker was away
		}
		if got := verify(mixed, h.now); got.First() != nil || cmp.Diff(want, got.Counts) != "" {
			t.Fatalf("%v\ncounts (-want +got):\n%s", got.First(), cmp.Diff(want, got.Counts))
		}
		end := rapid.IntRange(0, len(mixed)).Draw(t, "end")
		if got := verify(mixed[:end], h.now.Add(-time.Hour)); got.First() != nil {
			t.Fatalf("read to %d: %v", end, got.First())
		}
	})
}

// TestInterleavingsInTime: the same while the reader forgets what is over.
func TestInterleavingsInTime(t *testing.T) {
	t.Parallel()
	h := everything(t)
	want := h.verify().Counts
	rapid.Check(t, func(t *rapid.T) {
		mixed, copied := inTime(rapid.Uint64().Draw(t, "seed"), h.records)
		if got := verify(mixed, copied); got.First() != nil || cmp.Diff(want, got.Counts) != "" {
			t.Fatalf("%v\ncounts (-want +got):\n%s", got.First(), cmp.Diff(want, got.Counts))
		}
	})
}

// TestStall: an origin that stands still for an hour, while the others are copied,
// is no finding.
func TestStall(t *testing.T) {
	t.Parallel()
	h := everything(t)
	for _, stream := range schemas.Streams() {
		var records, late []schemas.Record
		for _, r := range h.records {
			if r.Stream == stream {
				r.Time = h.now.Add(time.Hour)
				late = append(late, r)
			} else {
				records = append(records, r)
			}
		}
		if got := verify(append(records, late...), h.now.Add(time.Hour)); got.First() != nil {
			t.Errorf("%s: %v", stream, got.First())
		}
	}
}

// TestOpen: an intent that waits is open once, however often it was proposed and
// observed.
func TestOpen(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	i := h.propose("shop.refund", `{}`).observe().observe()
	h.proposeAs(i.Key(), "shop.refund", `{}`).observe()
	if got := h.verify(); got.Open != 1 || got.Intents != 2 {
		t.Errorf("%d of %d are open, want 1 of 2", got.Open, got.Intents)
	}
	h.propose("shop.refund", `{}`)
	i.recommend(parks(1)).park()
	if got := h.verify(); got.Open != 2 || got.Intents != 3 {
		t.Errorf("%d of %d are open, want 2 of 3", got.Open, got.Intents)
	}
}

// TestForgotten: nothing is kept of what is over but what tells it again.
func TestForgotten(t *testing.T) {
	t.Parallel()
	h := everything(t)
	h.wait(time.Hour)
	h.freeze(schemas.Scope{Agent: "nobody"})
	if kept := verifier(h.records).Needless(); len(kept) > 0 {
		t.Errorf("kept: %v", kept)
	}
}
