package main

import (
	"strings"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// fates is what the streams say became of everything.
type fates struct {
	settled  map[schemas.Key]schemas.Settlement
	holds    map[schemas.Key]schemas.Hold // the last state of each
	counted  map[schemas.Pointer]bool     // decisions
	rejected map[schemas.Pointer][]schemas.Rejection
}

func (m *mob) fates(log *broker.Log) fates {
	m.t.Helper()
	f := fates{map[schemas.Key]schemas.Settlement{}, map[schemas.Key]schemas.Hold{}, map[schemas.Pointer]bool{}, map[schemas.Pointer][]schemas.Rejection{}}
	m.records(log, schemas.Settled, func(r schemas.Record) {
		var s schemas.Settlement
		check(m.t, schemas.Read(r, &s))
		f.settled[s.Intent.Key()] = s
	})
	m.records(log, schemas.ParkedHolds, func(r schemas.Record) {
		var h schemas.Hold
		check(m.t, schemas.Read(r, &h))
		f.holds[h.Intent.Key()] = h
		for _, v := range h.Votes {
			f.counted[v.Decision] = true
		}
	})
	m.records(log, schemas.Rejected, func(r schemas.Record) {
		var rejection schemas.Rejection
		check(m.t, schemas.Read(r, &rejection))
		f.rejected[rejection.Record] = append(f.rejected[rejection.Record], rejection)
	})
	return f
}

func (m *mob) records(log *broker.Log, stream schemas.Stream, each func(schemas.Record)) {
	m.t.Helper()
	check(m.t, log.Tail(stream, "", 1).Read(m.t.Context(), func(r schemas.Record) error {
		each(r)
		return nil
	}))
}

// check makes sure that everything that is stored was sent and ended, and that
// nothing hopeless got anywhere. Of n messages, enough must have been stored.
func (m *mob) check(n int) {
	m.t.Helper()
	log, err := m.siege.gate.log(m.t.Context(), schemas.RoleExecute)
	check(m.t, err)
	f := m.fates(log)
	intents, decisions := map[string]int{}, map[string]int{}
	m.records(log, schemas.Intents, func(r schemas.Record) {
		in, unreadable := schemas.ReadIntent(schemas.Name(tenant), r)
		if in.Agent == "bot" && r.Seq >= m.first {
			intents[m.checkIntent(f, r, in, unreadable)]++
		}
	})
	m.records(log, schemas.Decisions, func(r schemas.Record) { decisions[m.checkDecision(f, r)]++ })
	m.t.Logf("intents: %v", intents)
	m.t.Logf("decisions: %v", decisions)
	for _, want := range []string{"released", "parked", "invalid", "duplicate_id", "unknown_action", "policy", "too_late"} {
		if intents[want] == 0 {
			m.t.Errorf("no intent is %s: the mutations are not what they should be", want)
		}
	}
	for _, want := range []string{"counts", "invalid", "already_settled", "bad_signature", "wrong_digest", "not_shown", "not_in_doubt", "wrong_queue", "not_eligible", "not_found"} {
		if decisions[want] == 0 {
			m.t.Errorf("no decision is %s: the mutations are not what they should be", want)
		}
	}
	if a, b := total(intents), total(decisions); a < n/3 || b < n/3 {
		m.t.Errorf("of %d messages %d intents and %d decisions were stored, want a third each", n, a, b)
	}
}

func total(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// checkIntent returns what became of one of bot's intents.
func (m *mob) checkIntent(f fates, r schemas.Record, in schemas.Intent, unreadable error) string {
	m.t.Helper()
	was := m.originOf(r)
	s, settled := f.settled[in.Key()]
	if !settled || s.Intent.Digest != in.Digest {
		s, settled = f.settled[schemas.Key{Agent: in.Agent, ID: schemas.SequenceID(r.Seq)}]
	}
	if settled && s.Trail[0] == r.Pointer() {
		m.show(was, s.Intent.Key())
	}
	if settled && s.Outcome == schemas.Refuse {
		if s.Code == "" || s.Code == schemas.CodeInvalid && s.Detail == "" || s.Code == schemas.CodeInternal {
			m.t.Errorf("%s: %s: refused with %q %q, want a reason", r.Pointer(), was.what, s.Code, s.Detail)
		}
		return string(s.Code)
	}
	state := "released"
	if h, held := f.holds[in.Key()]; !settled && held && h.Intent.Digest == in.Digest {
		state = "parked"
	} else if !settled {
		m.t.Errorf("%s: %s: it came to no end", r.Pointer(), was.what)
	}
	if unreadable != nil || was.hopeless {
		m.t.Errorf("%s: %s: it was %s (%v): %q %q", r.Pointer(), was.what, state, unreadable, r.Header, r.Body)
	}
	return state
}

// show makes sure that an operator can look at what became of a mutation, once for
// each kind.
func (m *mob) show(was origin, k schemas.Key) {
	m.t.Helper()
	if m.shown[was.what] || strings.Contains(was.what, ", and ") {
		return
	}
	m.shown[was.what] = true
	records, err := m.boss.Show(m.ctx(), k)
	if err != nil || len(records) < 4 {
		m.t.Errorf("%s: %s: shown as %d records, %v, want at least four", k, was.what, len(records), err)
	}
}

// checkDecision returns what became of a decision.
func (m *mob) checkDecision(f fates, r schemas.Record) string {
	m.t.Helper()
	was := m.originOf(r)
	rejections := f.rejected[r.Pointer()]
	switch counts := f.counted[r.Pointer()]; {
	case counts && len(rejections) == 0:
		if was.hopeless {
			m.t.Errorf("%s: %s: it counts: %q %q", r.Pointer(), was.what, r.Header, r.Body)
		}
		return "counts"
	case !counts && len(rejections) == 1:
		if code := rejections[0].Code; code == "" || code == schemas.CodeInternal {
			m.t.Errorf("%s: %s: rejected with %q, want a reason", r.Pointer(), was.what, code)
		}
		return string(rejections[0].Code)
	default:
		m.t.Errorf("%s: %s: counts %v, %d rejections; want one of the two, once", r.Pointer(), was.what, counts, len(rejections))
		return "nothing"
	}
}

// originOf returns what was done to the message that became r.
func (m *mob) originOf(r schemas.Record) origin {
	m.t.Helper()
	was, known := m.stored[place{r.Stream, r.Seq}]
	if !known {
		m.t.Errorf("%s/%d was acknowledged to nobody: %q %q", r.Stream, r.Seq, r.Header, r.Body)
	}
	return was
}

// stillWorks makes sure that the gate does for others what it did before.
func (m *mob) stillWorks() {
	m.t.Helper()
	small, err := m.vic.Submit(m.ctx(), refund(20))
	check(m.t, err)
	settled, err := m.vic.Await(m.ctx(), small)
	check(m.t, err)
	if settled.Outcome != schemas.Release {
		m.t.Errorf("a small refund: %s (%s), want a release", settled.Outcome, settled.Code)
	}
	ruling, err := m.ann.Decide(m.ctx(), m.holds()[0], schemas.Approve, "")
	check(m.t, err)
	if !ruling.Counts {
		m.t.Errorf("an approval: %+v, want that it counts", ruling)
	}
}
