package broker_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// configOf reads a stream's configuration back from the server.
func (w *world) configOf(stream schemas.Stream) jetstream.StreamConfig {
	w.t.Helper()
	account := broker.Gate
	if stream == schemas.Audit {
		account = broker.AuditLog
	}
	_, js := w.root(account)
	s, err := js.Stream(w.ctx(), string(stream))
	check(w.t, err)
	return s.CachedInfo().Config
}

// TestNoStreamForgets: nothing leaves a stream by age, by number, by a header of
// its sender or to make room, and no stream is closed to the leader's reads.
func TestNoStreamForgets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, stream := range append(schemas.Streams(), "OBJ_bundles", schemas.Audit) {
		c := w.configOf(stream)
		for what, wrong := range map[string]bool{
			"retention":         c.Retention != jetstream.LimitsPolicy,
			"discard":           c.Discard != jetstream.DiscardNew,
			"age":               c.MaxAge != 0,
			"limit":             c.MaxMsgs != -1 || c.MaxBytes != -1 || c.MaxMsgsPerSubject != -1,
			"rollup":            c.AllowRollup,
			"ttl":               c.AllowMsgTTL || c.SubjectDeleteMarkerTTL != 0,
			"schedules":         c.AllowMsgSchedules,
			"counter":           c.AllowMsgCounter,
			"deletes":           !c.DenyDelete,
			"purge of AUDIT":    stream == schemas.Audit && !c.DenyPurge,
			"no acknowledgment": c.NoAck,
			"storage":           c.Storage != jetstream.FileStorage,
			"direct get":        !c.AllowDirect,
			"republish":         c.RePublish != nil,
			"mirror":            c.Mirror != nil,
			"sources":           (len(c.Sources) > 0) != (stream == schemas.Audit),
		} {
			if wrong {
				t.Errorf("%s: %s is wrong: %+v", stream, what, c)
			}
		}
	}
}

// TestDuplicateWindows: the broker forgets message ids as soon as it can, and
// AUDIT has no window at all: a copy must never be taken for another.
func TestDuplicateWindows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.configOf(schemas.Audit).Duplicates; got != 0 {
		t.Errorf("AUDIT drops what repeats an id within %s", got)
	}
	for _, stream := range schemas.Streams() {
		if got := w.configOf(stream).Duplicates; got != 100*time.Millisecond {
			t.Errorf("%s takes messages for duplicates within %s, want the least that there is", stream, got)
		}
	}
}

// TestEveryCopyFits: no message that a stream takes is too large for AUDIT with
// the header that says where it comes from, or copying would stop for good.
func TestEveryCopyFits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	audit := w.configOf(schemas.Audit).MaxMsgSize
	for _, stream := range schemas.Streams() {
		limit := w.configOf(stream).MaxMsgSize
		if limit <= 0 || limit > 48<<10 || limit+(8<<10) > audit {
			t.Errorf("%s takes %d bytes, AUDIT %d", stream, limit, audit)
		}
	}
	if got := w.configOf(schemas.Intents).MaxMsgSize; got != 32<<10 {
		t.Errorf("INTENTS takes %d bytes, want %d", got, 32<<10)
	}
}

// TestAuditCopiesEverySubject: AUDIT's sources are the streams, each once and
// whole. A transform is also a filter: what it does not match is not copied.
func TestAuditCopiesEverySubject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sources := map[schemas.Stream][]string{}
	for _, s := range w.configOf(schemas.Audit).Sources {
		if s.FilterSubject != "" || s.OptStartSeq != 0 || s.OptStartTime != nil || s.External == nil {
			t.Errorf("the source %s leaves something out: %+v", s.Name, s)
		}
		stream := schemas.Stream(s.Name)
		if sources[stream] != nil {
			t.Errorf("%s is copied twice", stream)
		}
		for _, transform := range s.SubjectTransforms {
			sources[stream] = append(sources[stream], transform.Source)
			if strings.Count(transform.Destination, ".") != 2 {
				t.Errorf("%s becomes %s, want audit.<kind>.<name>", transform.Source, transform.Destination)
			}
		}
	}
	for _, stream := range schemas.Streams() {
		if subjects := w.configOf(stream).Subjects; !slices.Equal(sources[stream], subjects) {
			t.Errorf("%s stores %v, AUDIT copies %v", stream, subjects, sources[stream])
		}
		delete(sources, stream)
	}
	if len(sources) > 0 {
		t.Errorf("AUDIT copies also %v", sources)
	}
}

// TestConfigurationIsReadWhole: what is compared, and what digests are made of, is
// what the client library knows of a configuration. A field that only the server
// knows would go unseen.
func TestConfigurationIsReadWhole(t *testing.T) {
	t.Parallel()
	for _, pair := range []struct {
		server, client any
		inside         []string // those that no client can ask for
	}{
		{server.StreamConfig{}, jetstream.StreamConfig{}, nil},
		{server.ConsumerConfig{}, jetstream.ConsumerConfig{}, []string{"direct", "sourcing"}},
		{server.StreamSource{}, jetstream.StreamSource{}, nil},
	} {
		known := jsonNames(pair.client)
		for _, name := range jsonNames(pair.server) {
			if !slices.Contains(known, name) && !slices.Contains(pair.inside, name) {
				t.Errorf("%T has %q, which %T has not", pair.server, name, pair.client)
			}
		}
	}
}

func jsonNames(v any) []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}
