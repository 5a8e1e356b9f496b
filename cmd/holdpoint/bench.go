package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/schemas"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	nats, creds, ca      string
	printConfig          bool
	agents, rounds, rate int
	time                 time.Duration
}

func defaultBench() benchOptions {
	return benchOptions{agents: 1000, rounds: 3, rate: 1000, time: 20 * time.Second}
}

func benchCommand() *cobra.Command {
	o := defaultBench()
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast the gate is here, and how fast it could be",
		Long: `Measure how many intents a second the gate settles on this machine, and how long
an agent waits: from submitting an intent until it has read its release, and from a
reviewer's approval until then. Latency is measured at a steady rate, from the
moment that an intent was due.

What the gate could be at most is measured beside it, in turns: a relay passes the
same messages on, over the same accounts, streams, copies to AUDIT, conditions and
acknowledgements, and decides nothing. The ratio of both is what deciding costs.

Without --nats, both run in this process with brokers of their own in a temporary
directory: what is said of processor time and allocations is then about agents, gate
and broker together. With --nats they run on an existing server or cluster, in
accounts made for that:

  holdpoint bench --print-server-config --creds DIR > bench.conf
  (include bench.conf in the configuration of every server, and reload them)
  holdpoint bench --nats nats://127.0.0.1:4222 --creds DIR

Their streams stay there; nothing else on that server is touched.`,
		Example: `  holdpoint bench
  holdpoint bench -o json --agents 100 --time 10s`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runBench(cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.nats, "nats", "", "use the broker at this `address` instead")
	f.StringVar(&o.creds, "creds", "", "`directory` with the keys of the bench, with --nats")
	f.StringVar(&o.ca, "ca", "", "`file` with the certificates that the broker is trusted by")
	f.BoolVar(&o.printConfig, "print-server-config", false, "make the keys and print the accounts and users for the servers")
	f.IntVar(&o.agents, "agents", o.agents, "how many agents submit")
	f.IntVar(&o.rounds, "rounds", o.rounds, "how often gate and relay take turns")
	f.IntVar(&o.rate, "rate", o.rate, "intents a second while latency is measured; fewer if the gate cannot keep up")
	f.DurationVar(&o.time, "time", o.time, "how long to measure, about; connecting comes on top")
	return cmd
}

// benchReport is what was measured. Throughput is the median of the rounds.
type benchReport struct {
	Broker string `json:"broker"` // embedded, or its address
	Build  build  `json:"build"`
	CPUs   int    `json:"cpus"`

	Agents  int `json:"agents"`
	Actions int `json:"actions"`

	Relay throughput `json:"relay"`
	Gate  throughput `json:"gate"`
	Ratio float64    `json:"ratio"`

	// Rate is how many intents a second were submitted while latency was measured.
	Rate             int     `json:"latency_intents_per_second"`
	SubmitToRelease  latency `json:"submit_to_release"`
	ApproveToRelease latency `json:"approve_to_release"`
}

// throughput is the median of rounds. What an intent costs is of this process.
type throughput struct {
	PerSecond       float64   `json:"intents_per_second"`
	Rounds          []float64 `json:"rounds"`
	Intents         int       `json:"intents"` // in all rounds
	Parked          int       `json:"parked"`  // of them
	CPUMicroseconds float64   `json:"cpu_microseconds_per_intent"`
	Allocations     float64   `json:"allocations_per_intent"`
	AllocatedBytes  float64   `json:"allocated_bytes_per_intent"`
}

// latency is in milliseconds.
type latency struct {
	Count  int64   `json:"count"`
	Parked int     `json:"parked"` // not among them
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	P999   float64 `json:"p99_9_ms"`
	Max    float64 `json:"max_ms"`
}

