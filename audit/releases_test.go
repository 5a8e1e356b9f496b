package audit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

func TestReleases(t *testing.T) {
	expiring := func(h *history) *intent {
		d, err := schemas.Propose(schemas.Key{Agent: "bot", ID: schemas.NewIntentID(h.now)}, "shop.refund", schemas.Proposal{Params: []byte(`{}`), ExpiresIn: 60}, h.now)
		if err != nil {
			h.t.Fatal(err)
		}
		return h.proposed(h.put(d))
	}
	fault := &schemas.Fault{Code: schemas.CodeInvalid}
	testTamperings(t, map[string]tampering{
		"no trail": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).release(func(s *schemas.Settlement) { s.Trail = nil }).settled, "without naming the intent, an observation and a recommendation"
		},
		"no recommendation": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).release(func(s *schemas.Settlement) { s.Trail = s.Trail[:2] }).settled, "without naming"
		},
		"an observation for a recommendation": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).release(func(s *schemas.Settlement) { s.Trail[2] = s.Trail[1] }).settled, "without naming"
		},
		"no observation": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).release(func(s *schemas.Settlement) { s.Trail[1] = s.Trail[2] }).settled, "without naming"
		},
		"no intent": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).release(func(s *schemas.Settlement) { s.Trail[0] = s.Trail[2] }).settled, "without naming"
		},
		"an intent that never was": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			i.trail[0].Seq = 1000
			i.trail[0].Hash = digestOf("x")
			return i.observe().recommend(releases).release().settled, "names INTENTS/1000, which is not in AUDIT"
		},
		"an observation that never was": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).release(func(s *schemas.Settlement) { s.Trail[1].Seq = 1000 }).settled, "names OBSERVED/1000, which is not in AUDIT"
		},
		"a recommendation that never was": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).release(func(s *schemas.Settlement) { s.Trail[2].Seq = 1000 }).settled, "names RECOMMENDED/1000, which is not in AUDIT"
		},
		"a hold that never was": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			return i.release(func(s *schemas.Settlement) {
				s.Trail = append(s.Trail, schemas.Pointer{Stream: schemas.ParkedHolds, Seq: 1000, Hash: digestOf("x")})
			}).settled, "names PARKED/1000, which is not in AUDIT"
		},
		"another intent": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			i.trail[0].Hash = digestOf("x")
			return i.observe().recommend(releases).release().settled, "which says something else"
		},
		"another observation": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).release(func(s *schemas.Settlement) { s.Trail[1].Hash = digestOf("x") }).settled, "names OBSERVED/2, which says something else"
		},
		"another recommendation": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).release(func(s *schemas.Settlement) { s.Trail[2].Hash = digestOf("x") }).settled, "names RECOMMENDED/2, which says something else"
		},
		"another hold": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(1)).park().vote("ann", schemas.Approve)
			return i.release(func(s *schemas.Settlement) { s.Trail[3].Hash = digestOf("x") }).settled, "names PARKED/2, which says something else"
		},
		"the recommendation of another intent": func(h *history) (schemas.Pointer, string) {
			other, i := h.refund(releases), h.refund(parks(1))
			i.trail = other.trail
			return i.release().settled, "is about something else"
		},
		"the proposal of another intent": func(h *history) (schemas.Pointer, string) {
			other, i := h.propose("shop.refund", `{}`), h.propose("shop.refund", `{}`)
			i.trail = other.trail
			return i.observe().recommend(releases).release().settled, "releases something else than was proposed"
		},
		"other params": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{"amount":1}`)
			i.Params = []byte(`{"amount":1000}`)
			i.Digest = schemas.DigestOf(i.Intent)
			return i.observe().recommend(releases).release().settled, "releases something else than was proposed"
		},
		"other params after the recommendation": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			i.Params = []byte(`{"amount":1000}`)
			i.Digest = schemas.DigestOf(i.Intent)
			return i.release().settled, "releases something else than was proposed"
		},
		"other params in the observation": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{"amount":1000}`)
			proposed := i.Intent
			i.Params = []byte(`{"amount":1}`)
			i.Digest = schemas.DigestOf(i.Intent)
			i.observe()
			i.Intent = proposed
			return i.recommend(releases).release().settled, "releases something else than OBSERVED/2 and RECOMMENDED/2 are about"
		},
		"other params in the recommendation": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{"amount":1000}`).observe()
			proposed := i.Intent
			i.Params = []byte(`{"amount":1}`)
			i.Digest = schemas.DigestOf(i.Intent)
			i.recommend(releases)
			i.Intent = proposed
			return i.release().settled, "releases something else than OBSERVED/2 and RECOMMENDED/2 are about"
		},
		"other params under the same digest": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			i.Params = []byte(`{"amount":1000}`)
			return i.release().settled, "has been changed"
		},
		"no params": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			i.Params = nil
			return i.release().settled, "releases what cannot be read"
		},
		"another gateway": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			i.Gateway = "other"
			i.Digest = schemas.DigestOf(i.Intent)
			return i.release().settled, "intent of gateway other"
		},
		"a trail of its own": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			first := i.trail[1]
			i.observe().recommend(releases)
			return i.release(func(s *schemas.Settlement) { s.Trail[1] = first }).settled, "does not follow the trail of RECOMMENDED/3"
		},
		"an observation of another record": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`)
			first := i.trail[0]
			i = h.proposeAs(i.Key(), "shop.refund", `{}`).observe().recommend(releases, func(r *schemas.Recommendation) { r.Trail = []schemas.Pointer{first, r.Trail[1]} })
			i.trail[0] = first
			return i.release().settled, "does not follow the trail of RECOMMENDED/2"
		},
		"an observation with a fault": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`).observe(func(o *schemas.Observation) { o.Fault = fault }).recommend(releases)
			return i.release().settled, "releases what OBSERVED/2 refuses"
		},
		"an observation that refuses": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`).observe(func(o *schemas.Observation) { o.Opinion.Outcome = schemas.Refuse }).recommend(releases)
			return i.release().settled, "releases what OBSERVED/2 refuses"
		},
		"a recommendation with a fault": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`).observe().recommend(releases, func(r *schemas.Recommendation) { r.Fault = fault })
			return i.release().settled, "releases what RECOMMENDED/2 refuses"
		},
		"a recommendation that refuses": func(h *history) (schemas.Pointer, string) {
			return h.refund(schemas.Opinion{Outcome: schemas.Refuse}).release().settled, "releases what RECOMMENDED/2 refuses"
		},
		"an observation that parks": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`).observe(func(o *schemas.Observation) { o.Opinion.Outcome = schemas.Park }).recommend(releases)
			return i.release().settled, "asks for less than OBSERVED/2"
		},
		"an observation that wants more approvals": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`).observe(func(o *schemas.Observation) { o.Opinion = parks(2) }).recommend(parks(1))
			return i.park().vote("ann", schemas.Approve).release().settled, "asks for less than OBSERVED/2"
		},
		"another time of proposal": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			i.Proposed = i.Proposed.Add(time.Hour)
			return i.release().settled, "is older than RECOMMENDED/2"
		},
		"before the recommendation": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			return i.release(func(s *schemas.Settlement) { s.At = s.At.Add(-11 * time.Second) }).settled, "is older than RECOMMENDED/2"
		},
		"before the hold": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(1))
			h.wait(time.Minute)
			i.park().vote("ann", schemas.Approve)
			return i.release(func(s *schemas.Settlement) { s.At = s.At.Add(-11 * time.Second) }).settled, "is older than PARKED/2"
		},
		"an id of long ago": func(h *history) (schemas.Pointer, string) {
			d, err := schemas.Propose(schemas.Key{Agent: "bot", ID: schemas.NewIntentID(noon)}, "shop.refund", schemas.Proposal{Params: []byte(`{}`)}, noon)
			if err != nil {
				h.t.Fatal(err)
			}
			h.wait(100 * time.Hour)
			p := h.put(d)
			r := h.records[h.at(p)]
			r.Time = noon
			in, _ := schemas.ReadIntent(gate, r)
			in.Proposed = h.now
			i := &intent{history: h, Intent: in, trail: []schemas.Pointer{p}}
			return i.observe().recommend(releases).release().settled, "which cannot be"
		},
		"proposed later than it was": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`)
			i.Proposed = h.records[len(h.records)-1].Time.Add(100 * 24 * time.Hour)
			return i.observe().recommend(releases).release().settled, "which cannot be"
		},
		"expired": func(h *history) (schemas.Pointer, string) {
			i := expiring(h).observe().recommend(releases)
			h.wait(71 * time.Second)
			return i.release().settled, "expired before"
		},
		"an agent that was removed": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			h.write(schemas.Removal{By: "ida", Name: "bot", At: h.now})
			h.wait(11 * time.Second)
			p := i.release().settled
			h.register(schemas.Identity{Name: "mailer2", Key: public("dan"), Role: schemas.RoleAgent})
			return p, "bot, who was removed"
		},
		"an agent that nobody registered": func(h *history) (schemas.Pointer, string) {
			i := h.proposeAs(schemas.Key{Agent: "bot2", ID: schemas.NewIntentID(h.now)}, "shop.refund", `{}`)
			return i.observe().recommend(releases).release().settled, "bot2, whom CONTROL does not register"
		},
		"an agent that is a reviewer": func(h *history) (schemas.Pointer, string) {
			i := h.proposeAs(schemas.Key{Agent: "ann", ID: schemas.NewIntentID(h.now)}, "shop.refund", `{}`)
			return i.observe().recommend(releases).release().settled, "ann, who is no agent"
		},
		"an action that is not the agent's": func(h *history) (schemas.Pointer, string) {
			return h.propose("mail.send", `{}`).observe().recommend(releases).release().settled, "for which bot is not registered"
		},
		"a withdrawal that was refused": func(h *history) (schemas.Pointer, string) {
			i := h.propose(schemas.Withdraw, `{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}`).observe().recommend(schemas.Opinion{Outcome: schemas.Refuse})
			return i.release().settled, "releases what RECOMMENDED/2 refuses"
		},
		"other words in the observation": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`).observe(func(o *schemas.Observation) { o.Intent.Reason = "please" })
			return i.recommend(releases).release().settled, "releases something else than OBSERVED/2 and RECOMMENDED/2 are about"
		},
		"other words in the recommendation": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`).observe()
			i.recommend(releases, func(r *schemas.Recommendation) { r.Intent.Goal = "to help" })
			return i.release().settled, "releases something else than OBSERVED/2 and RECOMMENDED/2 are about"
		},
		"other words than were proposed": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`)
			i.Reason = "please"
			return i.observe().recommend(releases).release().settled, "releases something else than was proposed in INTENTS/2"
		},
		"an agent of somebody else": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`).observe(func(o *schemas.Observation) { o.Agent.Owner = "opal" })
			return i.recommend(releases).release().settled, "names OBSERVED/2, which takes bot for somebody else"
		},
		"an agent in another group": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`).observe(func(o *schemas.Observation) { o.Agent.Groups = []string{"trusted"} })
			return i.recommend(releases).release().settled, "names OBSERVED/2, which takes bot for somebody else"
		},
		"an observation by no bundle": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`).observe(func(o *schemas.Observation) { o.Bundle = digestOf("x") })
			return i.recommend(releases).release().settled, "names OBSERVED/2, which goes by bundle " + digestOf("x").Short() + ", which nobody had activated"
		},
		"a recommendation by no bundle": func(h *history) (schemas.Pointer, string) {
			i := h.propose("shop.refund", `{}`).observe().recommend(releases, func(r *schemas.Recommendation) { r.Bundle = "" })
			return i.release().settled, "names RECOMMENDED/2, which goes by bundle , which nobody had activated"
		},
		"by a bundle that became active later": func(h *history) (schemas.Pointer, string) {
			p := h.refund(releases).release(func(s *schemas.Settlement) { s.Bundle = digestOf("later") }).settled
			h.wait(11 * time.Second)
			h.write(schemas.Activation{By: "pat", Bundle: digestOf("later"), At: h.now})
			return p, "goes by bundle " + digestOf("later").Short()
		},
		"to be claimed when it is over": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			p := i.release(func(s *schemas.Settlement) { s.ExecuteBy = i.Expires().Add(time.Second) }).settled
			return p, "may be claimed until 2026-03-07T12:00:01Z, and expires 2026-03-07T12:00:00Z"
		},
		"on the word of who had no part in it": func(h *history) (schemas.Pointer, string) {
			other := h.refund(parks(2)).park().vote("ann", schemas.Approve)
			i := h.refund(releases)
			return i.release(func(s *schemas.Settlement) { s.Trail = append(s.Trail, other.hold.Votes[0].Decision) }).settled, "names DECISIONS/1, which has no part in it"
		},
		"past its hold": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases)
			held := i.park(func(h *schemas.Hold) {
				h.Opinion = parks(1)
				h.Deadline, _ = h.Opinion.Deadline(h.At, h.Intent.Expires())
			}).held
			h.wait(11 * time.Second)
			i.held.Seq = 0
			return i.release().settled, "passes over " + held.String()
		},
		"after its deadline": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(1)).park().vote("ann", schemas.Approve)
			h.wait(time.Hour + 11*time.Second)
			return i.release().settled, "releases after the deadline of PARKED/2"
		},
		"an exposure that never was": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).release(func(s *schemas.Settlement) {
				s.Trail = append(s.Trail, schemas.Pointer{Stream: schemas.Exposed, Seq: 1000, Hash: digestOf("x")})
			}).settled, "names EXPOSED/1000, which is not in AUDIT"
		},
		"another exposure": func(h *history) (schemas.Pointer, string) {
			p := h.expose("bot")
			p.Hash = digestOf("x")
			return h.refund(releases).release(func(s *schemas.Settlement) { s.Trail = append(s.Trail, p) }).settled, "names EXPOSED/1, which says something else"
		},
		"the exposure of another": func(h *history) (schemas.Pointer, string) {
			p := h.expose("bit")
			return h.refund(releases).release(func(s *schemas.Settlement) { s.Trail = append(s.Trail, p) }).settled, "or is about something else"
		},
		"a withdrawal of what was never there": func(h *history) (schemas.Pointer, string) {
			i := h.propose(schemas.Withdraw, `{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV"}`).observe().recommend(releases)
			return i.release().settled, "says that bot/01ARZ3NDEKTSV4RRFFQ69G5FAV is withdrawn, and it is not"
		},
		"a withdrawal of nothing": func(h *history) (schemas.Pointer, string) {
			return h.propose(schemas.Withdraw, `{}`).observe().recommend(releases).release().settled, "releases a withdrawal of nothing"
		},
		"a withdrawal of what goes on": func(h *history) (schemas.Pointer, string) {
			other := h.refund(releases).release()
			i := h.propose(schemas.Withdraw, fmt.Sprintf(`{"id":%q}`, other.ID)).observe().recommend(releases)
			return i.release().settled, "is withdrawn, and it is not"
		},
		"a withdrawal of what was refused otherwise, long ago": func(h *history) (schemas.Pointer, string) {
			other := h.refund(releases).refuse(schemas.CodePolicy)
			h.wait(time.Hour)
			h.perform()
			i := h.propose(schemas.Withdraw, fmt.Sprintf(`{"id":%q}`, other.ID)).observe().recommend(releases)
			return i.release().settled, "is withdrawn, and it is not"
		},
	})
}

