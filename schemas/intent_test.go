package schemas_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/holdpoint/holdpoint/schemas"
)

// published is a message of bot's as INTENTS stores it.
func published(h schemas.Header, body string) schemas.Record {
	return schemas.Record{Stream: schemas.Intents, Seq: 7, Subject: "intents.bot.shop.refund", Time: noon, Header: h, Body: []byte(body)}
}

// refusable wants of a faulted intent what is needed to refuse it.
func refusable(t *testing.T, what string, in schemas.Intent, err error) {
	t.Helper()
	if checkFault(t, err); err == nil {
		t.Errorf("%s: accepted", what)
		return
	}
	_, idErr := schemas.ParseIntentID(string(in.ID))
	_, actionErr := schemas.ParseAction(string(in.Action))
	_, digestErr := schemas.ParseDigest(string(in.Digest))
	if in.Gateway != gate || in.Agent != bot || idErr != nil || actionErr != nil || digestErr != nil || !in.Proposed.Equal(noon) || in.ExpiresIn <= 0 {
		t.Errorf("%s: got %+v with %v: want gateway, agent, id, action, time, lifetime and digest all the same", what, in, err)
	}
	if in.Params != nil {
		t.Errorf("%s: got params %s of an intent that could not be read", what, in.Params)
	}
	settled := schemas.Settlement{Intent: in, Outcome: schemas.Refuse, Code: schemas.CodeInvalid, Detail: err.Error(), At: noon}
	r := record(schemas.Settled, 1, settled)
	if err := schemas.Read(r, &schemas.Settlement{}); err != nil {
		t.Errorf("%s: the refusal does not read: %v", what, err)
	}
}