func runBench(cmd *cobra.Command, o benchOptions) error {
	switch {
	case o.agents < 1 || o.rounds < 1 || o.rate < 1 || o.time <= 0:
		return usage("--agents, --rounds, --rate and --time: want more than 0")
	case o.printConfig && o.creds == "":
		return usage("--print-server-config needs --creds DIR, for the keys that it makes")
	case !o.printConfig && (o.nats == "") != (o.creds == ""):
		return usage("--nats and --creds belong together")
	case o.printConfig:
		return printBenchConfig(cmd, o)
	}
	b := bench{benchOptions: o, tell: func(format string, args ...any) { say(cmd.ErrOrStderr(), "holdpoint: "+format, args...) }, log: logOf(cmd)}
	report, err := b.run(cmd.Context())
	if err != nil {
		return err
	}
	return output(cmd, report, func(w printer) error { return printBench(w, report) })
}

// bench is one measurement.
type bench struct {
	benchOptions
	tell func(format string, args ...any) // how far it is
	log  zerolog.Logger
}

// run measures everything.
func (b bench) run(ctx context.Context) (report benchReport, err error) {
	dir, err := os.MkdirTemp("", "holdpoint-bench-")
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b.tell("connecting %d agents, twice", b.agents)
	gate, err := b.open(ctx, dir, gateSide)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, gate.close()) }()
	relay, err := b.open(ctx, dir, relaySide)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, relay.close()) }()
	report = benchReport{Broker: "embedded", Build: version(), CPUs: runtime.GOMAXPROCS(0), Agents: b.agents, Actions: benchActions}
	if b.nats != "" {
		report.Broker = b.nats
	}
	if err := b.throughput(ctx, gate, relay, &report); err != nil {
		return report, err
	}
	return report, b.latency(ctx, gate, &report)
}

// open opens one of the two rigs.
func (b bench) open(ctx context.Context, dir, side string) (*rig, error) {
	bundle := filepath.Join(dir, "bundle-"+side)
	files, err := fs.Sub(benchBundle, "bench")
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(bundle, files); err != nil {
		return nil, err
	}
	o := defaultServe()
	o.data, o.port, o.http, o.tenant = filepath.Join(dir, side), 0, "", string(benchTenant(side))
	keys := benchKeys(dir, side)
	if b.nats != "" {
		o.nats, o.ca, o.creds = b.nats, b.ca, filepath.Join(b.creds, side)
		keys = benchKeys(b.creds, side)
	}
	r, err := newRig(ctx, o, b.log, bundle, keys, b.agents)
	if errors.Is(err, schemas.ErrDenied) && b.nats != "" {
		return r, hint(err, "do the servers have the accounts of \"holdpoint bench --print-server-config --creds %s --agents %d\"?", b.creds, b.agents)
	}
	return r, err
}

// How the time to measure is divided: rounds of both, and the two latencies. What is
// left is for getting to know how fast they are.
const (
	roundsPart    = 0.6
	submitPart    = 0.2
	approvalsPart = 0.1

	// leastRound is how many intents of each agent a round has at least.
	leastRound = 1
)

func (b bench) part(of float64) time.Duration { return time.Duration(of * float64(b.time)) }

// throughput lets gate and relay take turns, so that both see the same machine.
func (b bench) throughput(ctx context.Context, gate, relay *rig, report *benchReport) error {
	if err := relay.halt(); err != nil {
		return err
	}
	if err := relay.startRelay(ctx); err != nil {
		return err
	}
	each := b.part(roundsPart) / time.Duration(2*b.rounds)
	sides := []*rig{relay, gate}
	size := make([]int, len(sides))
	for i, side := range sides {
		warm, err := side.round(ctx, leastRound*b.agents)
		if err != nil {
			return err
		}
		size[i] = max(leastRound*b.agents, int(warm.perSecond()*each.Seconds()))
	}
	rounds := make([][]round, len(sides))
	for n := range b.rounds {
		for i, side := range sides {
			r, err := side.round(ctx, size[i])
			if err != nil {
				return err
			}
			rounds[i] = append(rounds[i], r)
		}
		b.tell("round %d of %d: relay %.0f, gate %.0f intents a second", n+1, b.rounds, rounds[0][n].perSecond(), rounds[1][n].perSecond())
	}
	report.Relay, report.Gate = throughputOf(rounds[0]), throughputOf(rounds[1])
	report.Ratio = report.Gate.PerSecond / report.Relay.PerSecond
	return relay.halt()
}

