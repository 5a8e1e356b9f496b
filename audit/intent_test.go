package audit_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// intent is one intent on its way through the gate.
type intent struct {
	*history
	schemas.Intent
	trail   []schemas.Pointer
	opinion schemas.Opinion
	queue   schemas.Name

	hold    schemas.Hold
	held    schemas.Pointer
	settled schemas.Pointer
	verdict schemas.Settlement
	grant   schemas.Grant
	granted schemas.Pointer
}

func edit[T any](x *T, edits []func(*T)) {
	for _, e := range edits {
		e(x)
	}
}

var releases = schemas.Opinion{Outcome: schemas.Release}

// parks returns an opinion that wants quorum persons of finance.
func parks(quorum int) schemas.Opinion {
	return schemas.Opinion{Outcome: schemas.Park, Approvals: []schemas.Approval{{ID: "two-eyes", Eligible: "in:finance", Quorum: quorum, Deadline: 3600}}}
}

// propose appends what bot sends.
func (h *history) propose(a schemas.Action, params string) *intent {
	return h.proposeAs(schemas.Key{Agent: "bot", ID: schemas.NewIntentID(h.now)}, a, params)
}

func (h *history) proposeAs(k schemas.Key, a schemas.Action, params string) *intent {
	d, err := schemas.Propose(k, a, schemas.Proposal{Params: []byte(params), Reason: "asked for"}, h.now)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.proposed(h.put(d))
}

// proposed reads the record of INTENTS that p names, as observe does.
func (h *history) proposed(p schemas.Pointer) *intent {
	in, _ := schemas.ReadIntent(gate, h.records[h.at(p)])
	return &intent{history: h, Intent: in, trail: []schemas.Pointer{p}}
}

func (i *intent) observe(edits ...func(*schemas.Observation)) *intent {
	o := schemas.Observation{
		Intent: i.Intent, Agent: schemas.AgentFacts{Name: i.Agent, Owner: "olga"},
		Opinion: releases, Bundle: digestOf("bundle"), At: i.now, Trail: i.trail[:1],
	}
	edit(&o, edits)
	i.trail = append(i.trail[:1:1], i.write(o))
	return i
}

func (i *intent) recommend(o schemas.Opinion, edits ...func(*schemas.Recommendation)) *intent {
	i.opinion = o
	r := schemas.Recommendation{Intent: i.Intent, Opinion: o, Queue: "billing", Bundle: digestOf("bundle"), At: i.now, Trail: i.trail[:2]}
	edit(&r, edits)
	i.opinion, i.queue = r.Opinion, r.Queue
	i.trail = append(i.trail[:2:2], i.write(r))
	return i
}

// refund is an intent of bot, on which rules say o. A look may be granted again.
func (h *history) refund(o schemas.Opinion) *intent { return h.ask("shop.refund", o) }
func (h *history) look(o schemas.Opinion) *intent   { return h.ask("shop.look", o) }

func (h *history) ask(a schemas.Action, o schemas.Opinion) *intent {
	return h.propose(a, fmt.Sprintf(`{"order":%d}`, h.seqs[schemas.Intents])).observe().recommend(o)
}

// legal is an intent that a reviewer of another queue is to decide on.
func (h *history) legal() *intent {
	return h.propose("shop.refund", `{}`).observe().recommend(parks(1), func(r *schemas.Recommendation) { r.Queue = "legal" })
}

// withdraw is how bot takes an intent back, which is refused because of it.
func (h *history) withdraw(i *intent) *intent {
	w := h.propose(schemas.Withdraw, fmt.Sprintf(`{"id":%q}`, i.ID)).observe().recommend(releases)
	i.refuse(schemas.CodeWithdrawn, func(s *schemas.Settlement) { s.Trail = append(s.Trail, w.trail[0]) })
	return w
}

func (i *intent) park(edits ...func(*schemas.Hold)) *intent {
	i.hold = schemas.Hold{Intent: i.Intent, State: schemas.Parked, Queue: i.queue, Opinion: i.opinion, At: i.now, Trail: i.trail}
	if i.opinion.Outcome == schemas.Park {
		i.hold.Recommended = i.opinion.Requirements()
	}
	i.hold.Deadline, _ = i.opinion.Deadline(i.now, i.Expires())
	edit(&i.hold, edits)
	i.held = i.write(i.hold)
	return i
}

// next appends the next state of the hold.
func (i *intent) next(edits ...func(*schemas.Hold)) schemas.Pointer {
	i.hold = i.hold.Next(i.held.Hash, i.now)
	edit(&i.hold, edits)
	i.held = i.write(i.hold)
	return i.held
}

// says returns the decision of a reviewer on the hold as it is.
func (i *intent) says(reviewer schemas.Name, verdict schemas.Verdict, edits ...func(*schemas.Decision)) schemas.Decision {
	d := schemas.Decision{
		Reviewer: reviewer, Queue: "billing", Agent: i.Agent, Intent: i.ID, Digest: i.Digest,
		Verdict: verdict, Reason: "seen", Shown: i.held.Hash,
	}
	edit(&d, edits)
	d, err := d.Sign(keys[reviewer])
	if err != nil {
		i.t.Fatal(err)
	}
	return d
}

// vote appends a decision, and the hold on which it counts.
func (i *intent) vote(reviewer schemas.Name, verdict schemas.Verdict, edits ...func(*schemas.Decision)) *intent {
	d := i.says(reviewer, verdict, edits...)
	return i.count(d, i.write(d))
}

var persons = map[schemas.Name]string{"ann": "ann", "bob": "bob", "cat": "cat", "cat2": "cat", "dan": "dan", "eve": "olga", "fay": "fay"}

