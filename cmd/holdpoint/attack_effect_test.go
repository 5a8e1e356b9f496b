package main

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// grown makes sure that everything that was stored during an attack is the
// attacker's own, or what the gate made of that, or what the victims proposed.
func (s *siege) grown(id schemas.Identity, before, after snapshot) {
	s.t.Helper()
	for name, is := range after {
		stream := schemas.Stream(name[strings.IndexByte(name, '/')+1:])
		if stream == schemas.Audit || is.Last == before[name].Last {
			continue // AUDIT is compared with all of them in the end
		}
		if stream == "OBJ_bundles" {
			if id.Role != schemas.RolePolicyAdmin {
				s.t.Errorf("%s stored %d messages in %s", id.Name, is.Last-before[name].Last, name)
			}
			continue
		}
		for _, k := range s.read(stream, before[name].Last+1) {
			if !s.owns(id, k) {
				s.t.Errorf("the attack of %s stored %s/%d: %s %q %q", id.Name, stream, k.seq, k.subject, k.header, k.body)
			}
		}
	}
}

// owns reports whether a message is in the attacker's name, or follows from what
// a victim proposed.
func (s *siege) owns(id schemas.Identity, k kept) bool {
	parts := strings.Split(k.subject, ".")
	subject, _ := schemas.ParseSubject(k.subject)
	switch {
	case parts[0] == "intents" || parts[0] == "decisions" || parts[0] == "standing" || parts[0] == "revoked" || parts[0] == "outcomes" || parts[0] == "control":
		if parts[1] == string(id.Name) {
			return true
		}
	case subject.Agent == id.Name || subject.Writer == id.Name:
		return true
	}
	if subject.Agent != "victim" && subject.Agent != "mark" {
		return false
	}
	for known := range s.known {
		if strings.Contains(k.subject, string(known)) || bytes.Contains(k.header, []byte(known)) || bytes.Contains(k.body, []byte(known)) {
			return true
		}
	}
	return false
}

// listen subscribes to everything that an attacker may listen to, and tries to
// subscribe to everything else.
func (s *siege) listen(user broker.User) *wire {
	s.t.Helper()
	w := s.wire(user.Name)
	for _, subject := range user.Subscribe {
		w.sub(subject)
	}
	check(s.t, w.flush())
	if denied := w.errors(); len(denied) > 0 {
		s.t.Fatalf("%s: %q", user.Name, denied)
	}
	wild := wildcards(user.Name)
	for i, subject := range wild {
		if i%2 == 0 {
			subject += " answer" // in a queue group, it would take messages away from the others
		}
		w.sub(subject)
	}
	check(s.t, w.flush())
	s.cases += len(wild)
	if denied := w.errors(); len(denied) != len(wild) {
		s.t.Errorf("%s: %d of %d subscriptions were refused: %q", user.Name, len(denied), len(wild), denied)
	}
	return w
}

// wildcards are what nobody from outside may subscribe to.
func wildcards(name schemas.Name) []string {
	all := []string{
		">", "*", "*.>", "*.*", "_INBOX.>", "_INBOX.*", "_INBOX_>", "_INBOX_*.>", "notices.>", "notices.*.*.*", "notices.victim.>",
		"holds.>", "holds.*.*.*.*", "holds.vaults.>", "holds.vaults.*.*.*", "_R_.>", "_R_.*", "_GR_.>", "$JS.>", "$JS.API.>",
		"$JS.ACK.>", "$JS.FC.>", "$JS.EVENT.>", "$SYS.>", "$SYS.REQ.>", "$SRV.>", "$O.>", "$KV.>", "hold.>", "hold.API.>",
		"GATE.>", "AUDIT.>", "copy.>", "copy.audit.*", "ask.>", "ask.*.*", "ask." + string(name) + ".*", "claims.>", "audit.>",
		"intents." + string(name) + ".>",
	}
	for _, stream := range schemas.Streams() {
		all = append(all, stream.Subjects()...)
	}
	for _, id := range append(victims(), attackers()...) {
		if id.Name != name {
			all = append(all, "_INBOX_"+string(id.Name)+".>")
		}
	}
	for _, role := range schemas.GatewayRoles() {
		all = append(all, "_INBOX_"+string(role)+".>")
	}
	return all
}

