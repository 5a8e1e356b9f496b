package schemas_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/schemas"
)

const traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// binary returns the header of an event in binary mode, changed by pairs of name
// and value; a name without a value is removed.
func binary(changes ...string) schemas.Header {
	h := schemas.Header{
		"ce-specversion": {"1.0"},
		"ce-id":          {string(id)},
		"ce-source":      {"/agents/bot"},
		"ce-type":        {"dev.holdpoint.intent.proposed.v1"},
	}
	for i := 0; i < len(changes); i += 2 {
		delete(h, changes[i])
		if changes[i+1] != "" {
			h[changes[i]] = []string{changes[i+1]}
		}
	}
	return h
}

func event() schemas.Event {
	return schemas.Event{ID: string(id), Source: "/agents/bot", Type: "dev.holdpoint.intent.proposed.v1"}
}

func TestEventHeader(t *testing.T) {
	t.Parallel()
	e := event()
	e.Source, e.Time, e.TraceParent = "/agents/bot €", noon.In(time.FixedZone("", 3600)), traceParent
	want := schemas.Header{
		"ce-specversion":     {"1.0"},
		"ce-id":              {string(id)},
		"ce-source":          {"/agents/bot%20%E2%82%AC"},
		"ce-type":            {"dev.holdpoint.intent.proposed.v1"},
		"ce-datacontenttype": {"application/json"},
		"ce-time":            {"2026-11-24T12:00:03.141592653Z"},
		"traceparent":        {traceParent},
	}
	if diff := cmp.Diff(want, e.Header()); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	got, body, err := schemas.ReadEvent(e.Header(), []byte("{}"))
	if err != nil || string(body) != "{}" {
		t.Errorf("read back: got body %s, %v", body, err)
	}
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	for _, odd := range []string{"\xff", "00-0-0-0", strings.Repeat("0", 30_000), traceParent + "\r\nce-id: x"} {
		e.TraceParent = odd
		if got, written := e.Header()["traceparent"]; written {
			t.Errorf("trace context %.40q: written as %.40q, want it left out", odd, got)
		}
	}
}

