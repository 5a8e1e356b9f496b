package main

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// decisionOn returns a decision that counts on a hold, unsigned.
func decisionOn(h client.Held, reviewer schemas.Name, verdict schemas.Verdict) schemas.Decision {
	return schemas.Decision{
		Reviewer: reviewer, Queue: h.Queue, Agent: h.Intent.Agent, Intent: h.Intent.ID, Digest: h.Intent.Digest,
		Verdict: verdict, Reason: "seen", Shown: h.Record.Hash(),
	}
}

// change is a mutation of what a decision says, before it is signed.
type change struct {
	name     string
	hopeless bool
	change   func(*rand.Rand, *schemas.Decision)
}

// changes are those that a reviewer could make who signs anything. Other is
// another hold.
func changes(other client.Held) []change {
	return []change{
		{"a digest of something else", true, func(r *rand.Rand, d *schemas.Decision) {
			d.Digest = pick(r, other.Intent.Digest, "sha256:", "", d.Digest[:70], schemas.Digest(strings.ToUpper(string(d.Digest))), d.Digest+"0", d.Shown)
		}},
		{"a view that never was", true, func(r *rand.Rand, d *schemas.Decision) {
			d.Shown = pick(r, other.Record.Hash(), "", "sha256:x", d.Digest)
		}},
		{"a verdict that is none", true, func(r *rand.Rand, d *schemas.Decision) {
			d.Verdict = pick[schemas.Verdict](r, "", "Approve", "release", "approve ", "yes", "null")
		}},
		{"a verdict on a doubt that is not there", true, func(r *rand.Rand, d *schemas.Decision) {
			d.Verdict = pick(r, schemas.WasDone, schemas.WasNotDone, schemas.Retry)
		}},
		{"another verdict", false, func(r *rand.Rand, d *schemas.Decision) { d.Verdict = pick(r, schemas.Approve, schemas.Deny) }},
		{"a denial without a reason", true, func(_ *rand.Rand, d *schemas.Decision) { d.Verdict, d.Reason = schemas.Deny, "" }},
		{"a reason that is too long", true, func(r *rand.Rand, d *schemas.Decision) {
			d.Reason = strings.Repeat("x", schemas.MaxReason+1+r.IntN(20_000))
		}},
		{"a reason that is odd", false, func(r *rand.Rand, d *schemas.Decision) {
			d.Reason = pick(r, "\x00\x1b[2J", "\u202e\u2028", "é", strings.Repeat("x", schemas.MaxReason), "{{.}}", "\ufffd")
		}},
		{"an intent that is none", true, func(r *rand.Rand, d *schemas.Decision) {
			d.Intent = pick(r, "", "x", "*", ">", d.Intent+"0", d.Intent[1:], someID, schemas.SequenceID(uint64(1+r.IntN(50))), "é")
		}},
		{"an agent that is none", true, func(r *rand.Rand, d *schemas.Decision) {
			d.Agent = pick(r, "", "nobody", "*", "Bot", schemas.Name(strings.Repeat("x", 33)), "eve", "a/b")
		}},
		{"another queue", true, func(r *rand.Rand, d *schemas.Decision) { d.Queue = "default" }},
		{"another reviewer's name", true, func(r *rand.Rand, d *schemas.Decision) {
			d.Reviewer = pick(r, d.Reviewer[1:], d.Reviewer+"x", "eve", "execute", "", "ANN")
		}},
	}
}

// signatureMutations are those of the signature, and of what was signed.
func signatureMutations(stranger nkeys.KeyPair, d schemas.Decision) []mutation {
	return []mutation{
		{"a signature that is none", true, func(r *rand.Rand, m *rawMsg) {
			s := d.Signature
			b, err := base64.RawURLEncoding.DecodeString(s)
			if err != nil {
				panic(err)
			}
			b[r.IntN(len(b))] ^= byte(1 << r.IntN(8))
			m.set("signature", pick(r, "", "x", s[:len(s)-1], s+"AA", s+"==", strings.Repeat("A", 86), base64.RawURLEncoding.EncodeToString(b), "é", "\x00", base64.RawURLEncoding.EncodeToString(make([]byte, 20_000))))
		}},
		{"a stranger's signature", true, func(_ *rand.Rand, m *rawMsg) {
			signed, err := d.Sign(stranger)
			if err != nil {
				panic(err)
			}
			m.set("signature", signed.Signature)
		}},
		{"something else than was signed", true, func(r *rand.Rand, m *rawMsg) {
			m.set("reason", pick(r, "changed", "", "seen "))
		}},
		{"another subject than the decision says", true, func(r *rand.Rand, m *rawMsg) {
			tokens := strings.Split(m.subject, ".")
			at := pick(r, 2, 3, 4)
			if at == 2 {
				tokens[at] = "default" // the broker lets a reviewer write to its own queues only
			} else {
				tokens[at] = pick(r, oddTokens(r), string(someID), "nobody")
			}
			m.subject = strings.Join(tokens, ".")
		}},
		{"more than the largest size", true, func(r *rand.Rand, m *rawMsg) { m.grow("reason", schemas.MaxIntentSize+1+r.IntN(9000)) }},
		{"the largest size", true, func(r *rand.Rand, m *rawMsg) { m.grow("reason", schemas.MaxIntentSize) }},
	}
}
