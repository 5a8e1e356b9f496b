package replay_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/replay"
	"github.com/holdpoint/holdpoint/schemas"
)

// run replays a log and returns what was decided on each call, as "outcome why",
// and the report.
func run(t testing.TB, cfg replay.Config, log string) ([]string, replay.Report) {
	t.Helper()
	bundle, err := replay.Load(os.DirFS("testdata/shop"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Bundle = bundle
	if cfg.Now.IsZero() {
		cfg.Now = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	}
	var decided []string
	cfg.Decided = func(_ replay.Call, v replay.Verdict) error {
		decided = append(decided, strings.TrimSpace(v.Outcome.String()+" "+strings.Join(v.Why(), ",")))
		return nil
	}
	r := replay.New(cfg)
	if err := r.Run(t.Context(), replay.NewLines("log", strings.NewReader(log)).Next); err != nil {
		t.Fatal(err)
	}
	return decided, r.Report()
}

// logCase is a log, and what is decided on each of its calls.
type logCase struct {
	log  string
	cfg  replay.Config
	want []string
}

func checkLogs(t *testing.T, cases map[string]logCase) {
	t.Parallel()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := run(t, c.cfg, c.log)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestVerdicts: a call is decided on by all three checkpoints, and the verdict
// names what decided.
func TestVerdicts(t *testing.T) {
	checkLogs(t, map[string]logCase{
		"a rule releases": {
			log:  `{"action":"shop.refund","params":{"amount":20}}`,
			want: []string{"release small"},
		},
		"no rule releases": {
			log:  `{"action":"shop.refund","params":{"amount":500}}`,
			want: []string{"park"},
		},
		"a rule refuses": {
			log:  `{"action":"shop.refund","params":{"amount":-5}}`,
			want: []string{"refuse none"},
		},
		"a rule of observe refuses by what agents are": {
			log:  `{"action":"shop.look"}`,
			cfg:  replay.Config{Groups: []string{"barred"}},
			want: []string{"refuse barred"},
		},
		"or by who answers for them": {
			log:  `{"action":"shop.look"}`,
			cfg:  replay.Config{Owner: "mallory"},
			want: []string{"refuse barred"},
		},
		"a threshold parks": {
			log:  `{"action":"shop.mail","params":{"to":"a@example.com","text":"something that is rather long"}}`,
			want: []string{"park thresholds/1"},
		},
		"a rule that cannot be evaluated parks": {
			log:  `{"action":"shop.mail","params":{"text":"to nobody"}}`,
			want: []string{"park mails"},
		},
		"the catalog does not have it": {
			log:  `{"action":"shop.burn"}`,
			want: []string{"refuse unknown_action"},
		},
		"the schema does not allow it": {
			log:  `{"action":"shop.refund","params":{"amount":"20"}}`,
			want: []string{"refuse invalid"},
		},
		"a gate could not read it": {
			log:  `{"action":"shop.look","params":{"order":1e999}}`,
			want: []string{"refuse invalid"},
		},
		"missing parameters are none": {
			log:  `{"action":"shop.look"}` + "\n" + `{"action":"shop.look","params":null}`,
			want: []string{"release looks", "release looks"},
		},
		"the answer key is passed over": {
			log: `{"source":"x","suite":"shop","task_id":"t","kind":"attack","seq":0,"action":"shop.refund","params":{"amount":20},` +
				`"session":"s","agent":"bot","goal":"g","observed":[],"label":{"effect":"write"}}`,
			want: []string{"release small"},
		},
	})
}

// TestExposure: what an agent had been given counts in its session, and only what it
// was given.
func TestExposure(t *testing.T) {
	checkLogs(t, map[string]logCase{
		"what was read in the session counts": {
			log: `{"session":"a","action":"shop.refund","params":{"amount":20}}
				{"session":"a","action":"shop.ticket"}
				{"session":"b","action":"shop.refund","params":{"amount":20}}
				{"session":"a","action":"shop.refund","params":{"amount":20}}`,
			want: []string{"release small", "release tickets", "release small", "park after-reading"},
		},
		"for each agent": {
			log: `{"session":"a","agent":"x","action":"shop.ticket"}
				{"session":"a","agent":"y","action":"shop.refund","params":{"amount":20}}
				{"session":"a","agent":"x","action":"shop.refund","params":{"amount":20}}`,
			want: []string{"release tickets", "release small", "park after-reading"},
		},
		"unless all are one": {
			log: `{"session":"a","agent":"x","action":"shop.ticket"}
				{"session":"a","agent":"Not A Name","action":"shop.refund","params":{"amount":20}}`,
			cfg:  replay.Config{Agent: "one"},
			want: []string{"release tickets", "park after-reading"},
		},
		"without sessions everything counts": {
			log:  `{"action":"shop.ticket"}` + "\n" + `{"action":"shop.refund","params":{"amount":20}}`,
			want: []string{"release tickets", "park after-reading"},
		},
		"what the log says was observed counts": {
			log: `{"session":"a","action":"shop.refund","params":{"amount":20},"observed":["shop.look","shop.burn"]}
				{"session":"a","action":"shop.refund","params":{"amount":20},"observed":["shop.look","shop.ticket"]}
				{"session":"a","action":"shop.refund","params":{"amount":20}}`,
			want: []string{"release small", "park after-reading", "park after-reading"},
		},
		"what was refused gave nothing": {
			log: `{"action":"shop.ticket","params":{"secret":true}}
				{"action":"shop.refund","params":{"amount":20}}`,
			want: []string{"refuse secret", "release small"},
		},
		"what was parked was given": {
			log: `{"action":"shop.ticket","params":{"big":true}}
				{"action":"shop.refund","params":{"amount":20}}`,
			want: []string{"park", "park after-reading"},
		},
	})
}

// TestTimes: calls that have a time are judged as of then, and others as of now.
func TestTimes(t *testing.T) {
	checkLogs(t, map[string]logCase{
		"calls have their own time": {
			log: `{"action":"shop.mail","params":{"to":"a@example.com","text":""},"time":"2026-05-04T03:00:00Z"}
				{"action":"shop.mail","params":{"to":"a@example.com","text":""},"time":"2026-05-04T03:00:00-08:00"}
				{"action":"shop.mail","params":{"to":"a@example.com","text":""}}`,
			want: []string{"park night", "release mails", "release mails"},
		},
		"with times there are rates": {
			log: strings.Repeat(`{"action":"shop.look","time":"2026-05-04T12:00:00Z"}`+"\n", 4) +
				strings.Repeat(`{"action":"shop.look"}`+"\n", 4) +
				`{"action":"shop.look","time":"2026-05-04T12:02:00Z"}`,
			want: slices.Concat(
				slices.Repeat([]string{"release looks"}, 3), []string{"park hasty"}, slices.Repeat([]string{"release looks"}, 5)),
		},
		"with times there are budgets, for all agents and sessions": {
			log: `{"agent":"a","session":"1","action":"shop.refund","params":{"order":"b","amount":50},"time":"2026-05-04T12:00:00Z"}
				{"agent":"b","session":"2","action":"shop.refund","params":{"order":"b","amount":49},"time":"2026-05-04T13:00:00Z"}
				{"agent":"c","session":"3","action":"shop.refund","params":{"order":"b","amount":2},"time":"2026-05-04T14:00:00Z"}
				{"agent":"c","session":"3","action":"shop.refund","params":{"order":"b","amount":50}}
				{"agent":"d","session":"4","action":"shop.refund","params":{"order":"b","amount":1},"time":"2026-05-04T15:00:00Z"}
				{"agent":"d","session":"4","action":"shop.refund","params":{"order":"b","amount":1},"time":"2026-05-04T16:00:00Z"}
				{"agent":"d","session":"4","action":"shop.refund","params":{"order":"b","amount":50},"time":"2026-05-05T12:00:01Z"}`,
			want: []string{"release small", "release small", "park a-day", "release small", "release small", "park a-day", "release small"},
		},
		"an exposure ends": {
			log: `{"action":"shop.ticket","time":"2026-05-04T12:00:00Z"}
				{"action":"shop.refund","params":{"amount":20},"time":"2026-05-04T13:00:00Z"}
				{"action":"shop.refund","params":{"amount":20},"time":"2026-05-06T12:00:00Z"}`,
			want: []string{"release tickets", "park after-reading", "release small"},
		},
	})
}

// TestReport: everything is counted once, what there is most of first.
func TestReport(t *testing.T) {
	t.Parallel()
	log := `{"session":"a","seq":0,"action":"shop.ticket"}
		{"session":"a","seq":1,"action":"shop.refund","params":{"amount":20}}
		{"session":"b","seq":7,"action":"shop.refund","params":{"amount":20}}
		{"session":"b","action":"shop.refund","params":{"amount":30}}
		{"session":"c","action":"shop.burn"}
		{"session":"c","action":"shop.refund","params":{"amount":true}}
		{"session":"d","action":"shop.look"
		{"session":"e","action":"shop.refund","params":{"amount":600}}
		{"session":"e","action":"shop.refund","params":{"amount":700}}`
	_, got := run(t, replay.Config{}, log)
	got.Bundle = ""
	want := replay.Report{
		Totals:   replay.Totals{Calls: 8, Released: 3, Parked: 3, Refused: 2},
		BadLines: 1,
		Sessions: replay.Sessions{
			Sessions: 4, Free: 1, Parked: 2, Refused: 1, Cut: 1,
			Busiest: []replay.SessionTally{
				{Agent: "agent", Session: "e", Totals: replay.Totals{Calls: 2, Parked: 2}},
				{Agent: "agent", Session: "a", Totals: replay.Totals{Calls: 2, Released: 1, Parked: 1}},
			},
		},
		Actions: []replay.ActionTally{
			{Action: "shop.refund", Totals: replay.Totals{Calls: 6, Released: 2, Parked: 3, Refused: 1}},
			{Action: "shop.burn", Totals: replay.Totals{Calls: 1, Refused: 1}, Unknown: true},
			{Action: "shop.ticket", Totals: replay.Totals{Calls: 1, Released: 1}},
		},
		Rules: []replay.RuleTally{
			{Outcome: schemas.Park, Calls: 2, Reason: "no rule releases it"},
			{Rule: "small", Outcome: schemas.Release, Calls: 2, Reason: "small"},
			{Rule: "after-reading", Outcome: schemas.Park, Calls: 1, Reason: "has read a ticket"},
			{Rule: "tickets", Outcome: schemas.Release, Calls: 1, Reason: "only a ticket"},
		},
		Quiet: []string{"barred", "hasty", "looks", "mails", "night", "none", "once", "reports", "secret"},
		Needs: []replay.NeedTally{{Queue: "refunds", Approval: "finance", Quorum: 2, Calls: 3, Votes: 6}},
		Refusals: []replay.RefusalTally{
			{Code: schemas.CodeInvalid, Action: "shop.refund", Calls: 1, Line: "log:6", Detail: "/params/amount: got boolean, want integer"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// TestDays: what reviewers would have to do on each day, as far as the log has times.
func TestDays(t *testing.T) {
	t.Parallel()
	log := `{"action":"shop.refund","params":{"amount":600},"time":"2026-05-06T00:00:00Z"}
		{"action":"shop.refund","params":{"amount":20},"time":"2026-05-04T12:00:00Z"}
		{"action":"shop.refund","params":{"amount":600},"time":"2026-05-05T23:59:59-01:00"}
		{"action":"shop.mail","params":{"text":"to nobody"},"time":"2026-05-04T12:00:00Z"}
		{"action":"shop.refund","params":{"amount":600}}`
	_, got := run(t, replay.Config{}, log)
	want := []replay.DayTally{{Day: "2026-05-04", Calls: 2, Parked: 1, Votes: 1}, {Day: "2026-05-06", Calls: 2, Parked: 2, Votes: 4}}
	if diff := cmp.Diff(want, got.Days); diff != "" {
		t.Errorf("days (-want +got):\n%s", diff)
	}
}

// TestStuck: a rule that takes a call's own result for given when it is claimed is
// named, because no executor would get the call.
func TestStuck(t *testing.T) {
	t.Parallel()
	log := `{"session":"a","action":"shop.report"}
		{"session":"a","action":"shop.report"}
		{"session":"b","action":"shop.report"}`
	decided, got := run(t, replay.Config{}, log)
	if diff := cmp.Diff([]string{"release reports", "park once", "release reports"}, decided); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	want := []replay.RuleTally{{Rule: "once", Outcome: schemas.Release, Calls: 2, Reason: "one a day"}}
	if diff := cmp.Diff(want, got.Stuck); diff != "" {
		t.Errorf("stuck (-want +got):\n%s", diff)
	}
}

// TestOrder: calls of a long log are decided on in the order of their sessions and
// told in the order of the lines, however many are judged at once.
func TestOrder(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	var want []string
	const sessions, rounds = 300, 40
	for round := range rounds {
		for s := range sessions {
			// In its s-th round a session reads a ticket, and from then on parks.
			switch {
			case round == s%rounds:
				fmt.Fprintf(&log, `{"session":"s%d","action":"shop.ticket"}`+"\n", s)
				want = append(want, "release tickets")
			case round > s%rounds:
				fmt.Fprintf(&log, `{"session":"s%d","action":"shop.refund","params":{"amount":1}}`+"\n", s)
				want = append(want, "park after-reading")
			default:
				fmt.Fprintf(&log, `{"session":"s%d","action":"shop.refund","params":{"amount":1}}`+"\n", s)
				want = append(want, "release small")
			}
		}
	}
	got, report := run(t, replay.Config{}, log.String())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	if s := report.Sessions; s.Sessions != sessions || s.Cut != 0 {
		t.Errorf("sessions: got %+v, want %d", s, sessions)
	}
}

// TestInterrupted: what was judged before an error is in the report.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	bundle, err := replay.Load(os.DirFS("testdata/shop"))
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk is gone")
	r := replay.New(replay.Config{Bundle: bundle})
	lines := replay.NewLines("log", io.MultiReader(strings.NewReader(`{"action":"shop.look"}`+"\n"), failing{broken}))
	if err := r.Run(t.Context(), lines.Next); !errors.Is(err, broken) || !strings.Contains(err.Error(), "log:2") {
		t.Errorf("run: got %v, want %v and the line", err, broken)
	}
	if got := r.Report(); got.Calls != 1 || got.Released != 1 {
		t.Errorf("report: got %+v, want one release", got.Totals)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
