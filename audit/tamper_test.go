package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/schemas"
)

// tampering is a history with something in it that a correct gate does not write.
// It returns the record that is to be found, and what is said of it.
type tampering func(h *history) (schemas.Pointer, string)

// testTamperings makes sure that each is found first where it is, and in whatever
// order the origins are copied. Where a title ends in brackets, that order decides
// what is found.
func testTamperings(t *testing.T, all map[string]tampering) {
	t.Parallel()
	for title, tamper := range all {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t)
			h.refund(releases).release().claim("runner").report(schemas.Done)
			p, want := tamper(h)
			h.wait(time.Hour)
			h.refund(releases).release().claim("runner").report(schemas.Done)
			first := h.verify().First()
			if first == nil {
				t.Fatalf("nothing was found, want %s: %s", p, want)
			}
			if first.Stream != p.Stream || first.Seq != p.Seq || !strings.Contains(first.Text, want) {
				t.Fatalf("found %v\nwant %s: %s", first, p, want)
			}
			if strings.HasSuffix(title, ")") {
				return
			}
			for seed := range uint64(8) {
				mixed := interleaved(seed, h.records, 1000*time.Hour)
				for i := range mixed {
					mixed[i].Time = h.now
				}
				found := verify(mixed, h.now).Findings
				if !slices.ContainsFunc(found, func(f audit.Finding) bool {
					return f.Stream == p.Stream && f.Seq == p.Seq && f.Text == first.Text
				}) {
					t.Errorf("in order %d found %v, and not %v", seed, found, first)
				}
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	testTamperings(t, map[string]tampering{
		"settled twice": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases).release().claim("runner")
			i.report(schemas.Done)
			return i.refuse(schemas.CodeExpired).settled, "settles what was settled before"
		},
		"settled twice, long after": func(h *history) (schemas.Pointer, string) {
			i := h.refund(releases).refuse(schemas.CodePolicy)
			h.wait(24 * time.Hour)
			h.refund(releases).refuse(schemas.CodePolicy)
			return i.release().settled, "settles what was settled before"
		},
		"neither released nor refused": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).settle(schemas.Settlement{}).settled, "neither releases nor refuses"
		},
		"denied without a hold": func(h *history) (schemas.Pointer, string) {
			return h.refund(releases).refuse(schemas.CodeDenied).settled, "names no hold"
		},
		"denied by nobody": func(h *history) (schemas.Pointer, string) {
			return h.refund(parks(1)).park().refuse(schemas.CodeDenied).settled, "nobody denied it"
		},
		"denied by an approval": func(h *history) (schemas.Pointer, string) {
			return h.refund(parks(2)).park().vote("ann", schemas.Approve).refuse(schemas.CodeDenied).settled, "nobody denied it"
		},
		"denied by one who may not": func(h *history) (schemas.Pointer, string) {
			return h.refund(parks(2)).park().vote("cat2", schemas.Deny).refuse(schemas.CodeDenied).settled, "nobody denied it"
		},
		"withdrawn by nobody": func(h *history) (schemas.Pointer, string) {
			return h.refund(parks(1)).park().refuse(schemas.CodeWithdrawn).settled, "names no withdrawal"
		},
		"withdrawn by the withdrawal of another": func(h *history) (schemas.Pointer, string) {
			other, i := h.refund(parks(1)).park(), h.refund(parks(1)).park()
			w := h.propose(schemas.Withdraw, fmt.Sprintf(`{"id":%q}`, other.ID))
			i.refuse(schemas.CodeWithdrawn, func(s *schemas.Settlement) { s.Trail = append(s.Trail, w.trail[0]) })
			return i.settled, "names no withdrawal"
		},
		"withdrawn by something else": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(1)).park()
			other := h.propose("shop.refund", fmt.Sprintf(`{"id":%q}`, i.ID))
			i.refuse(schemas.CodeWithdrawn, func(s *schemas.Settlement) { s.Trail = append(s.Trail, other.trail[0]) })
			return i.settled, "names no withdrawal"
		},
	})
}

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

