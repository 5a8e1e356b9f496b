package schemas_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/holdpoint/holdpoint/schemas"
)

// What other packages bound, in bytes of encoded JSON.
const (
	maxRuleID   = 64  // rules: the id of a rule, or of an approval
	maxRuleText = 160 // rules: why a rule had a say, or could not be evaluated
	maxEligible = 300 // rules: an expression
	maxTell     = 280 // rules: what the agent is told
	maxPerson   = 64  // identity: a person, an owner, a group
	maxGroups   = 16  // identity: how many groups an agent is in
	maxLabels   = 16  // rules: distinct labels in one catalog, of 32 bytes each
	maxLabeled  = 32  // rules: actions with labels
	maxSeq      = 1<<53 - 1
	maxStates   = 14
	maxPointers = 16 // decisions that a settlement names
)

func fill(n int) string { return strings.Repeat("x", n) }

// size is what the broker counts of a message: its header as NATS writes it, and
// its body.
func size(h schemas.Header, body []byte) int {
	n := len("NATS/1.0\r\n") + len("\r\n") + len(body)
	if len(h) == 0 {
		return len(body)
	}
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(": ") + len(v) + len("\r\n")
		}
	}
	return n
}

// largest are intents of exactly MaxIntentSize as INTENTS stores them, of agent
// and action with the longest names.
func largest(t *testing.T) map[string]schemas.Intent {
	t.Helper()
	bodies := map[string]string{
		"one long string":   `{"params":{"a":"%s"}}`,
		"escapes in prose":  `{"params":{"a":"%s"},"reason":"` + strings.Repeat(`\u0001`, 2000) + `","goal":"` + strings.Repeat(`\\`, 4096) + `","session":"` + fill(128) + `"}`,
		"growing numbers":   `{"params":{"n":[` + strings.Repeat("9e15,", 800) + `1],"a":"%s"},"reason":"` + strings.Repeat(`\u0001`, 2000) + `"}`,
		"shrinking numbers": `{"params":{"n":[` + strings.Repeat("1.000e-5,", 800) + `1],"a":"%s"}}`,
	}
	intents := make(map[string]schemas.Intent)
	for name, body := range bodies {
		grown := len(canonical(t, fmt.Sprintf(body, ""))) - len(fmt.Sprintf(body, ""))
		body = fmt.Sprintf(body, fill(schemas.MaxIntentSize-len(fmt.Sprintf(body, ""))-max(0, grown)))
		r := schemas.Record{
			Stream: schemas.Intents, Seq: maxSeq, Time: noon, Body: []byte(body),
			Subject: "intents." + fill(32) + "." + fill(64) + "." + fill(64),
		}
		in, err := schemas.ReadIntent(schemas.Name(fill(32)), r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		intents[name] = in
	}
	return intents
}

func canonical(t *testing.T, json string) []byte {
	t.Helper()
	b, err := schemas.Canonical([]byte(json))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func repeated[T any](n int, make func(i int) T) []T {
	all := []T{}
	for i := range n {
		all = append(all, make(i))
	}
	return all
}

// numbered is text of n bytes that differs by i.
func numbered(n, i int) string { return fmt.Sprintf("%0*d", n, i) }

func largestApproval(i int) schemas.Approval {
	return schemas.Approval{ID: numbered(maxRuleID, i), Eligible: fill(maxEligible), Quorum: 12, Deadline: 259200, Remind: 259200}
}

func largestOpinion() schemas.Opinion {
	match := func(i int) schemas.Match {
		return schemas.Match{Rule: numbered(maxRuleID, i), Outcome: schemas.Release, Add: 1_000_000, Reason: fill(maxRuleText)}
	}
	return schemas.Opinion{
		Outcome: schemas.Release, Risk: 1_000_000_000,
		Matched: repeated(schemas.MaxMatches, match), Failed: repeated(schemas.MaxMatches, match), More: 1000,
		Approvals: repeated(2*schemas.MaxApprovals, largestApproval),
		Tell:      fill(maxTell),
	}
}

func largestPointer(stream schemas.Stream) func(int) schemas.Pointer {
	return func(i int) schemas.Pointer {
		return schemas.Pointer{Stream: stream, Seq: maxSeq - uint64(i), Hash: digest("largest")}
	}
}

// largestRecords are the records that are made of an intent, as large as they get.
func largestRecords(in schemas.Intent) map[string]schemas.Content {
	bundle, at := digest("bundle"), time.Date(2026, 11, 24, 12, 0, 3, 999_999_999, time.UTC)
	fault := &schemas.Fault{Code: schemas.CodeTooManyOpen, Detail: fill(maxDetail)}
	before := repeated(3, largestPointer(schemas.Recommended))
	hold := schemas.Hold{
		Intent: in, State: schemas.Released, Waiting: fill(64), Queue: schemas.Name(fill(32)), Opinion: largestOpinion(),
		Recommended: repeated(schemas.MaxApprovals, largestApproval),
		Taken: repeated(schemas.MaxBudgets, func(i int) schemas.Taken {
			return schemas.Taken{Budget: numbered(64, i), Amount: schemas.MaxAmount, Reserved: true}
		}),
		Votes: repeated(schemas.MaxVotes, func(i int) schemas.Vote {
			return schemas.Vote{
				Reviewer: schemas.Name(numbered(32, i)), Person: numbered(maxPerson, i), Verdict: schemas.Approve,
				Decision: largestPointer(schemas.Decisions)(i), At: at,
			}
		}),
		Deadline: at, Remind: at, Bundle: bundle, At: at, Trail: before, Inputs: repeated(1+schemas.MaxBudgets, largestPointer(schemas.Budgets)), // the exposure, and budgets
		States: repeated(maxStates, func(int) schemas.Digest { return digest("state") }),
	}
	doubtful := hold
	doubtful.Inputs = nil
	doubtful.Doubt = &schemas.Doubt{
		Grant: largestPointer(schemas.Grants)(0), Executor: schemas.Name(fill(32)), Since: at,
		Decision: largestPointer(schemas.Decisions)(0), Verdict: schemas.WasNotDone,
	}
	return map[string]schemas.Content{
		"observation": schemas.Observation{
			Intent: in, Fault: fault,
			Agent: schemas.AgentFacts{Name: in.Agent, Owner: fill(maxPerson), Groups: repeated(maxGroups, func(int) string { return fill(maxPerson) })},
			Exposure: schemas.ExposureFacts{
				Labels:  repeated(maxLabels, func(i int) string { return numbered(32, i) }),
				Actions: repeated(maxLabeled, func(i int) schemas.Action { return in.Action }),
			},
			Rate: 1_000_000, Opinion: largestOpinion(), Bundle: bundle, At: at, Trail: before[:1],
		},
		"recommendation": schemas.Recommendation{
			Intent: in, Fault: fault, Opinion: largestOpinion(), Queue: schemas.Name(fill(32)), Bundle: bundle, At: at, Trail: before[:2],
		},
		"hold":          hold,
		"hold in doubt": doubtful,
		"settlement": schemas.Settlement{
			Intent: in, Outcome: schemas.Refuse, Code: schemas.CodeTooManyOpen, Detail: fill(maxDetail), Tell: fill(maxTell), ExecuteBy: at,
			Bundle: bundle, At: at, Trail: append(before, repeated(maxPointers+2, largestPointer(schemas.Decisions))...), // the decisions, the hold, the exposure
		},
	}
}

func checkSize(t *testing.T, name, what string, d schemas.Draft, most int) {
	t.Helper()
	got := size(d.Header, d.Body)
	t.Logf("%s of %s: %d bytes, %d left", name, what, got, most-got)
	if got > most {
		t.Errorf("%s of %s: got %d bytes, want at most %d: %d too many", name, what, got, most, got-most)
	}
}

// TestLargestRecordsFit: an intent of exactly MaxIntentSize fits every record that
// is made of it.
func TestLargestRecordsFit(t *testing.T) {
	t.Parallel()
	for what, in := range largest(t) {
		for name, c := range largestRecords(in) {
			checkSize(t, name, what, schemas.Write(c, "/gateways/"+fill(32)+"/recommend", noon, traceParent), schemas.MaxRecordSize)
		}
	}
}

// TestLargestReportFits: a result of MaxResultSize fits a report, with four KiB
// of error beside it.
func TestLargestReportFits(t *testing.T) {
	t.Parallel()
	report := schemas.Report{
		Executor: schemas.Name(fill(32)), Agent: schemas.Name(fill(32)), Intent: id, Digest: digest("intent"),
		Grant: largestPointer(schemas.Grants)(0), State: schemas.Failed,
		Result: jsontext.Value(`"` + fill(schemas.MaxResultSize-2) + `"`), Error: fill(4 << 10),
	}
	checkSize(t, "report", "the largest result", schemas.Write(report, "/executors/"+fill(32), noon, traceParent), schemas.MaxReportSize)
}

// TestLargestStandingFits: a condition and a reason as long as they may be fit, and
// so does each character that takes six bytes of JSON.
func TestLargestStandingFits(t *testing.T) {
	t.Parallel()
	name := schemas.Name(fill(32))
	s := schemas.Standing{
		ID: id, Reviewer: name, Queue: name, Agent: name, Action: schemas.Action(fill(64) + "." + fill(64)),
		When: strings.Repeat("\x01", schemas.MaxStandingWhen), Uses: schemas.MaxStandingUses, Until: noon, At: noon,
		Reason: strings.Repeat("\x01", schemas.MaxReason), Bundle: digest("bundle"), Signature: fill(86),
	}
	r := schemas.Revocation{ID: id, Reviewer: name, Queue: name, Agent: name, Reason: s.Reason, At: noon, Signature: s.Signature}
	for what, c := range map[string]schemas.Content{"standing": s, "revocation": r} {
		checkSize(t, what, "the longest texts", schemas.Write(c, "/reviewers/"+fill(32), noon, traceParent), schemas.MaxIntentSize)
	}
}

// TestLargestExposureFits: MaxSeen is there to bound an exposure. The sessions are
// the longest that an agent can declare.
func TestLargestExposureFits(t *testing.T) {
	t.Parallel()
	e := schemas.Exposure{
		Agent: schemas.Name(fill(32)), At: noon, Trail: repeated(1, largestPointer(schemas.Intents)),
		Seen: repeated(schemas.MaxSeen, func(i int) schemas.Seen {
			return schemas.Seen{
				Action: schemas.Action(fill(64) + "." + numbered(64, i)), Session: fill(schemas.MaxSession), Until: noon,
				Labels: repeated(maxLabels, func(i int) string { return numbered(32, i) }),
			}
		}),
	}
	checkSize(t, "exposure", "MaxSeen actions", schemas.Write(e, "/gateways/"+fill(32)+"/execute", noon, traceParent), schemas.MaxRecordSize)
}

// TestLargestBudgetFits: MaxReserved is there to bound a budget. What was returned
// stood among what was reserved.
func TestLargestBudgetFits(t *testing.T) {
	t.Parallel()
	b := schemas.Budget{
		Budget: fill(64), Key: fill(schemas.MaxBudgetKey), Limit: schemas.MaxAmount, Since: noon, At: noon, Nonce: fill(26),
		Trail: repeated(1, largestPointer(schemas.Intents)),
		Spent: repeated(66, func(int) schemas.Spent { return schemas.Spent{Amount: schemas.MaxAmount, At: noon} }),
		Reserved: repeated(schemas.MaxReserved, func(i int) schemas.Reservation {
			return schemas.Reservation{
				Agent: schemas.Name(numbered(32, i)), Intent: id, Digest: digest("intent"),
				Amount: schemas.MaxAmount, At: noon, Beyond: true,
			}
		}),
	}
	checkSize(t, "budget", "MaxReserved reservations", schemas.Write(b, "/gateways/"+fill(32)+"/execute", noon, traceParent), schemas.MaxRecordSize)
}
