package schemas_test

import (
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/schemas"
)

func lapse() schemas.Lapse {
	return schemas.Lapse{Agent: bot, Intent: id, Action: refund, Digest: digest("intent"), At: noon, Trail: []schemas.Pointer{}}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	d := schemas.Write(lapse(), "/gateways/acme/execute", noon, traceParent)
	want := schemas.Draft{
		Subject: "lapsed." + string(id) + ".bot.execute",
		Header: schemas.Header{
			"ce-specversion":     {"1.0"},
			"ce-id":              d.Header["ce-id"],
			"ce-source":          {"/gateways/acme/execute"},
			"ce-type":            {"dev.holdpoint.intent.lapsed.v1"},
			"ce-time":            {"2026-11-24T12:00:03.141592653Z"},
			"ce-datacontenttype": {"application/json"},
			"traceparent":        {traceParent},
		},
		Body: []byte(`{"agent":"bot","intent":"` + string(id) + `","action":"shop.refund","digest":"` + string(digest("intent")) + `","at":"2026-11-24T12:00:03.141592653Z","trail":[]}`),
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("draft (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(d, schemas.Write(lapse(), "/gateways/acme/execute", noon, traceParent)); diff != "" {
		t.Errorf("written again (-first +second):\n%s", diff)
	}
	other := lapse()
	other.At = noon.Add(1)
	if got := schemas.Write(other, "/gateways/acme/execute", noon, traceParent); got.Header["ce-id"][0] == d.Header["ce-id"][0] {
		t.Errorf("another lapse has the same ce-id %s", got.Header["ce-id"])
	}
}

// TestTypes: the CloudEvents types are a promise, and no two contents share one.
func TestTypes(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"observation": {"intent.observed.v1"}, "recommendation": {"intent.recommended.v1"}, "hold": {"intent.parked.v1"},
		"decision": {"decision.v1"}, "settlement": {"intent.released.v1", "intent.refused.v1"}, "grant": {"intent.granted.v1"},
		"lapse": {"intent.lapsed.v1"}, "report": {"outcome.v1"}, "rejection": {"rejection.v1"}, "exposure": {"exposure.v1"},
		"identity": {"control.identity.v1"}, "removal": {"control.removal.v1"}, "freeze": {"control.freeze.v1"},
		"shadow": {"control.shadow.v1"}, "budget": {"budget.v1"},
		"standing": {"standing.v1"}, "revocation": {"standing.revoked.v1"},
		"thaw": {"control.thaw.v1"}, "activation": {"control.bundle.v1"}, "stream": {"control.stream.v1"},
	}
	got := make(map[string][]string)
	of := make(map[string]string)
	for name, list := range examples() {
		for _, v := range list {
			c, ok := v.(schemas.Content)
			if !ok {
				continue
			}
			if other, taken := of[c.Type()]; taken && other != name {
				t.Errorf("%s is the type of %s and of %s", c.Type(), name, other)
			}
			of[c.Type()] = name
			got[name] = union(got[name], []string{c.Type()})
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		change func(*schemas.Record)
		names  string
	}{
		"no header":        {func(r *schemas.Record) { r.Header = nil }, "ce-type"},
		"no type":          {func(r *schemas.Record) { delete(r.Header, "ce-type") }, "ce-type: missing"},
		"another type":     {func(r *schemas.Record) { r.Header["ce-type"] = []string{"dev.holdpoint.intent.granted.v1"} }, "ce-type"},
		"a later version":  {func(r *schemas.Record) { r.Header["ce-type"] = []string{"dev.holdpoint.intent.lapsed.v2"} }, `version "v2"`},
		"no version":       {func(r *schemas.Record) { r.Header["ce-type"] = []string{"dev.holdpoint.lapsed"} }, `version "lapsed"`},
		"somebody's type":  {func(r *schemas.Record) { r.Header["ce-type"] = []string{"com.example.lapsed.v1"} }, "begins with"},
		"another agent":    {func(r *schemas.Record) { r.Subject = "lapsed." + string(id) + ".eve.execute" }, "subject"},
		"another intent":   {func(r *schemas.Record) { r.Subject = "lapsed." + string(schemas.SequenceID(1)) + ".bot.execute" }, "subject"},
		"another kind":     {func(r *schemas.Record) { r.Subject = "granted." + string(id) + ".bot.execute" }, "subject"},
		"no subject":       {func(r *schemas.Record) { r.Subject = "" }, "subject"},
		"of AUDIT":         {func(r *schemas.Record) { r.Subject = "audit.lapsed.bot" }, "subject"},
		"a header twice":   {func(r *schemas.Record) { r.Header["CE-TYPE"] = r.Header["ce-type"] }, "given twice"},
		"a body cut short": {func(r *schemas.Record) { r.Body = r.Body[:len(r.Body)-1] }, "JSON"},
		"no body":          {func(r *schemas.Record) { r.Body = nil }, "empty"},
	} {
		r := record(schemas.Grants, 4, lapse())
		c.change(&r)
		err := schemas.Read(r, &schemas.Lapse{})
		checkFault(t, err)
		if err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: got %v, want a Fault that names %s", what, err, c.names)
		}
	}
}

