package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// fill stores n records on a subject, and returns them as they are kept.
func (w *world) fill(n int, s schemas.Subject) []schemas.Record {
	w.t.Helper()
	root, log := w.rootConn(), w.log(schemas.RoleExecute)
	var all []schemas.Record
	for i := range n {
		sent := w.storeAs(root, draft(s, fmt.Sprint(i)))
		r, err := log.At(w.ctx(), sent.Stream, sent.Seq)
		check(w.t, err)
		all = append(all, r)
	}
	return all
}

// first returns the first sequence that a stream still has.
func (w *world) first(stream schemas.Stream) uint64 {
	w.t.Helper()
	_, js := w.root(broker.Gate)
	s, err := js.Stream(w.ctx(), string(stream))
	check(w.t, err)
	return s.CachedInfo().State.FirstSeq
}

// acknowledge lets a stage deal with the first n records of its stream, and waits
// until the broker knows.
func (w *world) acknowledge(role schemas.Role, stream schemas.Stream, consumer string, n uint64) {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.ctx())
	done := make(chan error, 1)
	go func() {
		done <- w.log(role).Work(ctx, stream, 1, handlerFunc(func(_ context.Context, r schemas.Record) error {
			if r.Seq > n {
				return schemas.ErrUnavailable
			}
			return nil
		}))
	}()
	_, js := w.root(broker.Gate)
	for {
		c, err := js.Consumer(w.ctx(), string(stream), consumer)
		check(w.t, err)
		if c.CachedInfo().AckFloor.Stream >= n {
			break
		}
	}
	stop()
	check(w.t, <-done)
}

var (
	anIntent   = schemas.Subject{Kind: "intents", Agent: "bot", Action: "shop.refund"}
	anExposure = schemas.Subject{Kind: "exposed", Agent: "bot"}
	aRelease   = schemas.Subject{Kind: "released", Agent: "bot", Intent: "01HZZZZZZZZZZZZZZZZZZZZZZZ", Action: "shop.refund"}
)

// TestTrimRemovesByTime: what the broker accepted before a moment goes, what it
// accepted then or later stays, and so does the last record, whatever the moment.
// AUDIT keeps everything.
func TestTrimRemovesByTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.fill(10, anExposure)
	w.copies(10)
	provision := w.log(schemas.RoleProvision)
	for _, c := range []struct {
		before time.Time
		first  uint64
	}{
		{time.Time{}, 1},
		{all[0].Time, 1},
		{all[4].Time, 5},
		{all[4].Time, 5},
		{all[4].Time.Add(1), 6},
		{all[2].Time, 6},
		{all[9].Time, 10},
		{time.Now().Add(time.Hour), 10},
	} {
		from := w.first(schemas.Exposed)
		n, err := provision.Trim(w.ctx(), schemas.Exposed, c.before)
		if first := w.first(schemas.Exposed); err != nil || first != c.first || n != first-from {
			t.Errorf("trimming before %v: the first is %d, %d removed, %v; want %d, %d", c.before, first, n, err, c.first, c.first-from)
		}
	}
	if n, err := provision.Trim(w.ctx(), schemas.Rejected, time.Now()); err != nil || n != 0 {
		t.Errorf("trimming an empty stream: %d, %v", n, err)
	}
	w.copies(10)
}

// TestTrimWaitsForStages: what a stage has not acknowledged stays, however old. The
// acknowledgements of executors hold nothing back.
func TestTrimWaitsForStages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(10, anIntent)
	w.fill(10, aRelease)
	w.copies(20)
	provision, later := w.log(schemas.RoleProvision), time.Now().Add(time.Hour)
	for _, acknowledged := range []uint64{0, 6} {
		if acknowledged > 0 {
			w.acknowledge(schemas.RoleObserve, schemas.Intents, "observe", acknowledged)
		}
		_, err := provision.Trim(w.ctx(), schemas.Intents, later)
		if first := w.first(schemas.Intents); err != nil || first != acknowledged+1 {
			t.Errorf("with %d acknowledged the first is %d, %v; want %d", acknowledged, first, err, acknowledged+1)
		}
	}
	if n, err := provision.Trim(w.ctx(), schemas.Settled, later); err != nil || n != 9 {
		t.Errorf("trimming SETTLED, of which no executor took anything: %d, %v; want 9", n, err)
	}
}

// TestTrimWaitsForAudit: what AUDIT has not copied stays, and all of it if that is
// not known.
func TestTrimWaitsForAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	provision, later := w.log(schemas.RoleProvision), time.Now().Add(time.Hour)
	w.fill(3, anExposure)
	w.copies(3)
	whole := w.configOf(schemas.Audit)
	full := w.configOf(schemas.Audit)
	full.MaxBytes = 1
	w.update(full)
	w.fill(3, anExposure)
	_, err := provision.Trim(w.ctx(), schemas.Exposed, later)
	if first := w.first(schemas.Exposed); err != nil || first != 4 {
		t.Errorf("AUDIT has copied 3 of 6: the first is %d, %v; want 4", first, err)
	}
	fewer := w.configOf(schemas.Audit)
	for i, s := range whole.Sources {
		if s.Name == string(schemas.Exposed) {
			fewer.Sources = append(whole.Sources[:i:i], whole.Sources[i+1:]...)
		}
	}
	w.update(fewer)
	_, err = provision.Trim(w.ctx(), schemas.Exposed, later)
	if first := w.first(schemas.Exposed); !isInvalid(err) || first != 4 {
		t.Errorf("AUDIT does not copy the stream: the first is %d, %v; want 4 and ErrInvalid", first, err)
	}
	_, js := w.root(broker.AuditLog)
	check(t, js.DeleteStream(w.ctx(), "AUDIT"))
	_, err = provision.Trim(w.ctx(), schemas.Exposed, later)
	if first := w.first(schemas.Exposed); err == nil || first != 4 {
		t.Errorf("AUDIT is gone: the first is %d, %v; want 4 and an error", first, err)
	}
}

// TestOnlyProvisionTrims: a stage cannot remove a record, nor anybody one from
// AUDIT.
func TestOnlyProvisionTrims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(3, anExposure)
	w.copies(3)
	_, err := w.log(schemas.RoleExecute).Trim(w.ctx(), schemas.Exposed, time.Now())
	if first := w.first(schemas.Exposed); !errors.Is(err, schemas.ErrDenied) || first != 1 {
		t.Errorf("execute trims: the first is %d, %v; want 1 and ErrDenied", first, err)
	}
	for _, account := range []broker.Account{broker.Gate, broker.AuditLog} {
		_, js := w.root(account)
		s, err := js.Stream(w.ctx(), map[broker.Account]string{broker.Gate: "SETTLED", broker.AuditLog: "AUDIT"}[account])
		check(t, err)
		if err := s.DeleteMsg(w.ctx(), 1); err == nil {
			t.Errorf("a message of %s can be deleted", s.CachedInfo().Config.Name)
		}
		if err := s.Purge(w.ctx()); (err == nil) != (account == broker.Gate) {
			t.Errorf("purging %s: %v", s.CachedInfo().Config.Name, err)
		}
	}
	w.copies(3)
}
