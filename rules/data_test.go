package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// documents are of every kind and of every form that types are inferred from.
var documents = []string{
	"data/limits.yaml", "single: 100\nfactor: 1.5\nname: x\n",
	"data/prices.yaml", "apple: 5\npear: 7\n",
	"data/mixed.json", `[1, 2.5, 3]`,
	"data/orders.yaml", "current:\n  - {id: 6, payee: x}\n  - {id: 7, payee: y, note: z}\n",
	"data/people.yaml", "ann: {limit: 5, boss: bob}\nbob: {limit: 9, boss: ann}\n",
	"data/rates.yaml", "EUR: {USD: 1.1}\nUSD: {EUR: 0.9, GBP: 0.7}\n",
	"data/payees.csv", "iban,name,limit,known,code\nDE1,Ann,5,true,007\nDE2,Bob,,false,12\n",
	"data/words.csv", "word\nalpha\nbeta\n",
	"data/codes.csv", "code,zip\n1,00123\n2,4\n",
	"data/codes.schema.yaml", "type: object\nadditionalProperties: {type: object, properties: {code: {type: string}, zip: {type: string}}, additionalProperties: false}\n",
	"data/empty.yaml", "{}\n",
	"data/sums.yaml", "a: 1\n",
	"data/sums.schema.json", `{"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "integer"}}, "additionalProperties": false}`,
}

// TestDocuments reads documents, typed by what is in them or by a schema.
func TestDocuments(t *testing.T) {
	t.Parallel()
	f := refund(`{"amount":5,"key":"pear","iban":"DE2"}`)
	for _, when := range []string{
		"data.limits.single == 100 && data.limits.factor == 1.5 && data.limits.name == 'x'",
		"data.prices.pear == 7 && data.prices['apple'] == 5 && params.key in data.prices && data.prices[string(params.key)] == 7",
		"data.mixed == [1.0, 2.5, 3.0] && 2.0 * data.mixed[0] == 2.0",
		"data.orders.current.exists(o, o.id == 7 && has(o.note) && o.note == 'z') && !has(data.orders.current[0].note)",
		"data.people.ann.boss == 'bob' && data.people[data.people.ann.boss].limit == 9",
		"data.rates.USD.GBP == 0.7 && data.rates['EUR']['USD'] == 1.1",
		"data.payees[string(params.iban)].name == 'Bob' && !has(data.payees.DE2.limit) && data.payees.DE1.limit == 5",
		"data.payees.DE1.known && data.payees.DE1.code == '007' && params.iban in data.payees && !('DE3' in data.payees)",
		"'alpha' in data.words && data.words.size() == 2 && data.words[1] == 'beta'",
		"data.codes['1'].zip == '00123' && data.codes['2'].code == '2'",
		"data.empty == {} && !('x' in data.empty)",
		"data.sums.a == 1.0 && !has(data.sums.b)",
	} {
		b := load(t, releaseIf(when), documents...)
		if got := b.Evaluate(t.Context(), rules.Recommend, f); got.Outcome != schemas.Release {
			t.Errorf("%s: got %+v, want release", when, got)
		}
	}
}

// TestUndeclaredData refuses what no document has.
func TestUndeclaredData(t *testing.T) {
	t.Parallel()
	for when, want := range map[string]string{
		"data.limits.singel == 1":                           "undeclared field 'singel' of data.limits (did you mean 'single'?)",
		"data.prices.aple == 1":                             "undeclared key 'aple' of data.prices (did you mean 'apple'?)",
		"data.prices['aple'] == 1":                          "undeclared key 'aple' of data.prices (did you mean 'apple'?)",
		"data.price.apple == 1":                             "undeclared document 'price' of data (did you mean 'prices'?)",
		"data.orders.current.exists(o, o.paye == 'x')":      "undeclared field 'paye' (did you mean 'payee'?)",
		"data.people.ann.lmit == 1":                         "undeclared field 'lmit' (did you mean 'limit'?)",
		"data.payees['DE1'].nam == 'x'":                     "undeclared field 'nam' (did you mean 'name'?)",
		"data.payees.DE9.name == 'x'":                       "undeclared key 'DE9' of data.payees (did you mean 'DE1'?)",
		"data.limits.single == 'x'":                         "'==' is not defined for (int, string)",
		"params.amount in data.words":                       "'in' is not defined for (int, list(string))",
		"data.sums.c == 1":                                  "undeclared field 'c' of data.sums",
		"data.limits['single'] == 1":                        "data.limits has fields: write data.limits.single",
		"data.codes['1'].zip == 123":                        "'==' is not defined for (string, int)",
		"data.payees.exists(p, p == 5)":                     "'==' is not defined for (string, int)",
		"data.mixed[0] == 1":                                "'==' is not defined for (double, int): write 1.0",
		"data.limits == data.prices || data.limits == null": "is not defined for",
	} {
		_, err := rules.Load(files(releaseIf(when), documents...))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", when, err, want)
		}
	}
}

