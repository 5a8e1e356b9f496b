package audit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/schemas"
)

func TestControl(t *testing.T) {
	testTamperings(t, map[string]tampering{
		"by nobody": func(h *history) (schemas.Pointer, string) {
			return h.write(schemas.Freeze{By: "pit", Scope: schemas.Scope{All: true}, At: h.now}), "is written by pit, whom CONTROL does not register"
		},
		"a freeze by an identity-admin": func(h *history) (schemas.Pointer, string) {
			return h.write(schemas.Freeze{By: "ida", Scope: schemas.Scope{All: true}, At: h.now}), `identity-admin may not write "freeze"`
		},
		"a thaw by a reviewer": func(h *history) (schemas.Pointer, string) {
			return h.write(schemas.Thaw{By: "ann", Scope: schemas.Scope{All: true}, At: h.now}), `reviewer may not write "thaw"`
		},
		"a thaw that does not count": func(h *history) (schemas.Pointer, string) {
			h.freeze(schemas.Scope{All: true})
			p := h.write(schemas.Thaw{By: "ida", Scope: schemas.Scope{All: true}, At: h.now})
			h.wait(time.Minute)
			h.refund(releases).release()
			if got := h.verify(); len(got.Findings) != 2 {
				h.t.Errorf("found %v, want that the release is found too", got.Findings)
			}
			h.records = h.records[:h.at(p)+1]
			h.seqs[schemas.Settled], h.seqs[schemas.Intents], h.seqs[schemas.Observed], h.seqs[schemas.Recommended] = 1, 1, 1, 1
			h.thaw(schemas.Scope{All: true})
			return p, `identity-admin may not write "thaw"`
		},
		"a bundle by an identity-admin": func(h *history) (schemas.Pointer, string) {
			return h.write(schemas.Activation{By: "ida", Bundle: digestOf("x"), At: h.now}), `may not write "bundle"`
		},
		"a stream by a policy-admin": func(h *history) (schemas.Pointer, string) {
			return h.write(schemas.StreamMade{By: "pat", Stream: schemas.Audit, Created: noon, Configuration: digestOf("x"), At: h.now}), `may not write "stream"`
		},
		"an identity by a policy-admin": func(h *history) (schemas.Pointer, string) {
			return h.register(schemas.Identity{By: "pat", Name: "dan", Role: schemas.RoleReviewer}), `may not write "identity"`
		},
		"a removal by a policy-admin": func(h *history) (schemas.Pointer, string) {
			return h.write(schemas.Removal{By: "pat", Name: "ann", At: h.now}), `may not write "removal"`
		},
		"by one who was removed": func(h *history) (schemas.Pointer, string) {
			h.register(schemas.Identity{Name: "dan", Role: schemas.RolePolicyAdmin})
			h.write(schemas.Removal{By: "ida", Name: "dan", At: h.now})
			return h.write(schemas.Freeze{By: "dan", Scope: schemas.Scope{All: true}, At: h.now}), "is written by dan, who was removed"
		},
		"of no kind": func(h *history) (schemas.Pointer, string) {
			return h.put(schemas.Draft{Subject: "control.pat.nonsense.x"}), `may not write "nonsense"`
		},
		"by no name": func(h *history) (schemas.Pointer, string) {
			return h.put(schemas.Draft{Subject: "control.PAT.freeze.x"}), "PAT"
		},
		"a name twice": func(h *history) (schemas.Pointer, string) {
			return h.register(schemas.Identity{Name: "ann", Key: public("dan"), Role: schemas.RoleReviewer}), "registers ann, a name that was taken"
		},
		"a name of the gateway": func(h *history) (schemas.Pointer, string) {
			return h.register(schemas.Identity{Name: "execute", Key: public("dan"), Role: schemas.RoleReviewer}), "registers execute, a name that was taken"
		},
		"a name that was removed": func(h *history) (schemas.Pointer, string) {
			h.write(schemas.Removal{By: "ida", Name: "ann", At: h.now})
			return h.register(schemas.Identity{Name: "ann", Key: public("dan"), Role: schemas.RoleReviewer}), "registers ann, a name that was taken"
		},
		"a key twice": func(h *history) (schemas.Pointer, string) {
			return h.register(schemas.Identity{Name: "dan", Key: public("ann"), Role: schemas.RoleReviewer}), "registers dan with the key of ann"
		},
		"a role of the gateway": func(h *history) (schemas.Pointer, string) {
			return h.register(schemas.Identity{Name: "dan", Role: schemas.RoleProvision}), `registers dan in the role "provision"`
		},
		"a reviewer by provision": func(h *history) (schemas.Pointer, string) {
			return h.register(schemas.Identity{By: "provision", Name: "dan", Role: schemas.RoleReviewer}), "provision registers admins only"
		},
		"a second admin by provision": func(h *history) (schemas.Pointer, string) {
			return h.register(schemas.Identity{By: "provision", Name: "fay", Role: schemas.RolePolicyAdmin}), "registers fay, and provision registers only the first policy-admin"
		},
		"a freeze of two things": func(h *history) (schemas.Pointer, string) {
			p := h.freeze(schemas.Scope{Agent: "x", System: "y"})
			h.thaw(schemas.Scope{All: true})
			return p, "freezes several things"
		},
		"a stream that was made again": func(h *history) (schemas.Pointer, string) {
			return h.write(schemas.StreamMade{By: "provision", Stream: schemas.Audit, Created: h.now, Configuration: digestOf("stream"), At: h.now}), "says that AUDIT was made again"
		},
		"an identity that no gate takes": func(h *history) (schemas.Pointer, string) {
			return h.register(schemas.Identity{Name: "dan", Role: schemas.RoleReviewer, Person: "nobody"}), "registers dan, as no gate takes it: nobody is nobody"
		},
	})
}