// TestReadRefusesWildcards: a sender can publish on a subject with a "*" in it, and
// write the same into the body. What it says would then select the records of
// others.
func TestReadRefusesWildcards(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*schemas.Decision){
		func(d *schemas.Decision) { d.Intent = "*" },
		func(d *schemas.Decision) { d.Intent = "" }, // which becomes a "*"
		func(d *schemas.Decision) { d.Intent = schemas.IntentID(strings.ToLower(string(id))) },
		func(d *schemas.Decision) { d.Agent = "*" },
		func(d *schemas.Decision) { d.Agent = "Bot" },
		func(d *schemas.Decision) { d.Queue = ">" },
	} {
		d := examples()["decision"][0].(schemas.Decision)
		change(&d)
		if err := schemas.Read(record(schemas.Decisions, 3, d), &schemas.Decision{}); !isFault(err) {
			t.Errorf("%s: got %v, want a Fault", d.Subject(), err)
		}
	}
}

// TestReadRefusesTheBrokersHeaders: an answer of the broker that somebody had sent
// to a stream says nothing, whoever's name it stands in. What the gate expected of
// the stream as it wrote is no harm, and nobody else's to say.
func TestReadRefusesTheBrokersHeaders(t *testing.T) {
	t.Parallel()
	identity, freeze := examples()["identity"][0].(schemas.Identity), examples()["freeze"][0].(schemas.Freeze)
	byProvision := identity
	byProvision.By = schemas.Name(schemas.RoleProvision)
	for _, c := range []struct {
		record    schemas.Record
		into      schemas.Content
		mayExpect bool
	}{
		{record(schemas.Grants, 4, lapse()), &schemas.Lapse{}, true},
		{record(schemas.Control, 4, byProvision), &schemas.Identity{}, true},
		{record(schemas.Control, 4, identity), &schemas.Identity{}, false},
		{record(schemas.Control, 4, freeze), &schemas.Freeze{}, false},
		{record(schemas.Decisions, 4, examples()["decision"][0].(schemas.Decision)), &schemas.Decision{}, false},
		{record(schemas.Standings, 4, examples()["standing"][0].(schemas.Standing)), &schemas.Standing{}, false},
		{record(schemas.Standings, 4, examples()["revocation"][0].(schemas.Revocation)), &schemas.Revocation{}, false},
		{record(schemas.Outcomes, 4, examples()["report"][0].(schemas.Report)), &schemas.Report{}, false},
	} {
		for name, allowed := range map[string]bool{
			"X-Other": true, "Nats-Msg-Id": true,
			"Nats-Expected-Last-Subject-Sequence": c.mayExpect, "Nats-Expected-Last-Subject-Sequence-Subject": c.mayExpect,
			"Nats-Expected-Stream": false, "Nats-Subject": false, "Nats-Sequence": false, "nats-anything": false, "Nats-Unreadable": false,
		} {
			r := c.record
			r.Header = maps.Clone(r.Header)
			r.Header[name] = []string{"1"}
			err := schemas.Read(r, c.into)
			if allowed && err != nil || !allowed && (!isFault(err) || !strings.Contains(err.Error(), name)) {
				t.Errorf("%s with %s: got %v", r.Subject, name, err)
			}
		}
	}
}

// TestReadStructured: a reviewer's or an executor's library may send one JSON.
func TestReadStructured(t *testing.T) {
	t.Parallel()
	want := lapse()
	r := record(schemas.Grants, 4, want)
	r.Body = []byte(strings.Replace(envelope, "intent.proposed", "intent.lapsed", 1) + `,"data":` + string(r.Body) + `}`)
	r.Header = schemas.Header{"Content-Type": {"application/cloudevents+json"}}
	var got schemas.Lapse
	if err := schemas.Read(r, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestPropose(t *testing.T) {
	t.Parallel()
	want := intent()
	p := schemas.Proposal{Params: want.Params, Reason: want.Reason, Goal: want.Goal, Session: want.Session, ExpiresIn: want.ExpiresIn}
	d, err := schemas.Propose(want.Key(), refund, p, noon)
	if err != nil {
		t.Fatal(err)
	}
	got, err := schemas.ReadIntent(gate, schemas.Record{Stream: schemas.Intents, Seq: 7, Subject: d.Subject, Time: noon, Header: d.Header, Body: d.Body})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("proposed and read (-want +got):\n%s", diff)
	}
}

// TestProposeSize: what is too large for the broker is refused before it is sent,
// and what is not is proposed.
func TestProposeSize(t *testing.T) {
	t.Parallel()
	propose := func(n int) (schemas.Draft, error) {
		return schemas.Propose(intent().Key(), refund, schemas.Proposal{Params: []byte(`{"a":"` + fill(n) + `"}`)}, noon)
	}
	empty, err := propose(0)
	if err != nil {
		t.Fatal(err)
	}
	room := schemas.MaxIntentSize - size(empty.Header, empty.Body)
	if d, err := propose(room); err != nil || size(d.Header, d.Body) != schemas.MaxIntentSize {
		t.Errorf("the largest: got %d bytes, %v, want %d", size(d.Header, d.Body), err, schemas.MaxIntentSize)
	}
	if _, err := propose(room + 1); !isFault(err) {
		t.Errorf("one more: got %v, want a Fault", err)
	}
	for _, params := range []string{`{`, `{"a":1,"a":2}`, "{\"a\":\"\xff\"}"} {
		if _, err := schemas.Propose(intent().Key(), refund, schemas.Proposal{Params: []byte(params)}, noon.Add(time.Hour)); !isFault(err) {
			t.Errorf("%s: got %v, want a Fault", params, err)
		}
	}
}
