package replay_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

const benchCatalog = `version: 1
systems:
  shop:
    queue: refunds
    operations:
      refund:
        effect: write
        params:
          type: object
          required: [order, amount_cents, currency]
          additionalProperties: false
          properties:
            order: {type: string, maxLength: 40}
            amount_cents: {type: integer, minimum: 0}
            currency: {enum: [EUR, USD, GBP, CHF]}
            note: {type: string}
  other:
    queue: other
    operations:
`

// conditions are ten of the kind that policies have, of which the first releases
// most.
func benchPolicy(small, others int, budget bool) string {
	var b strings.Builder
	b.WriteString("version: 1\nrules:\n")
	for i, when := range []string{
		fmt.Sprintf("params.amount_cents <= %d", small),
		"params.amount_cents > 100000 && params.currency == 'EUR'",
		"agent.owner == 'eve' || 'suspended' in agent.groups",
		"'untrusted' in exposure.labels",
		"rate > 100",
		"params.order.startsWith('test_')",
		"params.order.matches('^ord_x[0-9]+$')",
		"has(params.note) && params.note.size() > 500",
	} {
		outcome := "park"
		if i == 0 {
			outcome = "release"
		}
		fmt.Fprintf(&b, "  - {id: r%d, at: recommend, actions: [shop.refund], outcome: %s, when: %q, reason: because of %d}\n", i, outcome, when, i)
	}
	for i := range others {
		fmt.Fprintf(&b, "  - {id: other-%d, at: recommend, actions: [other.op%d], outcome: park, when: params.amount > %d}\n", i, i/100, i)
	}
	b.WriteString("approvals:\n  - {id: finance, actions: [shop.refund], eligible: \"'finance' in reviewer.groups\", quorum: 1}\n")
	if budget {
		b.WriteString("budgets:\n  - {id: a-day, actions: [shop.refund], key: agent.name, amount: params.amount_cents, limit: 100000000, window: 24h, beyond: park}\n")
	}
	return b.String()
}

func writeBundle(t testing.TB, catalog, policy string) *rules.Bundle {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"catalog.yaml": catalog, "policy.yaml": policy} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bundle, err := replay.Load(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

func benchBundle(t testing.TB, small, others int, budget bool) *rules.Bundle {
	catalog := benchCatalog
	for i := range 100 {
		catalog += fmt.Sprintf("      op%d: {effect: write, params: {type: object}}\n", i)
	}
	return writeBundle(t, catalog, benchPolicy(small, others, budget))
}

// registry knows every agent.
type registry struct{}

func (registry) ByName(name schemas.Name) (schemas.Identity, bool) {
	return schemas.Identity{Name: name, Role: schemas.RoleAgent, Owner: "olga", Groups: []string{"support"}}, true
}

func (r registry) Ever(name schemas.Name) (schemas.Identity, bool) { return r.ByName(name) }

// gate writes what a gate with a bundle writes, for a history.
type gate struct {
	t      testing.TB
	bundle *rules.Bundle
	judge  *stages.Offline
	seqs   map[schemas.Stream]uint64
	at     time.Time
	audit  []replay.Entry
	copied uint64
}

func newGate(t testing.TB, bundle *rules.Bundle) *gate {
	return &gate{
		t: t, bundle: bundle, judge: stages.NewOffline("shop", bundle, registry{}), seqs: map[schemas.Stream]uint64{},
		at: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC),
	}
}

// write puts a record into its stream, and its copy into AUDIT.
func (g *gate) write(stream schemas.Stream, d schemas.Draft) schemas.Record {
	g.seqs[stream]++
	r := schemas.Record{Stream: stream, Seq: g.seqs[stream], Subject: d.Subject, Time: g.at, Header: d.Header, Body: d.Body}
	g.copied++
	g.audit = append(g.audit, replay.EntryOf(g.copied, r))
	return r
}

