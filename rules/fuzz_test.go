package rules_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// quick are limits under which a fuzzer gets far.
var quick = rules.Limits{Cost: 10_000}

// FuzzLoad loads any catalog, policy and documents. Whatever loads releases nothing
// without a rule that says so, has one archive, and can be checked and explained.
func FuzzLoad(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*/*/policy.yaml")
	for _, path := range paths {
		dir := filepath.Dir(path)
		policy, _ := os.ReadFile(path)
		catalogText, err := os.ReadFile(filepath.Join(dir, "catalog.yaml"))
		if err != nil {
			catalogText = []byte(catalog)
		}
		f.Add(string(catalogText), string(policy), "allowed: [EUR]\nlimits: {a: 1}\n", "type: object", "iban,limit\nDE1,5\n", "[]")
	}
	f.Add(catalog, "version: 1\n"+benchPolicy(3), `{"single": 5}`, "{}", "a\n1\n", "- {name: a, action: shop.look, want: {outcome: park}}\n")
	f.Fuzz(func(t *testing.T, catalogText, policy, data, schema, sheet, cases string) {
		dir := files("", "catalog.yaml", catalogText, "policy.yaml", policy, "data/d.yaml", data,
			"data/d.schema.yaml", schema, "data/limits.yaml", data, "data/s.csv", sheet, "cases/c.yaml", cases)
		b, err := quick.Load(dir)
		if err != nil {
			if len(err.Error()) > 1<<20 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		again, err := rules.Read(b.Archive())
		if err != nil || again.Digest() != b.Digest() {
			t.Fatalf("archive: got %v, want the same bundle", err)
		}
		if _, _, err := rules.Check(t.Context(), dir, seats); err != nil {
			t.Errorf("checking: %v", err)
		}
		_, _ = rules.Test(t.Context(), dir)
		for i, action := range b.Actions() {
			if i == 3 {
				break
			}
			checkSafe(t, b, about(action, properParams))
			b.Explain(t.Context(), about(action, properParams))
		}
	})
}

// FuzzRead reads any archive.
func FuzzRead(f *testing.F) {
	b, err := rules.Load(os.DirFS("testdata/cases/shop"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.Archive())
	small, err := rules.Load(files("rules: []\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(small.Archive())
	f.Fuzz(func(t *testing.T, archive []byte) {
		b, err := rules.Read(archive)
		if err == nil && string(b.Archive()) != string(archive) {
			t.Errorf("an archive of %d bytes is read and written as another", len(archive))
		}
	})
}

// FuzzParams evaluates rules over any parameters.
func FuzzParams(f *testing.F) {
	b, err := quick.Load(os.DirFS("testdata/cases/shop"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"order":"ord_1","amount_cents":5000,"lines":[{"sku":"a","count":1,"price":0.5}]}`, "ann")
	f.Add(`{"to":"ann@example.com","body":"hello"}`, "")
	f.Add(`null`, "ann")
	f.Fuzz(func(t *testing.T, params, owner string) {
		for _, action := range b.Actions() {
			facts := about(action, params)
			facts.Agent.Owner = owner
			_ = b.CheckParams(action, []byte(params))
			checkSafe(t, b, facts)
		}
	})
}

// checkSafe evaluates at each checkpoint. A release at recommend needs a rule
// that says so and none that fails; elsewhere it needs that none fails.
func checkSafe(t *testing.T, b *rules.Bundle, f rules.Facts) {
	t.Helper()
	for _, at := range []rules.Checkpoint{rules.Observe, rules.Recommend, rules.Execute} {
		o := b.Evaluate(t.Context(), at, f)
		if _, err := schemas.Marshal(o); err != nil {
			t.Errorf("%s at %s: encoding %+v: %v", f.Intent.Action, at, o, err)
		}
		if o.Outcome != schemas.Release {
			continue
		}
		if at == rules.Recommend && (len(o.Matched) == 0 || o.Matched[0].Add != 0 || o.Matched[0].Outcome != schemas.Release) {
			t.Errorf("%s: released without a rule that says so: %+v", f.Intent.Action, o)
		}
		if len(o.Failed) > 0 {
			t.Errorf("%s at %s: released in spite of a failure: %+v", f.Intent.Action, at, o)
		}
	}
}