// TestDates: what execute writes while its clock agrees with the broker's says when
// that was, or else it could step around a freeze, a removal, or a lease.
func TestDates(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	early := h.refund(releases)
	i := h.look(releases).release().claim("runner")
	h.wait(2 * time.Minute)
	h.perform()
	late := early.release(func(s *schemas.Settlement) { s.At = s.At.Add(-119 * time.Second) }).settled
	h.perform()
	soon := h.refund(releases).release(func(s *schemas.Settlement) { s.At = s.At.Add(11 * time.Second) }).settled
	i.now = h.now
	again := i.claim("sprinter", func(g *schemas.Grant) { g.At = g.At.Add(time.Minute) }).granted
	seen := h.write(schemas.Exposure{Agent: "bot", At: h.now.Add(time.Hour)})
	got := h.verify()
	for p, want := range map[schemas.Pointer]string{
		late:  "is dated 2026-03-04T12:00:01Z, and SETTLED/2, which stands before it, 2026-03-04T12:02:00Z",
		soon:  "is dated 2026-03-04T12:02:11Z, and AUDIT got it before",
		again: "AUDIT got it before",
		seen:  "AUDIT got it before",
	} {
		if !found(got, h.records[h.at(p)], want) {
			t.Errorf("%s: found %v, want %s", p, got.Findings, want)
		}
	}
	if len(got.Findings) != 4 {
		t.Errorf("found %v, want these four", got.Findings)
	}
}
