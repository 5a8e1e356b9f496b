package schemas_test

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/gowebpki/jcs"
	"pgregory.net/rapid"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestDigestGolden pins the digest: it is in signatures and in records that are
// kept for years. If this test fails, the change is wrong, not the test.
func TestDigestGolden(t *testing.T) {
	t.Parallel()
	const want = "sha256:4cc23b485534bf32262b0edb17fc4e5630627165cbe51bf2f7801feed0d0ea59"
	if got := schemas.DigestOf(intent()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestDigestIsOverJCS computes it a second time, with another library, from the
// words of the design.
func TestDigestIsOverJCS(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := intent()
		in.Session = rapid.String().Draw(t, "session")
		in.ExpiresIn = schemas.Seconds(rapid.IntRange(1, 259200).Draw(t, "expires_in"))
		in.Params = jsontext.Value(text(map[string]any{rapid.String().Draw(t, "key"): rapid.String().Draw(t, "value"), "n": 1.0}))
		canonical, err := schemas.Canonical(in.Params)
		if err != nil {
			t.Fatal(err)
		}
		in.Params = canonical
		covered, err := jcs.Transform([]byte(text(map[string]any{
			"version": 1, "gateway": in.Gateway, "agent": in.Agent, "id": in.ID, "action": in.Action,
			"params": in.Params, "session": in.Session, "cause": "", "expires_in": in.ExpiresIn,
		})))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(covered)
		if got, want := schemas.DigestOf(in), schemas.Digest("sha256:"+hex.EncodeToString(sum[:])); got != want {
			t.Errorf("digest of %s: got %s, want %s", covered, got, want)
		}
	})
}

func TestDigestCovers(t *testing.T) {
	t.Parallel()
	seen := map[schemas.Digest]string{schemas.DigestOf(intent()): "unchanged"}
	for field, change := range map[string]func(*schemas.Intent){
		"gateway":    func(in *schemas.Intent) { in.Gateway = "acme2" },
		"agent":      func(in *schemas.Intent) { in.Agent = "bot2" },
		"id":         func(in *schemas.Intent) { in.ID = in.ID[:25] + "2" },
		"action":     func(in *schemas.Intent) { in.Action = "shop.refunds" },
		"params":     func(in *schemas.Intent) { in.Params = jsontext.Value(`{"amount":121,"order":"A-1007"}`) },
		"no params":  func(in *schemas.Intent) { in.Params = jsontext.Value(`{}`) },
		"session":    func(in *schemas.Intent) { in.Session = "chat-18" },
		"no session": func(in *schemas.Intent) { in.Session = "" },
		"expires_in": func(in *schemas.Intent) { in.ExpiresIn++ },
	} {
		in := intent()
		change(&in)
		got := schemas.DigestOf(in)
		if other, ok := seen[got]; ok {
			t.Errorf("%s: got the digest of %s", field, other)
		}
		seen[got] = field
		if err := in.Verify(); !isFault(err) {
			t.Errorf("%s: verifying with the old digest: got %v, want a Fault", field, err)
		}
	}
}

func TestDigestLeavesOut(t *testing.T) {
	t.Parallel()
	want := schemas.DigestOf(intent())
	for field, change := range map[string]func(*schemas.Intent){
		"reason":   func(in *schemas.Intent) { in.Reason = "because" },
		"goal":     func(in *schemas.Intent) { in.Goal = "" },
		"proposed": func(in *schemas.Intent) { in.Proposed = in.Proposed.Add(time.Hour) },
		"digest":   func(in *schemas.Intent) { in.Digest = "" },
	} {
		in := intent()
		change(&in)
		if got := schemas.DigestOf(in); got != want {
			t.Errorf("%s: got another digest, want it left out", field)
		}
	}
}

// TestDigestOfEncodings: how the agent wrote its JSON makes no difference.
func TestDigestOfEncodings(t *testing.T) {
	t.Parallel()
	seen := make(map[schemas.Digest]bool)
	for _, body := range []string{
		`{"params":{"amount":120,"order":"A-1007"},"session":"chat-17"}`,
		`{"session":"chat-17","params":{"order":"A-1007","amount":120}}`,
		" {\n\t\"params\" : { \"amount\" : 1.20e2 , \"order\" : \"\\u0041-1007\" } , \"session\" : \"chat\\u002d17\" } ",
		`{"params":{"amount":120.0,"order":"A-1007"},"session":"chat-17","reason":"x","expires_in":0}`,
		`{"params":{"amount":120,"order":"A-1007"},"session":"chat-17","goal":"y","expires_in":259200}`,
	} {
		for _, r := range []schemas.Record{
			published(binary(), body),
			published(schemas.Header{"content-type": {"application/cloudevents+json"}}, envelope+`,"data":`+body+`}`),
		} {
			in, err := schemas.ReadIntent(gate, r)
			if err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			seen[in.Digest] = true
		}
	}
	if len(seen) != 1 {
		t.Errorf("got %d digests, want one", len(seen))
	}
}

// stored is a record with everything that its hash could cover.
func stored() schemas.Record {
	h := binary("Nats-Msg-Id", "1", "traceparent", traceParent, "content-type", "application/json", "X-Other", "1")
	return schemas.Record{Stream: schemas.Intents, Seq: 7, Subject: "intents.bot.shop.refund", Time: noon, Header: h, Body: []byte(`{"params":{}}`)}
}

