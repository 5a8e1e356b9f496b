package replay

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/schemas"
)

const hash = schemas.Digest("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")

// contents are what a gate says in every field that it may fill.
func contents() map[schemas.Stream][]schemas.Content {
	at := time.Date(2026, 5, 4, 12, 0, 0, 123456789, time.UTC)
	in := schemas.Intent{
		Gateway: "shop", Agent: "bot", ID: "01JABCDEFGHJKMNPQRSTVWXYZ0", Action: "shop.refund",
		Params:  []byte(`{"amount":-20.5,"deep":{"a":[],"b":[{},null,true,false,"x\n\"y\" ü"]},"z":0}`),
		Session: "t-1", ExpiresIn: 259200, Reason: "because \"she\"\nsaid so", Goal: "ünï\\", Proposed: at, Digest: hash,
	}
	bare := schemas.Intent{Gateway: "shop", Agent: "bot", ID: in.ID, Action: "shop.look", ExpiresIn: 1, Proposed: at.Truncate(time.Second), Digest: hash}
	opinion := schemas.Opinion{
		Outcome: schemas.Park, Risk: 30, More: 2, Tell: "ask a person",
		Matched:   []schemas.Match{{Rule: "big", Reason: "more than 50"}, {Rule: "long", Outcome: schemas.Release, Add: 30}},
		Failed:    []schemas.Match{{Rule: "odd", Reason: "no such key"}},
		Approvals: []schemas.Approval{{ID: "finance", Eligible: "'finance' in reviewer.groups", Quorum: 2, Deadline: 60, Remind: 30}, {ID: "any", Quorum: 1}},
	}
	trail := []schemas.Pointer{{Stream: schemas.Intents, Seq: 1, Hash: hash}, {Stream: schemas.Observed, Seq: 2, Hash: hash}}
	hold := schemas.Hold{Intent: in, State: schemas.Parked, Queue: "refunds", Opinion: opinion, Taken: []schemas.Taken{{Budget: "a-day", Amount: 90, Reserved: true}, {Budget: "b"}}, Recommended: opinion.Approvals, Deadline: at, Remind: at, Bundle: hash, At: at, Trail: trail, Inputs: []schemas.Pointer{{Stream: schemas.Exposed, Seq: 3, Hash: hash}}}
	waiting := schemas.Hold{Intent: bare, State: schemas.Parked, Waiting: "frozen: all", Queue: "refunds", At: at, Trail: trail}
	return map[schemas.Stream][]schemas.Content{
		schemas.Observed: {
			schemas.Observation{Intent: in, Agent: schemas.AgentFacts{Name: "bot", Owner: "olga", Groups: []string{"a", "b"}}, Exposure: schemas.ExposureFacts{Labels: []string{"x"}, Actions: []schemas.Action{"shop.look"}}, Rate: 3, Opinion: opinion, Bundle: hash, At: at, Trail: trail[:1]},
			schemas.Observation{Intent: bare, Fault: &schemas.Fault{Code: schemas.CodeInvalid, Detail: "/x: \"no\""}, Agent: schemas.AgentFacts{Name: "bot"}, At: at, Trail: trail[:1]},
			schemas.Observation{Intent: bare, Agent: schemas.AgentFacts{Name: "bot"}, Exposure: schemas.ExposureFacts{Actions: []schemas.Action{"shop.look"}}, At: at, Trail: trail[:1]},
			schemas.Observation{Intent: bare, Agent: schemas.AgentFacts{Name: "bot"}, Exposure: schemas.ExposureFacts{Labels: []string{"x"}}, At: at, Trail: trail[:1]},
		},
		schemas.Recommended: {
			schemas.Recommendation{Intent: in, Opinion: opinion, Shadow: &schemas.ShadowOpinion{Bundle: hash, Outcome: schemas.Refuse, Rules: []string{"a"}}, Queue: "refunds", Bundle: hash, At: at, Trail: trail},
			schemas.Recommendation{Intent: bare, Fault: &schemas.Fault{Code: schemas.CodeInternal}, Opinion: schemas.Opinion{Outcome: schemas.Refuse}, At: at, Trail: trail},
			schemas.Recommendation{Intent: bare, Opinion: schemas.Opinion{Outcome: schemas.Release}, Shadow: &schemas.ShadowOpinion{Bundle: hash}, At: at, Trail: trail},
		},
		schemas.Settled: {
			schemas.Settlement{Intent: in, Outcome: schemas.Release, ExecuteBy: at, Bundle: hash, At: at, Trail: trail},
			schemas.Settlement{Intent: in, Outcome: schemas.Refuse, Code: schemas.CodePolicy, Detail: "x", Tell: "no", At: at, Trail: trail},
		},
		schemas.ParkedHolds: {hold, waiting, hold.Next(hash, at), hold.Next(hash, at).Next(hash, at)},
	}
}

