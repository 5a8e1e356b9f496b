package rules_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

func TestCheckParams(t *testing.T) {
	t.Parallel()
	b, err := rules.Load(os.DirFS("testdata/cases/shop"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		action schemas.Action
		params string
		want   string // the detail; empty if there is no fault
	}{
		{"shop.refund", `{"order":"ord_1","amount_cents":5}`, ""},
		{"shop.refund", `{"order":"ord_1","amount_cents":5.0,"lines":[{"price":0.07},{"price":19.99}]}`, ""},
		{"shop.refund", `{}`, "/params: missing: order, amount_cents"},
		{"shop.refund", `{"order":"ord_1","amount_cents":"5"}`, "/params/amount_cents: got string, want integer"},
		{"shop.refund", `{"order":"ord_1","amount_cents":1.5}`, "/params/amount_cents: got number, want integer"},
		{"shop.refund", `{"order":"ord_1","amount_cents":0}`, "/params/amount_cents: minimum: got 0, want 1"},
		{"shop.refund", `{"order":"ord_1","amount_cents":5,"b":1,"a":1}`, "/params: unknown: a, b"},
		{"shop.refund", `{"order":"x","amount_cents":5,"currency":"GBP"}`, "/params/currency: value must be one of 'EUR', 'USD'; /params/order: 'x' does not match pattern '^ord_[a-z0-9]{1,16}$'"},
		{"shop.refund", `{"order":"ord_1","amount_cents":5,"lines":[{"count":1},{"count":"2","price":0.075}]}`, "/params/lines/1/count: got string, want integer; /params/lines/1/price: multipleOf: got 0.075, want 0.01"},
		{"mail.send", `{"to":"nobody"}`, "/params/to: 'nobody' is not valid email: missing @"},
		{"mail.ping", `{}`, ""},
		{"mail.ping", `{"x/y":1}`, "/params: unknown: x/y"},
		{"mail.ping", `[]`, "/params: got array, want object"},
		{"mail.ping", `{"a":1,"a":2}`, "/a: given twice"},
		{"mail.ping", `{"a":1e999}`, "/a: number 1e999 is outside what JSON readers agree on (I-JSON)"},
		{"mail.ping", ``, "empty, or cut short"},
	} {
		err := b.CheckParams(c.action, []byte(c.params))
		var fault *schemas.Fault
		switch {
		case c.want == "" && err == nil:
		case !errors.As(err, &fault) || fault.Code != schemas.CodeInvalid || fault.Detail != c.want:
			t.Errorf("%s %s:\n got %v\nwant invalid: %s", c.action, c.params, err, c.want)
		}
	}
	var fault *schemas.Fault
	if err := b.CheckParams("shop.nothing", []byte(`{}`)); !errors.As(err, &fault) || fault.Code != schemas.CodeUnknownAction {
		t.Errorf("unknown action: got %v, want %s", err, schemas.CodeUnknownAction)
	}
}

// TestComplaintsAreBounded sends parameters in which everything is wrong. What is
// said about them is short, and the same each time.
func TestComplaintsAreBounded(t *testing.T) {
	t.Parallel()
	b, err := rules.Load(os.DirFS("testdata/cases/shop"))
	if err != nil {
		t.Fatal(err)
	}
	params := fmt.Sprintf(`{%s,"amount_cents":{},"currency":[],"lines":[%s],"note":"%s","order":"%s"}`,
		many(200, `"\u202e\n§":1`, ","), many(3000, `{"count":"§"}`, ","), strings.Repeat("n", 2000), strings.Repeat(`o\u0000\"`, 100))
	first := b.CheckParams("shop.refund", []byte(params))
	var fault *schemas.Fault
	if !errors.As(first, &fault) || !strings.HasPrefix(fault.Detail, "/params: unknown: ") || len(fault.Detail) > 500 || strings.ContainsAny(fault.Detail, "\u202e\n\x00") {
		t.Fatalf("got %v, want a printable fault of 500 bytes", first)
	}
	for range 20 {
		if again := b.CheckParams("shop.refund", []byte(params)); again.Error() != first.Error() {
			t.Fatalf("the next time:\n got %v\nwant %v", again, first)
		}
	}
}