// TestUnreadableControl: a freeze or a removal that does not read takes effect, as
// it does at the gate.
func TestUnreadableControl(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{
		"control.pat.freeze.x":    "during the freeze of all",
		"control.ida.removal.bot": "bot, who was removed",
	} {
		h := newHistory(t)
		h.put(schemas.Draft{Subject: subject})
		h.refund(releases).release() // it was on its way
		h.wait(time.Minute)
		i := h.refund(releases).release()
		got := h.verify()
		if len(got.Findings) != 2 || !found(got, h.records[h.at(i.settled)], want) {
			t.Errorf("%s: found %v", subject, got.Findings)
		}
	}
}

// TestKeyAgain: a key is free when its holder was removed, a gateway's own name
// never is.
func TestKeyAgain(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.write(schemas.Removal{By: "ida", Name: "ann", At: h.now})
	h.write(schemas.Removal{By: "ida", Name: "provision", At: h.now})
	h.write(schemas.Removal{By: "ida", Name: "nobody", At: h.now})
	h.register(schemas.Identity{Name: "dan", Key: public("ann"), Role: schemas.RoleReviewer})
	h.write(schemas.StreamMade{By: "provision", Stream: schemas.Intents, Created: noon, Configuration: digestOf("x"), At: h.now})
	if first := h.verify().First(); first != nil {
		t.Error(first)
	}
}

// TestNoEligibility: without an evaluator nobody is eligible by an expression.
func TestNoEligibility(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.refund(parks(1)).park().vote("ann", schemas.Approve).release()
	v := audit.New(audit.Config{Gateway: gate})
	for i, r := range h.records {
		v.Add(uint64(i+1), r)
	}
	if first := v.Finish(h.now).First(); first == nil || !strings.Contains(first.Text, `nothing here evaluates "in:finance"`) {
		t.Errorf("found %v", first)
	}
}

// TestRefusedIdentity: a name that the gate did not register is free.
func TestRefusedIdentity(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.register(schemas.Identity{Name: "dan", Role: schemas.RoleReviewer, Person: "nobody"})
	h.register(schemas.Identity{Name: "dan", Role: schemas.RoleReviewer, Person: "dan", Queues: []schemas.Name{"billing"}, Groups: []string{"finance"}})
	h.refund(parks(1)).park().vote("dan", schemas.Approve).release()
	if got := h.verify(); len(got.Findings) != 1 {
		t.Errorf("found %v, want only that nobody is registered", got.Findings)
	}
}

