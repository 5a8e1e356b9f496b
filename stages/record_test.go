package stages

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// ledger is everything that a history left in the streams.
type ledger struct {
	settled   map[schemas.Key][]schemas.Settlement
	grants    map[schemas.Key][]schemas.Grant
	holds     map[schemas.Key][]schemas.Hold
	rejected  map[schemas.Pointer]schemas.Code
	intents   []schemas.Record
	decisions []schemas.Record
	reports   []schemas.Record
}

func (s *sim) read() ledger {
	s.t.Helper()
	l := ledger{
		settled:  map[schemas.Key][]schemas.Settlement{},
		grants:   map[schemas.Key][]schemas.Grant{},
		holds:    map[schemas.Key][]schemas.Hold{},
		rejected: map[schemas.Pointer]schemas.Code{},
	}
	s.refresh()
	for _, c := range s.copies {
		for _, r := range c.records {
			must(s.t, l.add(r))
		}
	}
	return l
}

func (l *ledger) add(r schemas.Record) error {
	switch r.Stream {
	case schemas.Intents:
		l.intents = append(l.intents, r)
	case schemas.Decisions:
		l.decisions = append(l.decisions, r)
	case schemas.Outcomes:
		l.reports = append(l.reports, r)
	case schemas.Settled:
		var s schemas.Settlement
		if err := schemas.Read(r, &s); err != nil {
			return err
		}
		l.settled[s.Intent.Key()] = append(l.settled[s.Intent.Key()], s)
	case schemas.Grants:
		var g schemas.Grant
		if err := schemas.Read(r, &g); err == nil {
			l.grants[g.Key()] = append(l.grants[g.Key()], g)
		}
	case schemas.ParkedHolds:
		var h schemas.Hold
		if err := schemas.Read(r, &h); err != nil {
			return err
		}
		l.holds[h.Intent.Key()] = append(l.holds[h.Intent.Key()], h)
	case schemas.Rejected:
		var rejection schemas.Rejection
		if err := schemas.Read(r, &rejection); err != nil {
			return err
		}
		l.rejected[rejection.Record] = rejection.Code
	}
	return nil
}

// checkRecord checks the invariants on what is on record.
func (s *sim) checkRecord() {
	s.t.Helper()
	l := s.read()
	s.checkSettlements(l)
	s.checkUses(l)
	s.checkGrants(l)
	s.checkAnswers(l)
	for _, r := range l.intents {
		s.checkEnd(r)
	}
}

// checkSettlements: one settlement for every intent, and no release without its
// trail and its approvals.
func (s *sim) checkSettlements(l ledger) {
	s.t.Helper()
	for _, r := range l.intents {
		in, _ := schemas.ReadIntent(schemas.Name(simTenant), r)
		own := schemas.Key{Agent: in.Agent, ID: schemas.SequenceID(r.Seq)}
		mine := slices.ContainsFunc(l.settled[in.Key()], func(v schemas.Settlement) bool { return v.Intent.Digest == in.Digest })
		// Of two intents of one id that race, one may be settled under both ids by
		// two who handle it at once: each saw another winner.
		raced := slices.ContainsFunc(l.intents, func(r schemas.Record) bool {
			other, _ := schemas.ReadIntent(schemas.Name(simTenant), r)
			return other.Key() == in.Key() && other.Digest != in.Digest
		})
		if n := len(l.settled[own]); mine && in.Key() != own && n > 0 && !raced || !mine && n != 1 {
			s.t.Errorf("%s of %s: settled %t, and %d times under its sequence", in.Key(), r.Pointer(), mine, n)
			s.dump(in.Key())
			s.dump(own)
		}
	}
	for key, all := range l.settled {
		if len(all) != 1 {
			s.t.Errorf("%s: %d settlements, want 1", key, len(all))
		}
		for _, v := range all {
			switch {
			case v.Intent.Action == schemas.Withdraw:
			case v.Outcome == schemas.Release:
				s.checkRelease(v)
				s.checkAllowed("released", key, v.At)
			case v.Code == schemas.CodeDenied && len(s.voters(v, schemas.Deny)) == 0:
				s.t.Errorf("%s: refused as denied, and nobody denied it", key)
			}
		}
	}
}

// checkAllowed: nothing happens while it may not.
func (s *sim) checkAllowed(what string, k schemas.Key, at time.Time) {
	s.t.Helper()
	for _, obstacle := range []string{"ill", "without " + string(k.Agent)} {
		if s.was(obstacle, at) {
			s.t.Errorf("%s: %s while %s", k, what, obstacle)
		}
	}
	if k.Agent == "bot" && s.was("frozen", at) {
		s.t.Errorf("%s: %s while frozen", k, what)
	}
}

