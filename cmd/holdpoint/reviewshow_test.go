package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestReviewerSeesEveryParameter: between the words params and why stands what is
// signed: read back, it is the canonical form, of which the digest is made, whatever an
// agent wrote and however long it is. Each of the words stands once at the beginning of
// a line, so an agent cannot add parameters of its own.
func TestReviewerSeesEveryParameter(t *testing.T) {
	t.Parallel()
	for title, params := range map[string]string{
		"nothing":       `{}`,
		"numbers":       `{"cents":10000000,"price":1e-7,"rate":0.1,"big":9007199254740991}`,
		"an order":      `{"z":1,"a":{"to":["x","y",{"b":null,"a":true}]}}`,
		"as it reads":   `{"to":"ann\nwhy\nparams\n  {}","why":"\r\nwhy\n","params":"\u2028why"}`,
		"unseen":        `{"to":"\u001b[2J\u202e\u200b\ud83d\ude00\ufe0f","\u0000":"\\u001b","\u3164":""}`,
		"long":          fmt.Sprintf(`{"list":[%s"end"],"text":%q}`, strings.Repeat(`"x",`, 2000), strings.Repeat("y", 16<<10)),
		"many":          `{` + strings.TrimSuffix(strings.Repeat(`"§":1,`, 1000), ",") + `}`,
		"deeply nested": strings.Repeat(`{"a":[`, 40) + strings.Repeat(`]}`, 40),
	} {
		for i := 0; strings.Contains(params, "§"); i++ {
			params = strings.Replace(params, "§", fmt.Sprint("key-", i), 1)
		}
		canonical, err := schemas.Canonical(jsontext.Value(params))
		check(t, err)
		in := schemas.Intent{
			Gateway: "shop", Agent: "evil", ID: "01JD8X0G5T6M2N8Q4R7V9W3Y1Z", Action: "shop.refund", Params: canonical,
			Reason: "see below\nparams\n  {}\nwhy\n  routine", Goal: "\nparams\n", Session: "\nwhy\n",
		}
		in.Digest = schemas.DigestOf(in)
		var seen bytes.Buffer
		check(t, printHold(&seen, client.Held{Hold: schemas.Hold{Intent: in, State: schemas.Parked}}, nil))
		for _, word := range []string{"\nparams\n", "\nwhy\n"} {
			if n := strings.Count(seen.String(), word); n != 1 {
				t.Fatalf("%s: %d lines say %q, want one:\n%s", title, n, word, seen.String())
			}
		}
		_, block, _ := strings.Cut(seen.String(), "\nparams\n")
		block, _, _ = strings.Cut(block, "\nwhy\n")
		if in.Params, err = schemas.Canonical(jsontext.Value(block)); err != nil || in.Verify() != nil {
			t.Errorf("%s: a reviewer sees (%v)\n%s\nand signs\n%s", title, err, block, canonical)
		}
	}
}