func (g *gate) say(stream schemas.Stream, c schemas.Content) schemas.Record {
	return g.write(stream, schemas.Write(c, "/gateways/shop/stage", g.at, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
}

// propose lets an agent propose something, and the three stages handle it.
func (g *gate) propose(agent schemas.Name, action schemas.Action, p schemas.Proposal, past stages.Past) {
	g.t.Helper()
	g.at = g.at.Add(time.Second)
	d, err := schemas.Propose(schemas.Key{Agent: agent, ID: schemas.NewIntentID(g.at)}, action, p, g.at)
	if err != nil {
		g.t.Fatal(err)
	}
	r := g.write(schemas.Intents, d)
	j, err := g.judge.Judge(g.t.Context(), r, past)
	if err != nil {
		g.t.Fatal(err)
	}
	o := schemas.Observation{
		Intent: j.Intent, Fault: j.Fault, Agent: schemas.AgentFacts{Name: agent, Owner: "olga", Groups: []string{"support"}},
		Exposure: past.Exposure.Facts("", g.at), Rate: past.Rate, Opinion: schemas.Opinion{Outcome: schemas.Release},
		Bundle: g.bundle.Digest(), At: g.at, Trail: []schemas.Pointer{r.Pointer()},
	}
	if j.Fault != nil {
		o.Opinion, o.Exposure = schemas.Opinion{Outcome: schemas.Refuse}, schemas.ExposureFacts{}
	}
	seen := g.say(schemas.Observed, o)
	rec := schemas.Recommendation{
		Intent: o.Intent, Fault: j.Fault, Opinion: j.Opinion, Queue: j.Queue, Bundle: g.bundle.Digest(), At: g.at,
		Trail: []schemas.Pointer{r.Pointer(), seen.Pointer()},
	}
	said := g.say(schemas.Recommended, rec)
	g.act(j, append(rec.Trail, said.Pointer()))
}

// act settles or parks what was judged.
func (g *gate) act(j stages.Judgement, trail []schemas.Pointer) {
	if j.Outcome == schemas.Park {
		h := schemas.Hold{
			Intent: j.Intent, State: schemas.Parked, Queue: j.Queue, Opinion: j.Opinion, Recommended: j.Opinion.Requirements(),
			Deadline: j.Intent.Expires(), Bundle: g.bundle.Digest(), At: g.at, Trail: trail,
		}
		first := g.say(schemas.ParkedHolds, h)
		next := h.Next(first.Hash(), g.at)
		next.State = schemas.Refused
		g.say(schemas.Settled, schemas.Settlement{
			Intent: j.Intent, Outcome: schemas.Refuse, Code: schemas.CodeDenied, Bundle: g.bundle.Digest(), At: g.at,
			Trail: append(trail, first.Pointer()),
		})
		g.say(schemas.ParkedHolds, next)
		return
	}
	s := schemas.Settlement{Intent: j.Intent, Outcome: j.Outcome, Bundle: g.bundle.Digest(), At: g.at, Trail: trail, Tell: j.Opinion.Tell}
	switch {
	case j.Fault != nil:
		s.Code, s.Detail = j.Fault.Code, j.Fault.Detail
	case j.Outcome == schemas.Refuse:
		s.Code = schemas.CodePolicy
	default:
		s.ExecuteBy = g.at.Add(time.Hour)
	}
	g.say(schemas.Settled, s)
}

// lines returns entries as an export has them.
func lines(t testing.TB, entries []replay.Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, e := range entries {
		line, err := schemas.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes()
}

// refunds proposes refunds, one in ten of which is large.
func (g *gate) refunds(n int) {
	for i := range n {
		amount := 100 + i%40*100
		if i%10 == 9 {
			amount *= 100
		}
		g.propose(schemas.Name(fmt.Sprintf("billing-%d", i%50)), "shop.refund", schemas.Proposal{
			Params: fmt.Appendf(nil, `{"amount_cents":%d,"currency":"EUR","note":"arrived broken, photo attached","order":"ord_%08d"}`, amount, i),
			Reason: "the customer sent a photo of the broken item", Goal: "answer ticket 17",
		}, stages.Past{Rate: 3})
	}
}
