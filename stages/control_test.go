package stages

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// digested is a policy that is nothing but its digest.
type digested struct {
	Policy
	digest schemas.Digest
}

func (d digested) Digest() schemas.Digest { return d.digest }

func activated(d schemas.Digest) schemas.Record {
	return controlRecord(schemas.Activation{By: "boss", Bundle: d, At: time.Now()})
}

// TestPolicy: there is a policy when the bundle that is active was loaded, and none
// before, whatever was active earlier. No bundle loaded: nothing is decided.
func TestPolicy(t *testing.T) {
	t.Parallel()
	one, two := schemas.DigestOf(schemas.Intent{ID: "1"}), schemas.DigestOf(schemas.Intent{ID: "2"})
	synctest.Test(t, func(t *testing.T) {
		c := NewControlState(controllers())
		none := func() {
			t.Helper()
			began := time.Now()
			if _, err := c.Policy(t.Context()); !errors.Is(err, schemas.ErrUnavailable) || time.Since(began) != policyWait {
				t.Errorf("got %v after %s, want an ErrUnavailable after %s", err, time.Since(began), policyWait)
			}
		}
		none()
		must(t, c.Apply(activated(one)))
		if c.Wanted() != one || c.Active() != one {
			t.Errorf("wanted is %q, active %q, want %q", c.Wanted(), c.Active(), one)
		}
		none()
		c.Load(digested{digest: two}) // not the one that is active
		none()
		c.Load(digested{digest: one})
		if p, err := c.Policy(t.Context()); err != nil || p.Digest() != one || c.Wanted() != "" {
			t.Errorf("got %v, %v, wanted %q", p, err, c.Wanted())
		}
		must(t, c.Apply(activated(two)))
		none()
		time.AfterFunc(policyWait/2, func() { c.Load(digested{digest: two}) })
		if p, err := c.Policy(t.Context()); err != nil || p.Digest() != two {
			t.Errorf("got %v, %v", p, err)
		}
		must(t, c.Apply(activated(one)))
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Policy(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that it was canceled", err)
		}
	})
}

// TestToLoad: who loads bundles is woken by what makes another one wanted, and by
// nothing else. What comes while he loads is not lost.
func TestToLoad(t *testing.T) {
	t.Parallel()
	one, two := schemas.DigestOf(schemas.Intent{ID: "1"}), schemas.DigestOf(schemas.Intent{ID: "2"})
	shadow := func(d schemas.Digest) schemas.Record {
		return controlRecord(schemas.Shadow{By: "boss", Bundle: d, At: time.Now()})
	}
	c := NewControlState(controllers())
	woken := func() bool {
		select {
		case <-c.ToLoad():
			return true
		default:
			return false
		}
	}
	if woken() {
		t.Error("woken before anything is wanted")
	}
	must(t, c.Apply(activated(one)))
	must(t, c.Apply(activated(two)))
	if !woken() || woken() {
		t.Error("two activations: want to be woken once")
	}
	c.Load(digested{digest: two})
	must(t, c.Apply(controlRecord(schemas.Freeze{By: "boss", Scope: schemas.Scope{All: true}, At: time.Now()})))
	must(t, c.Apply(controlRecord(schemas.Thaw{By: "boss", Scope: schemas.Scope{All: true}, At: time.Now()})))
	if woken() {
		t.Error("woken by a load, a freeze and a thaw")
	}
	for _, d := range []schemas.Digest{one, ""} {
		must(t, c.Apply(shadow(d)))
		if !woken() || c.WantedShadow() != d {
			t.Errorf("not woken for shadow %q: wanted %q", d, c.WantedShadow())
		}
	}
}

// TestStreamMadeAgain: a stream that was made again is not the one that was read.
func TestStreamMadeAgain(t *testing.T) {
	t.Parallel()
	c := NewControlState(roles{"provision": schemas.RoleProvision})
	made := schemas.StreamMade{By: "provision", Stream: schemas.Settled, Created: time.Now().UTC(), Configuration: schemas.DigestOf(schemas.Intent{ID: "1"}), At: time.Now().UTC()}
	must(t, c.Apply(controlRecord(made)))
	must(t, c.Apply(controlRecord(made)))
	again := made
	again.Created = made.Created.Add(time.Second)
	if err := c.Apply(controlRecord(again)); !errors.Is(err, schemas.ErrInvalid) {
		t.Errorf("got %v, want an ErrInvalid", err)
	}
	if all := c.Streams(); len(all) != 1 || !all[0].Same(made) {
		t.Errorf("got %v, want the first", all)
	}
}

// TestExposureCopy: it is what was read last of each agent.
func TestExposureCopy(t *testing.T) {
	t.Parallel()
	c := NewExposureCopy()
	for _, labels := range [][]string{{"a"}, {"b"}} {
		e := schemas.Exposure{Agent: "bot", Seen: []schemas.Seen{{Action: "sys.read", Labels: labels, Until: time.Now().UTC()}}, At: time.Now().UTC()}
		d := schemas.Write(e, "/test", time.Now(), "")
		must(t, c.Apply(schemas.Record{Stream: schemas.Exposed, Subject: d.Subject, Header: d.Header, Body: d.Body}))
	}
	if got := c.Exposure("bot"); len(got.Seen) != 1 || got.Seen[0].Labels[0] != "b" {
		t.Errorf("got %+v", got)
	}
	if got := c.Exposure("bit"); len(got.Seen) != 0 {
		t.Errorf("got %+v of another", got)
	}
	if err := c.Apply(schemas.Record{Stream: schemas.Exposed, Subject: "exposed.bot", Body: []byte(`{`)}); !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("got %v, want an ErrUnavailable", err)
	}
}

// TestRates: a rate is of the minute before.
func TestRates(t *testing.T) {
	t.Parallel()
	r, now := NewRates(), time.Unix(1_000_000, 0)
	for i, c := range []struct {
		after time.Duration
		agent schemas.Name
		want  int
	}{{0, "bot", 1}, {time.Second, "bot", 2}, {0, "bit", 1}, {30 * time.Second, "bot", 3}, {31 * time.Second, "bot", 2}, {-time.Hour, "bot", 3}, {2 * time.Hour, "bot", 1}} {
		now = now.Add(c.after)
		if got := r.Count(c.agent, now); got != c.want {
			t.Errorf("%d: %s proposed %d, want %d", i, c.agent, got, c.want)
		}
	}
}