// checkRelease: what is released is what was proposed, by the rules or by enough
// people who may approve it, and its trail says so.
func (s *sim) checkRelease(v schemas.Settlement) {
	s.t.Helper()
	key := v.Intent.Key()
	if err := v.Intent.Verify(); err != nil {
		s.t.Errorf("%s: released as something else: %v", key, err)
	}
	need := map[schemas.Action]int{"sys.big": 1, "sys.two": 2}[v.Intent.Action]
	strict := v.Bundle == s.bundle["stricter"].Digest()
	if v.Intent.Action == "sys.never" || v.Intent.Action == "sys.unknown" || v.Intent.Action == "sys.small" && strict {
		s.t.Errorf("%s %s: released, and the rules refuse it", v.Intent.Action, key)
	}
	var who []string
	for _, d := range s.voters(v, schemas.Approve) {
		reviewer := s.people[d.Reviewer]
		switch {
		case d.Digest != v.Intent.Digest || d.VerifySignature(reviewer.Key) != nil:
			s.t.Errorf("%s: released by %s, who approved something else", key, d.Reviewer)
		case reviewer.Principal() == s.people[key.Agent].Principal():
			s.t.Errorf("%s: approved by %s, who owns the agent", key, d.Reviewer)
		case need == 2 && !slices.Contains(reviewer.Groups, "chiefs"):
			s.t.Errorf("%s: approved by %s, who is not eligible", key, d.Reviewer)
		case !s.was("without "+string(d.Reviewer), v.At) && !slices.Contains(who, reviewer.Principal()):
			who = append(who, reviewer.Principal())
		}
	}
	for _, g := range s.standingVoters(v) {
		if p := s.people[g.Reviewer].Principal(); !slices.Contains(who, p) {
			who = append(who, p)
		}
	}
	if len(who) < need {
		s.t.Errorf("%s %s: released with %d approvals, want %d", v.Intent.Action, key, len(who), need)
	}
	if len(s.voters(v, schemas.Deny)) > 0 {
		s.t.Errorf("%s: released, and its trail names a denial", key)
	}
	for _, want := range []schemas.Stream{schemas.Intents, schemas.Observed, schemas.Recommended} {
		if !slices.ContainsFunc(v.Trail, func(p schemas.Pointer) bool { return p.Stream == want }) {
			s.t.Errorf("%s: the trail of the release names no record of %s", key, want)
		}
	}
}

// voters returns the decisions of that verdict in the trail of a settlement.
func (s *sim) voters(v schemas.Settlement, verdict schemas.Verdict) (all []schemas.Decision) {
	s.t.Helper()
	for _, p := range v.Trail {
		if p.Stream != schemas.Decisions {
			continue
		}
		var d schemas.Decision
		r, err := s.look.Log.At(s.t.Context(), p.Stream, p.Seq)
		must(s.t, err)
		must(s.t, schemas.Read(r, &d))
		if d.Verdict == verdict {
			all = append(all, d)
		}
	}
	return all
}

// checkGrants: no grant without a release, one at a time, and a second one only
// where that is allowed.
func (s *sim) checkGrants(l ledger) {
	s.t.Helper()
	for key, grants := range l.grants {
		if all := l.settled[key]; len(all) != 1 || all[0].Outcome != schemas.Release || all[0].Intent.Digest != grants[0].Digest {
			s.t.Errorf("%s: granted, and not released", key)
		}
		for _, g := range grants {
			s.checkAllowed("granted", key, g.At)
		}
		retries := map[schemas.Pointer]bool{}
		for _, h := range l.holds[key] {
			if h.Doubt != nil && h.Doubt.Verdict == schemas.Retry {
				retries[h.Doubt.Decision] = true
			}
		}
		for i, g := range grants[1:] {
			if g.Idempotent && g.At.Before(grants[i].LeaseUntil) && len(retries) == 0 {
				s.t.Errorf("%s: granted again before the lease ended", key)
			}
		}
		if !grants[0].Idempotent && len(grants) > 1+len(retries) {
			s.t.Errorf("%s: %d grants of an action that is not idempotent, and %d retries", key, len(grants), len(retries))
		}
	}
	for key, n := range s.acted {
		if n > len(l.grants[key]) {
			s.t.Errorf("%s: performed %d times with %d grants", key, n, len(l.grants[key]))
		}
	}
}

