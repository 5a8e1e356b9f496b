package stages

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestHistoriesAreVerified: whatever happens to stages that keep their promises, a
// verifier of what they wrote accuses them of nothing, and waits for nothing.
// HOLDPOINT_TEST_SEED repeats one history.
func TestHistoriesAreVerified(t *testing.T) {
	t.Parallel()
	n, first := 10, rand.Uint64N(1<<40)
	if text := os.Getenv("HOLDPOINT_TEST_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		must(t, err)
		n, first = 1, seed
	}
	for i := range n {
		t.Run(strconv.FormatUint(first+uint64(i), 10), func(t *testing.T) {
			s := newSim(t, newArena(t), first+uint64(i))
			begun := s.now()
			for range stepsOfHistory {
				s.step()
				s.revive()
				s.collect()
			}
			s.settleDown()
			s.verify(begun)
		})
	}
}

// verify verifies everything that the history left in the streams.
func (s *sim) verify(begun time.Time) {
	s.t.Helper()
	records := s.controlled(begun)
	for _, stream := range schemas.Streams() {
		if stream == schemas.Control {
			continue
		}
		must(s.t, s.logs[schemas.RoleExecute].Tail(stream, "", 1).Read(s.t.Context(), func(r schemas.Record) error {
			records = append(records, r)
			return nil
		}))
	}
	slices.SortStableFunc(records, func(a, b schemas.Record) int { return a.Time.Compare(b.Time) })
	v := audit.New(audit.Config{Gateway: schemas.Name(simTenant), Eligibility: evaluator{}})
	copied := begun
	for i, r := range records {
		// The clock of the stages runs ahead of the broker's: it is as late as the
		// latest of them says.
		if at := written(r); at.After(copied) {
			copied = at
		}
		r.Time = copied
		v.Add(uint64(i+1), r)
	}
	got := v.Finish(copied.Add(time.Hour))
	for _, f := range got.Findings {
		s.t.Error(f)
	}
	if got.Pending > 0 || got.Released+got.Refused == 0 {
		s.t.Errorf("%d pending and %d settled, want none and some", got.Pending, got.Released+got.Refused)
	}
}

// controlled is what CONTROL would say, if a simulation had one: everybody is
// registered, and every bundle active, from the beginning on. That is the most that
// its stages ever go by.
func (s *sim) controlled(begun time.Time) (records []schemas.Record) {
	write := func(c schemas.Content) {
		d := schemas.Write(c, "/sim", begun, "")
		records = append(records, schemas.Record{
			Stream: schemas.Control, Seq: uint64(len(records) + 1), Time: time.Unix(int64(len(records)), 0),
			Subject: d.Subject, Header: d.Header, Body: d.Body,
		})
	}
	write(schemas.Identity{By: "provision", Name: "boss", Role: schemas.RolePolicyAdmin, Key: "boss", At: begun})
	write(schemas.Identity{By: "provision", Name: "ida", Role: schemas.RoleIdentityAdmin, Key: "ida", At: begun})
	for _, id := range s.people {
		if !slices.Contains(schemas.GatewayRoles(), id.Role) {
			id.By, id.At = "ida", begun
			write(id)
		}
	}
	for _, bundle := range s.bundle {
		write(schemas.Activation{By: "boss", Bundle: bundle.Digest(), At: begun})
	}
	return records
}

// written returns when a stage says that it wrote r, or zero.
func written(r schemas.Record) time.Time {
	var o schemas.Observation
	var rec schemas.Recommendation
	var h schemas.Hold
	var st schemas.Settlement
	var g schemas.Grant
	var l schemas.Lapse
	var x schemas.Rejection
	var e schemas.Exposure
	var b schemas.Budget
	for c, at := range map[schemas.Content]*time.Time{&o: &o.At, &rec: &rec.At, &h: &h.At, &st: &st.At, &g: &g.At, &l: &l.At, &x: &x.At, &e: &e.At, &b: &b.At} {
		if schemas.Read(r, c) == nil {
			return *at
		}
	}
	return time.Time{}
}

// evaluator evaluates the expressions of approvals.
type evaluator struct{}

func (evaluator) Eligible(expr string, reviewer, agent schemas.Identity, a schemas.Action) (bool, error) {
	who := rules.Reviewer{Name: reviewer.Name, Person: reviewer.Principal(), Groups: reviewer.Groups, Service: reviewer.Service}
	return new(rules.Eligibility).Eligible(context.Background(), expr, who, factsOf(agent), a)
}
