package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestInOrder: a story begins with what was proposed, observed and recommended,
// whichever was copied first, and goes on as it was accepted; what came again stays
// where it came.
func TestInOrder(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		copied []schemas.Stream // one a millisecond
		want   []schemas.Stream
	}{
		"as it went": {
			[]schemas.Stream{schemas.Intents, schemas.Observed, schemas.Recommended, schemas.Settled},
			[]schemas.Stream{schemas.Intents, schemas.Observed, schemas.Recommended, schemas.Settled},
		},
		"the wrong way round": {
			[]schemas.Stream{schemas.Settled, schemas.Recommended, schemas.Observed, schemas.Intents},
			[]schemas.Stream{schemas.Intents, schemas.Observed, schemas.Recommended, schemas.Settled},
		},
		"observed again": {
			[]schemas.Stream{schemas.Observed, schemas.Intents, schemas.Recommended, schemas.ParkedHolds, schemas.Observed},
			[]schemas.Stream{schemas.Intents, schemas.Observed, schemas.Recommended, schemas.ParkedHolds, schemas.Observed},
		},
		"of which an executor sees the end": {
			[]schemas.Stream{schemas.Settled, schemas.Grants},
			[]schemas.Stream{schemas.Settled, schemas.Grants},
		},
		"of which there is nothing": {nil, nil},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			var records []schemas.Record
			for i, stream := range c.copied {
				records = append([]schemas.Record{{Stream: stream, Time: time.UnixMilli(int64(i))}}, records...)
			}
			inOrder(records)
			var got []schemas.Stream
			for _, r := range records {
				got = append(got, r.Stream)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
		})
	}
}
