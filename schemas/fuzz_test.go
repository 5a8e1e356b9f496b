package schemas_test

import (
	"bytes"
	stdjson "encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gowebpki/jcs"
	"github.com/oklog/ulid/v2"

	"github.com/holdpoint/holdpoint/schemas"
)

// FuzzReadIntent: whatever an agent sends, it is an intent whose digest holds and
// which every record can carry, or a refusal can be written.
func FuzzReadIntent(f *testing.F) {
	const subject, media = "intents.bot.shop.refund", "application/cloudevents+json"
	f.Add(subject, string(id), "/agents/bot", "", "", "", []byte(`{"params":{"amount":120}}`))
	f.Add(subject, "", "", "", "", "", []byte(`{"params":{"a":[1.5e3,"\u20ac",{"b":null}]},"reason":"r","goal":"g","session":"s","expires_in":60}`))
	f.Add(subject, "", "", media, "", "", []byte(envelope+`,"data":{"params":{}}}`))
	f.Add(subject, string(id), "/agents/eve", "", "Nats-Subject", "intents.eve.shop.refund", []byte(`{"params":{}}`))
	f.Add(subject, "00000000000000000000000007", "", "", "CE-ID", "x", []byte(`{"params":{},"cause":1}`))
	f.Add("intents.bot.é.*", string(id), "%zz", "text/plain", "\xff", "\xff", []byte(`{"params":{"`+strings.Repeat("é", 50)+`":1e999}}`))
	f.Add("intents.Bot.shop.refund", string(id), "", "application/cloudevents-batch+json", "traceparent", traceParent, []byte("\xff"))
	f.Fuzz(func(t *testing.T, subject, ceID, source, media, name, value string, body []byte) {
		h := binary("ce-id", ceID, "ce-source", source, "Content-Type", media, name, value)
		if ceID == "" && source == "" {
			h = schemas.Header{"content-type": {media}, name: {value}}
		}
		in, err := schemas.ReadIntent(gate, schemas.Record{Stream: schemas.Intents, Seq: 7, Subject: subject, Time: noon, Header: h, Body: body})
		if in.Agent == "" {
			checkFault(t, err)
			return
		}
		verdict := schemas.Settlement{Intent: in, Outcome: schemas.Release, At: noon}
		if err != nil {
			checkFault(t, err)
			verdict.Outcome, verdict.Code, verdict.Detail = schemas.Refuse, schemas.CodeInvalid, err.Error()
		} else if err := in.Verify(); err != nil {
			t.Error(err)
		}
		r := record(schemas.Settled, 1, verdict)
		var back schemas.Settlement
		if err := schemas.Read(r, &back); err != nil {
			t.Fatalf("%s: reading the settlement %s: %v", subject, r.Body, err)
		}
		if diff := cmp.Diff(verdict, back, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("settlement (-written +read):\n%s", diff)
		}
		if err == nil && len(r.Body) > schemas.MaxIntentSize+2048 {
			t.Errorf("an intent of %d bytes settles with %d", len(body), len(r.Body))
		}
	})
}

// FuzzReadEventBinary: what is read writes, and reads the same.
func FuzzReadEventBinary(f *testing.F) {
	f.Add("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/x", "ce-type", "t", "ce-time", "2018-04-05T17:31:00Z")
	f.Add("CE-SpecVersion", "1.0", "ce-id", `"a \"b\""`, "ce-source", "%E2%82%AC", "ce-type", "%22", "traceparent", traceParent)
	f.Add("ce-specversion", "1.0", "ce-id", "%C3%28", "ce-source", "%", "ce-type", "%zz", "CE-ID", "1")
	f.Add("content-type", "application/cloudevents", "", "", "Content-Type", "a/b", "ce-", "1", "ce-datacontenttype", "text/plain")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2, n3, v3, n4, v4, n5, v5 string) {
		h := schemas.Header{n1: {v1}, n2: {v2}, n3: {v3}, n4: {v4}, n5: {v5}}
		rereads(t, h, []byte(`{}`))
	})
}

