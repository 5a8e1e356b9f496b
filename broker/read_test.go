package broker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// hostile are blocks of headers by which a sender may try to say where and when
// its message stands, or to hide what the broker says.
var hostile = []string{
	"NATS/1.0\r\nNats-Stream: SETTLED\r\nNats-Subject: released.x\r\nNats-Sequence: 999\r\nNats-Time-Stamp: 2001-01-01T00:00:00Z\r\n\r\n",
	"NATS/1.0\r\nNats-Subject: a\r\nNats-Subject: b\r\nNats-Sequence: x\r\n\r\n",
	"NATS/1.0\r\nNats-Num-Pending: 7\r\nNats-Last-Sequence: 7\r\n\r\n",
	"NATS/1.0\r\nNats-Time-Stamp: yesterday\r\n\r\n",
	"NATS/1.0\r\nStatus: 204\r\nDescription: EOB\r\nNats-Num-Pending: 0\r\n\r\n",
	"NATS/1.0\r\nStatus: 404\r\n\r\n",
	"NATS/1.0\r\nStatus: 503\r\n\r\n",
	"NATS/1.0 404 Message Not Found\r\n\r\n",
	"NATS/1.0 503\r\n\r\n",
	"NATS/1.0 204 EOB\r\nNats-Num-Pending: 0\r\n\r\n",
	"NATS/1.0\r\nX: 1\r\n\r\nNats-Subject: hidden\r\n\r\n",
	"NATS/1.0\r\n\r\n",
	"NATS/1.0\r\n\r\n\r\n\r\n",
	"NATS/1.0\r\nno colon\r\n\r\n",
	"NATS/1.0\r\n: no name\r\n\r\n",
	"NATS/1.0\r\nX: 1\nY: 2\r\n\r\n",
	"NATS/1.0\r\nX : 1\r\n\r\n",
	"NATS/1.0\r\nX: 1\r\n continued\r\n\r\n",
	"NATS/1.0\r\nX: \xff\xfe\r\n\r\n",
	"NATS/1.0\r\nX: 1",
	"nonsense",
	"\r\n\r\n",
	"NATS/1.0\r\nNats-Unreadable: 1\r\n\r\n",
	"NATS/1.0\r\nce-id: a\r\nCE-ID: b\r\nce-id: c\r\n\r\n",
	"NATS/1.0\r\n" + strings.Repeat("X: 1\r\n", 100) + "\r\n",
}

// TestEveryReadingAgrees: whatever a sender wrote as headers, a record says the
// same whichever way it is read, because its hash depends on it; and where and
// when it stands is the broker's word. The truth is what the leader has in JSON.
func TestEveryReadingAgrees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := w.log(schemas.RoleExecute)
	for i, header := range hostile {
		for _, body := range []string{"", "{}"} {
			w.raw("bot", fmt.Sprintf("intents.bot.shop.op%d", i), header, body)
		}
	}
	w.holds(schemas.Intents, uint64(2*len(hostile)))
	truth := w.stored(schemas.Intents)
	agrees := func(way string, got schemas.Record) {
		t.Helper()
		want := truth[got.Seq-1]
		if got.Hash() != want.Hash() || !cmp.Equal(got.Body, want.Body, cmp.Comparer(func(a, b []byte) bool { return string(a) == string(b) })) ||
			got.Subject != want.Subject || !got.Time.Equal(want.Time) || got.Stream != want.Stream {
			t.Errorf("%s, headers %q:\ngot  %+v\nwant %+v", way, hostile[(got.Seq-1)/2], got, want)
		}
		if diff := cmp.Diff(want.Header, got.Header, cmp.Comparer(sameHeader)); diff != "" {
			t.Errorf("%s, headers %q (-leader +got):\n%s", way, hostile[(got.Seq-1)/2], diff)
		}
	}
	for seq := uint64(1); seq <= uint64(len(truth)); seq++ {
		r, err := log.At(w.ctx(), schemas.Intents, seq)
		check(t, err)
		agrees("by sequence", r)
	}
	for i := range hostile {
		r, err := log.Last(w.ctx(), schemas.Intents, fmt.Sprintf("intents.*.shop.op%d", i))
		check(t, err)
		agrees("last on a filter", r)
		if want := uint64(2*i + 2); r.Seq != want {
			t.Errorf("the last with headers %q is %d, want %d", hostile[i], r.Seq, want)
		}
	}
	n := 0
	check(t, log.Tail(schemas.Intents, "", 1).Read(w.ctx(), func(r schemas.Record) error {
		n++
		agrees("in a batch", r)
		return nil
	}))
	if n != len(truth) {
		t.Errorf("a batch brings %d of %d", n, len(truth))
	}
	w.gathered(log, len(truth), agrees)
	w.delivered(len(truth), agrees)
	w.copiedAll(len(truth), truth)
}