func throughputOf(rounds []round) throughput {
	var t throughput
	var cpu time.Duration
	var allocs, bytes uint64
	for _, r := range rounds {
		t.Rounds = append(t.Rounds, r.perSecond())
		t.Intents += r.intents
		t.Parked += r.parked
		cpu += r.cpu
		allocs += r.allocs
		bytes += r.allocated
	}
	t.PerSecond = median(t.Rounds)
	n := float64(t.Intents)
	t.CPUMicroseconds = float64(cpu.Nanoseconds()) / 1000 / n
	t.Allocations, t.AllocatedBytes = float64(allocs)/n, float64(bytes)/n
	return t
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// latency measures at a rate that the gate can keep up with: beyond that, only the
// length of the queue would be measured.
func (b bench) latency(ctx context.Context, gate *rig, report *benchReport) error {
	report.Rate = max(1, min(b.rate, int(report.Gate.PerSecond/2)))
	b.tell("submitting %d intents a second", report.Rate)
	submitted, err := gate.paced(ctx, report.Rate, b.part(submitPart))
	if err != nil {
		return err
	}
	b.tell("approving one intent after the other")
	approved, err := gate.approvals(ctx, b.part(approvalsPart))
	if err != nil {
		return err
	}
	report.SubmitToRelease, report.ApproveToRelease = submitted.latency(), approved.latency()
	return nil
}

func (l *latencies) latency() latency {
	at := func(percentile float64) float64 { return float64(l.all.ValueAtPercentile(percentile)) / 1000 }
	return latency{Count: l.all.TotalCount(), Parked: l.parked, P50: at(50), P99: at(99), P999: at(99.9), Max: float64(l.all.Max()) / 1000}
}

func printBench(w io.Writer, r benchReport) error {
	say(w, "broker %s, %d agents, %d actions, %d processors, %s", r.Broker, r.Agents, r.Actions, r.CPUs, r.Build.Go)
	say(w, "")
	var rows [][]string
	for _, side := range []struct {
		name string
		throughput
	}{{"relay", r.Relay}, {"gate", r.Gate}} {
		rows = append(rows, []string{side.name, whole(side.PerSecond), whole(side.CPUMicroseconds), whole(side.Allocations), whole(side.AllocatedBytes)})
	}
	if err := table(w, "SIDE INTENTS/S CPU-µS/INTENT ALLOCATIONS/INTENT BYTES/INTENT", rows); err != nil {
		return err
	}
	say(w, "ratio %s", strconv.FormatFloat(r.Ratio, 'f', 2, 64))
	say(w, "")
	rows = nil
	for _, l := range []struct {
		name string
		latency
	}{{"submit to release, " + strconv.Itoa(r.Rate) + "/s", r.SubmitToRelease}, {"approve to release", r.ApproveToRelease}} {
		rows = append(rows, []string{l.name, strconv.FormatInt(l.Count, 10), millis(l.P50), millis(l.P99), millis(l.P999), millis(l.Max)})
	}
	if err := table(w, "LATENCY-MS COUNT P50 P99 P99.9 MAX", rows); err != nil {
		return err
	}
	if n := r.Gate.Parked + r.SubmitToRelease.Parked + r.ApproveToRelease.Parked; n > 0 {
		say(w, "")
		say(w, "routine intents that were parked, because a rule ran out of time: %d; this machine is too busy for figures to be trusted", n)
	}
	return nil
}

func whole(f float64) string  { return strconv.FormatFloat(f, 'f', 0, 64) }
func millis(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }
