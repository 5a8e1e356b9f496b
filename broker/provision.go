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
	"time"

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
	info, err := p.gate.streamInfoAt(ctx, "$JS.API.STREAM.INFO."+string(schemas.Intents))
	if err == nil {
		p.layout.Replicas = info.Config.Replicas
		return nil
	}
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
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

// replicasNow returns how often the streams are kept, or 1 if there are none.
func (p *Provisioner) replicasNow(ctx context.Context) int {
	info, err := p.gate.streamInfoAt(ctx, "$JS.API.STREAM.INFO."+string(schemas.Intents))
	if err != nil {
		return 1
	}
	return info.Config.Replicas
}

// notClustered is the server's answer to a replicated stream where there is no
// cluster (JSStreamReplicasNotSupportedErr).
const notClustered = 10074

// Plan compares what is there with what must be, and changes nothing. Systems
// are those whose executors need a consumer.
func (p *Provisioner) Plan(ctx context.Context, systems []string) ([]Step, error) {
	if p.layout.Replicas == 0 {
		p.layout.Replicas = p.replicasNow(ctx)
	}
	var steps []Step
	for _, want := range p.streams() {
		step, err := p.planStream(ctx, want)
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
// every difference it found.
func (p *Provisioner) Apply(ctx context.Context, systems []string) ([]Step, error) {
	if err := p.resolve(ctx); err != nil {
		return nil, err
	}
	steps, err := p.Plan(ctx, systems)
	if err != nil {
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

func (p *Provisioner) streams() []jetstream.StreamConfig {
	var all []jetstream.StreamConfig
	for _, name := range schemas.Streams() {
		all = append(all, p.layout.stream(name))
	}
	return append(all, p.layout.bundleStream(), p.layout.audit(p.tenant))
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

func (p *Provisioner) planStream(ctx context.Context, want jetstream.StreamConfig) (Step, error) {
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
		step.Missing = true
		return step, nil
	}
	if err != nil {
		return Step{}, err
	}
	step.Differs = differences(want, info.Config)
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

// record writes into CONTROL what every stream is, unless it says so already.
func (p *Provisioner) record(ctx context.Context) error {
	log, err := OpenLog(ctx, p.gate, schemas.Control)
	if err != nil {
		return err
	}
	for _, want := range p.streams() {
		if want.Name == bundleStore {
			continue
		}
		info, err := p.at(want.Name).streamInfoAt(ctx, "$JS.API.STREAM.INFO."+want.Name)
		if err != nil {
			return err
		}
		if err := p.recordStream(ctx, log, info); err != nil {
			return err
		}
	}
	return nil
}

func (p *Provisioner) recordStream(ctx context.Context, log *Log, info *jetstream.StreamInfo) error {
	made := schemas.StreamMade{
		By:            schemas.Name(schemas.RoleProvision),
		Stream:        schemas.Stream(info.Config.Name),
		Created:       info.Created.UTC(),
		Configuration: configurationDigest(info.Config),
		At:            time.Now().UTC(),
	}
	have, err := log.Last(ctx, schemas.Control, made.Subject())
	if err != nil && !errors.Is(err, schemas.ErrNotFound) {
		return err
	}
	if err == nil {
		var before schemas.StreamMade
		if err := schemas.Read(have, &before); err == nil && before.Same(made) {
			return nil
		}
	}
	_, err = log.Append(ctx, schemas.Write(made, p.source, made.At, ""), schemas.Expect{Filter: made.Subject(), Last: have.Seq})
	return err
}