func TestHashGolden(t *testing.T) {
	t.Parallel()
	const want = "sha256:0ec0b861fcfd31b4003688bffb1a4ccb571f38efac3871a12e65d184d8006a46"
	if got := stored().Hash(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHashCovers(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*schemas.Record){
		"subject":      func(r *schemas.Record) { r.Subject += "s" },
		"body":         func(r *schemas.Record) { r.Body = []byte(`{"params":{} }`) },
		"no body":      func(r *schemas.Record) { r.Body = nil },
		"second value": func(r *schemas.Record) { r.Header["ce-id"] = append(slices.Clone(r.Header["ce-id"]), "2") },
		"two values the other way": func(r *schemas.Record) {
			r.Header["ce-id"] = append([]string{"2"}, r.Header["ce-id"]...)
		},
		"new attribute": func(r *schemas.Record) { r.Header["ce-new"] = []string{""} },
		"upper case":    func(r *schemas.Record) { r.Header["CE-ID"] = r.Header["ce-id"]; delete(r.Header, "ce-id") },
		// One header whose values spell another header.
		"value and name": func(r *schemas.Record) {
			r.Header["ce-id"] = []string{string(id), "ce-source", "/agents/bot"}
			delete(r.Header, "ce-source")
		},
		"body in subject": func(r *schemas.Record) { r.Subject, r.Body = r.Subject+string(r.Body[:1]), r.Body[1:] },
	}
	for name := range stored().Header {
		if name != "Nats-Msg-Id" && name != "X-Other" {
			changes["changed "+name] = func(r *schemas.Record) { r.Header[name] = []string{"other"} }
			changes["without "+name] = func(r *schemas.Record) { delete(r.Header, name) }
		}
	}
	seen := map[schemas.Digest]string{stored().Hash(): "unchanged"}
	for what, change := range changes {
		r := stored()
		change(&r)
		if other, ok := seen[r.Hash()]; ok {
			t.Errorf("%s: got the hash of %s", what, other)
		}
		seen[r.Hash()] = what
	}
}

// TestHashOfACopy: what the broker adds or decides is left out, so that a copy
// has the hash of its original.
func TestHashOfACopy(t *testing.T) {
	t.Parallel()
	want := stored().Hash()
	for what, change := range map[string]func(*schemas.Record){
		"stream":   func(r *schemas.Record) { r.Stream = schemas.Audit },
		"sequence": func(r *schemas.Record) { r.Seq = 1 },
		"time":     func(r *schemas.Record) { r.Time = noon.Add(time.Hour) },
		"source":   func(r *schemas.Record) { r.Header["Nats-Stream-Source"] = []string{"INTENTS 7 > > x"} },
		"message":  func(r *schemas.Record) { delete(r.Header, "Nats-Msg-Id") },
		"other":    func(r *schemas.Record) { r.Header["X-Other"] = []string{"2"} },
	} {
		r := stored()
		change(&r)
		if got := r.Hash(); got != want {
			t.Errorf("%s: got another hash, want it left out", what)
		}
	}
	travelled := schemas.CopyOf(stored())
	var back schemas.Copy
	if err := schemas.Unmarshal([]byte(normal(t, travelled)), &back); err != nil {
		t.Fatal(err)
	}
	if got := back.Record().Hash(); got != want {
		t.Errorf("sent in an answer: got %s, want %s", got, want)
	}
	if got := stored().Pointer(); got != (schemas.Pointer{Stream: schemas.Intents, Seq: 7, Hash: want}) {
		t.Errorf("pointer: got %+v", got)
	}
}

// TestCopyOfAnything: a record travels in an answer whatever its headers are, and
// with its hash, if what is odd about them has no meaning.
func TestCopyOfAnything(t *testing.T) {
	t.Parallel()
	r := stored()
	r.Header["\xff"], r.Header["X-\xfe"] = []string{"\xff\xfe", "x"}, []string{"\xed\xa0\x80"}
	before := maps.Clone(r.Header)
	var back schemas.Copy
	if err := schemas.Unmarshal([]byte(normal(t, schemas.CopyOf(r))), &back); err != nil {
		t.Fatal(err)
	}
	if got, want := back.Record().Hash(), stored().Hash(); got != want {
		t.Errorf("sent in an answer: got %s, want %s", got, want)
	}
	want := []string{"\ufffd", "x"}
	if got := back.Header["\ufffd"]; !slices.Equal(got, want) {
		t.Errorf("odd header: got %q, want %q", got, want)
	}
	if diff := cmp.Diff(before, r.Header); diff != "" {
		t.Errorf("the record itself changed (-before +after):\n%s", diff)
	}
}

// TestHashIsInjective: two messages have one hash only if they say the same.
func TestHashIsInjective(t *testing.T) {
	t.Parallel()
	word := rapid.SampledFrom([]string{"", "a", "ce-a", "ce-b", "1:a\n", "\n"})
	header := rapid.MapOfN(rapid.SampledFrom([]string{"ce-a", "ce-b", "content-type"}), rapid.SliceOfN(word, 1, 3), 0, 3)
	draw := func(t *rapid.T, name string) schemas.Record {
		return schemas.Record{Subject: word.Draw(t, name+" subject"), Header: header.Draw(t, name+" header"), Body: []byte(word.Draw(t, name+" body"))}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		same := a.Subject == b.Subject && string(a.Body) == string(b.Body) && maps.EqualFunc(a.Header, b.Header, slices.Equal[[]string])
		if got := a.Hash() == b.Hash(); got != same {
			t.Errorf("%+v and %+v: same hash %v, want %v", a, b, got, same)
		}
	})
}
