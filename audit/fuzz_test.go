package audit_test

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/schemas"
)

// FuzzAdd: whatever stands in AUDIT, it is read, forgotten and finished without a
// panic, and what is found is in order. A record of a correct history is replaced
// by one of which any part may be anything.
func FuzzAdd(f *testing.F) {
	h := newHistory(f)
	stories["in doubt, retried, done"](h)
	h.wait(time.Hour)
	stories["rejected decisions"](h)
	for i, r := range h.records {
		f.Add(uint16(i), string(r.Stream), r.Seq, r.Subject, "", "", []byte(nil), int64(0), false)
		f.Add(uint16(i), string(r.Stream), uint64(math.MaxUint64), r.Subject, "Nats-Unreadable", "x", r.Body, int64(time.Hour), true)
	}
	f.Add(uint16(0), "", uint64(0), "", "ce-id", "%", []byte("{}"), int64(math.MinInt64), true)
	f.Fuzz(func(t *testing.T, i uint16, stream string, seq uint64, subject, name, value string, body []byte, skew int64, again bool) {
		at := int(i) % len(h.records)
		records := slices.Clone(h.records)
		was := records[at]
		r := schemas.Record{Stream: schemas.Stream(stream), Seq: seq, Subject: subject, Time: was.Time.Add(time.Duration(skew)), Header: was.Header, Body: body}
		if name != "" {
			r.Header = schemas.Header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"x"}, "ce-type": was.Header["ce-type"], name: {value}}
		}
		if len(body) == 0 {
			r.Body = was.Body
		}
		records[at] = r
		if again {
			records = slices.Insert(records, at, was)
		}
		for _, from := range []uint64{1, 2} {
			v := audit.New(audit.Config{Gateway: gate, Eligibility: groups{}, From: from})
			for j, r := range records {
				v.Add(uint64(j)+from, r)
			}
			got := v.Finish(time.Time{})
			for j := 1; j < len(got.Findings); j++ {
				if got.Findings[j].Audit < got.Findings[j-1].Audit {
					t.Errorf("finding %d is out of order: %v", j, got.Findings)
				}
			}
			if got.Records != len(records) {
				t.Errorf("%d records, want %d", got.Records, len(records))
			}
		}
	})
}

// FuzzOutsiders: nothing that agents, reviewers or executors send is a finding.
// What is sent here is refused or rejected, whatever it is.
func FuzzOutsiders(f *testing.F) {
	f.Add("shop.refund", "", "", "", []byte(`{"params":{}}`))
	f.Add("shop.refund", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "Nats-Unreadable", "", []byte("\xff"))
	f.Add("sh$p.re.fund", "x", "content-type", "application/cloudevents+json", []byte(`{}`))
	f.Fuzz(func(t *testing.T, action, id, name, value string, body []byte) {
		h := newHistory(t)
		header := schemas.Event{ID: id, Source: "/agents/bot", Type: "dev.holdpoint.intent.proposed.v1", Time: h.now}.Header()
		header[name] = []string{value}
		i := h.proposed(h.put(schemas.Draft{Subject: "intents.bot." + action, Header: header, Body: body}))
		if i.Agent == "" {
			return // nobody to answer
		}
		refused := schemas.Opinion{Outcome: schemas.Refuse}
		i.observe(func(o *schemas.Observation) { o.Opinion = refused }).recommend(refused).refuse(schemas.CodePolicy)
		j := claimed(h)
		for _, c := range []schemas.Content{j.says("ann", schemas.Approve), schemas.Report{Executor: "runner", Agent: "bot", Intent: j.ID, Digest: j.Digest, Grant: j.granted, State: schemas.Done}} {
			d := schemas.Write(c, "/test", h.now, "")
			d.Header[name] = []string{value}
			if !bytes.Equal(body, d.Body) {
				d.Body = body
			}
			h.reject(h.put(d), schemas.CodeInvalid)
		}
		if got := h.verify(); got.First() != nil || got.Pending != 0 {
			t.Errorf("%d pending and %v, want nothing", got.Pending, got.First())
		}
	})
}