// heard makes sure that an attacker received nothing of the victims.
func (s *siege) heard(id schemas.Identity, user broker.User, ears *wire) {
	s.t.Helper()
	check(s.t, ears.flush())
	all := ears.messages()
	for _, m := range all {
		// What a consumer hands out keeps its subject.
		released := id.Role == schemas.RoleExecutor && strings.HasPrefix(m.subject, "released.") && strings.Contains(m.subject, ".shop.")
		if !permits(user.Subscribe, m.subject) && !released {
			s.t.Errorf("%s received %s", id.Name, m)
		}
		if id.Role != schemas.RoleAuditor && (bytes.Contains(m.header, []byte(canary)) || bytes.Contains(m.body, []byte(canary))) {
			s.t.Errorf("%s received what the victim sent: %s", id.Name, m)
		}
	}
	s.t.Logf("%s received %d messages", id.Role, len(all))
}

// thaw ends the freezes that an attack made: an unreadable one is a full one.
func (s *siege) thaw(w *wire, id schemas.Identity) {
	s.t.Helper()
	all := schemas.Thaw{By: id.Name, Scope: schemas.Scope{All: true}, At: time.Now().UTC()}
	draft := schemas.Write(all, "/attack", time.Now(), "")
	var header strings.Builder
	header.WriteString("NATS/1.0\r\n")
	for name, values := range draft.Header {
		header.WriteString(name + ": " + values[0] + "\r\n")
	}
	header.WriteString("\r\n")
	w.hpub(draft.Subject, "_INBOX_"+string(id.Name)+".thaw", header.String(), draft.Body)
	check(s.t, w.flush())
	s.world.until("the thaw is read", func() bool { return len(s.gate.control.Freezes()) == 0 })
}

// attackFromInside lets one of the gate's own identities publish to everything
// that it may not, and lets the answers to what it may ask go where they could
// reach AUDIT. In their own account the identities of the gate are trusted with
// the subject they name as reply; AUDIT is out of their reach.
func (s *siege) attackFromInside(role schemas.Role) {
	s.t.Helper()
	user, err := broker.UserOf(s.ids[schemas.Name(role)])
	check(s.t, err)
	before, count := s.look(), s.cases
	w := s.wire(user.Name)
	all := targets(user.Name)
	s.publish(w, user, slices.DeleteFunc(slices.Clone(all), func(subject string) bool { return permits(user.Publish, subject) }))
	if user.Account == broker.Gate {
		s.aimAtAudit(w, user, all)
	}
	s.pass()
	s.quiet()
	after := s.look()
	s.unchanged(before, after, "exec-shop") // requests of the attack before are still open there
	s.grown(s.ids[user.Name], before, after)
	s.t.Logf("%s: %d cases", role, s.cases-count)
}

// aimAtAudit asks what a gate's identity may ask, with everything as the reply
// that has to do with AUDIT.
func (s *siege) aimAtAudit(w *wire, user broker.User, all []string) {
	s.t.Helper()
	targets := slices.DeleteFunc(slices.Clone(all), func(subject string) bool {
		return !strings.Contains(subject, "AUDIT") && !strings.HasPrefix(subject, "copy.") && !strings.HasPrefix(subject, "audit.")
	})
	for _, subject := range user.Publish {
		switch {
		case strings.Contains(subject, ".STREAM.INFO."):
			s.fire(w, shot{subject, noHeader, "", targets})
		case strings.Contains(subject, ".DIRECT.GET."), strings.Contains(subject, ".MSG.GET."):
			s.fire(w, shot{subject, noHeader, `{"last_by_subj":"nothing"}`, targets})
			s.fire(w, shot{subject, noHeader, `{"seq":1}`, targets})
		}
	}
}
