package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// snapshot is everything that the broker keeps, but for the messages: by account
// and stream.
type snapshot map[string]streamState

type streamState struct {
	Created time.Time
	Config  string
	First   uint64
	Last    uint64
	Msgs    uint64
	Deleted int
	Workers map[string]workerState // by consumer

	sources []*server.StreamSourceInfo
}

// workerState is a durable consumer.
type workerState struct {
	Created time.Time
	Config  string

	// Got is what it was given and what it acknowledged.
	Got string

	pending, unacknowledged uint64
}

// look takes a snapshot.
func (s *siege) look() snapshot {
	s.t.Helper()
	all, err := s.ns.Jsz(&server.JSzOptions{Accounts: true, Streams: true, Consumer: true, Config: true})
	check(s.t, err)
	now := snapshot{}
	for _, account := range all.AccountDetails {
		for _, stream := range account.Streams {
			now[account.Name+"/"+stream.Name] = stateOf(stream)
		}
	}
	return now
}

func stateOf(d server.StreamDetail) streamState {
	s := streamState{
		Created: d.Created,
		Config:  encoded(d.Config),
		First:   d.State.FirstSeq,
		Last:    d.State.LastSeq,
		Msgs:    d.State.Msgs,
		Deleted: d.State.NumDeleted,
		Workers: map[string]workerState{},
		sources: d.Sources,
	}
	for _, c := range d.Consumer {
		if strings.HasPrefix(c.Config.DeliverSubject, "copy.audit.") {
			continue // AUDIT's own; it makes another when it likes
		}
		s.Workers[c.Name] = workerState{
			Created:        c.Created,
			Config:         encoded(c.Config),
			Got:            fmt.Sprint(c.Delivered.Stream, c.Delivered.Consumer, c.AckFloor.Stream, c.AckFloor.Consumer, c.NumRedelivered),
			pending:        c.NumPending,
			unacknowledged: uint64(c.NumAckPending),
		}
	}
	return s
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func gateStream(name schemas.Stream) string { return tenant.Account(broker.Gate) + "/" + string(name) }
func auditStream(name schemas.Stream) string {
	return tenant.Account(broker.AuditLog) + "/" + string(name)
}

// stageWorker reports whether a consumer is a stage's.
func stageWorker(name string) bool {
	return name == "observe" || name == "recommend" || name == "execute"
}

// busy says what is still going on, or "".
func (now snapshot) busy() string {
	var copied uint64
	for _, stream := range schemas.Streams() {
		at := now[gateStream(stream)]
		copied += at.Msgs
		for name, w := range at.Workers {
			if stageWorker(name) && (w.pending > 0 || w.unacknowledged > 0) {
				return fmt.Sprintf("%s has %d messages of %s to take, %d to acknowledge", name, w.pending, stream, w.unacknowledged)
			}
		}
	}
	audit := now[auditStream(schemas.Audit)]
	for _, source := range audit.sources {
		if source.Lag > 0 || source.Active < 0 || source.Error != nil {
			return fmt.Sprintf("AUDIT is %d behind %s, active %s, seq %d, %v", source.Lag, source.Name, source.Active, source.Seq, source.Error)
		}
	}
	if audit.Msgs != copied || len(audit.sources) != len(schemas.Streams()) {
		return fmt.Sprintf("AUDIT has %d of %d records, from %d streams", audit.Msgs, copied, len(audit.sources))
	}
	return ""
}

// unchanged makes sure that after an attack there is what was there before it,
// as it was: no stream or consumer more or less, no other configuration, nothing
// removed. Streams may have grown; mine are consumers that the attacker may use.
func (s *siege) unchanged(before, after snapshot, mine ...string) {
	s.t.Helper()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after))); diff != "" {
		s.t.Errorf("streams (-before +after):\n%s", diff)
	}
	for name, was := range before {
		is := after[name]
		if !is.Created.Equal(was.Created) || is.Config != was.Config {
			s.t.Errorf("%s: created %s with %s, was %s with %s", name, is.Created, is.Config, was.Created, was.Config)
		}
		if is.Deleted != 0 || was.Msgs > 0 && is.First != was.First || is.Last < was.Last || is.Msgs > 0 && is.Msgs != is.Last-is.First+1 {
			s.t.Errorf("%s: %d messages %d to %d, %d deleted; before %d to %d", name, is.Msgs, is.First, is.Last, is.Deleted, was.First, was.Last)
		}
		if diff := cmp.Diff(fixed(was, mine), fixed(is, mine)); diff != "" {
			s.t.Errorf("consumers of %s (-before +after):\n%s", name, diff)
		}
	}
}

// fixed is what of the consumers must not change.
func fixed(s streamState, mine []string) map[string]string {
	all := map[string]string{}
	for name, w := range s.Workers {
		all[name] = w.Created.String() + w.Config
		if !stageWorker(name) && !slices.Contains(mine, name) {
			all[name] += w.Got
		}
	}
	return all
}

// kept is a message as a stream keeps it.
type kept struct {
	seq     uint64
	subject string
	header  []byte // nil if there is none
	body    []byte
}

// read returns the messages of a stream from a sequence on, as they lie there.
func (s *siege) read(stream schemas.Stream, from uint64) []kept {
	s.t.Helper()
	w, api := s.reader, "$JS.API"
	if stream == schemas.Audit {
		w, api = s.auditor, broker.API
	}
	var all []kept
	for {
		w.messages()
		w.pub(api+".DIRECT.GET."+string(stream), s.inboxOf(w)+".read", fmt.Appendf(nil, `{"seq":%d,"next_by_subj":">","batch":4000}`, from))
		check(s.t, w.flush())
		some, more := s.batch(w)
		all = append(all, some...)
		if !more {
			return all
		}
		from = all[len(all)-1].seq + 1
	}
}

// batch waits for the answer to one request of read.
func (s *siege) batch(w *wire) (all []kept, more bool) {
	s.t.Helper()
	for {
		w.until(1)
		for _, m := range w.messages() {
			switch {
			case m.subject != s.inboxOf(w)+".read": // the gate's own, of that name
			case bytes.HasPrefix(m.header, []byte("NATS/1.0 404 ")):
				return all, false
			case bytes.HasPrefix(m.header, []byte("NATS/1.0 204 ")):
				return all, !bytes.Contains(m.header, []byte("Nats-Num-Pending: 0\r\n"))
			case !bytes.HasPrefix(m.header, []byte("NATS/1.0 ")):
				all = append(all, s.keptOf(m))
			default:
				s.t.Fatalf("reading: %s", m)
			}
		}
	}
}

// keptOf takes the headers off that the broker appended to an answer: the last
// six.
func (s *siege) keptOf(m wireMsg) kept {
	s.t.Helper()
	lines := strings.Split(strings.TrimSuffix(string(m.header), "\r\n\r\n"), "\r\n")
	if len(lines) < 7 {
		s.t.Fatalf("an answer with %d headers: %s", len(lines), m)
	}
	own, added := lines[:len(lines)-6], lines[len(lines)-6:]
	value := func(i int, name string) string {
		v, ok := strings.CutPrefix(added[i], name+": ")
		if !ok {
			s.t.Fatalf("header %d from the end is %q, want %s", i-6, added[i], name)
		}
		return v
	}
	seq, err := strconv.ParseUint(value(2, "Nats-Sequence"), 10, 64)
	check(s.t, err)
	k := kept{seq: seq, subject: value(1, "Nats-Subject"), body: m.body}
	if header := strings.Join(own, "\r\n") + "\r\n\r\n"; header != "NATS/1.0\r\n\r\n" {
		k.header = []byte(header)
	}
	return k
}
