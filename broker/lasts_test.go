package broker_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// recordsOf is how many records crowded stores of the i-th agent.
func recordsOf(i int) int {
	if i < 2000 {
		return 1 + i%3
	}
	return 1
}

// crowded stores records of that many agents in EXPOSED, and returns the subjects.
func (w *world) crowded(agents int) (subjects []string) {
	w.t.Helper()
	_, js := w.root(broker.Gate)
	for round := range 3 {
		for i := range agents {
			if round == 0 {
				subjects = append(subjects, exposedTo(i).String())
			}
			if round < recordsOf(i) {
				_, err := js.PublishAsync(subjects[i], fmt.Append(nil, round), jetstream.WithStallWait(patience))
				check(w.t, err)
			}
		}
	}
	<-js.PublishAsyncComplete()
	return subjects
}

// TestSubjects: the subjects of a stream are listed with how many records each has,
// however many they are, and however many requests that takes.
func TestSubjects(t *testing.T) {
	t.Parallel()
	agents := 100_200 // the broker lists 100,000 at once
	if testing.Short() {
		agents = 200
	}
	w := newWorld(t)
	subjects, log := w.crowded(agents), w.log(schemas.RoleExecute)
	all, err := log.Subjects(w.ctx(), schemas.Exposed, ">")
	check(t, err)
	if len(all) != agents {
		t.Fatalf("%d subjects, want %d", len(all), agents)
	}
	for i, subject := range subjects {
		if all[subject] != uint64(recordsOf(i)) {
			t.Fatalf("%s has %d records, want %d", subject, all[subject], recordsOf(i))
		}
	}
	some, err := log.Subjects(w.ctx(), schemas.Exposed, subjects[7])
	check(t, err)
	if want := map[string]uint64{subjects[7]: 2}; !maps.Equal(some, want) {
		t.Errorf("on one subject: %v, want %v", some, want)
	}
	for stream, filter := range map[schemas.Stream]string{schemas.Settled: ">", schemas.Exposed: "exposed.nobody"} {
		if none, err := log.Subjects(w.ctx(), stream, filter); err != nil || len(none) > 0 {
			t.Errorf("%s on %s: %v, %v, want none", stream, filter, none, err)
		}
	}
	if _, err := w.log(schemas.RoleObserve).Subjects(w.ctx(), schemas.Settled, ">"); err == nil {
		t.Errorf("observe lists the subjects of SETTLED")
	}
}

// TestLastOf: of every subject that has a record the last one is read, once, and
// reading ends with the first error of whoever takes it.
func TestLastOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	subjects, log := w.crowded(1203), w.log(schemas.RoleExecute)
	asked := append(slices.Clone(subjects), "exposed.nobody")
	got := map[string]string{}
	check(t, log.LastOf(w.ctx(), schemas.Exposed, asked, func(r schemas.Record) error {
		if _, twice := got[r.Subject]; twice {
			t.Errorf("%s was read twice", r.Subject)
		}
		got[r.Subject] = string(r.Body)
		return nil
	}))
	if len(got) != len(subjects) {
		t.Errorf("read %d records, want %d", len(got), len(subjects))
	}
	for i, subject := range subjects {
		if want := fmt.Sprint(recordsOf(i) - 1); got[subject] != want {
			t.Errorf("%s: read %q, want the last one, %q", subject, got[subject], want)
		}
	}
	full := errors.New("no more")
	n := 0
	err := log.LastOf(w.ctx(), schemas.Exposed, subjects, func(schemas.Record) error {
		n++
		return full
	})
	if !errors.Is(err, full) || n != 1 {
		t.Errorf("whoever takes nothing was given %d records, %v", n, err)
	}
	none := func(r schemas.Record) error { return fmt.Errorf("read %s", r.Pointer()) }
	check(t, log.LastOf(w.ctx(), schemas.Exposed, nil, none))
	check(t, log.LastOf(w.ctx(), schemas.Settled, []string{"released.x.y.z.z"}, none))
}

// TestLastOfReplicas: on three nodes, what is written is among the last records at
// once, although a replica that answers may be behind.
func TestLastOfReplicas(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	nodes := newCluster(t)
	writer, subject := nodes[0].log(schemas.RoleExecute), exposedTo(1)
	var readers []*broker.Log
	for range 3 {
		for _, node := range nodes {
			readers = append(readers, node.log(schemas.RoleExecute))
		}
	}
	_, js := nodes[0].root(broker.Gate)
	for i := range 30 {
		for n := range 200 { // so that replicas have something to do
			_, err := js.PublishAsync(exposedTo(10+n).String(), make([]byte, 4000), jetstream.WithStallWait(patience))
			check(t, err)
		}
		nodes[0].again(func(ctx context.Context) error {
			_, err := writer.Append(ctx, draft(subject, fmt.Sprint(i)), schemas.Expect{})
			return err
		})
		var reading sync.WaitGroup
		for n, reader := range readers {
			reading.Go(func() {
				err := reader.LastOf(nodes[0].ctx(), schemas.Exposed, []string{subject.String()}, func(r schemas.Record) error {
					if got, want := string(r.Body), fmt.Sprint(i); got != want {
						t.Errorf("reader %d has %q as the last, want %q", n, got, want)
					}
					return nil
				})
				if err != nil {
					t.Errorf("reader %d: %v", n, err)
				}
			})
		}
		reading.Wait()
	}
}

// TestHandled: a message is handled when it and all before it are acknowledged.
func TestHandled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(5, anIntent)
	provision := w.log(schemas.RoleProvision)
	for _, n := range []uint64{0, 3, 5} {
		if n > 0 {
			w.acknowledge(schemas.RoleObserve, schemas.Intents, "observe", n)
		}
		if got, err := provision.Handled(w.ctx(), schemas.Intents); err != nil || got != n {
			t.Errorf("up to %d, %v, want %d", got, err, n)
		}
	}
	if _, err := w.log(schemas.RoleExecute).Handled(w.ctx(), schemas.Outcomes); err != nil {
		t.Errorf("execute may not ask how far OUTCOMES is handled: %v", err)
	}
}