func TestApprovals(t *testing.T) {
	voted := func(reviewer schemas.Name, edits ...func(*schemas.Decision)) func(h *history) *intent {
		return func(h *history) *intent {
			return h.refund(parks(1)).park().vote(reviewer, schemas.Approve, edits...)
		}
	}
	held := func(tell func(h *history) *intent, want string) tampering {
		return func(h *history) (schemas.Pointer, string) {
			i := tell(h)
			p := i.held
			i.release()
			return p, want
		}
	}
	released := func(tell func(h *history) *intent, want string) tampering {
		return func(h *history) (schemas.Pointer, string) { return tell(h).release().settled, want }
	}
	testTamperings(t, map[string]tampering{
		"no hold": released(func(h *history) *intent { return h.refund(parks(1)) }, "releases what RECOMMENDED/2 parks, and names no hold"),
		"nobody":  released(func(h *history) *intent { return h.refund(parks(1)).park() }, "without the approvals"),
		"one of two": released(func(h *history) *intent {
			return h.refund(parks(2)).park().vote("ann", schemas.Approve)
		}, "without the approvals"),
		"one for two requirements": released(func(h *history) *intent {
			o := parks(1)
			o.Approvals = append(o.Approvals, schemas.Approval{ID: "another", Quorum: 1})
			return h.refund(o).park().vote("ann", schemas.Approve)
		}, "without the approvals"),
		"not eligible": released(func(h *history) *intent { return voted("cat2")(h) }, "without the approvals"),
		"an expression that does not evaluate": released(func(h *history) *intent {
			o := parks(1)
			o.Approvals[0].Eligible = "nonsense"
			return h.refund(o).park().vote("ann", schemas.Approve)
		}, "without the approvals that it needs: no such expression"),
		"a quorum beyond counting": released(func(h *history) *intent {
			o := parks(1)
			o.Approvals = append(o.Approvals, schemas.Approval{ID: "all", Quorum: 1 << 50})
			return h.refund(o).park().vote("ann", schemas.Approve)
		}, "without the approvals"),
		"a quorum that overflows": released(func(h *history) *intent {
			o := parks(1)
			for n := range 4095 {
				o.Approvals = append(o.Approvals, schemas.Approval{ID: fmt.Sprint(n), Quorum: 1 << 51})
			}
			return h.refund(o).park().vote("ann", schemas.Approve)
		}, "without the approvals"),
		"less than recommended": released(func(h *history) *intent {
			return h.refund(parks(2)).park(func(h *schemas.Hold) { h.Recommended, h.Opinion = nil, parks(1) }).vote("ann", schemas.Approve)
		}, "without the approvals"),
		"less than the hold wants": released(func(h *history) *intent {
			return h.refund(releases).park(func(h *schemas.Hold) { h.Opinion = parks(2) }).vote("ann", schemas.Approve)
		}, "without the approvals"),
		"a denial": released(func(h *history) *intent {
			return h.refund(parks(1)).park().vote("ann", schemas.Deny)
		}, "without the approvals"),
		"one who was removed": released(func(h *history) *intent {
			i := voted("ann")(h)
			h.write(schemas.Removal{By: "ida", Name: "ann", At: h.now})
			h.wait(11 * time.Second)
			return i
		}, "without the approvals"),
		"one who was removed, and once more": released(func(h *history) *intent {
			i := voted("ann")(h)
			h.write(schemas.Removal{By: "ida", Name: "ann", At: h.now})
			h.wait(11 * time.Second)
			h.write(schemas.Removal{By: "ida", Name: "ann", At: h.now})
			return i
		}, "without the approvals"),
		"a decision that the release does not name": func(h *history) (schemas.Pointer, string) {
			i := voted("ann")(h)
			return i.release(func(s *schemas.Settlement) { s.Trail = s.Trail[:4] }).settled, "does not name DECISIONS/1, which counts on PARKED/2"
		},
		"a hold that is not parked": released(func(h *history) *intent {
			i := voted("ann")(h)
			i.next(func(h *schemas.Hold) { h.State = schemas.Refused })
			return i
		}, "settles on PARKED/3, which is refused"),
		"a hold of another trail": func(h *history) (schemas.Pointer, string) {
			i := voted("ann")(h)
			return i.observe().recommend(parks(1)).release().settled, "does not follow the trail of PARKED/2"
		},
		"a hold on another digest": func(h *history) (schemas.Pointer, string) {
			i := h.refund(parks(1))
			other := h.proposeAs(i.Key(), "shop.refund", `{"order":77}`).observe().recommend(parks(1)).park().vote("ann", schemas.Approve)
			i.held, i.hold = other.held, other.hold
			return i.release().settled, "settles something else than PARKED/2 is about"
		},
		"forged": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("ann", schemas.Approve)
			d.Signature = i.says("bob", schemas.Approve).Signature
			return i.count(d, h.write(d))
		}, "counts DECISIONS/1, which ann did not sign"),
		"changed after signing": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("ann", schemas.Deny)
			d.Verdict = schemas.Approve
			return i.count(d, h.write(d))
		}, "which ann did not sign"),
		"by the owner of the agent": held(voted("eve"), "counts DECISIONS/1, by olga, who answers for bot"),
		"by an agent": held(func(h *history) *intent {
			persons := "olga"
			i := h.refund(parks(1)).park()
			d := i.says("bot", schemas.Approve)
			p := h.write(d)
			i.next(func(h *schemas.Hold) {
				h.Votes = append(h.Votes, schemas.Vote{Reviewer: "bot", Person: persons, Verdict: schemas.Approve, Decision: p, At: i.now})
			})
			return i
		}, "by bot, who may not decide"),
		"in a queue that is not the reviewer's": held(func(h *history) *intent {
			i := h.refund(parks(1)).park(func(h *schemas.Hold) { h.Queue = "legal" })
			return i.vote("ann", schemas.Approve, func(d *schemas.Decision) { d.Queue = "legal" })
		}, "may not decide in queue legal"),
		"in another queue": held(func(h *history) *intent {
			i := h.refund(parks(1)).park(func(h *schemas.Hold) { h.Queue = "legal" })
			return i.vote("ann", schemas.Approve)
		}, "may not decide in queue legal"),
		"on another digest": held(voted("ann", func(d *schemas.Decision) { d.Digest = digestOf("x") }), "is about something else"),
		"on another intent": held(func(h *history) *intent {
			other := h.refund(parks(1)).park()
			d := other.says("ann", schemas.Approve)
			return h.refund(parks(1)).park().count(d, h.write(d))
		}, "is about something else"),
		"shown what never was": held(voted("ann", func(d *schemas.Decision) { d.Shown = digestOf("x") }), "a view of the hold that never was"),
		"shown the hold of another intent": held(func(h *history) *intent {
			other := h.refund(parks(1)).park()
			return h.refund(parks(1)).park().vote("ann", schemas.Approve, func(d *schemas.Decision) { d.Shown = other.held.Hash })
		}, "a view of the hold that never was"),
		"shown what came later": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			later := i.hold.Next(i.held.Hash, h.now)
			later.Waiting = "later"
			w := schemas.Write(later, "/test", h.now, "")
			d := i.says("ann", schemas.Approve, func(d *schemas.Decision) {
				d.Shown = schemas.Record{Subject: w.Subject, Header: w.Header, Body: w.Body}.Hash()
			})
			p := h.write(d)
			i.next(func(h *schemas.Hold) {
				h.Votes = append(h.Votes, schemas.Vote{Reviewer: "ann", Person: "ann", Verdict: schemas.Approve, Decision: p, At: i.now})
			})
			h.put(w)
			return i
		}, "a view of the hold that never was"),
		"one person twice": held(func(h *history) *intent {
			o := parks(2)
			o.Approvals[0].Eligible = ""
			return h.refund(o).park().vote("cat", schemas.Approve).vote("cat2", schemas.Approve)
		}, "counts cat twice"),
		"one person twice is one": released(func(h *history) *intent {
			o := parks(2)
			o.Approvals[0].Eligible = ""
			i := h.refund(o).park().vote("cat", schemas.Approve)
			d := i.says("cat2", schemas.Approve)
			p := h.write(d)
			i.vote("ann", schemas.Deny)
			h.reject(p, schemas.CodeVoted)
			return i
		}, "without the approvals"),
		"in the name of another": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("cat2", schemas.Approve)
			p := h.write(d)
			i.next(func(h *schemas.Hold) {
				h.Votes = append(h.Votes, schemas.Vote{Reviewer: "ann", Person: "cat", Verdict: schemas.Approve, Decision: p, At: i.now})
			})
			return i
		}, "as something else than it says"),
		"for another person": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("ann", schemas.Approve)
			p := h.write(d)
			i.next(func(h *schemas.Hold) {
				h.Votes = append(h.Votes, schemas.Vote{Reviewer: "ann", Person: "bob", Verdict: schemas.Approve, Decision: p, At: i.now})
			})
			return i
		}, "as something else than it says"),
		"a denial taken for an approval": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("ann", schemas.Deny)
			p := h.write(d)
			i.next(func(h *schemas.Hold) {
				h.Votes = append(h.Votes, schemas.Vote{Reviewer: "ann", Person: "ann", Verdict: schemas.Approve, Decision: p, At: i.now})
			})
			return i
		}, "as something else than it says"),
		"what is no decision": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			return i.count(i.says("ann", schemas.Approve), i.held)
		}, "which is no decision"),
		"a decision that never was": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			return i.count(i.says("ann", schemas.Approve), schemas.Pointer{Stream: schemas.Decisions, Seq: 1000, Hash: digestOf("x")})
		}, "names DECISIONS/1000, which is not in AUDIT"),
		"another decision": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("ann", schemas.Approve)
			p := h.write(d)
			p.Hash = digestOf("x")
			return i.count(d, p)
		}, "counts DECISIONS/1, which says something else"),
		"a decision that does not read": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			d := i.says("ann", schemas.Approve)
			w := schemas.Write(d, "/test", h.now, "")
			w.Body = w.Body[1:]
			return i.count(d, h.put(w))
		}, "counts DECISIONS/1, which says something else"),
		"by a reviewer whom nobody registered": held(func(h *history) *intent {
			i := h.refund(parks(1)).park()
			return i.vote("dan", schemas.Approve)
		}, "dan, whom CONTROL does not register"),
	})
}
