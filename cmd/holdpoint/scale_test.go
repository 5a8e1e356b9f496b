package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestFill: what a benchmark fills in is what a gate writes. A gate that is started
// on it goes on from there, and the audit verifies.
func TestFill(t *testing.T) {
	t.Parallel()
	const parked, ended = 7, 30
	w := newWorld(t, "testdata/queue")
	f := newFill(w, 3)
	otto := client.Auditor{Conn: w.add(schemas.Identity{Name: "otto", Role: schemas.RoleAuditor, Person: "otto"})}
	w.halt()
	f.add(parked+ended, queueSize{parked, ended}.open)
	w.start()
	q := queue{queueSize: queueSize{parked, ended}, world: w, ann: client.Reviewer{Conn: w.dial(f.ann.KeyFile)}, page: 5}
	q.decide()
	s := siege{world: w, ns: natsServer(w)}
	w.until("AUDIT has all of it", func() bool { return s.look().busy() == "" })
	report, err := verifyAudit(t.Context(), otto, 1, func(uint64) {})
	check(t, err)
	want := likenesses + ended
	if report.First() != nil || report.Done != want || report.Released != want+1 || report.Open != parked {
		t.Errorf("the audit: %s; first finding %v; want %d done, one released, %d open", summary(report), report.First(), want, parked)
	}
}

// queueSize is how many holds a gate has.
type queueSize struct{ waiting, ended int }

func (q queueSize) String() string {
	if q.ended == 0 {
		return fmt.Sprintf("%d-open", q.waiting)
	}
	return fmt.Sprintf("%d-open-among-%d", q.waiting, q.ended)
}

// open reports whether of all holds the i-th is open. Nine of ten open ones are
// among the last hundredth; the others have waited for long, and are spread over
// all that there ever were.
func (q queueSize) open(i int) bool {
	all := q.waiting + q.ended
	last := max(all/100, q.waiting)
	recent := q.waiting * 9 / 10
	if q.ended == 0 {
		return true
	}
	if i >= all-last {
		return spread(i-(all-last), last, recent)
	}
	return spread(i, all-last, q.waiting-recent)
}

// spread reports whether the i-th of all is one of n that are spread over them.
func spread(i, all, n int) bool { return (i+1)*n/all > i*n/all }

// queue is a gate with that many holds, and who works on them.
type queue struct {
	queueSize
	*world
	ann    client.Reviewer
	agents map[schemas.Name]identity.KeyFile
	page   int // how many lines ann looks at

	began            time.Duration // to open the gate
	lists, decisions []time.Duration
}

// newQueue opens a gate with holds.
func newQueue(t testing.TB, size queueSize, page int) *queue {
	t.Helper()
	w := newWorld(t, "testdata/queue")
	f := newFill(w, max(10, size.waiting/w.config().Limits.OpenHolds))
	w.halt()
	f.add(size.waiting+size.ended, size.open)
	f.leave()
	q := &queue{queueSize: size, world: w, agents: map[schemas.Name]identity.KeyFile{}, page: page}
	for _, a := range f.agents {
		q.agents[a.Name] = a.KeyFile
	}
	began := time.Now()
	w.start()
	q.began = time.Since(began)
	q.ann = client.Reviewer{Conn: w.dial(f.ann.KeyFile)}
	return q
}

// decide lets ann list the riskiest holds, look at the first of them, and approve. It
// returns whose that was.
func (q *queue) decide() schemas.Name {
	q.t.Helper()
	began := time.Now()
	page, err := q.ann.List(q.t.Context(), "", q.page, "")
	q.lists = append(q.lists, time.Since(began))
	check(q.t, err)
	if page.Total != q.waiting || len(page.Holds) != q.page || !slices.IsSortedFunc(page.Holds, func(a, b schemas.HoldLine) int { return b.Risk - a.Risk }) {
		q.t.Fatalf("%s: a page of %d holds out of %d, want %d of %d by risk", q.queueSize, len(page.Holds), page.Total, q.page, q.waiting)
	}
	began = time.Now()
	held, err := q.ann.Hold(q.t.Context(), schemas.Key{Agent: page.Holds[0].Agent, ID: page.Holds[0].Intent})
	check(q.t, err)
	ruling, err := q.ann.Decide(q.t.Context(), held, schemas.Approve, "")
	q.decisions = append(q.decisions, time.Since(began))
	check(q.t, err)
	if !ruling.Counts || ruling.State != schemas.Released {
		q.t.Fatalf("%s: the approval of %s: %+v, want that it releases", q.queueSize, held.Intent.Key(), ruling)
	}
	return held.Intent.Agent
}

// replace lets an agent propose something in the place of what was decided on.
func (q *queue) replace(agent schemas.Name, i int) {
	q.t.Helper()
	at := q.server.Connection()
	conn, err := client.Dial(client.Config{Key: q.agents[agent], Server: at.URL, InProcess: at.InProcess, Log: logTo(q.t)})
	check(q.t, err)
	defer conn.Close()
	bot := client.Agent{Conn: conn}
	ticket, err := bot.Submit(q.t.Context(), payment(i))
	check(q.t, err)
	status, err := bot.Stand(q.t.Context(), ticket)
	check(q.t, err)
	if status.State != schemas.Parked {
		q.t.Fatalf("%s: %s is %s (%s), want parked", q.queueSize, ticket.Key, status.State, status.Code)
	}
}

// BenchmarkHolds compares a page of the riskiest holds, and a decision, in gates with
// few and with many holds, in turns, so that all see the same machine. All pages have
// the ten lines that there are in the smallest. It fills in for some minutes first,
// and takes 6 GB of disk:
//
//	go test -run '^$' -bench Holds -benchtime 200x -timeout 30m ./cmd/holdpoint
func BenchmarkHolds(b *testing.B) {
	var queues []*queue
	for _, size := range []queueSize{{10, 0}, {100, 200_000}, {100_000, 0}} {
		queues = append(queues, newQueue(b, size, 10))
	}
	for i := 0; b.Loop(); i++ {
		for _, q := range queues {
			q.replace(q.decide(), i)
		}
	}
	b.ReportMetric(0, "ns/op")
	few := queues[0]
	for _, q := range queues {
		b.Logf("%s: start %.1f s; list p50 %.2f p90 %.2f p99 %.2f ms; decide p50 %.2f p90 %.2f p99 %.2f ms", q.queueSize, q.began.Seconds(),
			within(q.lists, 50), within(q.lists, 90), within(q.lists, 99), within(q.decisions, 50), within(q.decisions, 90), within(q.decisions, 99))
		if q != few {
			b.ReportMetric(within(q.lists, 50)/within(few.lists, 50), "list-"+q.String()+"/"+few.String())
			b.ReportMetric(within(q.decisions, 50)/within(few.decisions, 50), "decide-"+q.String()+"/"+few.String())
		}
	}
}

// within returns the time that a part of them took at most, in milliseconds.
func within(all []time.Duration, percent int) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[percent*(len(sorted)-1)/100].Microseconds()) / 1000
}
