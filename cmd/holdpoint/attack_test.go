package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// everywhere runs a test on the embedded broker and on an external one that has
// the printed configuration.
func everywhere(t *testing.T, test func(t *testing.T, start func(testing.TB, string) *world)) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, string) *world{"embedded": newWorld, "external": newExternalWorld} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start)
		})
	}
}

// TestAttack: whoever is connected publishes to every subject that there is, and
// to every subject that it may publish to with every subject that there is as the
// reply, and listens wherever it can. Nothing is stored elsewhere, hidden,
// deleted or read because of it, nobody loses a message, the gate goes on, and
// AUDIT has a copy of everything that any stream holds.
func TestAttack(t *testing.T) {
	everywhere(t, func(t *testing.T, start func(testing.TB, string) *world) {
		s := besiege(t, start)
		for _, id := range attackers() {
			s.attack(id)
		}
		for _, role := range schemas.GatewayRoles() {
			s.attackFromInside(role)
		}
		s.finish()
		s.copied()
		t.Logf("%d cases", s.cases)
	})
}

// attack lets one of the attackers do its worst.
func (s *siege) attack(id schemas.Identity) {
	s.t.Helper()
	id = s.ids[id.Name]
	user, err := broker.UserOf(id)
	check(s.t, err)
	before, count := s.look(), s.cases
	ears := s.listen(user)
	s.live()
	w := s.wire(id.Name)
	s.publish(w, user, targets(id.Name))
	for _, shot := range s.shots(id, user) {
		s.fire(w, shot)
	}
	if id.Role == schemas.RolePolicyAdmin {
		// Among what it may publish are freezes.
		s.thaw(w, id)
	}
	s.pass()
	s.quiet()
	after := s.look()
	s.unchanged(before, after, "exec-shop")
	s.grown(id, before, after)
	s.heard(id, user, ears)
	s.t.Logf("%s: %d cases", id.Role, s.cases-count)
}

// publish publishes to every one of the subjects, and makes sure that exactly
// those are refused that the permissions do not cover.
func (s *siege) publish(w *wire, user broker.User, subjects []string) {
	s.t.Helper()
	denied := 0
	for _, subject := range subjects {
		w.pub(subject, "_INBOX_"+string(user.Name)+".direct", nil)
		if !permits(user.Publish, subject) {
			denied++
		}
	}
	check(s.t, w.flush())
	s.cases += len(subjects)
	said := 0
	for _, text := range w.errors() {
		if strings.HasPrefix(text, "'Permissions Violation for Publish to ") {
			said++
		}
	}
	if said != denied {
		s.t.Errorf("%s: %d of %d publishes were refused, want %d", user.Name, said, len(subjects), denied)
	}
}

// shot is a message that its sender may publish, whose answer is to go where it
// should not.
type shot struct {
	subject, header, body string
	replies               []string
}

// refused is a header that lets no stream store the message, and makes it say so.
const refused = "NATS/1.0\r\nNats-Expected-Last-Sequence: 4294967295\r\n\r\n"

const noHeader = "NATS/1.0\r\n\r\n"

// shots are all that an attacker has: each of its permissions, with every target
// as the reply. What would be stored is stored with the worst of them only.
func (s *siege) shots(id schemas.Identity, user broker.User) []shot {
	all, few := targets(id.Name), worst(id.Name)
	if testing.Short() { // where races are looked for, some of them do
		all = sample(all)
	}
	var shots []shot
	for _, pattern := range user.Publish {
		subject := strings.ReplaceAll(pattern, "*", "x")
		switch {
		case slices.Contains(kinds(), strings.Split(subject, ".")[0]):
			shots = append(shots, shot{subject, refused, "{}", all})
			if !strings.Contains(subject, ".removal.") { // each makes the gate look at all connections
				shots = append(shots, shot{subject, noHeader, "{}", few})
			}
		case strings.HasPrefix(subject, "$O.bundles."):
			for _, part := range []string{"C", "M"} {
				shots = append(shots, shot{"$O.bundles." + part + ".x", refused, "{}", all}, shot{"$O.bundles." + part + ".x", noHeader, "{}", few})
			}
		case strings.HasPrefix(subject, "ask."):
			for _, what := range questions(id.Role) {
				shots = append(shots, shot{"ask." + string(id.Name) + "." + what, noHeader, fmt.Sprintf(`{"agent":"victim","intent":%q}`, someID), all})
			}
		case strings.HasPrefix(subject, "claims."):
			shots = append(shots, shot{"claims." + string(id.Name) + ".victim." + string(s.released[0].ID), noHeader, `{"nonce":"x"}`, all})
		default:
			shots = append(shots, s.apiShots(subject, all, few)...)
		}
	}
	return shots
}

// sample returns every eighth of the subjects.
func sample(all []string) []string {
	var some []string
	for i := 0; i < len(all); i += 8 {
		some = append(some, all[i])
	}
	return some
}

// apiShots are those on the JetStream API: with an answer that has no body, and
// with one that has.
func (s *siege) apiShots(subject string, all, few []string) []shot {
	switch {
	case strings.Contains(subject, ".MSG.NEXT."):
		return []shot{{subject, noHeader, `{"batch":1,"no_wait":true}`, all}, {subject, noHeader, `{"batch":3,"expires":1000000}`, few}}
	case strings.HasPrefix(subject, "$JS.ACK."):
		subject = strings.TrimSuffix(subject, ">") + "1.1.1.1.1"
		return []shot{{subject, noHeader, "+NXT", all}, {subject, noHeader, "+TERM", few}, {subject, noHeader, "-NAK", few}}
	case strings.Contains(subject, ".GET.AUDIT"):
		return []shot{{subject, noHeader, `{"last_by_subj":"nothing"}`, all}, {subject, noHeader, `{"seq":1}`, few}, {subject, noHeader, "", few}}
	}
	return []shot{{subject, noHeader, "", all}, {subject, noHeader, `{"seq":1}`, few}}
}

func questions(role schemas.Role) []string {
	switch role {
	case schemas.RoleAgent:
		return []string{schemas.AskStatus, schemas.AskShow}
	case schemas.RoleReviewer:
		return []string{schemas.AskHolds, schemas.AskHold, schemas.AskShow}
	case schemas.RoleExecutor:
		return []string{schemas.AskWork, schemas.AskShow}
	default:
		return []string{schemas.AskIdentities, schemas.AskGate, schemas.AskBudgets}
	}
}

func (s *siege) fire(w *wire, shot shot) {
	s.t.Helper()
	for _, reply := range shot.replies {
		w.hpub(shot.subject, reply, shot.header, []byte(shot.body))
	}
	if err := w.flush(); err != nil {
		s.t.Fatalf("%s: %v: %q", shot.subject, err, w.errors())
	}
	s.cases += len(shot.replies)
	for _, text := range w.errors() {
		if !strings.HasPrefix(text, "'Permissions Violation for Publish with Reply of ") {
			s.t.Errorf("%s: %s", shot.subject, text)
		}
	}
}