// TestOperatorsClock: the clock of whoever freezes, thaws, removes or activates
// accuses nobody, and excuses nobody.
func TestOperatorsClock(t *testing.T) {
	t.Parallel()
	all := schemas.Scope{All: true}
	for _, off := range []time.Duration{-time.Hour, -30 * time.Second, 30 * time.Second, time.Hour} {
		for title, c := range map[string]struct {
			changes func(h *history, at time.Time)
			find    string
			ends    func(h *history, at time.Time)
		}{
			"freeze": {
				func(h *history, at time.Time) { h.write(schemas.Freeze{By: "pat", Scope: all, At: at}) }, "is written during the freeze",
				func(h *history, at time.Time) { h.write(schemas.Thaw{By: "pat", Scope: all, At: at}) },
			},
			"removal": {
				func(h *history, at time.Time) { h.write(schemas.Removal{By: "ida", Name: "bot", At: at}) }, "bot, who was removed",
				func(*history, time.Time) {},
			},
		} {
			h := newHistory(t)
			h.perform()
			h.wait(40 * time.Minute)
			h.perform()
			c.changes(h, h.now.Add(off))
			h.refund(releases).release() // it was on its way
			h.wait(11 * time.Second)
			wrong := h.refund(releases).release().settled
			h.wait(2 * time.Minute)
			c.ends(h, h.now.Add(off))
			if title == "freeze" {
				h.perform()
			}
			h.wait(time.Hour)
			got := h.verify()
			if len(got.Findings) != 1 || !found(got, h.records[h.at(wrong)], c.find) {
				t.Errorf("%s, clock off by %v: found %v, want only %s", title, off, got.Findings, wrong)
			}
		}
		h := newHistory(t)
		h.write(schemas.Activation{By: "pat", Bundle: digestOf("next"), At: h.now.Add(off)})
		i := h.propose("shop.refund", `{}`).observe(func(o *schemas.Observation) { o.Bundle = digestOf("next") })
		i.recommend(releases).release(func(s *schemas.Settlement) { s.Bundle = digestOf("next") })
		if first := h.verify().First(); first != nil {
			t.Errorf("activation, clock off by %v: %v", off, first)
		}
	}
}

// TestStreamKeptOtherwise: a stream that was given more room on purpose is no
// finding.
func TestStreamKeptOtherwise(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.write(schemas.StreamMade{By: "provision", Stream: schemas.Audit, Created: noon, Configuration: digestOf("x"), At: h.now})
	if got := h.verify(); got.First() != nil {
		t.Error(got.First())
	}
}

// TestActivationByOne: where the bundle before asks for two policy-admins, what one
// of them pushed is not active, and nothing may go by it.
func TestActivationByOne(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.write(schemas.Activation{By: "pat", Bundle: digestOf("strict"), Quorum: 2, At: h.now})
	h.write(schemas.Activation{By: "pat", Bundle: digestOf("mine"), Quorum: 2, At: h.now})
	i := h.refund(releases).release(func(s *schemas.Settlement) { s.Bundle = digestOf("mine") })
	if got := h.verify(); !found(got, h.records[h.at(i.settled)], "which nobody had activated") {
		t.Errorf("found %v", got.Findings)
	}
}

// TestSecondAdmin: whoever provision registers beside the first admin of a kind, even
// when that one is gone, is nobody: the gate does not know them either.
func TestSecondAdmin(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	h.write(schemas.Removal{By: "ida", Name: "ida", At: h.now})
	dan := h.register(schemas.Identity{By: "provision", Name: "dan", Role: schemas.RoleIdentityAdmin})
	fay := h.register(schemas.Identity{By: "dan", Name: "fay", Role: schemas.RoleReviewer})
	got := h.verify()
	if len(got.Findings) != 2 ||
		!found(got, h.records[h.at(dan)], "registers dan, and provision registers only the first identity-admin") ||
		!found(got, h.records[h.at(fay)], "is written by dan, whom CONTROL does not register") {
		t.Errorf("found %v, want %s and %s", got.Findings, dan, fay)
	}
}
