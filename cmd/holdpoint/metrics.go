package main

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

// metrics counts what the stages of this process do. Labels are bounded: streams,
// states, results, conditions; never agents or intents.
type metrics struct {
	registry *prometheus.Registry
	handled  *prometheus.CounterVec
	took     *prometheus.HistogramVec
	states   *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "holdpoint_messages_total",
			Help: "Messages that stages of this process handled, by stream and result: done, refused, raced, postponed or panicked.",
		}, []string{"stream", "result"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "holdpoint_handle_seconds",
			Help:    "Time from taking a message to the answer of the broker on what was made of it, by stream.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2, 16),
		}, []string{"stream"}),
		states: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "holdpoint_intents_total",
			Help: "Intents that this process brought into a state.",
		}, []string{"state"}),
	}
	m.registry.MustRegister(m.handled, m.took, m.states, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(buildInfo())
	return m
}

func buildInfo() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "holdpoint_build_info",
		Help:        "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": version().Version, "commit": version().Commit},
	})
	g.Set(1)
	return g
}

// observe exports what waits in a gate, and how it is.
func (m *metrics) observe(g *gate) {
	m.registry.MustRegister(waiting{g}, conditions{g})
}

type waiting struct{ *gate }

var (
	waitingDesc = prometheus.NewDesc("holdpoint_waiting_intents", "Intents that wait: for reviewers (parked, in_doubt), an executor (released) or a report (granted).", []string{"state"}, nil)
	healthyDesc = prometheus.NewDesc("holdpoint_condition_healthy", "1 if a condition for releasing anything holds, else 0.", []string{"condition"}, nil)
)

func (waiting) Describe(ch chan<- *prometheus.Desc) { ch <- waitingDesc }

func (w waiting) Collect(ch chan<- prometheus.Metric) {
	counts := w.index.Counts()
	for _, state := range []schemas.State{schemas.Parked, schemas.Released, schemas.Granted, schemas.InDoubt} {
		ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(counts[state]), string(state))
	}
}

type conditions struct{ *gate }

func (conditions) Describe(ch chan<- *prometheus.Desc) { ch <- healthyDesc }

func (c conditions) Collect(ch chan<- prometheus.Metric) {
	for _, condition := range c.conditions() {
		healthy := 0.0
		if condition.Healthy {
			healthy = 1
		}
		ch <- prometheus.MustNewConstMetric(healthyDesc, prometheus.GaugeValue, healthy, condition.Name)
	}
}

// handler counts what h handles.
func (m *metrics) handler(stream schemas.Stream, h broker.Handler) broker.Handler {
	return counted{Handler: h, m: m, stream: string(stream), took: m.took.WithLabelValues(string(stream))}
}

type counted struct {
	broker.Handler
	m      *metrics
	stream string
	took   prometheus.Observer
}

func (c counted) Handle(ctx context.Context, r schemas.Record) error {
	began := time.Now()
	err := c.Handler.Handle(ctx, r)
	c.took.Observe(time.Since(began).Seconds())
	c.m.handled.WithLabelValues(c.stream, result(err)).Inc()
	return err
}

func (c counted) Refuse(ctx context.Context, r schemas.Record, cause string) error {
	c.m.handled.WithLabelValues(c.stream, "panicked").Inc()
	return c.Handler.Refuse(ctx, r, cause)
}

func result(err error) string {
	switch {
	case err == nil, errors.Is(err, schemas.ErrClosed):
		return "done"
	case errors.Is(err, schemas.ErrInvalid), errors.Is(err, schemas.ErrDenied):
		return "refused"
	case errors.Is(err, schemas.ErrStale):
		return "raced"
	default:
		return "postponed"
	}
}

// bell counts the states that b rings for.
func (m *metrics) bell(b stages.Bell) stages.Bell { return countedBell{Bell: b, m: m} }

type countedBell struct {
	stages.Bell
	m *metrics
}

func (b countedBell) Intent(k schemas.Key, state schemas.State) {
	b.m.states.WithLabelValues(string(state)).Inc()
	b.Bell.Intent(k, state)
}
