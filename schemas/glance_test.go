package schemas_test

import (
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// FuzzGlanceHold: of every hold a glance sees what reading it all says.
func FuzzGlanceHold(f *testing.F) {
	for _, v := range examples()["hold"] {
		h := v.(schemas.Hold)
		for _, doubt := range []*schemas.Doubt{nil, {Grant: largestPointer(schemas.Grants)(0), Executor: "run", Since: noon}} {
			h.Doubt = doubt
			b, err := schemas.Marshal(h)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	for _, s := range []string{"", "{}", "[]", `{"state":"parked"`, `{"state":1}`, `{"state":"parked","state":"done"}`, `{"st\u0061te":"done"}`, `{"doubt":null}`, `{"state":"parked"} x`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		state, doubted, err := schemas.GlanceHold(schemas.Record{Body: body})
		if err != nil {
			checkFault(t, err)
		}
		var h schemas.Hold
		if schemas.Unmarshal(body, &h) != nil {
			return
		}
		if err != nil || state != h.State || doubted != (h.Doubt != nil) {
			t.Errorf("%s: a glance sees %q, %t, %v; it is %q, %t", body, state, doubted, err, h.State, h.Doubt != nil)
		}
	})
}
