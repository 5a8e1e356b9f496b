package client_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

func standing(uses int) schemas.Standing {
	return schemas.Standing{Queue: "desk", Agent: "bot", Action: "shop.big", When: "params.n == 1", Uses: uses, Until: time.Now().Add(time.Hour), Reason: "as agreed"}
}

// lineOf returns what the gate says of a standing approval.
func lineOf(t *testing.T, g *gate, r client.Reviewer, k schemas.Key) (found []schemas.StandingLine) {
	t.Helper()
	lines, err := r.Standing(g.ctx(), 0)
	check(t, err)
	for _, l := range lines {
		if l.Key() == k {
			found = append(found, l)
		}
	}
	return found
}

// TestStandingApproval: what was approved in advance releases, is listed with what it
// was used for, and is over as soon as anybody of the queue revokes it.
func TestStandingApproval(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	bot, ann, ben := g.agent("bot"), g.reviewer("ann"), g.reviewer("ben")
	s, err := ann.GiveStanding(g.ctx(), standing(2))
	check(t, err)
	if s.Reviewer != "ann" || s.ID == "" || s.At.IsZero() || s.VerifySignature(g.public("ann")) != nil {
		t.Errorf("given: %+v", s)
	}
	ticket := g.submit(bot, proposal("shop.big"))
	if v, err := bot.Await(g.ctx(), ticket); err != nil || v.Outcome != schemas.Release {
		t.Errorf("what was approved in advance: %+v, %v", v, err)
	}
	g.until("the use is counted", func() bool {
		lines := lineOf(t, g, ben, s.Key())
		return len(lines) == 1 && lines[0].Used == 1 && !lines[0].Over
	})
	revocation, err := ben.Revoke(g.ctx(), s, "enough")
	check(t, err)
	if revocation.VerifySignature(g.public("ben")) != nil {
		t.Errorf("revoked: %+v", revocation)
	}
	if lines := lineOf(t, g, ann, s.Key()); len(lines) != 1 || !lines[0].Revoked || lines[0].By != "ben" || !lines[0].Over || lines[0].Standing != s {
		t.Errorf("after it was revoked: %+v", lines)
	}
	g.park(bot, 1)
	if _, err := ann.Revoke(g.ctx(), s, "enough, indeed"); err != nil {
		t.Errorf("revoked again: %v", err)
	}
}

// TestStandingIsSentOnce: whatever is lost on its way, a standing approval is granted
// once, or not at all and its reviewer is told; and so it is revoked.
func TestStandingIsSentOnce(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	g.agent("bot")
	g.reviewer("ann")
	p := newProxy(t, g.server.URL())
	ann := client.Reviewer{Conn: g.dialAt(g.keys["ann"], p.url())}
	for what, break_ := range map[string]func(kind string){
		"nothing":             func(string) {},
		"the message":         func(kind string) { p.breaks(lose, kind+".ann.") },
		"its acknowledgement": func(kind string) { p.breaks(landed, kind+".ann.") },
		"the list":            func(string) { g.answers.set(losing(2, schemas.AskStanding)) },
	} {
		break_("standing")
		s, err := ann.GiveStanding(g.ctx(), standing(1))
		lines := lineOf(t, g, ann, s.Key())
		if (err == nil) != (len(lines) == 1) || len(lines) > 1 {
			t.Errorf("%s is lost: %v, and listed %+v", what, err, lines)
		}
		if err != nil && (!errors.Is(err, schemas.ErrUnavailable) || !strings.Contains(err.Error(), s.Key().String())) {
			t.Errorf("%s is lost: %v, want an ErrUnavailable that names the approval", what, err)
		}
		if err != nil {
			s, err = ann.GiveStanding(g.ctx(), s)
			check(t, err)
		}
		break_("revoked")
		_, err = ann.Revoke(g.ctx(), s, "enough")
		if errors.Is(err, schemas.ErrUnavailable) {
			_, err = ann.Revoke(g.ctx(), s, "enough")
		}
		if lines := lineOf(t, g, ann, s.Key()); err != nil || len(lines) != 1 || !lines[0].Revoked {
			t.Errorf("%s is lost as it is revoked: %v, %+v", what, err, lines)
		}
		g.answers.set(nil)
	}
}

// TestStandingRefused: what no policy can allow is not sent, and the broker lets
// nobody speak for a queue of others.
func TestStandingRefused(t *testing.T) {
	t.Parallel()
	g := openGate(t)
	g.agent("bot")
	ann := g.reviewer("ann")
	if s, err := ann.GiveStanding(g.ctx(), standing(0)); !errors.Is(err, schemas.ErrInvalid) {
		t.Errorf("no uses: %+v, %v, want ErrInvalid", s, err)
	}
	elsewhere := standing(1)
	elsewhere.Queue = "vault"
	if s, err := ann.GiveStanding(g.ctx(), elsewhere); !errors.Is(err, schemas.ErrDenied) {
		t.Errorf("another queue: %+v, %v, want ErrDenied", s, err)
	}
	s, err := ann.GiveStanding(g.ctx(), standing(1))
	check(t, err)
	if _, err := ann.Revoke(g.ctx(), s, strings.Repeat("x", schemas.MaxReason+1)); !errors.Is(err, schemas.ErrInvalid) {
		t.Errorf("a long reason: %v, want ErrInvalid", err)
	}
	s.Queue = "vault"
	if _, err := ann.Revoke(g.ctx(), s, "enough"); !errors.Is(err, schemas.ErrDenied) {
		t.Errorf("revoked in another queue: %v, want ErrDenied", err)
	}
	if lines := lineOf(t, g, ann, elsewhere.Key()); len(lines) > 0 {
		t.Errorf("kept: %+v", lines)
	}
}