func FuzzReadEventStructured(f *testing.F) {
	for _, body := range []string{
		envelope + `,"data":{"a":1}}`, envelope + `,"time":"2018-04-05T17:31:00+02:00","data":null}`, envelope + `}`, `[]`, `null`, `{}`, ``,
		envelope + `,"subject":null,"n":5,"b":true,"data_base64":"e30="}`, envelope + `,"id":"x"}`, `{"specversion":1.0}`, "\xff", `{"data":"\ud800"}`,
		strings.Replace(envelope, "bot", `\u20ac \"`, 1) + `,"datacontenttype":"application/json","data":[]}`,
	} {
		f.Add("application/cloudevents+json", body)
	}
	f.Add("application/cloudevents; charset=utf-8", envelope+`}`)
	f.Add("application/cloudevents-batch+json", `[]`)
	f.Add("application/cloudevents;;", `{}`)
	f.Fuzz(func(t *testing.T, media, body string) {
		rereads(t, schemas.Header{"Content-Type": {media}}, []byte(body))
	})
}

func rereads(t *testing.T, h schemas.Header, body []byte) {
	t.Helper()
	e, _, err := schemas.ReadEvent(h, body)
	if err != nil {
		checkFault(t, err)
		return
	}
	// A zone can move a time out of the years that RFC 3339 has.
	if y := e.Time.UTC().Year(); e.ID == "" || y < 0 || y > 9999 {
		return
	}
	got, _, err := schemas.ReadEvent(e.Header(), nil)
	if err != nil {
		t.Fatalf("%+v, read from %q and written: %v", e, h, err)
	}
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("read, written and read (-want +got):\n%s", diff)
	}
}

// FuzzRead: what is read of any type is what is written, and stands on a subject
// of the grammar.
func FuzzRead(f *testing.F) {
	all := examples()
	var types []string
	for name, v := range messages {
		if _, ok := v.(schemas.Content); ok {
			types = append(types, name)
		}
	}
	slices.Sort(types)
	for i, name := range types {
		for _, v := range all[name] {
			b, err := schemas.Marshal(v)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), b)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		of := reflect.TypeOf(messages[types[int(kind)%len(types)]])
		c := reflect.New(of).Interface().(schemas.Content)
		if err := schemas.Unmarshal(body, c); err != nil {
			checkFault(t, err)
			return
		}
		r := record("", 1, c)
		r.Body = body
		read := reflect.New(of).Interface().(schemas.Content)
		if err := schemas.Read(r, read); err != nil {
			checkFault(t, err)
			return
		}
		s, err := schemas.ParseSubject(r.Subject)
		if err != nil || strings.ContainsAny(s.String(), "*> \t\r\n") {
			t.Fatalf("%s was read on %q: %v", of, r.Subject, err)
		}
		again := reflect.New(of).Interface().(schemas.Content)
		if err := schemas.Read(record("", 1, read), again); err != nil {
			t.Fatalf("%s: reading what was read and written: %v", of, err)
		}
		if diff := cmp.Diff(read, again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-read +read, written and read):\n%s", of, diff)
		}
	})
}

var jsonSeeds = []string{
	`{"need":"","may":1,"count":2,"yes":true,"at":"2026-11-24T12:00:03.141592653Z","raw":[1,{"a":null}],"bytes":"AAEC"}`,
	`{"need":"\u0000\ud83d\ude00<&>\/","inner":{"need":""},"list":[{"need":""}],"map":{"a":{"need":""}},"raws":{"b":1}}`,
	`{"need":1}`, `{"need":null}`, `{"NEED":""}`, `{"need":"","need":""}`, `{"need":"","raw":{"a":1,"\u0061":2}}`,
	`[0,-0,0.0,1e2,1E+2,9007199254740991,9007199254740992,-9007199254740993,0.1,5e-324,1e-400,1e400,123456789.123456789]`,
	`"\ud800"`, `"\udc00\ud800"`, "\"\xff\"", "\"\xed\xa0\x80\"", `{"\ufb33":1,"😀":2,"é":3}`, ` null `, `1 2`, ``, `tru`, `[`, `{"a":}`, "\xef\xbb\xbf1",
	strings.Repeat("[", 33) + strings.Repeat("]", 33), strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 32),
}

