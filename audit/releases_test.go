package audit_test

import (
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
	})
}