func TestReadEventAccepts(t *testing.T) {
	t.Parallel()
	timed := event()
	timed.Time = time.Date(2018, 4, 5, 17, 31, 0, 0, time.UTC)
	traced := event()
	traced.TraceParent = traceParent
	sourced := event()
	sourced.Source = "/Euro €"
	for name, c := range map[string]struct {
		header schemas.Header
		want   schemas.Event
	}{
		"plain":               {binary(), event()},
		"no header":           {nil, schemas.Event{}},
		"bare":                {schemas.Header{"Content-Type": {"application/json"}, "Nats-Msg-Id": {"x"}}, schemas.Event{}},
		"bare, of any type":   {schemas.Header{"Content-Type": {"text/plain"}}, schemas.Event{}},
		"upper-case names":    {binary("ce-id", "", "CE-ID", string(id), "ce-type", "", "Ce-Type", "dev.holdpoint.intent.proposed.v1"), event()},
		"time":                {binary("ce-time", "2018-04-05T17:31:00Z"), timed},
		"time with offset":    {binary("ce-time", "2018-04-05T19:31:00+02:00"), timed},
		"percent-encoding":    {binary("ce-source", "/Euro%20%E2%82%AC"), sourced},
		"quoted":              {binary("ce-source", `"/Euro €"`), sourced},
		"an extension":        {binary("ce-comexampleothervalue", "5", "ce-subject", "x"), event()},
		"JSON with parameter": {binary("ce-datacontenttype", "application/json; charset=utf-8"), event()},
		"some JSON":           {binary("ce-datacontenttype", "application/vnd.acme+JSON"), event()},
		"content type":        {binary("Content-Type", "text/plain"), event()}, // the binding gives it no meaning but for the mode
		"trace":               {binary("traceparent", traceParent), traced},
		"upper-case trace":    {binary("Traceparent", traceParent), traced},
		"no trace":            {binary("traceparent", strings.Repeat("0", 30_000)), event()},
		"half a trace":        {binary("traceparent", traceParent[:54]), event()},
		"no hexadecimal":      {binary("traceparent", "00-"+strings.Repeat("g", 32)+"-00f067aa0ba902b7-01"), event()},
	} {
		got, body, err := schemas.ReadEvent(c.header, []byte("{}"))
		if err != nil || string(body) != "{}" {
			t.Errorf("%s: got body %s, %v, want the body", name, body, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestReadEventRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header schemas.Header
		names  string
	}{
		"no specversion":    {binary("ce-specversion", ""), "ce-specversion: missing"},
		"no id":             {binary("ce-id", ""), "ce-id: missing"},
		"no source":         {binary("ce-source", ""), "ce-source: missing"},
		"no type":           {binary("ce-type", ""), "ce-type: missing"},
		"an attribute only": {schemas.Header{"ce-subject": {"x"}}, "ce-specversion: missing"},
		"empty id":          {binary("ce-id", `""`), "ce-id: missing or empty"},
		"another version":   {binary("ce-specversion", "0.3"), "ce-specversion"},
		"no time":           {binary("ce-time", "yesterday"), "ce-time"},
		"time without zone": {binary("ce-time", "2018-04-05T17:31:00"), "ce-time"},
		"not JSON":          {binary("ce-datacontenttype", "application/xml"), "ce-datacontenttype"},
		"no media type":     {binary("ce-datacontenttype", "/"), "ce-datacontenttype"},
		"bad percent":       {binary("ce-source", "%zz"), "ce-source"},
		"bad UTF-8":         {binary("ce-source", "\xff"), "ce-source"},
		"bad encoded UTF-8": {binary("ce-comexample", "%C3%28"), "ce-comexample"},
		"bad quotes":        {binary("ce-id", `"`), "ce-id"},
		"differing in case": {binary("CE-Id", string(id)), "ce-id: given twice"},
		"two traces":        {schemas.Header{"traceparent": {traceParent}, "Traceparent": {traceParent}}, "traceparent: given twice"},
		"two values":        {schemas.Header{"ce-id": {"a", "a"}}, "ce-id: given twice"},
		"two content types": {schemas.Header{"content-type": {"a/b"}, "Content-Type": {"a/b"}}, "content-type: given twice"},
	} {
		got, body, err := schemas.ReadEvent(c.header, []byte("{}"))
		checkFault(t, err)
		if err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: got %+v, %s, %v, want a Fault that names %s", name, got, body, err, c.names)
		}
	}
}

const envelope = `{"specversion":"1.0","id":"01M86PTPG0D1QPRS3GDXMPWX11","source":"/agents/bot","type":"dev.holdpoint.intent.proposed.v1"`

func TestReadEventStructured(t *testing.T) {
	t.Parallel()
	for body, data := range map[string]string{
		envelope + `,"data":{"a":1}}`: `{"a":1}`,
		envelope + `,"data":"text"}`:  `"text"`,
		envelope + `,"data":null}`:    `null`,
		envelope + `}`:                ``,
		envelope + `,"datacontenttype":"application/json","data":{}}`:        `{}`,
		envelope + `,"time":null,"subject":null,"data":{}}`:                  `{}`, // JSON format, section 2.2: null is unset
		envelope + `,"comexampleothervalue":5,"comexamplebool":true}`:        ``,
		" " + envelope + ` , "data" : {} } `:                                 `{}`,
		strings.Replace(envelope, "/agents", `\/agents`, 1) + `,"data": {}}`: `{}`,
	} {
		for _, media := range []string{
			"application/cloudevents+json", "application/cloudevents", "Application/CloudEvents+JSON", "application/cloudevents+json; charset=UTF-8",
		} {
			got, gotData, err := schemas.ReadEvent(schemas.Header{"Content-Type": {media}, "traceparent": {traceParent}}, []byte(body))
			want := event()
			want.TraceParent = traceParent
			if err != nil || string(gotData) != data {
				t.Errorf("%s: %s: got data %s, %v, want %s", media, body, gotData, err, data)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", media, body, diff)
			}
		}
	}
}

func TestReadEventStructuredRefuses(t *testing.T) {
	t.Parallel()
	const media = "application/cloudevents+json"
	for _, c := range []struct{ media, body, names string }{
		{"application/cloudevents-batch+json", `[` + envelope + `}]`, "content-type"},
		{"application/cloudevents-batch", `[]`, "content-type"},
		{"application/cloudevents+avro", envelope + `}`, "content-type"},
		{"application/cloudeventsx", envelope + `}`, "content-type"},
		{"application/cloudevents; ;", envelope + `}`, "content-type"},
		{media, ``, "empty"},
		{media, `[]`, "array"},
		{media, `null`, "null"},
		{media, envelope, "not JSON"},
		{media, envelope + `} {}`, "JSON"},
		{media, envelope + `,"id":"x"}`, "/id: given twice"},
		{media, envelope + `,"data":{"a":1,"a":1}}`, "/data/a: given twice"},
		{media, envelope + `,"data":9007199254740993}`, "/data"},
		{media, envelope + `,"data_base64":"e30="}`, "/data_base64"},
		{media, envelope + `,"subject":{}}`, "/subject"},
		{media, envelope + `,"subject":["x"]}`, "/subject"},
		{media, envelope + `,"datacontenttype":"application/xml","data":"<x/>"}`, "datacontenttype"},
		{media, envelope + `,"time":"now"}`, "time"},
		{media, envelope + `,"subject":5}`, "/subject: want a string"},
		{media, envelope + `,"time":5}`, "/time: want a string"},
		{media, envelope + `,"comexample":{}}`, "/comexample"},
		{media, strings.Replace(envelope, `"1.0"`, `1.0`, 1) + `}`, "/specversion: want a string"},
		{media, strings.Replace(envelope, `"1.0"`, `null`, 1) + `}`, "specversion: missing"},
		{media, strings.Replace(envelope, `"source"`, `"SOURCE"`, 1) + `}`, "source: missing"},
	} {
		_, data, err := schemas.ReadEvent(schemas.Header{"Content-Type": {c.media}}, []byte(c.body))
		if !isFault(err) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %s: got %s, %v, want a Fault that names %s", c.media, c.body, data, err, c.names)
		}
	}
}

// TestModeIsDetected: structured exactly if the content type says so.
func TestModeIsDetected(t *testing.T) {
	t.Parallel()
	h := binary("Content-Type", "application/json")
	if _, data, err := schemas.ReadEvent(h, []byte(envelope+`,"data":{}}`)); err != nil || string(data) != envelope+`,"data":{}}` {
		t.Errorf("binary: got data %s, %v, want the whole body", data, err)
	}
	h = maps.Clone(h)
	h["Content-Type"] = []string{"application/cloudevents+json"}
	h["ce-id"] = []string{"another"}
	e, data, err := schemas.ReadEvent(h, []byte(envelope+`,"data":{}}`))
	if err != nil || string(data) != `{}` || e.ID != string(id) {
		t.Errorf("structured: got id %s, data %s, %v, want those of the envelope", e.ID, data, err)
	}
}
