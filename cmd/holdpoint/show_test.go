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

// TestInOrderOfReasons: what was copied after the record that rests on it stands before
// that record, and nothing else moves.
func TestInOrderOfReasons(t *testing.T) {
	t.Parallel()
	intent := schemas.Record{Stream: schemas.Intents, Seq: 1, Time: time.UnixMilli(1)}
	in := schemas.Intent{Gateway: "shop", Agent: "bot", ID: "01JD8X0G5T6M2N8Q4R7V9W3Y1Z", Action: "shop.refund", Params: []byte("{}"), Digest: intent.Hash()}
	budget := schemas.Record{Stream: schemas.Budgets, Seq: 1, Time: time.UnixMilli(4)}
	after := schemas.Record{Stream: schemas.Budgets, Seq: 2, Time: time.UnixMilli(5)}
	settled := keptAs(schemas.Settled, 3, schemas.Settlement{Intent: in, Outcome: schemas.Release, Trail: []schemas.Pointer{intent.Pointer(), budget.Pointer()}})
	granted := keptAs(schemas.Grants, 2, schemas.Grant{Agent: in.Agent, Intent: in.ID, Action: in.Action, Digest: in.Digest, Executor: "runner", Trail: []schemas.Pointer{settled.Pointer()}})
	records := []schemas.Record{granted, after, budget, settled, intent}
	inOrder(records)
	if diff := cmp.Diff([]schemas.Record{intent, budget, settled, granted, after}, records); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// keptAs returns the record of c that a stream accepted so many milliseconds after the
// beginning.
func keptAs(stream schemas.Stream, at int64, c schemas.Content) schemas.Record {
	d := schemas.Write(c, "/gateways/shop/execute", time.UnixMilli(at), "")
	return schemas.Record{Stream: stream, Seq: 1, Subject: d.Subject, Header: d.Header, Body: d.Body, Time: time.UnixMilli(at)}
}
