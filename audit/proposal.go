package audit

import (
	"fmt"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// proposal is a record of INTENTS: what an agent sent, whatever that is.
type proposal struct {
	at   place
	hash schemas.Digest
	matter
}

// takeProposal takes in a record of INTENTS. The time at which INTENTS accepted it
// is not in AUDIT; the observation says it, and timely asks about it later. Until
// then the id is taken to be of its time.
func (v *Verifier) takeProposal(at place, r schemas.Record) {
	v.counts.Intents++
	r.Time = idTime(r)
	in, err := schemas.ReadIntent(v.cfg.Gateway, r)
	if in.Agent == "" {
		return // nobody to answer
	}
	at.key = in.Key()
	if err == nil && in.Action == schemas.Withdraw {
		v.takeWithdrawal(in, r)
	}
	// A time that does not fit its id makes it an intent of the other key.
	if v.isOver(at.key) || v.isOver(schemas.Key{Agent: in.Agent, ID: schemas.SequenceID(r.Seq)}) {
		return
	}
	p := &proposal{at: at, hash: r.Hash(), matter: matterOf(in)}
	if t := v.trails[at.key]; t == nil || !t.repeats(p) {
		v.proposals[r.Seq] = p
	}
}

// idTime returns the time in the id that a message gives itself, or that of the
// message.
func idTime(r schemas.Record) time.Time {
	e, _, err := schemas.ReadEvent(r.Header, r.Body)
	if err != nil {
		return r.Time
	}
	id, err := schemas.ParseIntentID(e.ID)
	if err != nil {
		return r.Time
	}
	return id.Time()
}

// timely reports whether an agent may propose an intent under an id at a time. An
// id of time zero is none of an agent.
func timely(k schemas.Key, at time.Time) bool {
	if k.ID.Time().Unix() == 0 {
		return true
	}
	_, err := schemas.Propose(k, schemas.Withdraw, schemas.Proposal{Params: []byte("{}")}, at)
	return err == nil
}

// proposed makes sure that the agent proposed what is released, at that time.
func (v *Verifier) proposed(s *verdict, at time.Time) error {
	p := s.Trail[0]
	if err := v.reached(p); err != nil {
		return err
	}
	in := v.proposals[p.Seq]
	switch {
	case in == nil || in.hash != p.Hash:
		return fmt.Errorf("names %s, which says something else", p)
	case in.at.key != s.Intent.Key() || in.matter != s.matter:
		return fmt.Errorf("releases something else than was proposed in %s", p)
	case !timely(in.at.key, at) || at.After(in.at.copied.Add(slack)):
		return fmt.Errorf("releases %s as proposed at %s, which cannot be", p, clock(at))
	}
	return nil
}
