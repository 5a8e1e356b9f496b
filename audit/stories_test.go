package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// stories are what a correct gate may write of one intent, crashes included.
var stories = map[string]func(h *history){
	"released and done": func(h *history) {
		h.refund(releases).release().claim("runner").report(schemas.Done)
	},
	"approved by two": func(h *history) {
		i := h.refund(parks(2)).park().vote("ann", schemas.Approve).vote("bob", schemas.Approve).release().claim("runner")
		i.report(schemas.Failed)
	},
	"parked for no reason of its own": func(h *history) {
		h.refund(schemas.Opinion{}).park().vote("ann", schemas.Approve).release()
	},
	"denied": func(h *history) {
		h.refund(parks(2)).park().vote("ann", schemas.Approve).vote("bob", schemas.Deny).refuse(schemas.CodeDenied)
	},
	"approval turned into a denial": func(h *history) {
		h.refund(parks(2)).park().vote("ann", schemas.Approve).vote("ann", schemas.Deny).refuse(schemas.CodeDenied)
	},
	"denied by one who was removed then": func(h *history) {
		h.register(schemas.Identity{Name: "dan", Role: schemas.RoleReviewer, Person: "dan", Queues: []schemas.Name{"billing"}, Groups: []string{"finance"}})
		i := h.refund(parks(2)).park().vote("dan", schemas.Deny)
		h.write(schemas.Removal{By: "ida", Name: "dan", At: h.now})
		h.wait(time.Minute)
		i.refuse(schemas.CodeDenied)
	},
	"expired with one approval": func(h *history) {
		i := h.refund(parks(2)).park().vote("ann", schemas.Approve)
		h.wait(2 * time.Hour)
		i.refuse(schemas.CodeExpired)
	},
	"withdrawn, twice": func(h *history) {
		i := h.refund(parks(1)).park()
		h.withdraw(i).release(func(s *schemas.Settlement) { s.ExecuteBy = time.Time{} })
		h.propose(schemas.Withdraw, fmt.Sprintf(`{"id":%q}`, i.ID)).observe().recommend(releases).release()
	},
	"withdrawn by what was answered before": func(h *history) {
		i := h.refund(parks(1))
		w := h.propose(schemas.Withdraw, fmt.Sprintf(`{"id":%q}`, i.ID)).observe().recommend(releases).refuse(schemas.CodeNotFound)
		h.wait(time.Hour)
		i.park().refuse(schemas.CodeWithdrawn, func(s *schemas.Settlement) { s.Trail = append(s.Trail, w.trail[0]) })
	},
	"taking of budgets": takesOf,
	"standing approval": approvedByStanding,
	"lapsed": func(h *history) {
		i := h.refund(releases).release()
		h.wait(15 * time.Minute)
		i.lapse()
	},
	"in doubt, retried, done": func(h *history) {
		i := h.refund(parks(1)).park().vote("ann", schemas.Approve).release().claim("runner").doubt()
		i.resolve("bob", schemas.Retry).claim("sprinter").report(schemas.Done)
	},
	"in doubt twice, failed by a reviewer's word": func(h *history) {
		i := h.refund(releases).release().claim("runner").doubt().resolve("ann", schemas.Retry).claim("runner").doubt()
		i.resolve("ann", schemas.WasNotDone)
	},
	"retried and lapsed": func(h *history) {
		i := h.refund(releases).release().claim("runner").doubt().resolve("ann", schemas.Retry)
		h.wait(15 * time.Minute)
		i.lapse()
	},
	"reported late, which ends the doubt": func(h *history) {
		i := h.refund(releases).release().claim("runner").doubt()
		i.report(schemas.Done)
		i.next(func(h *schemas.Hold) { h.State = schemas.Done })
	},
	"reported late, after a retry that nobody began": func(h *history) {
		i := h.refund(releases).release().claim("runner").doubt().resolve("ann", schemas.Retry)
		i.report(schemas.Failed)
		i.next(func(h *schemas.Hold) { h.State = schemas.Failed })
	},
	"reported after a reviewer's word": func(h *history) {
		i := h.refund(releases).release().claim("runner").doubt().resolve("ann", schemas.WasDone)
		h.reject(i.report(schemas.Failed), schemas.CodeTooLate)
	},
	"reported after a reviewer's word, which says the same": func(h *history) {
		i := h.refund(releases).release().claim("runner").doubt().resolve("ann", schemas.WasDone)
		h.reject(i.report(schemas.Done), schemas.CodeTooLate)
	},
	"reported late on both attempts": func(h *history) {
		i := h.refund(releases).release().claim("runner").doubt().resolve("ann", schemas.Retry)
		first := i.granted
		i.claim("runner").doubt()
		h.reject(i.report(schemas.Done, func(r *schemas.Report) { r.Grant = first }), schemas.CodeNotGranted)
		i.report(schemas.Done)
		i.next(func(h *schemas.Hold) { h.State = schemas.Done })
	},
	"reported with a result that is too long": func(h *history) {
		i := h.refund(releases).release().claim("runner")
		h.reject(i.report(schemas.Done, func(r *schemas.Report) {
			r.Result = []byte(`"` + strings.Repeat("x", schemas.MaxResultSize) + `"`)
		}), schemas.CodeInvalid)
		i.report(schemas.Failed)
	},
	"rejected long after": func(h *history) {
		i := h.refund(releases).release()
		p := h.write(schemas.Report{Executor: "runner", Agent: "bot", Intent: schemas.NewIntentID(h.now), Digest: i.Digest, Grant: i.settled, State: schemas.Done})
		i.claim("runner").report(schemas.Done)
		h.wait(time.Hour)
		h.refund(releases).refuse(schemas.CodePolicy)
		h.reject(p, schemas.CodeNotGranted)
	},
	"denied while it was frozen": func(h *history) {
		i := h.refund(releases).park(func(h *schemas.Hold) { h.Waiting = "frozen: all" }).vote("cat2", schemas.Deny)
		i.refuse(schemas.CodeDenied)
	},
	"idempotent, granted again": func(h *history) {
		i := h.look(releases).release().claim("runner")
		first, late := i.granted, i.grant.Executor
		h.wait(time.Minute)
		i.claim("sprinter")
		h.reject(i.report(schemas.Done, func(r *schemas.Report) { r.Grant, r.Executor = first, late }), schemas.CodeNotGranted)
		i.report(schemas.Done)
	},
	"granted again in the moment of a report": func(h *history) {
		i := h.look(releases).release().claim("runner")
		h.wait(time.Minute)
		i.report(schemas.Done)
		i.claim("sprinter").report(schemas.Done)
	},
	"in doubt in the moment of a report": func(h *history) {
		i := h.refund(releases).release().claim("runner")
		h.wait(time.Minute)
		i.report(schemas.Done)
		i.doubt().resolve("ann", schemas.WasDone)
	},
	"reported twice": func(h *history) {
		i := h.refund(releases).release().claim("runner")
		i.report(schemas.Done)
		i.report(schemas.Done)
		h.reject(i.report(schemas.Failed), schemas.CodeTooLate)
		h.wait(time.Hour)
		i.report(schemas.Done)
	},
	"rejected decisions": func(h *history) {
		i := h.refund(parks(2)).park().vote("ann", schemas.Approve)
		for _, d := range []schemas.Decision{
			i.says("ann", schemas.Approve),
			i.says("eve", schemas.Approve),
			i.says("bob", schemas.Approve, func(d *schemas.Decision) { d.Digest = digestOf("other") }),
			i.says("bob", schemas.Approve, func(d *schemas.Decision) { d.Shown = digestOf("other") }),
			i.says("bob", schemas.Retry),
		} {
			h.reject(h.write(d), schemas.CodeNotEligible)
		}
		forged := i.says("bob", schemas.Approve)
		forged.Signature = i.says("ann", schemas.Approve).Signature
		p := h.write(forged)
		h.reject(p, schemas.CodeBadSignature)
		h.reject(p, schemas.CodeBadSignature) // once more, after a crash
		i.vote("bob", schemas.Approve).release()
	},
	"shown an earlier state": func(h *history) {
		i := h.refund(parks(2)).park()
		d := i.says("bob", schemas.Approve)
		i.vote("ann", schemas.Approve).count(d, h.write(d)).release()
	},
	"frozen, then released": func(h *history) {
		all := schemas.Scope{All: true}
		h.freeze(all)
		i := h.refund(releases)
		h.wait(time.Minute)
		i.park(func(h *schemas.Hold) { h.Waiting = "frozen: all" })
		h.thaw(all)
		i.release().claim("runner").report(schemas.Done)
	},
	"released and claimed while the freeze was on its way": func(h *history) {
		i := h.refund(releases)
		h.freeze(schemas.Scope{Agent: "bot"})
		h.wait(9 * time.Second)
		i.release().claim("runner")
		h.wait(time.Minute)
		i.report(schemas.Done)
		h.write(schemas.Thaw{By: "pat", Scope: schemas.Scope{Agent: "bot"}, At: h.now.Add(9 * time.Second)})
		h.refund(releases).release()
	},
	"frozen elsewhere": func(h *history) {
		h.freeze(schemas.Scope{System: "mail"})
		h.freeze(schemas.Scope{Action: "shop.order"})
		h.freeze(schemas.Scope{Agent: "bot2"})
		h.wait(time.Minute)
		h.refund(releases).release().claim("runner")
	},
	"parked under another bundle": func(h *history) {
		i := h.refund(releases)
		i.opinion = parks(1)
		i.park(func(h *schemas.Hold) { h.Recommended = nil }).vote("ann", schemas.Approve)
		i.next(func(h *schemas.Hold) { h.Opinion = parks(2) })
		i.vote("bob", schemas.Approve).release()
	},
	"observed, recommended and proposed more than once": func(h *history) {
		i := h.propose("shop.refund", `{"order":1}`).observe().observe().recommend(releases)
		trail := slices.Clone(i.trail)
		i.recommend(releases)
		i.trail = trail
		i.release()
		h.proposeAs(i.Key(), "shop.refund", `{"order":1}`).observe().recommend(releases)
		i.claim("runner").report(schemas.Done)
		h.wait(time.Hour)
		i.observe().recommend(releases)
	},
	"observed and proposed again while it was parked": func(h *history) {
		i := h.refund(parks(1)).park()
		trail := slices.Clone(i.trail)
		for range 3 {
			h.wait(2 * time.Minute)
			i.observe().recommend(parks(1))
			h.proposeAs(i.Key(), "shop.refund", string(i.Params)).observe().recommend(parks(1))
		}
		i.trail = trail
		i.vote("ann", schemas.Approve).release().claim("runner").report(schemas.Done)
	},
	"another bundle, by which an approver who is gone is not needed": func(h *history) {
		h.register(schemas.Identity{Name: "fay", Role: schemas.RoleReviewer, Person: "fay", Queues: []schemas.Name{"billing"}, Groups: []string{"finance"}})
		i := h.refund(releases)
		i.opinion = parks(1)
		i.park(func(h *schemas.Hold) { h.Recommended = nil }).vote("fay", schemas.Approve).release()
		h.write(schemas.Removal{By: "ida", Name: "fay", At: h.now})
		h.write(schemas.Activation{By: "pat", Bundle: digestOf("later"), At: h.now})
		h.wait(time.Minute)
		i.claim("runner", func(g *schemas.Grant) { g.Bundle = digestOf("later") }).report(schemas.Done)
	},
	"needs approvals only when it is thawed": func(h *history) {
		h.freeze(schemas.Scope{Agent: "bot"})
		i := h.refund(releases).park(func(h *schemas.Hold) { h.Waiting = "frozen: agent bot" })
		h.thaw(schemas.Scope{Agent: "bot"})
		h.wait(time.Minute)
		i.next(func(h *schemas.Hold) {
			h.Waiting, h.Opinion = "", parks(1)
			h.Deadline, _ = h.Opinion.Deadline(h.At, h.Intent.Expires())
		})
		i.vote("bob", schemas.Approve).release()
	},
	"in doubt before its hold was closed": func(h *history) {
		i := h.refund(parks(1)).park().vote("bob", schemas.Approve)
		open, at := i.hold, i.held
		i.release()
		h.records, h.seqs[schemas.ParkedHolds] = h.records[:len(h.records)-1], h.seqs[schemas.ParkedHolds]-1
		i.hold, i.held = open, at
		i.claim("runner").doubt().resolve("bob", schemas.WasDone)
	},
	"an id used twice": func(h *history) {
		i := h.refund(parks(1)).park()
		other := h.proposeAs(i.Key(), "shop.refund", `{"order":"another"}`).observe().recommend(releases)
		other.ID = schemas.SequenceID(other.trail[0].Seq)
		other.Digest = schemas.DigestOf(other.Intent)
		other.refuse(schemas.CodeDuplicateID)
		i.vote("ann", schemas.Approve).release()
	},
	"settled otherwise while it was parked": func(h *history) {
		i := h.refund(releases).release()
		other := h.proposeAs(i.Key(), "shop.refund", `{"order":"another"}`).observe().recommend(parks(1)).park()
		closing := *other
		other.held.Seq = 0
		other.ID = schemas.SequenceID(other.trail[0].Seq)
		other.Digest = schemas.DigestOf(other.Intent)
		other.refuse(schemas.CodeDuplicateID)
		closing.next(func(h *schemas.Hold) { h.State = schemas.Refused })
		i.claim("runner").report(schemas.Done)
	},
	"too late to withdraw": func(h *history) {
		i := h.refund(releases).release()
		h.propose(schemas.Withdraw, fmt.Sprintf(`{"id":%q}`, i.ID)).observe().recommend(releases).refuse(schemas.CodeTooLate)
	},
	"refused by the rules": func(h *history) {
		o := schemas.Opinion{Outcome: schemas.Refuse}
		h.refund(o).refuse(schemas.CodePolicy)
	},
	"without an id": func(h *history) {
		p := h.put(schemas.Draft{Subject: "intents.bot.shop.refund", Body: []byte(`{"params":{}}`)})
		h.proposed(p).observe().recommend(releases).release()
	},
	"exposed": func(h *history) {
		i := h.refund(releases)
		seen := h.expose("bot", schemas.Seen{Action: "shop.look", Labels: []string{"pii"}, Until: h.now.Add(time.Hour)})
		i.release(func(s *schemas.Settlement) { s.Trail = append(s.Trail, seen) })
		h.wait(30 * time.Minute)
		h.expose("bot", schemas.Seen{Action: "shop.read", Session: "s", Labels: []string{"x"}, Until: h.now.Add(time.Hour)},
			schemas.Seen{Action: "shop.look", Labels: []string{"mail", "pii"}, Until: h.now.Add(time.Hour)})
		h.wait(2 * time.Hour)
		h.expose("bot")
	},
	"parked by what its agent was exposed to": func(h *history) {
		seen := h.expose("bot", schemas.Seen{Action: "shop.look", Labels: []string{"pii"}, Until: h.now.Add(time.Hour)})
		h.refund(parks(1)).park(func(h *schemas.Hold) { h.Inputs = []schemas.Pointer{seen} }).vote("ann", schemas.Approve).release()
	},
	"still open": func(h *history) {
		h.propose("shop.refund", `{}`)
		h.propose("shop.refund", `{}`).observe()
		h.refund(releases)
		h.refund(parks(2)).park().vote("ann", schemas.Approve)
		h.refund(releases).release()
		h.refund(releases).release().claim("runner")
		h.refund(releases).release().claim("runner").doubt()
	},
	"a vote that came with the verdict": func(h *history) {
		i := h.refund(parks(2)).park()
		d := i.says("ann", schemas.Approve)
		before, held := i.hold, i.held
		i.count(d, h.write(d))
		after, now := i.hold, i.held
		i.hold, i.held = before, held
		settled := schemas.Settlement{Intent: i.Intent, Outcome: schemas.Refuse, Code: schemas.CodeExpired, At: h.now, Trail: append(slices.Clone(i.trail), held)}
		h.write(settled)
		i.hold, i.held = after, now
		i.next(func(h *schemas.Hold) { h.State = schemas.Refused })
	},
	"garbage": func(h *history) { garbage(h) },
}

// garbage is what agents, reviewers and executors may send, and what a correct
// gate makes of it.
func garbage(h *history) {
	body := []byte("\xff{")
	bad := schemas.Header{"ce-id": {"%zz"}, "Nats-Unreadable": {""}}
	for _, d := range []schemas.Draft{
		{Subject: "intents.bot.shop.refund", Header: bad, Body: body},
		{Subject: "intents.bot.shop.refund", Body: nil},
		{Subject: "intents.bot.sh$p.refund", Body: []byte(`{}`)},
		{Subject: "intents.bot.shop.refund", Header: schemas.Event{ID: string(schemas.NewIntentID(h.now.AddDate(1, 0, 0))), Source: "/agents/bot", Type: "dev.holdpoint.intent.proposed.v1"}.Header(), Body: []byte(`{"params":{}}`)},
		{Subject: "intents.bot.shop.refund", Header: schemas.Event{ID: "00000000000000000000000001", Source: "/agents/bot", Type: "dev.holdpoint.intent.proposed.v1"}.Header(), Body: []byte(`{"params":{}}`)},
	} {
		i := h.proposed(h.put(d))
		refused := schemas.Opinion{Outcome: schemas.Refuse}
		fault := &schemas.Fault{Code: schemas.CodeInvalid}
		i.observe(func(o *schemas.Observation) { o.Fault, o.Opinion = fault, refused })
		i.recommend(refused, func(r *schemas.Recommendation) { r.Fault = fault }).refuse(schemas.CodeInvalid)
	}
	i := h.refund(releases).release().claim("runner")
	report := schemas.Write(schemas.Report{Executor: "runner", Agent: "bot", Intent: i.ID, Digest: i.Digest, Grant: schemas.Pointer{Stream: schemas.Grants, Seq: 1 << 60, Hash: digestOf("x")}, State: schemas.Done}, "/x", h.now, "")
	for _, d := range []schemas.Draft{
		{Subject: "decisions.ann.billing.bot." + string(i.ID), Header: bad, Body: body},
		{Subject: "decisions.ann.billing.bot.nonsense", Body: body},
		{Subject: "decisions.ann.BILLING.BOT.nonsense", Body: nil},
		{Subject: "outcomes.runner.bot." + string(i.ID), Header: bad, Body: body},
		{Subject: "outcomes.runner.BOT.nonsense", Body: nil},
		{Subject: report.Subject, Header: report.Header, Body: report.Body[:len(report.Body)-1]},
		report,
	} {
		h.reject(h.put(d), schemas.CodeInvalid)
	}
	h.reject(i.report(schemas.Refused), schemas.CodeInvalid)
	h.reject(i.report(schemas.Done, func(r *schemas.Report) { r.Digest = digestOf("x") }), schemas.CodeNotGranted)
	h.reject(i.report(schemas.Done, func(r *schemas.Report) { r.Executor = "sprinter" }), schemas.CodeNotGranted)
	h.reject(i.report(schemas.Done, func(r *schemas.Report) { r.Grant.Stream = "NONE" }), schemas.CodeNotGranted)
	h.reject(i.report(schemas.Done, func(r *schemas.Report) { r.Intent = schemas.NewIntentID(h.now) }), schemas.CodeNotGranted)
	i.report(schemas.Done)
}

// names of the stories, in an order that is always the same.
func titles() []string {
	titles := make([]string, 0, len(stories))
	for title := range stories {
		titles = append(titles, title)
	}
	slices.Sort(titles)
	return titles
}

// everything is all the stories, told one after the other.
func everything(t testing.TB) *history {
	h := newHistory(t)
	for _, title := range titles() {
		stories[title](h)
		h.wait(time.Minute)
	}
	return h
}
