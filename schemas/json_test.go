package schemas_test

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/gowebpki/jcs"
	"pgregory.net/rapid"

	"github.com/holdpoint/holdpoint/schemas"
)

// box is a type of this test: one field of each kind.
type box struct {
	Need  string                    `json:"need"`
	May   int                       `json:"may,omitzero"`
	Count uint64                    `json:"count,omitzero"`
	Yes   bool                      `json:"yes,omitempty"`
	At    time.Time                 `json:"at,omitzero"`
	Raw   jsontext.Value            `json:"raw,omitzero"`
	Bytes []byte                    `json:"bytes,omitempty"`
	Inner *box                      `json:"inner,omitempty"`
	List  []box                     `json:"list,omitempty"`
	Map   map[string]box            `json:"map,omitempty"`
	Raws  map[string]jsontext.Value `json:"raws,omitempty"`
}

func TestUnmarshal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ json, names string }{
		{`{"need":""}`, ""},
		{` { "need" : "x" , "may" : -1, "count":9007199254740991, "yes":false, "at":"2026-11-24T12:00:03Z", "bytes":"AA==" } `, ""},
		{`{"need":"","inner":{"need":""},"list":[{"need":""}],"map":{"a":{"need":""}}}`, ""},
		{`{"need":"","raw":null,"raws":{"a":null,"b":[{"need":null}]}}`, ""},
		{`{"need":"\u0000\ud83d\ude00"}`, ""},
		{`{}`, "/need: missing"},
		{`{"need":"","inner":{}}`, "/inner/need: missing"},
		{`{"need":"","list":[{"need":""},{"may":1}]}`, "/list/1/need: missing"},
		{`{"need":"","map":{"a/b":{}}}`, "/map/a~1b/need: missing"},
		{`null`, "/: null"},
		{`{"need":null}`, "/need: null"},
		{`{"need":"","may":null}`, "/may: null"},
		{`{"need":"","inner":null}`, "/inner: null"},
		{`{"need":"","list":null}`, "/list: null"},
		{`{"need":"","list":[null]}`, "/list/0: null"},
		{`{"need":"","map":{"a":null}}`, "/map/a: null"},
		{`{"need":"","other":1}`, "/other: no such field"},
		{`{"need":"","inner":{"need":"","Need":""}}`, "/inner/Need: no such field"},
		{`{"need":"","need":""}`, "/need: given twice"},
		{`{"need":"","raw":{"a":1,"\u0061":2}}`, "/raw/a: given twice"}, // the same key, written differently
		{`{"need":1}`, "/need: a JSON number"},
		{`{"need":"","may":"1"}`, "/may: a JSON string"},
		{`{"need":"","may":1.5}`, "/may"},
		{`{"need":"","count":-1}`, "/count"},
		{`{"need":"","yes":1}`, "/yes: a JSON number"},
		{`{"need":"","at":"today"}`, "/at"},
		{`{"need":"","bytes":"?"}`, "/bytes"},
		{`{"need":"","inner":[]}`, "/inner: a JSON array"},
		{`{"need":"","list":{}}`, "/list: a JSON object"},
		{`{"need":"","may":9007199254740992}`, "/may: number"},
		{`{"need":"","raw":-9007199254740992}`, "/raw: number"},
		{`{"need":"","raw":[0,1e309]}`, "/raw/1: number"},
		{`{"need":"","raw":1e-400}`, "/raw: number"},
		{`{"need":"","raw":123456789012345678901234567890.5}`, "/raw: number"},
		{`{"need":""} 1`, "JSON"},
		{`{"need":""}}`, "JSON"},
		{`{"need":"",}`, "JSON"},
		{`{"need":""`, "JSON"},
		{`{'need':""}`, "JSON"},
		{`{"need":"","may":01}`, "JSON"},
		{`{"need":"","raw":NaN}`, "JSON"},
		{`{"need":"","raw":/**/1}`, "JSON"},
		{"{\"need\":\"a\nb\"}", "/need"},
		{"{\"need\":\"\xc3\x28\"}", "/need"},
		{`{"need":"\udc00"}`, "/need"},
	} {
		err := schemas.Unmarshal([]byte(c.json), &box{})
		if c.names == "" {
			if err != nil {
				t.Errorf("%s: %v, want it accepted", c.json, err)
			}
			continue
		}
		checkFault(t, err)
		if err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: got %v, want a Fault that names %s", c.json, err, c.names)
		}
	}
}

