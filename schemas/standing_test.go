package schemas_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/holdpoint/holdpoint/schemas"
)

// attested is what a reviewer signs.
type attested interface {
	schemas.Content
	VerifySignature(publicKey string) error
}

// standings are the things to sign about a standing approval, signed.
func standings(t *testing.T, key nkeys.KeyPair) map[string]attested {
	t.Helper()
	s, err := examples()["standing"][0].(schemas.Standing).Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := examples()["revocation"][0].(schemas.Revocation).Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]attested{"standing": s, "revocation": r}
}

func TestStandingSignature(t *testing.T) {
	t.Parallel()
	key, public := reviewer(t)
	other, otherPublic := reviewer(t)
	for name, signed := range standings(t, key) {
		if err := signed.VerifySignature(public); err != nil {
			t.Errorf("%s: own key: %v", name, err)
		}
		back := reflect.New(reflect.TypeOf(signed))
		if err := schemas.Read(record(schemas.Standings, 3, signed), back.Interface().(schemas.Content)); err != nil {
			t.Fatal(err)
		}
		if err := back.Elem().Interface().(attested).VerifySignature(public); err != nil {
			t.Errorf("%s after it travelled: %v", name, err)
		}
		denied(t, name+" checked with another key", signed.VerifySignature(otherPublic))
		denied(t, name+" signed with another key", standings(t, other)[name].VerifySignature(public))
	}
}

// TestStandingSignatureCoversEveryField: nothing of what was signed can be changed,
// and what was signed as one thing is no other.
func TestStandingSignatureCoversEveryField(t *testing.T) {
	t.Parallel()
	key, public := reviewer(t)
	for name := range standings(t, key) {
		for f := range reflect.TypeOf(standings(t, key)[name]).Fields() {
			signed := reflect.New(reflect.TypeOf(standings(t, key)[name])).Elem()
			signed.Set(reflect.ValueOf(standings(t, key)[name]))
			switch v := signed.FieldByIndex(f.Index); v.Interface().(type) {
			case time.Time:
				v.Set(reflect.ValueOf(noon.Add(time.Nanosecond)))
			case int:
				v.SetInt(v.Int() + 1)
			default:
				v.SetString("A" + v.String())
			}
			denied(t, name+"."+f.Name+" changed", signed.Interface().(attested).VerifySignature(public))
			if f.Name != "Signature" {
				signed.FieldByIndex(f.Index).SetZero()
				denied(t, name+"."+f.Name+" left out", signed.Interface().(attested).VerifySignature(public))
			}
		}
	}
	r := standings(t, key)["revocation"].(schemas.Revocation)
	d := schemas.Decision{Reviewer: r.Reviewer, Queue: r.Queue, Agent: r.Agent, Intent: r.ID, Reason: r.Reason, Signature: r.Signature}
	denied(t, "a revocation as a decision", d.VerifySignature(public))
	s := schemas.Standing{ID: r.ID, Reviewer: r.Reviewer, Queue: r.Queue, Agent: r.Agent, Reason: r.Reason, At: r.At, Signature: r.Signature}
	denied(t, "a revocation as a standing approval", s.VerifySignature(public))
}

// TestStandingSignatureGolden pins what is signed, with the key of RFC 8032, test 1.
func TestStandingSignatureGolden(t *testing.T) {
	t.Parallel()
	const seed = "\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60"
	key, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, []byte(seed))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"standing":   "ussIYsLy2cE5-fN6B7ZJ6VmZCnruBWAdr8PEFLt3cKt3AfcdSu0CEK2NClRlzFHhG0SRmq-HgZ_Gd0qrukxKCQ",
		"revocation": "BUb-dGRlCdD_nR_U_WQRMvPx7lu9VAtJCyH4EszPETqfGq2ly5oMmExc0CEj9CfQUnK8l07CypT3PPSIZzoPAg",
	} {
		if got := reflect.ValueOf(standings(t, key)[name]).FieldByName("Signature").String(); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestSignStandingWithoutPrivateKey(t *testing.T) {
	t.Parallel()
	_, public := reviewer(t)
	key, err := nkeys.FromPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := (schemas.Standing{Agent: bot, ID: id}).Sign(key); err == nil || !strings.Contains(err.Error(), "bot/"+string(id)) {
		t.Errorf("got %+v, %v, want an error that names the approval", s, err)
	}
	if r, err := (schemas.Revocation{Agent: bot, ID: id}).Sign(key); err == nil || !strings.Contains(err.Error(), "bot/"+string(id)) {
		t.Errorf("got %+v, %v, want an error that names the approval", r, err)
	}
}

// TestStandingCheck: what no policy can allow is refused by itself.
func TestStandingCheck(t *testing.T) {
	t.Parallel()
	for names, change := range map[string]func(*schemas.Standing){
		"":              func(*schemas.Standing) {},
		"0 uses":        func(s *schemas.Standing) { s.Uses = 0 },
		"1001 uses":     func(s *schemas.Standing) { s.Uses = schemas.MaxStandingUses + 1 },
		"-1 uses":       func(s *schemas.Standing) { s.Uses = -1 },
		"for 0s":        func(s *schemas.Standing) { s.Until = s.At },
		"for -1s":       func(s *schemas.Standing) { s.Until = s.At.Add(-time.Second) },
		"for 168h0m1s":  func(s *schemas.Standing) { s.Until = s.At.Add(schemas.MaxStandingFor + time.Second) },
		"1025 bytes":    func(s *schemas.Standing) { s.When = fill(schemas.MaxStandingWhen + 1) },
		"no reason":     func(s *schemas.Standing) { s.Reason = " " },
		"reason of 102": func(s *schemas.Standing) { s.Reason = fill(schemas.MaxReason + 1) },
	} {
		s := examples()["standing"][0].(schemas.Standing)
		change(&s)
		if err := s.Check(); names == "" && err != nil || names != "" && (!isFault(err) || !strings.Contains(err.Error(), names)) {
			t.Errorf("%+v: got %v, want a Fault that says %q", s, err, names)
		}
	}
	r := examples()["revocation"][0].(schemas.Revocation)
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	r.Reason = fill(schemas.MaxReason + 1)
	if err := r.Check(); !isFault(err) {
		t.Errorf("a long reason: got %v, want a Fault", err)
	}
}