// TestMembership asks lists that are long enough for a set: they answer as lists
// do, whatever is asked, and at no price.
func TestMembership(t *testing.T) {
	t.Parallel()
	more := []string{
		"data/texts.csv", "text\n" + many(100_000, "key-§", "\n"),
		"data/numbers.yaml", many(20, "- §", "\n"),
		"data/fractions.yaml", many(20, "- §.5", "\n") + "\n- 7",
		"data/any.json", `[1, "1", true, null, 2.5, "x", "y", "z", false, [1]]`,
		"data/scalars.json", `[1, "1", true, null, 2.5, "x", "y", "z", false]`,
	}
	f := refund(`{"text":"key-99999","whole":7,"part":7.5,"list":["key-5","no"],"object":{"a":1},"nothing":null}`)
	for when, want := range map[string]bool{
		"params.text in data.texts":                                                                true,
		many(40, "params.text in data.texts", " && "):                                              true,
		"'key-100000' in data.texts || '' in data.texts":                                           false,
		"params.whole in data.numbers && 7 in data.numbers":                                        true,
		"params.part in data.numbers || 20 in data.numbers":                                        false,
		"params.part in data.fractions && params.whole in data.fractions && 7.0 in data.fractions": true,
		"1 in data.any && 1.0 in data.any && '1' in data.any && true in data.any && null in data.any && 2.5 in data.any && [1] in data.any": true,
		"1 in data.scalars && '1' in data.scalars && null in data.scalars && dyn(1u) in data.scalars":                                       true,
		"2 in data.scalars || '2.5' in data.scalars || [1] in data.scalars || params.object in data.scalars":                                false,
		"params.list.exists(l, l in data.texts) && !params.list.all(l, l in data.texts)":                                                    true,
		"data.texts[99999] == 'key-99999' && data.texts.size() == 100000 && data.numbers == lists.range(20)":                                true,
	} {
		b := load(t, releaseIf(when), more...)
		got := b.Evaluate(t.Context(), rules.Recommend, f)
		if len(got.Failed) > 0 || (got.Outcome == schemas.Release) != want {
			t.Errorf("%.80s: got %+v, want %v", when, got, want)
		}
	}
}

// BenchmarkMembership looks a text up in a document of 100,000 entries.
func BenchmarkMembership(b *testing.B) {
	for name, c := range map[string]struct{ when, file, content string }{
		"list":  {"params.text in data.known", "data/known.csv", "text\n" + many(100_000, "key-§", "\n")},
		"table": {"data.known[string(params.text)].limit > 0 && params.text in data.known", "data/known.csv", "text,limit,name\n" + many(100_000, "key-§,5,x", "\n")},
		"few":   {"params.text in data.known", "data/known.csv", "text\n" + many(10, "key-9999§", "\n")},
	} {
		b.Run(name, func(b *testing.B) {
			bundle := load(b, releaseIf(c.when), c.file, c.content)
			f := refund(`{"text":"key-99999"}`)
			if got := bundle.Evaluate(b.Context(), rules.Recommend, f); got.Outcome != schemas.Release {
				b.Fatalf("opinion: got %+v, want a release", got)
			}
			b.ReportAllocs()
			for b.Loop() {
				bundle.Evaluate(b.Context(), rules.Recommend, f)
			}
		})
	}
}

// BenchmarkLoadData loads documents of 100,000 entries.
func BenchmarkLoadData(b *testing.B) {
	for name, content := range map[string]string{
		"known.csv":  "text\n" + many(100_000, "key-§", "\n"),
		"known.yaml": many(100_000, "- key-§", "\n"),
		"known.json": fmt.Sprintf("[%s]", many(100_000, `"key-§"`, ",")),
		"table.csv":  "text,limit,name\n" + many(100_000, "key-§,5,x", "\n"),
	} {
		b.Run(name, func(b *testing.B) {
			dir := files("", "data/"+name, content)
			for b.Loop() {
				if _, err := rules.Load(dir); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