// TestUnmarshalDepth: only what the sender shapes is counted, so that a value can
// move from record to record.
func TestUnmarshalDepth(t *testing.T) {
	t.Parallel()
	nested := func(open, shut string, n int) string { return strings.Repeat(open, n) + strings.Repeat(shut, n) }
	arrays := nested("[", "]", schemas.MaxDepth)
	for json, ok := range map[string]bool{
		`{"need":"","raw":` + arrays + `}`:                                          true,
		`{"need":"","raw":[` + arrays + `]}`:                                        false,
		`{"need":"","inner":{"need":"","list":[{"need":"","raw":` + arrays + `}]}}`: true,
		`{"need":"","raws":{"a":` + arrays + `}}`:                                   true,
		`{"need":"","raws":{"a":{"b":` + arrays + `}}}`:                             false,
		nested("[", "]", 100_000):                                                   false,
		nested(`{"a":`, "}", 100_000):                                               false,
		strings.Repeat("[", 100_000):                                                false,
	} {
		if err := schemas.Unmarshal([]byte(json), &box{}); (err == nil) != ok || err != nil && !isFault(err) {
			t.Errorf("%.60s…: got %v, want accepted %v", json, err, ok)
		}
	}
}

// TestCanonical has the examples of RFC 8785, and the borders.
func TestCanonical(t *testing.T) {
	t.Parallel()
	for json, want := range map[string]string{
		`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`://
		`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`://
		`{"\r":"Carriage Return","1":"One","` + "\u0080" + `":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😀":"Emoji: Grinning Face","` + "\ufb33" + `":"Hebrew Letter Dalet With Dagesh"}`,
		` { "b" : [ ] , "a" : { } } `: `{"a":{},"b":[]}`,
		`-0`:                          `0`,
		`1e2`:                         `100`,
		`9e15`:                        `9000000000000000`,
		`5e-324`:                      `5e-324`,
		`"\u007f\u2028<>&"`:           "\"\x7f\u2028<>&\"",
	} {
		got, err := schemas.Canonical([]byte(json))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", json, got, err, want)
		}
	}
	for _, json := range []string{``, `{`, `{"a":1,"a":1}`, `"\ud800"`, "\"\xff\"", `1 2`, `01`} {
		if got, err := schemas.Canonical([]byte(json)); !isFault(err) || got != nil {
			t.Errorf("%q: got %s, %v, want a Fault", json, got, err)
		}
	}
}

// TestCanonicalLeavesItsInput: params are read from a body that others read too.
func TestCanonicalLeavesItsInput(t *testing.T) {
	t.Parallel()
	input := []byte(`{"b":1.0,"a":2}`)
	if _, err := schemas.Canonical(input); err != nil || string(input) != `{"b":1.0,"a":2}` {
		t.Errorf("got %s, %v, want the input untouched", input, err)
	}
}

func TestCanonicalNumbers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		json := rapid.StringMatching(`-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "number")
		got, err := schemas.Canonical([]byte(json))
		want, oracleErr := jcs.Transform([]byte("[" + json + "]"))
		if err != nil || oracleErr != nil || "["+string(got)+"]" != string(want) {
			t.Errorf("%s: got %s, %v, want %s, %v", json, got, err, want, oracleErr)
		}
	})
}

// TestMarshal: the output depends on the value alone, and has no escapes or white
// space that it could do without.
func TestMarshal(t *testing.T) {
	t.Parallel()
	h := schemas.Header{}
	for _, name := range strings.Split("ce-id ce-source ce-type ce-time traceparent x-1 x-2 x-3", " ") {
		h[name] = []string{"<&>"}
	}
	want := normal(t, schemas.Copy{Header: h})
	for range 20 {
		if got := normal(t, schemas.Copy{Header: h}); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	if !strings.Contains(want, `"ce-id":["<&>"]`) {
		t.Errorf("got %s, want no escapes for HTML", want)
	}
	if got := normal(t, schemas.Hold{}); strings.Contains(got, "null") {
		t.Errorf("empty hold: got %s, want no null", got)
	}
}

// TestWriteNeverPanics: text that is not UTF-8 comes from a terminal, and must not
// end the program.
func TestWriteNeverPanics(t *testing.T) {
	t.Parallel()
	d := schemas.Write(schemas.Removal{By: "ida", Name: "ann", Reason: "caf\xe9"}, "\xff", noon, "")
	if !strings.Contains(string(d.Body), `"reason":"caf`+"\uFFFD"+`"`) {
		t.Errorf("got %s, want the replacement character", d.Body)
	}
}