// lineOf returns a line as an export has it.
func lineOf(t testing.TB, stream schemas.Stream, c schemas.Content) string {
	t.Helper()
	d := schemas.Write(c, "/gateways/shop/execute", time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	d.Header["Nats-Expected-Last-Subject-Sequence"] = []string{"0"}
	r := schemas.Record{Stream: stream, Seq: 7, Subject: d.Subject, Time: time.Date(2026, 5, 4, 12, 0, 1, 5000, time.UTC), Header: d.Header, Body: d.Body}
	line, err := schemas.Marshal(EntryOf(17, r))
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

// quickly reads an entry as the worker does. It returns nil if it gives up, and the
// entry alone of what nobody asks for.
func quickly(w *worker, e Entry, from source) (Entry, any) {
	var c any
	ok := true
	switch e.Stream {
	case schemas.Observed:
		c, ok = w.observation(&e, from)
	case schemas.Recommended:
		c, ok = w.recommendation(&e, from)
	case schemas.Settled:
		c, ok = w.settlement(&e, from)
	case schemas.ParkedHolds:
		c, ok = w.hold(&e, from)
	}
	if !ok {
		return e, nil
	}
	return e, c
}

// strictly reads a line by the decoders of the gate.
func strictly(line []byte) (Entry, any, error) {
	e, err := ParseEntry(line)
	if err != nil {
		return Entry{}, nil, err
	}
	switch e.Stream {
	case schemas.Observed:
		var c schemas.Observation
		err = schemas.Read(e.Record(), &c)
		return e, c, err
	case schemas.Recommended:
		var c schemas.Recommendation
		err = schemas.Read(e.Record(), &c)
		return e, c, err
	case schemas.Settled:
		var c schemas.Settlement
		err = schemas.Read(e.Record(), &c)
		return e, c, err
	case schemas.ParkedHolds:
		var c schemas.Hold
		err = schemas.Read(e.Record(), &c)
		return e, c, err
	}
	return e, nil, nil
}

// same compares how a line is read quickly and strictly, if it is read quickly, and
// how its entry is.
func same(t *testing.T, w *worker, line []byte) (read bool) {
	t.Helper()
	want, strict, err := strictly(line)
	if want.Audit > 0 {
		_, quick := quickly(w, want, fromEntry)
		sameContent(t, line, strict, quick, err)
	}
	e, ok := w.quick.head(line)
	if !ok {
		return false
	}
	e, quick := quickly(w, e, fromLine)
	if quick == nil {
		return false
	}
	sameContent(t, line, strict, quick, err)
	if err == nil && (e.Audit != want.Audit || e.Stream != want.Stream || e.Seq != want.Seq || e.Subject != want.Subject || !e.Time.Equal(want.Time)) {
		t.Fatalf("%s: got %+v, want %+v", line, e, want)
	}
	return true
}

func sameContent(t *testing.T, line []byte, strict, quick any, err error) {
	t.Helper()
	if quick == nil {
		return
	}
	if h, ok := quick.(schemas.Hold); ok && h.State == "" {
		if s, _ := strict.(schemas.Hold); err == nil && len(s.States) == 0 {
			t.Fatalf("%s: taken for a hold that changed", line)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s: read quickly, but strictly: %v", line, err)
	}
	if diff := cmp.Diff(strict, quick); diff != "" {
		t.Fatalf("%s: content (-strictly +quickly):\n%s", line, diff)
	}
}

// TestQuick: whatever a gate writes is read quickly, and says the same as strictly. A
// field that a record gets must be added to both.
func TestQuick(t *testing.T) {
	t.Parallel()
	w := &worker{}
	for stream, all := range contents() {
		for _, c := range all {
			line := lineOf(t, stream, c)
			if !same(t, w, []byte(line)) {
				t.Errorf("given up at byte %d: %s", w.quick.at, line)
			}
			e, err := ParseEntry([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			if _, quick := quickly(w, e, fromEntry); quick == nil {
				t.Errorf("the entry is given up at byte %d: %s", w.quick.at, e.Body)
			}
		}
	}
}

// TestContentsAreWhole: every field that a record may have is tried by [TestQuick], but
// for votes and doubts, which no hold has when it is first parked.
func TestContentsAreWhole(t *testing.T) {
	t.Parallel()
	filled := map[string]bool{"schemas.Hold.Votes": true, "schemas.Hold.Doubt": true}
	var visit func(reflect.Value)
	visit = func(v reflect.Value) {
		switch _, isTime := v.Interface().(time.Time); {
		case v.Kind() == reflect.Pointer && !v.IsNil():
			visit(v.Elem())
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				visit(v.Index(i))
			}
		case v.Kind() == reflect.Struct && !isTime:
			for i := range v.NumField() {
				name := v.Type().String() + "." + v.Type().Field(i).Name
				filled[name] = filled[name] || !v.Field(i).IsZero()
				visit(v.Field(i))
			}
		}
	}
	for _, all := range contents() {
		for _, c := range all {
			visit(reflect.ValueOf(c))
		}
	}
	for name, tried := range filled {
		if !tried {
			t.Errorf("no content has %s", name)
		}
	}
}

// TestQuickGivesUp: what is not as the gate writes it is left to the strict decoder.
func TestQuickGivesUp(t *testing.T) {
	t.Parallel()
	w := &worker{}
	for stream, all := range contents() {
		line := lineOf(t, stream, all[0])
		e, err := ParseEntry([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range []struct{ old, new string }{
			{`{"intent"`, `{ "intent"`}, {`"shop"`, `"Shop"`}, {`,"digest":"sha256:0`, `,"digest":"sha256:x`}, {`"outcome":"`, `"outcome":null,"x":"`},
			{`"expires_in":259200`, `"expires_in":2.5e5`}, {`"proposed":"2026-05`, `"proposed":"2026-13`}, {`12:00:00.123456789Z`, `12:00:00.123456789+01:00`},
			{`"z":0}`, `"z":0,"z":1}`}, {`"z":0}`, `"a":0}`}, {`"z":0}`, `"z":00}`}, {`"z":0}`, `"z":1e999}`}, {`"z":0}`, `"z":12345678901234567890}`}, {`"z":0}`, `"z":0}}`},
			{`[]`, strings.Repeat("[", 40) + strings.Repeat("]", 40)}, {`ü`, "\xff"}, {`ü`, `\ud800`}, {`ü`, "\x01"}, {`"trail":[`, `"trail":[],"trail":[`},
			{`"trail":[`, `"later":1,"trail":[`},
		} {
			body := strings.Replace(string(e.Body), change.old, change.new, 1)
			if body == string(e.Body) {
				continue
			}
			changed := strings.Replace(line, base64.StdEncoding.EncodeToString(e.Body), base64.StdEncoding.EncodeToString([]byte(body)), 1)
			if same(t, w, []byte(changed)) {
				t.Errorf("%s: %s for %s: read quickly", stream, change.new, change.old)
			}
		}
		for _, change := range []struct{ old, new string }{
			{`"audit":17`, `"audit":"17"`}, {`"seq":7`, `"seq":07`}, {`"subject":"`, `"subject":"x`}, {`"time":"`, `"time":"x`},
			{`"ce-type":["dev.holdpoint.intent`, `"ce-type":["dev.holdpoint.Intent`}, {`.v1"]`, `.v2"]`}, {`"ce-id":["`, `"ce-id":[" `},
			{`"ce-id":`, `"ce-Id":`}, {`"Nats-Expected-Last-Subject-Sequence"`, `"Nats-Stream"`}, {`"ce-source"`, `"content-type"`},
			{`"ce-specversion":["1.0"]`, `"ce-specversion":["1.0","1.0"]`}, {`"body":"`, `"body":"!`}, {`"body":"`, `"body":"` + "\r\r\r\r"}, {`"}`, `=="}`}, {`"}`, `"} `},
		} {
			if changed := strings.Replace(line, change.old, change.new, 1); changed == line {
				t.Errorf("%s: no %s in %s", stream, change.old, line)
			} else if same(t, w, []byte(changed)) {
				t.Errorf("%s: %s for %s: read quickly", stream, change.new, change.old)
			}
		}
	}
}

// FuzzQuick: whatever a line is, it is read quickly only if it is read strictly, and
// says the same then.
func FuzzQuick(f *testing.F) {
	for stream, all := range contents() {
		for _, c := range all {
			line := lineOf(f, stream, c)
			e, err := ParseEntry([]byte(line))
			if err != nil {
				f.Fatal(err)
			}
			head, rest, _ := strings.Cut(line, base64.StdEncoding.EncodeToString(e.Body))
			f.Add(head, e.Body, rest)
		}
	}
	f.Fuzz(func(t *testing.T, head string, body []byte, rest string) {
		w := &worker{}
		line := head + base64.StdEncoding.EncodeToString(body) + rest
		same(t, w, []byte(line))
		same(t, w, []byte(head+rest))
	})
}
