package replay

import (
	"fmt"
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestBounded: a tally of a log without end, of sessions and actions without
// number, stays small and loses no call.
func TestBounded(t *testing.T) {
	t.Parallel()
	tally := NewTally(nil)
	tally.sessions.most = 100
	const calls = 20_000
	for i := range calls {
		v := Verdict{Outcome: schemas.Refuse, Code: []schemas.Code{schemas.CodeUnknownAction, schemas.CodeInvalid}[i%2]}
		c := Call{Action: schemas.Action(fmt.Sprintf("junk.a%d", i)), Agent: "bot", Session: fmt.Sprintf("s%d", i/2)}
		tally.Count(tally.Enter(&c), c, v)
	}
	if n := len(tally.sessions.byKey); n != 100 || tally.sessions.silent.Len() != n {
		t.Errorf("sessions that are followed: got %d and %d, want 100", n, tally.sessions.silent.Len())
	}
	r := tally.Report()
	if len(r.Actions) > maxStrange+1 || len(r.Refusals) > maxStrange+1 {
		t.Errorf("got %d actions and %d refusals told apart, want at most %d", len(r.Actions), len(r.Refusals), maxStrange+1)
	}
	sum := 0
	for _, a := range r.Actions {
		sum += a.Calls
	}
	if r.Calls != calls || sum != calls || r.Sessions.Sessions != calls/2 || r.Sessions.Refused != calls/2 {
		t.Errorf("got %d calls, %d in actions, %+v, want %d calls in %d sessions", r.Calls, sum, r.Sessions, calls, calls/2)
	}
}

// TestSilence: the session that was silent longest ends first, and one that speaks
// again afterwards is a new one that has no beginning.
func TestSilence(t *testing.T) {
	t.Parallel()
	var ended []SessionTally
	s := newSessions(2, func(s *Session) { ended = append(ended, s.tally) })
	for _, c := range []Call{
		{Session: "a", Seq: 0, numbered: true}, {Session: "b"}, {Session: "a", Seq: 1, numbered: true},
		{Session: "c"},                         // ends b
		{Session: "b", Seq: 5, numbered: true}, // ends a
	} {
		s.of(&c)
	}
	s.endSilent(0)
	want := []string{"b", "a", "c", "b cut"}
	for i, e := range ended {
		name := e.Session
		if e.Cut {
			name += " cut"
		}
		if i >= len(want) || name != want[i] {
			t.Errorf("ended %d: got %s, want one of %v", i, name, want)
		}
	}
	if len(ended) != len(want) {
		t.Errorf("ended: got %d sessions, want %v", len(ended), want)
	}
}
