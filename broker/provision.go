package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

// Provisioner makes the streams and consumers, and makes sure that they are what
// they must be. It is idempotent: what is there already is compared, never
// changed, because changing a limit can remove records.
type Provisioner struct {
	gate   *Conn // provision, in GATE
	audit  *Conn // provision-audit, in AUDIT
	tenant Tenant
	layout Layout
	source string
}

// NewProvisioner returns the provisioner of a tenant, given the connections of
// its two identities.
func NewProvisioner(gate, audit *Conn, t Tenant, l Layout) *Provisioner {
	return &Provisioner{gate: gate, audit: audit, tenant: t, layout: l, source: "/gateways/" + string(t) + "/provision"}
}

// Step is one thing that must be there.
type Step struct {
	Thing string // such as "stream SETTLED"

	// Missing says that it is not there. Differs names what about it is not as it
	// must be; that is never repaired here.
	Missing bool
	Differs []string

	apply func(ctx context.Context) error
}

// resolve decides how often the streams are kept, if the layout leaves it open:
// as often as they are, or three times in a cluster, or once.
func (p *Provisioner) resolve(ctx context.Context) error {
	if p.layout.Replicas != 0 {
		return nil
	}
	var err error
	if p.layout.Replicas, err = p.replicasNow(ctx); err != nil || p.layout.Replicas > 0 {
		return err
	}
	p.layout.Replicas = 3
	_, err = p.gate.js.CreateStream(ctx, p.layout.stream(schemas.Intents))
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == notClustered {
		p.layout.Replicas = 1
		return nil
	}
	return translate("keeping streams three times; a cluster needs three nodes with JetStream", err)
}

// replicasNow returns how often the streams are kept, or 0 if there are none.
func (p *Provisioner) replicasNow(ctx context.Context) (int, error) {
	for _, name := range schemas.Streams() {
		info, err := p.gate.streamInfoAt(ctx, "$JS.API.STREAM.INFO."+string(name))
		if err == nil {
			return info.Config.Replicas, nil
		}
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return 0, err
		}
	}
	return 0, nil
}

// notClustered is the server's answer to a replicated stream where there is no
// cluster (JSStreamReplicasNotSupportedErr).
const notClustered = 10074

// Plan compares what is there with what must be, and changes nothing. Systems
// are those whose executors need a consumer.
func (p *Provisioner) Plan(ctx context.Context, systems []string) ([]Step, error) {
	layout := p.layout
	if layout.Replicas == 0 {
		now, err := p.replicasNow(ctx)
		if err != nil {
			return nil, err
		}
		layout.Replicas = max(1, now)
	}
	made, err := p.madeOnce(ctx)
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, want := range layout.streams(p.tenant) {
		step, err := p.planStream(ctx, want, made)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
		for _, c := range consumersOf(schemas.Stream(want.Name), systems) {
			step, err := p.planConsumer(ctx, want.Name, c)
			if err != nil {
				return nil, err
			}
			steps = append(steps, step)
		}
	}
	return steps, nil
}

// Apply makes what is missing, reads every configuration back, and records the
// streams in CONTROL. It returns what it made, and an ErrInvalid that names
// every difference it found. If there is one from the start it makes nothing.
func (p *Provisioner) Apply(ctx context.Context, systems []string) ([]Step, error) {
	if err := p.resolve(ctx); err != nil {
		return nil, err
	}
	steps, err := p.Plan(ctx, systems)
	if err != nil {
		return nil, err
	}
	if err := Differences(steps); err != nil {
		return nil, err
	}
	var made []Step
	for _, s := range steps {
		if !s.Missing {
			continue
		}
		if err := s.apply(ctx); err != nil {
			return made, fmt.Errorf("making %s: %w", s.Thing, err)
		}
		made = append(made, s)
	}
	if err := p.verify(ctx, systems); err != nil {
		return made, err
	}
	return made, p.record(ctx)
}

