package schemas_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/holdpoint/holdpoint/schemas"
)

// saw is one thing seen, until some hours after noon.
func saw(action schemas.Action, session string, hours int, labels ...string) schemas.Seen {
	return schemas.Seen{Action: action, Labels: labels, Session: session, Until: noon.Add(time.Duration(hours) * time.Hour)}
}

func exposed(t *testing.T, seen ...schemas.Seen) schemas.Exposure {
	t.Helper()
	e := schemas.Exposure{Agent: bot}
	for _, s := range seen {
		var err error
		if e, err = e.Add(s, noon); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func TestExposureFacts(t *testing.T) {
	t.Parallel()
	e := exposed(t, saw("crm.read", "", 24, "pii", "eu"), saw("hr.read", "", 2, "salary", "pii"), saw("doc.read", "", 1))
	for name, c := range map[string]struct {
		after time.Duration
		want  schemas.ExposureFacts
	}{
		"all":             {0, schemas.ExposureFacts{Labels: []string{"eu", "pii", "salary"}, Actions: []schemas.Action{"crm.read", "doc.read", "hr.read"}}},
		"one at its end":  {time.Hour, schemas.ExposureFacts{Labels: []string{"eu", "pii", "salary"}, Actions: []schemas.Action{"crm.read", "hr.read"}}},
		"just before":     {2*time.Hour - 1, schemas.ExposureFacts{Labels: []string{"eu", "pii", "salary"}, Actions: []schemas.Action{"crm.read", "hr.read"}}},
		"a second ended":  {2 * time.Hour, schemas.ExposureFacts{Labels: []string{"eu", "pii"}, Actions: []schemas.Action{"crm.read"}}},
		"everything over": {24 * time.Hour, schemas.ExposureFacts{}},
	} {
		if diff := cmp.Diff(c.want, e.Facts("", noon.Add(c.after))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestExposureSessions: only an agent that declares its sessions has any in what
// it saw; a question without a session sees everything.
func TestExposureSessions(t *testing.T) {
	t.Parallel()
	e := exposed(t, saw("crm.read", "one", 24, "pii"), saw("crm.read", "two", 24, "eu"), saw("hr.read", "", 24, "salary"))
	for session, want := range map[string][]string{
		"one":   {"pii", "salary"},
		"two":   {"eu", "salary"},
		"three": {"salary"},
		"":      {"eu", "pii", "salary"},
	} {
		if diff := cmp.Diff(want, e.Facts(session, noon).Labels); diff != "" {
			t.Errorf("session %q (-want +got):\n%s", session, diff)
		}
	}
}

func TestExposureAdd(t *testing.T) {
	t.Parallel()
	e := exposed(t, saw("crm.read", "", 24, "pii"), saw("hr.read", "", 1, "salary"))
	later := noon.Add(time.Hour)
	got, err := e.Add(saw("doc.read", "", 25, "secret"), later)
	if err != nil {
		t.Fatal(err)
	}
	want := schemas.Exposure{Agent: bot, At: later, Seen: []schemas.Seen{saw("crm.read", "", 24, "pii"), saw("doc.read", "", 25, "secret")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("without what is over (-want +got):\n%s", diff)
	}
	if len(e.Seen) != 2 {
		t.Errorf("adding changed what was added to: %+v", e)
	}
}

// TestExposureForgetsNothing: seen again, an action keeps what it exposed before.
func TestExposureForgetsNothing(t *testing.T) {
	t.Parallel()
	e := exposed(t, saw("crm.read", "", 24, "pii", "eu"), saw("crm.read", "", 1, "salary"))
	want := []schemas.Seen{saw("crm.read", "", 24, "eu", "pii", "salary")}
	if diff := cmp.Diff(want, e.Seen); diff != "" {
		t.Errorf("seen twice (-want +got):\n%s", diff)
	}
}

// TestExposureNeverShrinks: adding takes no label away before its time.
func TestExposureNeverShrinks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := schemas.Exposure{Agent: bot}
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			at := noon.Add(time.Duration(i) * time.Minute)
			s := schemas.Seen{
				Action:  schemas.Action(rapid.SampledFrom([]string{"a.a", "b.b", "c.c"}).Draw(t, "action")),
				Session: rapid.SampledFrom([]string{"", "one", "two"}).Draw(t, "session"),
				Labels:  rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 3).Draw(t, "labels"),
				Until:   at.Add(time.Duration(rapid.IntRange(1, 20).Draw(t, "minutes")) * time.Minute),
			}
			before := e
			var err error
			if e, err = e.Add(s, at); err != nil {
				t.Fatal(err)
			}
			for _, session := range []string{"", "one", "two"} {
				for after := range 25 {
					then := at.Add(time.Duration(after) * time.Minute)
					was, is := before.Facts(session, then), e.Facts(session, then)
					for _, label := range was.Labels {
						if !slices.Contains(is.Labels, label) {
							t.Fatalf("after adding %+v to %+v: label %s is gone at %s", s, before, label, then)
						}
					}
				}
			}
		}
	})
}

func TestExposureIsBounded(t *testing.T) {
	t.Parallel()
	e := schemas.Exposure{Agent: bot}
	for i := range schemas.MaxSeen {
		var err error
		if e, err = e.Add(saw(schemas.Action(fmt.Sprintf("crm.read%d", i)), "", i+1, "pii"), noon); err != nil {
			t.Fatalf("action %d: %v", i, err)
		}
	}
	if got, err := e.Add(saw("crm.more", "", 24), noon); !isFault(err) {
		t.Errorf("one too many: got %d seen, %v, want a Fault", len(got.Seen), err)
	}
	if got, err := e.Add(saw("crm.read7", "", 24), noon); err != nil || len(got.Seen) != schemas.MaxSeen {
		t.Errorf("one that is there: got %d seen, %v, want it to fit", len(got.Seen), err)
	}
	if got, err := e.Add(saw("crm.more", "", 24), noon.Add(time.Hour)); err != nil || len(got.Seen) != schemas.MaxSeen {
		t.Errorf("when one is over: got %d seen, %v, want it to fit", len(got.Seen), err)
	}
}

// TestExposureOfManySessions: an agent may have more sessions than a record holds.
// What each of them saw still counts for it; when they are too many, for others too.
func TestExposureOfManySessions(t *testing.T) {
	t.Parallel()
	seen := []schemas.Seen{saw("hr.read", "", 24, "salary")}
	for i := range 3 * schemas.MaxSeen {
		seen = append(seen, saw("crm.read", fmt.Sprint("s", i), i%24+1, fmt.Sprint("tenant", i%5)))
	}
	e := exposed(t, seen...)
	if len(e.Seen) > schemas.MaxSeen {
		t.Errorf("got %d seen, want at most %d", len(e.Seen), schemas.MaxSeen)
	}
	for _, s := range seen {
		if !slices.ContainsFunc(e.Seen, func(have schemas.Seen) bool { return have.Covers(s) }) {
			t.Errorf("%+v is not covered by %+v", s, e.Seen)
		}
	}
	if got, want := e.Facts("s999", noon).Labels, []string{"salary", "tenant0", "tenant1", "tenant2", "tenant3", "tenant4"}; !slices.Equal(got, want) {
		t.Errorf("a session like any other: got %v, want %v", got, want)
	}
}
