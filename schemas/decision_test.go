package schemas_test

import (
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"

	"github.com/holdpoint/holdpoint/schemas"
)

// reviewer returns a key and its public half.
func reviewer(t *testing.T) (nkeys.KeyPair, string) {
	t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key, public
}

func signed(t *testing.T, key nkeys.KeyPair) schemas.Decision {
	t.Helper()
	d, err := schemas.Decision{
		Reviewer: "ann", Queue: "money", Agent: bot, Intent: id, Digest: digest("intent"),
		Verdict: schemas.Approve, Reason: "seen <the> tracking €", Shown: digest("state"),
	}.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// denied wants an error to say that it was not this identity.
func denied(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, schemas.ErrDenied) {
		t.Errorf("%s: got %v, want %v", what, err, schemas.ErrDenied)
	}
}

func TestDecisionSignature(t *testing.T) {
	t.Parallel()
	key, public := reviewer(t)
	d := signed(t, key)
	if err := d.VerifySignature(public); err != nil {
		t.Errorf("own key: %v", err)
	}
	var back schemas.Decision
	if err := schemas.Read(record(schemas.Decisions, 3, d), &back); err != nil {
		t.Fatal(err)
	}
	if err := back.VerifySignature(public); err != nil || back != d {
		t.Errorf("after it travelled: got %+v, %v, want %+v", back, err, d)
	}
	again, err := d.Sign(key)
	if err != nil || again != d {
		t.Errorf("signed twice: got %+v, %v, want the same", again, err)
	}
}

func TestDecisionSignatureCoversEveryField(t *testing.T) {
	t.Parallel()
	key, public := reviewer(t)
	for f := range reflect.TypeFor[schemas.Decision]().Fields() {
		if f.Name == "Signature" {
			continue
		}
		for _, change := range []func(string) string{
			func(s string) string { return s + "x" },
			func(string) string { return "" },
		} {
			d := signed(t, key)
			v := reflect.ValueOf(&d).Elem().FieldByIndex(f.Index)
			v.SetString(change(v.String()))
			denied(t, f.Name+" changed", d.VerifySignature(public))
		}
	}
	d := signed(t, key)
	d.Verdict = schemas.Deny
	denied(t, "approve turned into deny", d.VerifySignature(public))
}

func TestDecisionSignatureOfAnotherKey(t *testing.T) {
	t.Parallel()
	key, public := reviewer(t)
	other, otherPublic := reviewer(t)
	denied(t, "checked with another key", signed(t, key).VerifySignature(otherPublic))
	denied(t, "signed with another key", signed(t, other).VerifySignature(public))
	for _, bad := range []string{"", "U", public[:55], strings.ToLower(public), "A" + public[1:], "?"} {
		denied(t, "checked with key "+bad, signed(t, key).VerifySignature(bad))
	}
	seed, err := key.Seed()
	if err != nil {
		t.Fatal(err)
	}
	denied(t, "checked with the private key", signed(t, key).VerifySignature(string(seed)))
}

func TestDecisionSignatureGarbage(t *testing.T) {
	t.Parallel()
	key, public := reviewer(t)
	good := signed(t, key).Signature
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil || len(good) != 86 {
		t.Fatalf("signature %q: %v, want 86 characters", good, err)
	}
	flipped := append([]byte{raw[0] ^ 1}, raw[1:]...)
	for what, signature := range map[string]string{
		"none":             "",
		"not base64":       "????",
		"padded":           good + "==",
		"standard base64":  strings.Repeat("+/", 43),
		"short":            good[:84],
		"long":             good + "AAAA",
		"zeroes":           strings.Repeat("A", 86),
		"one bit":          base64.RawURLEncoding.EncodeToString(flipped),
		"one byte":         "AA",
		"of something":     base64.RawURLEncoding.EncodeToString(sign(t, key, "something else")),
		"without the line": base64.RawURLEncoding.EncodeToString(sign(t, key, strings.Replace(normal(t, signed(t, key)), good, "", 1))),
	} {
		d := signed(t, key)
		d.Signature = signature
		denied(t, what, d.VerifySignature(public))
	}
}

func sign(t *testing.T, key nkeys.KeyPair, text string) []byte {
	t.Helper()
	signature, err := key.Sign([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// TestDecisionSignatureGolden pins what is signed: signatures are verified years
// later. The key is the one of RFC 8032, test 1.
func TestDecisionSignatureGolden(t *testing.T) {
	t.Parallel()
	const (
		want = "yAEkh0HZJP08MUG_q3QayxO5ONl7KMJiyOo3ynGnz30rq49xCTvbiRtGCD8a7NdV0XDQbZFAbdYf5Dg-pRpPBw"
		seed = "\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60"
	)
	key, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, []byte(seed))
	if err != nil {
		t.Fatal(err)
	}
	if got := signed(t, key).Signature; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSignWithoutPrivateKey(t *testing.T) {
	t.Parallel()
	_, public := reviewer(t)
	key, err := nkeys.FromPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := (schemas.Decision{Agent: bot, Intent: id}).Sign(key); err == nil || !strings.Contains(err.Error(), "bot/"+string(id)) {
		t.Errorf("got %+v, %v, want an error that names the intent", d, err)
	}
}

// TestSignWhatIsNotText: a reason from a terminal in another encoding is signed as
// it will be read.
func TestSignWhatIsNotText(t *testing.T) {
	t.Parallel()
	key, public := reviewer(t)
	d := signed(t, key)
	d.Reason = "caf\xe9"
	d, err := d.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	var back schemas.Decision
	if err := schemas.Read(record(schemas.Decisions, 3, d), &back); err != nil {
		t.Fatal(err)
	}
	if err := back.VerifySignature(public); err != nil {
		t.Error(err)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for v, want := range map[schemas.Verdict][2]bool{ // valid, on a doubt
		schemas.Approve: {true, false}, schemas.Deny: {true, false},
		schemas.WasDone: {true, true}, schemas.WasNotDone: {true, true}, schemas.Retry: {true, true},
		"": {}, "Approve": {}, "approved": {}, "park": {},
	} {
		if got := [2]bool{v.Valid(), v.OnDoubt()}; got != want {
			t.Errorf("%q: got valid, on doubt %v, want %v", v, got, want)
		}
	}
}