// count appends the hold on which a decision counts.
func (i *intent) count(d schemas.Decision, p schemas.Pointer) *intent {
	i.next(func(h *schemas.Hold) {
		h.Votes = append(h.Votes, schemas.Vote{Reviewer: d.Reviewer, Person: persons[d.Reviewer], Verdict: d.Verdict, Decision: p, At: i.now})
	})
	return i
}

// settle appends the verdict, and closes the hold.
func (i *intent) settle(s schemas.Settlement, edits ...func(*schemas.Settlement)) *intent {
	s.Intent, s.At, s.Bundle = i.Intent, i.now, digestOf("bundle")
	s.Trail = append(slices.Clone(i.trail), s.Trail...)
	if i.held.Seq > 0 {
		s.Trail = append(slices.Clone(i.trail), i.held)
		for _, v := range i.hold.Votes {
			s.Trail = append(s.Trail, v.Decision)
		}
	}
	edit(&s, edits)
	i.verdict, i.settled = s, i.write(s)
	if i.held.Seq > 0 {
		i.next(func(h *schemas.Hold) { h.State = s.State() })
	}
	return i
}

func (i *intent) release(edits ...func(*schemas.Settlement)) *intent {
	by := i.now.Add(15 * time.Minute)
	return i.settle(schemas.Settlement{Outcome: schemas.Release, ExecuteBy: by}, edits...)
}

func (i *intent) refuse(c schemas.Code, edits ...func(*schemas.Settlement)) *intent {
	return i.settle(schemas.Settlement{Outcome: schemas.Refuse, Code: c}, edits...)
}

// claim appends a grant.
func (i *intent) claim(executor schemas.Name, edits ...func(*schemas.Grant)) *intent {
	g := schemas.Grant{
		Agent: i.Agent, Intent: i.ID, Executor: executor, Action: i.Action, Digest: i.Digest, Attempt: i.grant.Attempt + 1,
		LeaseUntil: i.now.Add(time.Minute), Bundle: digestOf("bundle"), At: i.now, Trail: []schemas.Pointer{i.settled},
		Idempotent: i.Action == "shop.look",
	}
	if i.grant.Attempt > 0 {
		g.Trail = append(g.Trail, i.granted)
	}
	if i.hold.State == schemas.Released && i.hold.Doubt != nil {
		g.Trail = append(g.Trail, i.hold.Doubt.Decision)
	}
	edit(&g, edits)
	i.grant, i.granted = g, i.write(g)
	return i
}

// report appends what the executor of the latest grant says.
func (i *intent) report(s schemas.State, edits ...func(*schemas.Report)) schemas.Pointer {
	r := schemas.Report{Executor: i.grant.Executor, Agent: i.Agent, Intent: i.ID, Digest: i.Digest, Grant: i.granted, State: s}
	edit(&r, edits)
	return i.write(r)
}

// doubt appends that the executor said nothing in time.
func (i *intent) doubt() *intent {
	i.now = i.grant.LeaseUntil.Add(time.Second)
	if i.held.Seq == 0 {
		i.hold = schemas.Hold{Intent: i.Intent, Queue: "billing", Opinion: releases, Trail: []schemas.Pointer{i.settled, i.granted}, At: i.now}
	} else {
		i.hold = i.hold.Next(i.held.Hash, i.now)
	}
	i.hold.State, i.hold.Deadline = schemas.InDoubt, time.Time{}
	i.hold.Doubt = &schemas.Doubt{Grant: i.granted, Executor: i.grant.Executor, Since: i.now}
	i.held = i.write(i.hold)
	return i
}

// resolve appends a decision that ends the doubt, and the hold that says so.
func (i *intent) resolve(reviewer schemas.Name, verdict schemas.Verdict, edits ...func(*schemas.Decision)) *intent {
	d := i.says(reviewer, verdict, edits...)
	return i.resolved(d, i.write(d))
}

func (i *intent) resolved(d schemas.Decision, p schemas.Pointer) *intent {
	ends := map[schemas.Verdict]schemas.State{schemas.WasDone: schemas.Done, schemas.WasNotDone: schemas.Failed, schemas.Retry: schemas.Released}
	i.next(func(h *schemas.Hold) {
		h.State, h.Doubt.Decision, h.Doubt.Verdict = ends[d.Verdict], p, d.Verdict
		if d.Verdict == schemas.Retry {
			h.Deadline = i.now.Add(15 * time.Minute)
		}
	})
	return i
}

func (i *intent) lapse(edits ...func(*schemas.Lapse)) schemas.Pointer {
	l := schemas.Lapse{Agent: i.Agent, Intent: i.ID, Action: i.Action, Digest: i.Digest, At: i.now, Trail: []schemas.Pointer{i.settled}}
	edit(&l, edits)
	return i.write(l)
}

// expose appends what an agent was exposed to.
func (h *history) expose(agent schemas.Name, seen ...schemas.Seen) schemas.Pointer {
	return h.write(schemas.Exposure{Agent: agent, Seen: seen, At: h.now})
}

// reject appends that the gate does not count what p names.
func (h *history) reject(p schemas.Pointer, c schemas.Code, edits ...func(*schemas.Rejection)) schemas.Pointer {
	s, err := schemas.ParseSubject(h.records[h.at(p)].Subject)
	if err != nil {
		s.Agent, s.Intent = "nobody", schemas.SequenceID(p.Seq)
	}
	r := schemas.Rejection{Of: s.Writer, Agent: s.Agent, Intent: s.Intent, Record: p, Code: c, At: h.now}
	edit(&r, edits)
	return h.write(r)
}