func TestReadIntent(t *testing.T) {
	t.Parallel()
	h := intent()
	got, err := schemas.ReadIntent(gate, published(binary(), `{"params": {"order": "A-1007", "amount": 1.2e2}, "reason": "the parcel never arrived",
		"goal": "make the customer whole", "session": "chat-17", "expires_in": 3600}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h, got); diff != "" {
		t.Errorf("intent (-want +got):\n%s", diff)
	}
	if err := got.Verify(); err != nil {
		t.Error(err)
	}
	if got, want := got.Expires(), noon.Add(time.Hour); !got.Equal(want) {
		t.Errorf("expires: got %s, want %s", got, want)
	}
}

// TestReadIntentForms: bare, binary or structured, the intent is the same but for
// its id.
func TestReadIntentForms(t *testing.T) {
	t.Parallel()
	const body = `{"params":{"amount":120}}`
	structured := schemas.Header{"Content-Type": {"application/cloudevents+json"}}
	for name, c := range map[string]struct {
		r    schemas.Record
		want schemas.IntentID
	}{
		"bare":             {published(nil, body), schemas.SequenceID(7)},
		"bare with msg id": {published(schemas.Header{"Nats-Msg-Id": {"x"}, "X-Other": {"y"}}, body), schemas.SequenceID(7)},
		"binary":           {published(binary(), body), id},
		"structured":       {published(structured, envelope+`,"data":`+body+`}`), id},
		"another source":   {published(binary("ce-source", "https://agents.example/1"), body), id},
		"its own source":   {published(binary("ce-source", "/agents/bot"), body), id},
	} {
		in, err := schemas.ReadIntent(gate, c.r)
		want := schemas.Intent{
			Gateway: gate, Agent: bot, ID: c.want, Action: refund, Params: []byte(`{"amount":120}`),
			ExpiresIn: 72 * 3600, Proposed: noon,
		}
		want.Digest = schemas.DigestOf(want)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, in); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestReadIntentTime: what the broker's clock says is written down in UTC.
func TestReadIntentTime(t *testing.T) {
	t.Parallel()
	r := published(binary(), `{"params":{}}`)
	r.Time = noon.In(time.FixedZone("", 7200))
	in, err := schemas.ReadIntent(gate, r)
	if err != nil || in.Proposed != noon {
		t.Errorf("got %s, %v, want %s", in.Proposed, err, noon)
	}
}

func TestReadIntentIDs(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) string {
		return ulid.MustNew(ulid.Timestamp(noon.Add(d)), strings.NewReader("holdpoint!")).String()
	}
	for _, c := range []struct {
		id    string
		names string // empty if the id is taken
	}{
		{at(0), ""},
		{at(4 * time.Minute), ""},
		{at(6 * time.Minute), "lies ahead"},
		{at(24 * time.Hour), "lies ahead"},
		{at(-71 * time.Hour), ""},
		{at(-73 * time.Hour), "72h0m0s ago"},
		{"7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "lies ahead"},
		{string(schemas.SequenceID(7)), "time is zero"},
		{string(schemas.SequenceID(8)), "time is zero"},
		{"00000000000000000000000000", "time is zero"},
		{"00000000Z00000000000000000", "time is zero"}, // less than a second
		{strings.ToLower(string(id)), "upper-case ULID"},
		{string(id) + "0", "upper-case ULID"},
		{"i-42", "upper-case ULID"},
		{"*", "upper-case ULID"},
		{"8" + string(id[1:]), "upper-case ULID"},
		{"0O" + string(id[2:]), "upper-case ULID"},
	} {
		in, err := schemas.ReadIntent(gate, published(binary("ce-id", c.id), `{"params":{}}`))
		if c.names == "" {
			if err != nil || string(in.ID) != c.id {
				t.Errorf("%s: got id %s, %v, want it taken", c.id, in.ID, err)
			}
			continue
		}
		refusable(t, c.id, in, err)
		if in.ID != schemas.SequenceID(7) || err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: got id %s, %v, want the sequence as id and a Fault that says %q", c.id, in.ID, err, c.names)
		}
	}
}

// TestReadIntentHostileHeaders: what directs the broker, or pretends to come from
// it, refuses the intent, in any case.
func TestReadIntentHostileHeaders(t *testing.T) {
	t.Parallel()
	hostile := []string{
		"Nats-Subject", "Nats-Sequence", "Nats-Stream", "Nats-Time-Stamp", "Nats-Last-Sequence", "Nats-Num-Pending", "Nats-UpTo-Sequence",
		"Nats-Stream-Source", "Nats-Rollup", "Nats-TTL", "Nats-Marker-Reason", "Nats-Incr", "Nats-Counter-Sources", "Nats-Msg-Size",
		"Nats-Expected-Last-Sequence", "Nats-Expected-Last-Subject-Sequence", "Nats-Expected-Last-Subject-Sequence-Subject", "Nats-Expected-Last-Msg-Id",
		"Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit", "Nats-Required-Api-Level", "Nats-Trace-Dest", "Nats-Trace-Only",
		"Nats-Schedule", "Nats-Schedule-TTL", "Nats-Schedule-Target", "Nats-Schedule-Source", "Nats-Scheduler", "Nats-Schedule-Next",
		"Nats-Service-Error", "Nats-Pending-Messages", "Nats-Pin-Id", "Nats-Response-Type", "Nats-Anything", "Nats-", "Nats-\xff",
		"nats-msg-id", "NATS-MSG-ID", "Nats-Msg-ID", "Nats-Expected-Stream", "Nats-expected-stream",
	}
	for _, name := range hostile {
		in, err := schemas.ReadIntent(gate, published(binary(name, "1"), `{"params":{}}`))
		refusable(t, name, in, err)
		if want := "header " + strings.ToValidUTF8(name, "\uFFFD") + ":"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want a Fault that names it", name, err)
		}
		if in.ID != schemas.SequenceID(7) {
			t.Errorf("%s: got id %s, want the sequence", name, in.ID)
		}
	}
}

func TestReadIntentRefusesContext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r     schemas.Record
		names string
		id    schemas.IntentID
	}{
		"another agent's source":  {published(binary("ce-source", "/agents/eve"), `{"params":{}}`), "ce-source", id},
		"a source below its own":  {published(binary("ce-source", "/agents/bot/x"), `{"params":{}}`), "ce-source", id},
		"a source of no agent":    {published(binary("ce-source", "/agents/"), `{"params":{}}`), "ce-source", id},
		"encoded foreign source":  {published(binary("ce-source", "/agents%2Feve"), `{"params":{}}`), "ce-source", id},
		"a later version":         {published(binary("ce-type", "dev.holdpoint.intent.proposed.v2"), `{"new":1}`), `"v2"`, id},
		"another type":            {published(binary("ce-type", "dev.holdpoint.intent.released.v1"), `{"params":{}}`), "ce-type", id},
		"somebody else's type":    {published(binary("ce-type", "com.example.v1"), `{"params":{}}`), "ce-type", id},
		"no type":                 {published(binary("ce-type", ""), `{"params":{}}`), "ce-type", schemas.SequenceID(7)},
		"an id given twice":       {published(binary("CE-ID", string(id)), `{"params":{}}`), "ce-id", schemas.SequenceID(7)},
		"a structured one cut":    {published(schemas.Header{"content-type": {"application/cloudevents+json"}}, envelope), "JSON", schemas.SequenceID(7)},
		"a structured one, empty": {published(schemas.Header{"content-type": {"application/cloudevents+json"}}, envelope+"}"), "empty", id},
	} {
		in, err := schemas.ReadIntent(gate, c.r)
		refusable(t, name, in, err)
		if err == nil || !strings.Contains(err.Error(), c.names) || in.ID != c.id {
			t.Errorf("%s: got id %s, %v, want %s and a Fault that names %s", name, in.ID, err, c.id, c.names)
		}
	}
}

func TestReadIntentSubjects(t *testing.T) {
	t.Parallel()
	for subject, names := range map[string]string{
		"intents.bot.sh!p.refund":                       "sh!p",
		"intents.bot.shop.re!und":                       "re!und",
		"intents.bot.shop." + strings.Repeat("x", 65):   "action",
		"intents.bot.*.>":                               "action",
		"intents.bot." + strings.Repeat("é", 65) + ".x": "action",
	} {
		r := published(binary(), `{"params":{}}`)
		r.Subject = subject
		in, err := schemas.ReadIntent(gate, r)
		refusable(t, subject, in, err)
		if err == nil || !strings.Contains(err.Error(), names) {
			t.Errorf("%s: got %v, want a Fault that names %s", subject, err, names)
		}
	}
	r := published(binary(), `{"params":{}}`)
	r.Subject = "intents.Bot.shop.refund"
	if in, err := schemas.ReadIntent(gate, r); !isFault(err) || in.Agent != "" {
		t.Errorf("%s: got %+v, %v, want nothing and a Fault", r.Subject, in, err)
	}
}

// TestReadIntentBody goes through the fields and their limits.
func TestReadIntentBody(t *testing.T) {
	t.Parallel()
	prose := func(n int) string { return strings.Repeat("x", n) }
	nested := func(n int) string { return strings.Repeat(`{"a":`, n-1) + `{}` + strings.Repeat(`}`, n-1) }
	for _, c := range []struct{ body, names string }{
		{`{"params":{},"reason":"` + prose(4096) + `"}`, ""},
		{`{"params":{},"reason":"` + prose(4097) + `"}`, "/reason: longer than 4096"},
		{`{"params":{},"reason":"` + strings.Repeat("é", 2049) + `"}`, "/reason"}, // bytes, not characters
		{`{"params":{},"goal":"` + prose(4096) + `"}`, ""},
		{`{"params":{},"goal":"` + prose(4097) + `"}`, "/goal: longer than 4096"},
		{`{"params":{},"session":"` + prose(128) + `"}`, ""},
		{`{"params":{},"session":"` + prose(129) + `"}`, "/session: want at most 128"},
		{`{"params":{},"expires_in":0}`, ""},
		{`{"params":{},"expires_in":1}`, ""},
		{`{"params":{},"expires_in":259200}`, ""},
		{`{"params":{},"expires_in":259201}`, "/expires_in"},
		{`{"params":{},"expires_in":-1}`, "/expires_in"},
		{`{"params":{},"expires_in":1.5}`, "/expires_in"},
		{`{"params":{},"expires_in":"1h"}`, "/expires_in"},
		{`{"params":{},"expires_in":9007199254740993}`, "/expires_in"},
		{`{"params":{},"cause":"x"}`, "/cause: reserved"},
		{`{"params":{},"cause":null}`, "/cause: reserved"},
		{`{"params":{},"cause":{}}`, "/cause: reserved"},
		{`{"params":[]}`, "/params: want an object"},
		{`{"params":null}`, "/params: want an object"},
		{`{"params":"{}"}`, "/params: want an object"},
		{`{}`, "/params: missing"},
		{`{"Params":{}}`, "/Params: no such field"},
		{`{"params":{},"action":"shop.refund"}`, "/action: no such field"},
		{`{"params":{},"params":{}}`, "/params: given twice"},
		{`{"params":{"a":1,"a":1}}`, "/params/a: given twice"},
		{`{"params":{"a":{"b":[0,{"c":1,"c":2}]}}}`, "/params/a/b/1/c: given twice"},
		{`{"params":{"a~b/c":1e999}}`, "/params/a~0b~1c: number"},
		{`{"params":{"a":9007199254740991}}`, ""},
		{`{"params":{"a":9007199254740992}}`, "/params/a: number"},
		{`{"params":{"a":1e-999}}`, "/params/a: number"},
		{`{"params":` + nested(schemas.MaxDepth) + `}`, ""},
		{`{"params":` + nested(schemas.MaxDepth+1) + `}`, "nested deeper"},
		{`{"params":{},"reason":null}`, "/reason: null"},
		{`{"params":{},"reason":7}`, "/reason: a JSON number"},
		{`[]`, "/: a JSON array"},
		{`null`, "/: null"},
		{``, "empty"},
		{` `, "empty"},
		{`{"params":{}`, "JSON"},
		{`{"params":{}}{}`, "JSON"},
		{"{\"params\":{\"a\":\"\xff\"}}", "/params/a"},
		{`{"params":{"a":"\ud800"}}`, "/params/a"},
		{"\xef\xbb\xbf{\"params\":{}}", "JSON"}, // a byte order mark
	} {
		in, err := schemas.ReadIntent(gate, published(binary(), c.body))
		what := fmt.Sprintf("%.60s", c.body)
		if c.names == "" {
			if err != nil {
				t.Errorf("%s: %v, want it accepted", what, err)
			}
			continue
		}
		refusable(t, what, in, err)
		if err == nil || !strings.Contains(err.Error(), c.names) || in.ID != id {
			t.Errorf("%s: got id %s, %v, want its own id and a Fault that names %s", what, in.ID, err, c.names)
		}
	}
}

// TestDeepParamsRead: what an intent may nest can be read from every record that
// carries it.
func TestDeepParamsRead(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, schemas.MaxDepth-1) + `[]` + strings.Repeat(`}`, schemas.MaxDepth-1)
	in, err := schemas.ReadIntent(gate, published(binary(), `{"params":`+deep+`}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := schemas.Read(record(schemas.Observed, 1, schemas.Observation{Intent: in, Agent: schemas.AgentFacts{Name: in.Agent}, At: noon}), &schemas.Observation{}); err != nil {
		t.Errorf("observation of the deepest intent: %v", err)
	}
	answer := schemas.Answer{Status: &schemas.Status{Gateway: gate, Agent: in.Agent, Intent: in.ID, Action: in.Action, Digest: in.Digest, Result: []byte(deep)}}
	if err := schemas.Unmarshal([]byte(normal(t, answer)), &schemas.Answer{}); err != nil {
		t.Errorf("answer with the deepest result: %v", err)
	}
}

// TestCanonicalParamsAreBounded: numbers grow in canonical form, and what records
// carry must not.
func TestCanonicalParamsAreBounded(t *testing.T) {
	t.Parallel()
	for what, body := range map[string]string{
		"params alone":          `{"params":{"a":[` + strings.Repeat("9e15,", 5000) + `1]}}`,
		"params and what stays": `{"params":{"a":[` + strings.Repeat("9e15,", 1200) + `1]},"reason":"` + strings.Repeat(`\u0001`, 4000) + `"}`,
	} {
		if len(body) > schemas.MaxIntentSize {
			t.Fatalf("%s: the intent is %d bytes and would not be stored", what, len(body))
		}
		in, err := schemas.ReadIntent(gate, published(nil, body))
		refusable(t, what, in, err)
		if err == nil || !strings.Contains(err.Error(), "/params: the intent is") {
			t.Errorf("%s: got %v, want a Fault that names /params and the size", what, err)
		}
	}
}