// verify reads everything back.
func (p *Provisioner) verify(ctx context.Context, systems []string) error {
	steps, err := p.Plan(ctx, systems)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if s.Missing {
			return fmt.Errorf("%w: %s was made, and is not there", schemas.ErrInvalid, s.Thing)
		}
	}
	return Differences(steps)
}

// Differences returns an ErrInvalid that names everything among steps that is
// there and not as it must be, or nil.
func Differences(steps []Step) error {
	var all []string
	for _, s := range steps {
		for _, d := range s.Differs {
			all = append(all, s.Thing+": "+d)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", schemas.ErrInvalid, strings.Join(all, "; "))
}

// streams returns the configurations of all streams. AUDIT comes last: it copies
// the others.
func (l Layout) streams(t Tenant) []jetstream.StreamConfig {
	var all []jetstream.StreamConfig
	for _, name := range schemas.Streams() {
		all = append(all, l.stream(name))
	}
	return append(all, l.bundleStream(), l.audit(t))
}

func consumersOf(stream schemas.Stream, systems []string) []jetstream.ConsumerConfig {
	consumers := stageConsumers(stream)
	if stream == schemas.Settled {
		for _, s := range systems {
			consumers = append(consumers, systemConsumer(s))
		}
	}
	return consumers
}

// at returns the connection that manages a stream.
func (p *Provisioner) at(stream string) *Conn {
	if stream == string(schemas.Audit) {
		return p.audit
	}
	return p.gate
}

func (p *Provisioner) planStream(ctx context.Context, want jetstream.StreamConfig, made history) (Step, error) {
	conn := p.at(want.Name)
	step := Step{Thing: "stream " + want.Name, apply: func(ctx context.Context) error {
		_, err := conn.js.CreateStream(ctx, want)
		if err == nil && want.Name == string(schemas.Audit) {
			p.copying(ctx)
		}
		return translate("creating", err)
	}}
	info, err := conn.streamInfoAt(ctx, "$JS.API.STREAM.INFO."+want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		step.Differs = made.gone(want.Name)
		step.Missing = len(step.Differs) == 0
		return step, nil
	}
	if err != nil {
		return Step{}, err
	}
	step.Differs = append(differences(want, info.Config), made.another(info)...)
	return step, nil
}

func (p *Provisioner) planConsumer(ctx context.Context, stream string, want jetstream.ConsumerConfig) (Step, error) {
	step := Step{Thing: "consumer " + want.Durable + " of " + stream, apply: func(ctx context.Context) error {
		_, err := p.gate.js.CreateConsumer(ctx, stream, want)
		return translate("creating", err)
	}}
	c, err := p.gate.js.Consumer(ctx, stream, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		step.Missing = true
		return step, nil
	}
	if err != nil {
		return Step{}, translate("asking for "+step.Thing, err)
	}
	step.Differs = differences(want, c.CachedInfo().Config)
	return step, nil
}

// differences names every field that is not in have as it is in want. Fields that
// want leaves open are the server's to fill, as far as serverFills says so; any
// other that is set in have must not be.
func differences(want, have any) []string {
	w, h := fields(want), fields(have)
	names := slices.Collect(maps.Keys(h))
	for name := range w {
		if _, both := h[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var all []string
	for _, name := range names {
		if reflect.DeepEqual(w[name], h[name]) || empty(w[name]) && (empty(h[name]) || serverFills(name)) {
			continue
		}
		all = append(all, fmt.Sprintf("%s is %s, must be %s", name, compact(h[name]), compact(w[name])))
	}
	return all
}

func empty(v any) bool {
	return v == nil || reflect.ValueOf(v).IsZero()
}

// serverFills reports whether the server gives a field a value of its own where
// none is asked for.
func serverFills(field string) bool {
	switch field {
	case "metadata", "name", "max_waiting", "num_replicas", "consumer_limits":
		return true
	}
	return false
}

func fields(config any) map[string]any {
	b, err := json.Marshal(config)
	if err != nil {
		panic("encoding a configuration: " + err.Error())
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		panic("decoding a configuration: " + err.Error())
	}
	return m
}

func compact(v any) string {
	if v == nil {
		return "not set"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "not readable"
	}
	return string(b)
}