// checkAnswers: every decision and every report counts or is in REJECTED, never
// both.
func (s *sim) checkAnswers(l ledger) {
	s.t.Helper()
	for _, r := range l.decisions {
		subject, _ := schemas.ParseSubject(r.Subject)
		holds := l.holds[schemas.Key{Agent: subject.Agent, ID: subject.Intent}]
		counts := slices.ContainsFunc(holds, func(h schemas.Hold) bool { return h.Counted(r.Pointer()) })
		if _, rejected := l.rejected[r.Pointer()]; rejected == counts {
			s.t.Errorf("%s: counts %t, rejected %t (%s)", r.Pointer(), counts, rejected, l.rejected[r.Pointer()])
		}
	}
	counted := map[schemas.Pointer]schemas.Report{}
	for _, r := range l.reports {
		if _, rejected := l.rejected[r.Pointer()]; rejected {
			continue
		}
		var report schemas.Report
		if err := schemas.Read(r, &report); err != nil {
			s.t.Errorf("%s: %v, and it is not rejected", r.Pointer(), err)
			continue
		}
		if first, twice := counted[report.Grant]; twice && first.State != report.State {
			s.t.Errorf("%s: a second report on %s counts", r.Pointer(), report.Grant)
		}
		counted[report.Grant] = report
	}
}

// checkEnd: an intent is over when everything has come to rest.
func (s *sim) checkEnd(r schemas.Record) {
	s.t.Helper()
	in, _ := schemas.ReadIntent(schemas.Name(simTenant), r)
	now, err := s.look.progress(s.t.Context(), in.Key())
	if errors.Is(err, schemas.ErrNotFound) {
		return // refused under its sequence
	}
	must(s.t, err)
	withdrawal := now.settlement != nil && now.settlement.Intent.Action == schemas.Withdraw
	if !now.state().Final() && !withdrawal {
		s.t.Errorf("%s %s: still %s", in.Action, in.Key(), now.state())
		s.dump(in.Key())
	}
	if now.hold != nil && now.hold.Open() {
		s.t.Errorf("%s %s: its hold is still open", in.Action, in.Key())
		s.dump(in.Key())
	}
}

// dump logs what is on record of an intent, and what a new process makes of it.
func (s *sim) dump(k schemas.Key) {
	s.t.Helper()
	for _, stream := range schemas.Streams() {
		for _, r := range s.copies[stream].records {
			if strings.Contains(r.Subject+string(r.Body), string(k.ID)) && strings.Contains(r.Subject, string(k.Agent)) {
				s.t.Logf("%s %s %s %.300s", r.Time.Format("05.000000"), r.Pointer(), r.Subject, r.Body[max(0, len(r.Body)-300):])
			}
		}
	}
	for i, p := range append(s.replicas[:], s.boot()) {
		for _, hold := range []bool{true, false} {
			if e := p.execute.Index.entries[place{k, hold}]; e != nil {
				s.t.Logf("index %d: hold %t %s %v due %s, now %s", i, hold, e.line.State, e.mark, e.at, s.now())
			}
		}
	}
}

// checkOrders: in whatever order the streams are read, and read again, the index
// comes out the same. A report is nothing to an index that does not know the grant
// yet, so OUTCOMES comes last.
func (s *sim) checkOrders() {
	s.t.Helper()
	want := standings(s.boot().execute.Index)
	for range 4 {
		x := NewIndex(s.now)
		left := map[schemas.Stream][]schemas.Record{}
		for _, stream := range []schemas.Stream{schemas.ParkedHolds, schemas.Settled, schemas.Grants} {
			if left[stream] = s.copies[stream].records; len(left[stream]) == 0 {
				delete(left, stream)
			}
		}
		for len(left) > 0 {
			streams := slices.Sorted(maps.Keys(left))
			stream := streams[s.random.IntN(len(streams))]
			must(s.t, x.Apply(left[stream][0]))
			if all := s.copies[stream].records; s.random.IntN(4) == 0 {
				must(s.t, x.Apply(all[s.random.IntN(len(all)-len(left[stream])+1)]))
			}
			if left[stream] = left[stream][1:]; len(left[stream]) == 0 {
				delete(left, stream)
			}
		}
		for _, r := range s.copies[schemas.Outcomes].records {
			must(s.t, x.Apply(r))
		}
		if got := standings(x); !maps.Equal(got, want) {
			s.t.Errorf("the index depends on the order of reading: got %v, want %v", got, want)
		}
	}
}

// standings is what an index says waits, and where.
func standings(x *Index) map[string]string {
	all := map[string]string{}
	for at, e := range x.entries {
		all[fmt.Sprintf("%s hold=%t", at.Key, at.hold)] = fmt.Sprintf("%s %v timer=%t", e.line.State, e.mark, !e.at.IsZero())
	}
	return all
}
