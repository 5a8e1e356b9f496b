package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// newCluster is a world of three servers, with streams that are kept three times.
// Everyone connects to the server with that number.
func newCluster(t *testing.T) []*world {
	t.Helper()
	keys := map[schemas.Name]nkeys.KeyPair{}
	users := (&world{t: t, keys: keys}).users()
	var routes []*url.URL
	ports := freePorts(t, 3)
	for _, port := range ports {
		routes = append(routes, &url.URL{Scheme: "nats-route", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	var nodes []*world
	for i, port := range ports {
		ns := startServer(t, users, func(o *server.Options) {
			o.ServerName = fmt.Sprintf("n%d", i)
			o.Host, o.Port = "127.0.0.1", server.RANDOM_PORT
			o.Cluster, o.Routes = server.ClusterOpts{Name: "hold", Host: "127.0.0.1", Port: port}, routes
		})
		nodes = append(nodes, &world{t: t, ns: ns, url: ns.ClientURL(), keys: keys})
	}
	w := nodes[0]
	w.again(func(context.Context) error {
		if !slices.ContainsFunc(nodes, func(n *world) bool { return n.ns.JetStreamIsLeader() }) {
			return schemas.ErrUnavailable
		}
		return nil
	})
	w.again(func(ctx context.Context) error {
		p := broker.NewProvisioner(w.conn("provision"), w.conn("provision-audit"), tenant, broker.Layout{})
		_, err := p.Apply(ctx, []string{"shop"})
		return err
	})
	return nodes
}

// freePorts returns ports of loopback that nobody listens on.
func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// TestCluster: on three nodes every stream is kept three times, and while leaders
// step down an intent that many settle at once is settled once, and everyone finds
// out how from the leader.
func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := newCluster(t)
	w := nodes[0]
	for _, stream := range append(schemas.Streams(), "OBJ_bundles", schemas.Audit) {
		if got := w.configOf(stream).Replicas; got != 3 {
			t.Errorf("%s is kept %d times", stream, got)
		}
	}
	tap, _ := w.root(broker.Gate)
	direct, err := tap.SubscribeSync("$JS.API.DIRECT.GET.SETTLED")
	check(t, err)
	var logs []*broker.Log
	for _, node := range nodes {
		logs = append(logs, node.log(schemas.RoleExecute))
	}
	races := 200
	if testing.Short() {
		races = 40
	}
	r := race{w: w, logs: logs, codes: map[jetstream.ErrorCode]int{}}
	for i := range races {
		if i%40 == 20 {
			r.stepDown()
		}
		r.run(i)
	}
	t.Logf("codes of those who lost: %v", r.codes)
	for code := range r.codes {
		if code != 10071 && code != 10164 {
			t.Errorf("a lost race has the code %d, which nobody knows", code)
		}
	}
	settled := map[schemas.IntentID]int{}
	check(t, logs[0].Each(w.ctx(), schemas.Settled, "*.*.bot.*.*", func(r schemas.Record) bool {
		s, err := schemas.ParseSubject(r.Subject)
		check(t, err)
		settled[s.Intent]++
		return true
	}))
	if n, _, err := direct.Pending(); err != nil || n > 1 {
		t.Errorf("%d verdicts were asked of any replica, %v; want none but the reading just now", n, err)
	}
	for id, n := range settled {
		if n != 1 {
			t.Errorf("%s is settled %d times", id, n)
		}
	}
	if len(settled) != races {
		t.Errorf("%d of %d are settled", len(settled), races)
	}
}

// race lets several processes of execute settle the same intents.
type race struct {
	w    *world
	logs []*broker.Log

	mu    sync.Mutex // guards codes, for one more
	codes map[jetstream.ErrorCode]int
}

// run settles one intent in as many ways as there are processes, and makes sure
// that all of them come to know the same verdict.
func (r *race) run(i int) {
	k := newKey("bot")
	found := make([]schemas.Record, len(r.logs))
	var racing sync.WaitGroup
	for n, log := range r.logs {
		kind := []string{"released", "refused"}[(i+n)%2]
		racing.Go(func() { found[n] = r.settle(log, k, kind) })
	}
	racing.Wait()
	for _, f := range found[1:] {
		if f.Seq != found[0].Seq || f.Subject != found[0].Subject {
			r.w.t.Errorf("%s: one found %s/%d, another %s/%d", k, found[0].Subject, found[0].Seq, f.Subject, f.Seq)
		}
	}
}

// settle writes a verdict, or finds one, as a stage does: an error only means to
// look. It returns what stands.
func (r *race) settle(log *broker.Log, k schemas.Key, kind string) schemas.Record {
	for ctx := r.w.ctx(); ctx.Err() == nil; {
		// An answer that was lost with its leader is not waited for.
		short, cancel := context.WithTimeout(ctx, time.Second/4)
		written, err := log.Append(short, verdict(kind, k), unsettled(k))
		cancel()
		r.count(err)
		found, lookErr := log.Last(ctx, schemas.Settled, schemas.SettlementFilter(k))
		if err == nil && (lookErr == nil && found.Seq != written.Seq || errors.Is(lookErr, schemas.ErrNotFound)) {
			r.w.t.Errorf("%s: written %s/%d, found %s/%d, %v", k, written.Subject, written.Seq, found.Subject, found.Seq, lookErr)
		}
		if lookErr == nil {
			return found
		}
	}
	r.w.t.Errorf("%s is never settled", k)
	return schemas.Record{}
}

func (r *race) count(err error) {
	var api *jetstream.APIError
	if !errors.Is(err, schemas.ErrStale) || !errors.As(err, &api) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.codes[api.ErrorCode]++
}

// stepDown makes the leader of SETTLED step down, while the races go on.
func (r *race) stepDown() {
	nc, _ := r.w.root(broker.Gate)
	m, err := nc.Request("$JS.API.STREAM.LEADER.STEPDOWN.SETTLED", nil, patience)
	if err != nil && !errors.Is(err, nats.ErrNoResponders) || err == nil && !strings.Contains(string(m.Data), `"success":true`) {
		r.w.t.Logf("stepping down: %s, %v", m.Data, err)
	}
}
