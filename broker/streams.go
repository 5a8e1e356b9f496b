package broker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// shortestWindow is the least that the broker takes as duplicate window. It
	// is not relied on: message ids are shared by all senders of a stream, so
	// one could make another's message vanish as a duplicate.
	shortestWindow = 100 * time.Millisecond

	// auditHeadroom is what a copy needs beside its original, for the header that
	// says where it came from.
	auditHeadroom = 16 << 10
)

// Layout is how the streams are to be kept.
type Layout struct {
	// Replicas is 1 or 3.
	Replicas int

	// AuditMaxBytes is the size that AUDIT may grow to; 0 means no limit. Near
	// it nothing is released.
	AuditMaxBytes int64
}

// stream returns the configuration of one of the streams that have a writer.
//
// Nothing forgets by age, and nothing is dropped to make room: what AUDIT has
// not copied yet would be missing from it, and an old id could settle again.
// Old records are trimmed by sequence, which needs purge. Rollup, TTL, counters
// and schedules stay off, because a sender could use them to remove records; the
// largest message leaves room for the header of its copy, because one that does
// not fit would stop the copying for good.
func (l Layout) stream(name schemas.Stream) jetstream.StreamConfig {
	size := int32(schemas.MaxRecordSize)
	if name == schemas.Intents || name == schemas.Outcomes || name == schemas.Decisions || name == schemas.Standings {
		size = schemas.MaxIntentSize
	}
	return jetstream.StreamConfig{
		Name:              string(name),
		Subjects:          name.Subjects(),
		Storage:           jetstream.FileStorage,
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgsPerSubject: -1,
		MaxConsumers:      -1,
		MaxMsgSize:        size,
		Replicas:          l.Replicas,
		Duplicates:        shortestWindow,
		AllowDirect:       true,
		DenyDelete:        true,
	}
}

// audit returns the configuration of AUDIT in tenant's accounts. Each of its
// sources has exactly the subjects of its stream, because a transform is also a
// filter: what it does not match is not copied, and nothing says so. The
// transforms collapse the subjects to one for each kind and agent, to keep their
// number small.
func (l Layout) audit(t Tenant) jetstream.StreamConfig {
	limit := int64(-1)
	if l.AuditMaxBytes > 0 {
		limit = l.AuditMaxBytes
	}
	c := jetstream.StreamConfig{
		Name:              string(schemas.Audit),
		Storage:           jetstream.FileStorage,
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew,
		MaxMsgs:           -1,
		MaxBytes:          limit,
		MaxMsgsPerSubject: -1,
		MaxConsumers:      -1,
		MaxMsgSize:        schemas.MaxRecordSize + auditHeadroom,
		Replicas:          l.Replicas,
		AllowDirect:       true,
		DenyDelete:        true,
		DenyPurge:         true,
	}
	for _, name := range schemas.Streams() {
		c.Sources = append(c.Sources, &jetstream.StreamSource{
			Name:              string(name),
			External:          &jetstream.ExternalStream{APIPrefix: gateAPI, DeliverPrefix: copyPrefix},
			SubjectTransforms: auditTransforms(name),
		})
	}
	return c
}

// auditTransforms collapses the subjects of a stream to "audit.<kind>.<agent>",
// or "audit.<kind>.<writer>" where there is no agent.
func auditTransforms(name schemas.Stream) []jetstream.SubjectTransformConfig {
	var transforms []jetstream.SubjectTransformConfig
	for _, subject := range name.Subjects() {
		kind, _, _ := strings.Cut(subject, ".")
		transforms = append(transforms, jetstream.SubjectTransformConfig{
			Source:      subject,
			Destination: "audit." + kind + ".{{wildcard(" + agentToken(kind) + ")}}",
		})
	}
	return transforms
}

// agentToken returns which wildcard of a kind's subject is the agent.
func agentToken(kind string) string {
	probe := schemas.Subject{Kind: kind, Agent: "x"}.String()
	for i, token := range strings.Split(probe, ".")[1:] {
		if token == "x" {
			return string(rune('1' + i))
		}
	}
	return "1"
}

// bundleStream keeps bundles, in the layout of a NATS object store. Rollup is
// off, unlike in a store made by a NATS client: with it one message could remove
// every bundle.
func (l Layout) bundleStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              bundleStore,
		Subjects:          []string{"$O.bundles.C.>", "$O.bundles.M.>"},
		Storage:           jetstream.FileStorage,
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgsPerSubject: -1,
		MaxConsumers:      -1,
		MaxMsgSize:        bundleChunk + 4<<10,
		Replicas:          l.Replicas,
		Duplicates:        shortestWindow,
		AllowDirect:       true,
		DenyDelete:        true,
	}
}

// A stage's consumer of a stream, and what a system's executors share.
const (
	observeConsumer   = "observe"
	recommendConsumer = "recommend"
	executeConsumer   = "execute"
	systemPrefix      = "exec-"
)

// SystemConsumer is the consumer that the executors of a system share.
func SystemConsumer(system string) string { return systemPrefix + system }

// stageConsumer returns the consumer through which a stage works on a stream, or
// "" if the stream is no stage's input.
func stageConsumer(name schemas.Stream) string {
	switch name {
	case schemas.Intents:
		return observeConsumer
	case schemas.Observed:
		return recommendConsumer
	case schemas.Recommended, schemas.Decisions, schemas.Outcomes:
		return executeConsumer
	}
	return ""
}

// stageConsumers returns the configurations of those consumers.
func stageConsumers(name schemas.Stream) []jetstream.ConsumerConfig {
	consumer := stageConsumer(name)
	if consumer == "" {
		return nil
	}
	return []jetstream.ConsumerConfig{{
		Durable:       consumer,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: 8192,
		DeliverPolicy: jetstream.DeliverAllPolicy,
	}}
}

// systemConsumer hands the releases of a system to its executors. Acknowledging
// says nothing: who may act is decided by the grant.
func systemConsumer(system string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       SystemConsumer(system),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       30 * time.Second,
		MaxDeliver:    -1,
		MaxAckPending: 8192,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		FilterSubject: schemas.Subject{Kind: "released", Action: schemas.Action(system + ".")}.String(),
	}
}

// configurationDigest is what provision records of a stream, and what stages
// compare. It leaves out what the server adds.
func configurationDigest(c jetstream.StreamConfig) schemas.Digest {
	c.Metadata = nil
	b, err := json.Marshal(c)
	if err != nil {
		panic("encoding a stream configuration: " + err.Error())
	}
	h := sha256.Sum256(b)
	return schemas.Digest("sha256:" + hex.EncodeToString(h[:]))
}
