package schemas_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/schemas"
)

func hold(t *testing.T) schemas.Hold {
	t.Helper()
	h, ok := examples()["hold"][0].(schemas.Hold)
	if !ok {
		t.Fatal("the example of a hold is none")
	}
	return h
}

// TestHoldNext: a state that is prepared and then not written leaves no trace in
// the one before.
func TestHoldNext(t *testing.T) {
	t.Parallel()
	h := hold(t)
	h.Trail = append(make([]schemas.Pointer, 0, 10), h.Trail...) // room to append in place
	h.Votes = append(make([]schemas.Vote, 0, 10), h.Votes...)
	h.States = append(make([]schemas.Digest, 0, 10), h.States...)
	before := normal(t, h)
	a, b := h.Next(digest("now"), noon), h.Next(digest("now"), noon)
	a.Trail = append(a.Trail, pointer(schemas.Decisions, 1))
	b.Trail = append(b.Trail, pointer(schemas.Decisions, 2))
	a.Votes[0].Verdict = schemas.Deny
	a.Doubt.Verdict = schemas.WasDone
	a.States[0] = ""
	if got := a.Trail[len(a.Trail)-1].Seq; got != 1 {
		t.Errorf("trail of one next state: got %d at its end, want 1", got)
	}
	if got := normal(t, h); got != before {
		t.Errorf("got %s, want it unchanged: %s", got, before)
	}
	if b.Doubt.Verdict != schemas.Retry || b.Votes[0].Verdict != schemas.Approve {
		t.Errorf("two next states share what they say: %+v", b)
	}
	if !a.At.Equal(noon) {
		t.Errorf("time: got %s, want %s", a.At, noon)
	}
	h.Doubt = nil
	if next := h.Next("", noon); next.Doubt != nil {
		t.Errorf("got a doubt %+v, want none", next.Doubt)
	}
}

// TestHoldStates: the last fourteen states are remembered, the latest last.
func TestHoldStates(t *testing.T) {
	t.Parallel()
	h := schemas.Hold{}
	for i := range 20 {
		h = h.Next(schemas.Digest(fmt.Sprint(i)), noon.Add(time.Duration(i)))
	}
	var want []schemas.Digest
	for i := 6; i < 20; i++ {
		want = append(want, schemas.Digest(fmt.Sprint(i)))
	}
	if diff := cmp.Diff(want, h.States); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

func TestHoldOpen(t *testing.T) {
	t.Parallel()
	for state, want := range map[schemas.State]bool{
		schemas.Parked: true, schemas.InDoubt: true,
		"": false, schemas.Proposed: false, schemas.Released: false, schemas.Refused: false, schemas.Granted: false,
		schemas.Done: false, schemas.Failed: false, schemas.Lapsed: false, "Parked": false,
	} {
		if got := (schemas.Hold{State: state}).Open(); got != want {
			t.Errorf("%q: got open %v, want %v", state, got, want)
		}
	}
}

// TestHoldVoted: neither the same name nor the same person votes twice.
func TestHoldVoted(t *testing.T) {
	t.Parallel()
	h := schemas.Hold{Votes: []schemas.Vote{
		{Reviewer: "ann", Person: "ann@acme.example", Verdict: schemas.Approve, Decision: pointer(schemas.Decisions, 1)},
		{Reviewer: "ben", Person: "ben@acme.example", Verdict: schemas.Approve, Decision: pointer(schemas.Decisions, 2)},
		{Reviewer: "ann", Person: "ann@acme.example", Verdict: schemas.Deny, Decision: pointer(schemas.Decisions, 3)},
	}}
	for _, c := range []struct {
		reviewer schemas.Name
		person   string
		want     uint64 // the sequence of the decision, or none
	}{
		{"ann", "ann@acme.example", 3},
		{"ann", "somebody@acme.example", 3},
		{"ann-phone", "ann@acme.example", 3},
		{"ben", "ben@acme.example", 2},
		{"eve", "eve@acme.example", 0},
	} {
		got, ok := h.Voted(c.reviewer, c.person)
		if got.Decision.Seq != c.want || ok != (c.want > 0) {
			t.Errorf("%s, %s: got decision %d, %v, want %d", c.reviewer, c.person, got.Decision.Seq, ok, c.want)
		}
	}
	if !h.Counted(pointer(schemas.Decisions, 2)) || h.Counted(pointer(schemas.Decisions, 4)) || h.Counted(schemas.Pointer{}) {
		t.Error("counted: want decision 2, and neither 4 nor none")
	}
	doubt := hold(t)
	if !doubt.Counted(doubt.Doubt.Decision) {
		t.Error("counted: want the decision that ended the doubt")
	}
}

// TestHoldRequirements: what was recommended stays required, whatever a later
// bundle says.
func TestHoldRequirements(t *testing.T) {
	t.Parallel()
	ask := func(id string) schemas.Approval { return schemas.Approval{ID: id, Quorum: 1} }
	any := schemas.AnyReviewer()
	type approvals = []schemas.Approval
	for name, c := range map[string]struct{ recommended, now, want approvals }{
		"nothing":       {nil, nil, approvals{any}},
		"now only":      {nil, approvals{ask("a")}, approvals{ask("a")}},
		"the same":      {approvals{ask("a")}, approvals{ask("a")}, approvals{ask("a")}},
		"another":       {approvals{ask("a")}, approvals{ask("b")}, approvals{ask("a"), ask("b")}},
		"another of it": {approvals{ask("a")}, approvals{{ID: "a", Quorum: 2}}, approvals{ask("a"), {ID: "a", Quorum: 2}}},
	} {
		h := schemas.Hold{Recommended: c.recommended, Opinion: schemas.Opinion{Approvals: c.now}}
		if diff := cmp.Diff(c.want, h.Requirements()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	released := schemas.Hold{Recommended: approvals{ask("a")}, Opinion: schemas.Opinion{Outcome: schemas.Release}}
	if diff := cmp.Diff(approvals{ask("a")}, released.Requirements()); diff != "" {
		t.Errorf("the rules release now (-want +got):\n%s", diff)
	}
	for name, c := range map[string]struct {
		recommended approvals
		want        schemas.Opinion
	}{
		"of some": {approvals{ask("a")}, schemas.Opinion{Approvals: approvals{ask("a")}}},
		"of none": {nil, schemas.Opinion{Outcome: schemas.Release}},
	} {
		if diff := cmp.Diff(c.want, schemas.Hold{Recommended: c.recommended}.Binding()); diff != "" {
			t.Errorf("binding %s (-want +got):\n%s", name, diff)
		}
	}
}