// FuzzUnmarshal compares with encoding/json: what we accept it accepts too, and
// understands alike.
func FuzzUnmarshal(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
	}
	f.Add([]byte(strings.Repeat("[", 32) + strings.Repeat("]", 32)))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []struct{ got, want any }{{new(any), new(any)}, {new(box), new(box)}} {
			if err := schemas.Unmarshal(b, v.got); err != nil {
				checkFault(t, err)
				continue
			}
			d := stdjson.NewDecoder(bytes.NewReader(b))
			d.DisallowUnknownFields()
			if err := d.Decode(v.want); err != nil {
				t.Fatalf("%q: encoding/json says %v, want it refused", b, err)
			}
			if !reflect.DeepEqual(v.want, v.got) { // cmp takes twice as long for each array in an array
				t.Errorf("%q: got %#v, encoding/json has %#v", b, v.got, v.want)
			}
		}
		var v any
		if why := ambiguous(b); why != "" && schemas.Unmarshal(b, &v) == nil {
			t.Errorf("%q: accepted with %s", b, why)
		}
	})
}

// ambiguous finds, with encoding/json, what two readers could understand
// differently.
func ambiguous(b []byte) string {
	d := stdjson.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var keys []map[string]bool // of the open objects, nil for arrays
	var isKey []bool           // whether the next string is one
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		top := len(keys) - 1
		if key, ok := token.(string); ok && top >= 0 && keys[top] != nil && isKey[top] {
			if keys[top][key] {
				return "key " + key + " twice"
			}
			keys[top][key], isKey[top] = true, false
			continue
		}
		if n, ok := token.(stdjson.Number); ok {
			if f, err := n.Float64(); err != nil || f >= 1<<53 || f <= -1<<53 {
				return "number " + n.String()
			}
		}
		switch token {
		case stdjson.Delim('{'):
			keys, isKey = append(keys, map[string]bool{}), append(isKey, true)
		case stdjson.Delim('['):
			keys, isKey = append(keys, nil), append(isKey, false)
		case stdjson.Delim('}'), stdjson.Delim(']'):
			keys, isKey = keys[:top], isKey[:top]
		}
		if len(keys) > schemas.MaxDepth {
			return "depth"
		}
		if token != stdjson.Delim('{') && token != stdjson.Delim('[') && len(keys) > 0 {
			isKey[len(keys)-1] = keys[len(keys)-1] != nil
		}
	}
}

// FuzzCanonical compares with another implementation of RFC 8785.
func FuzzCanonical(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := schemas.Canonical(b)
		if err != nil {
			checkFault(t, err)
		} else if again, err := schemas.Canonical(got); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%q: canonical form %s becomes %s, %v", b, got, again, err)
		}
		var v any
		if schemas.Unmarshal(b, &v) != nil {
			return // not I-JSON
		}
		want, oracleErr := jcs.Transform(slices.Concat([]byte("["), b, []byte("]")))
		if err != nil || oracleErr != nil || "["+string(got)+"]" != string(want) {
			t.Errorf("%q: got %s, %v, want %s, %v", b, got, err, want, oracleErr)
		}
	})
}

// FuzzParseSubject: a subject that is taken apart goes together again, and holds
// nothing that a broker would take for a wildcard.
func FuzzParseSubject(f *testing.F) {
	for s := range subjects() {
		f.Add(s)
		f.Add(strings.Replace(s, "bot", "*", 1))
	}
	f.Add("recommended..bot.shop.refund")
	f.Add("intents.bot.>")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := schemas.ParseSubject(text)
		if err != nil {
			checkFault(t, err)
			return
		}
		if s.String() != text || strings.ContainsAny(text, "*> \t\r\n") {
			t.Errorf("%q: put together it is %q", text, s)
		}
		if !slices.ContainsFunc(s.Stream.Subjects(), func(pattern string) bool { return matches(pattern, text) }) {
			t.Errorf("%q: no subject of %s matches it", text, s.Stream)
		}
	})
}

func FuzzParseIntentID(f *testing.F) {
	for _, s := range []string{string(id), string(schemas.SequenceID(7)), "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01m86ptpg0d1qprs3gdxmpwx11", "0O", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := schemas.ParseIntentID(s)
		u, libErr := ulid.ParseStrict(s)
		if want := libErr == nil && u.String() == s; want != (err == nil) || want && string(got) != s {
			t.Errorf("%q: got %q, %v, want accepted %v", s, got, err, want)
		}
		if err != nil {
			checkFault(t, err)
		}
	})
}