// stored reads a stream as its leader has it, one by one. (A client library would
// ask any replica, and believe the headers.)
func (w *world) stored(stream schemas.Stream) []schemas.Record {
	w.t.Helper()
	nc, _ := w.root(broker.Gate)
	var all []schemas.Record
	for {
		m, err := nc.Request("$JS.API.STREAM.MSG.GET."+string(stream), fmt.Appendf(nil, `{"seq":%d}`, len(all)+1), patience)
		check(w.t, err)
		var answer struct {
			Message *struct {
				Subject    string
				Seq        uint64
				Hdrs, Data []byte
				Time       time.Time
			}
		}
		check(w.t, json.Unmarshal(m.Data, &answer))
		if answer.Message == nil {
			return all
		}
		r := schemas.Record{Stream: stream, Seq: answer.Message.Seq, Subject: answer.Message.Subject, Time: answer.Message.Time, Body: answer.Message.Data}
		if len(answer.Message.Hdrs) > 0 {
			h, err := nats.DecodeHeadersMsg(answer.Message.Hdrs)
			if r.Header = schemas.Header(h); err != nil {
				r.Header = schemas.Header{"Nats-Unreadable": {""}}
			}
		}
		all = append(all, r)
	}
}

// sameHeader takes no header and an empty one for the same.
func sameHeader(a, b schemas.Header) bool {
	return len(a) == 0 && len(b) == 0 || cmp.Equal(map[string][]string(a), map[string][]string(b))
}

// gathered reads everything at once, by sequence and by filter.
func (w *world) gathered(log *broker.Log, n int, take func(string, schemas.Record)) {
	w.t.Helper()
	ctx := w.ctx()
	got := make(chan schemas.Record, 2*n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			r, err := log.At(ctx, schemas.Intents, uint64(i+1))
			if err != nil || r.Seq != uint64(i+1) {
				w.t.Errorf("%d among many: %d, %v", i+1, r.Seq, err)
				return
			}
			got <- r
		})
		all.Go(func() {
			r, err := log.Last(ctx, schemas.Intents, fmt.Sprintf("intents.bot.shop.op%d", i/2))
			if want := uint64(i/2*2 + 2); err != nil || r.Seq != want {
				w.t.Errorf("last on op%d among many: %d, %v, want %d", i/2, r.Seq, err, want)
				return
			}
			got <- r
		})
	}
	all.Wait()
	close(got)
	for r := range got {
		take("among many", r)
	}
}

// delivered lets a stage be handed everything.
func (w *world) delivered(n int, take func(string, schemas.Record)) {
	w.t.Helper()
	records := make(chan schemas.Record, n)
	w.work(1, handlerFunc(func(_ context.Context, r schemas.Record) error {
		records <- r
		return nil
	}))
	for range n {
		select {
		case r := <-records:
			take("delivered", r)
		case <-w.ctx().Done():
			w.t.Fatal("not everything was delivered")
		}
	}
}

// copiedAll makes sure that the copies in AUDIT have the hashes of the originals.
func (w *world) copiedAll(n int, truth []schemas.Record) {
	w.t.Helper()
	for _, c := range w.copies(n) {
		o, err := broker.Origin(c)
		check(w.t, err)
		if want := truth[o.Seq-1]; o.Hash() != want.Hash() || o.Subject != want.Subject {
			w.t.Errorf("copy of %d with headers %q: %s, want %s\n%+v\n%+v", o.Seq, hostile[(o.Seq-1)/2], o.Hash(), want.Hash(), o, want)
		}
	}
}
