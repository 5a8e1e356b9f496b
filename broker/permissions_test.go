package broker_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"pgregory.net/rapid"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

var update = flag.Bool("update", false, "write the golden files anew")

// places are all subjects that mean something, each in the name of the one who
// asks and in the name of somebody else.
func places() []string {
	var all []string
	add := func(s schemas.Subject) {
		subject := s.String()
		for _, who := range []string{"self", "other"} {
			all = append(all, strings.ReplaceAll(subject, "who", who))
		}
	}
	for _, stream := range schemas.Streams() {
		for _, subject := range stream.Subjects() {
			kind, _, _ := strings.Cut(subject, ".")
			s := schemas.Subject{Kind: kind, Intent: "ID", Agent: "other", Writer: "who", Queue: "desk", Outcome: "park", Action: "shop.refund", About: "freeze", Record: "x"}
			switch kind {
			case "intents":
				s.Agent = "who"
				add(s)
				s.Action = "bank.pay"
				add(s)
				s.Action = schemas.Withdraw
			case "decisions", "standing", "revoked":
				add(s)
				s.Queue = "vault"
			case "control":
				for _, about := range []string{"bundle", "thaw", "identity", "removal", "stream", "x"} {
					s.About = about
					add(s)
				}
				s.About = "freeze"
			case "lapsed":
				add(s)
				s.Writer = "execute"
			}
			add(s)
		}
	}
	for _, other := range []string{"ask.who.status", "claims.who.other.ID", "notices.who.ID.released", "holds.desk.who.ID.parked",
		"holds.vault.who.ID.parked", "_INBOX_who.x", "_INBOX.x", "_R_.x", "$O.bundles.C.x", "$SYS.REQ.SERVER.PING"} {
		for _, who := range []string{"self", "other"} {
			all = append(all, strings.ReplaceAll(other, "who", who))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// matrix shows who may publish (p) and subscribe (s) to what, and then every
// permission as it is.
func matrix(users []broker.User) string {
	var b strings.Builder
	b.WriteString("# p: may publish there, s: may subscribe there\n")
	fmt.Fprintf(&b, "%-44s", "")
	for _, u := range users {
		fmt.Fprintf(&b, " %s", u.Name)
	}
	b.WriteString("\n")
	for _, place := range places() {
		line := fmt.Sprintf("%-44s", place)
		for _, u := range users {
			subject := strings.ReplaceAll(place, "self", string(u.Name))
			line += fmt.Sprintf(" %-*s", len(u.Name), may(u.Publish, subject, "p")+may(u.Subscribe, subject, "s"))
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	for _, u := range users {
		fmt.Fprintf(&b, "\n%s, in %s\n", u.Name, u.Account)
		for _, p := range u.Publish {
			fmt.Fprintf(&b, "\tpublish   %s\n", p)
		}
		for _, p := range u.Subscribe {
			fmt.Fprintf(&b, "\tsubscribe %s\n", p)
		}
	}
	return b.String()
}

func may(patterns []string, subject, word string) string {
	if slices.ContainsFunc(patterns, func(p string) bool { return server.SubjectMatchesFilter(subject, p) }) {
		return word
	}
	return "."
}

func userOf(t testing.TB, id schemas.Identity) broker.User {
	t.Helper()
	u, err := broker.UserOf(id)
	check(t, err)
	return u
}

// TestPermissionMatrix (C3): who may do what is exactly what permissions.golden
// says, so that no change of it goes unseen; -update writes it.
func TestPermissionMatrix(t *testing.T) {
	t.Parallel()
	var users []broker.User
	for _, id := range people() {
		users = append(users, userOf(t, id))
	}
	const golden = "testdata/permissions.golden"
	got := matrix(users)
	if *update {
		check(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	check(t, err)
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("permissions (-want +got):\n%s", diff)
	}
}

// sides are what nobody may stand on two of.
var sides = map[string][]string{
	"proposes":   {"intents.>"},
	"observes":   {"observed.>"},
	"recommends": {"recommended.>"},
	"decides":    {"decisions.>", "standing.>", "revoked.>"},
	"settles":    {"parked.>", "released.>", "refused.>", "granted.>", "lapsed.>", "rejected.>", "exposed.>"},
	"performs":   {"outcomes.>", "claims.>"},
	"governs":    {"control.*.bundle.>", "control.*.freeze.>", "control.*.thaw.>", "$O.bundles.>"},
	"registers":  {"control.*.identity.>", "control.*.removal.>"},
}

// TestNobodyOnTwoSides (C3): whatever an identity is registered as, it may publish
// on one side of the gate, in its own name only, and nothing that manages a
// stream; it has an account, and no empty list, which would allow everything.
func TestNobodyOnTwoSides(t *testing.T) {
	t.Parallel()
	pair, err := nkeys.CreateUser()
	check(t, err)
	public, err := pair.PublicKey()
	check(t, err)
	rapid.Check(t, func(t *rapid.T) {
		id := anyIdentity(t, public)
		u, err := broker.UserOf(id)
		if err != nil {
			t.Fatal(err)
		}
		if len(u.Publish) == 0 || len(u.Subscribe) == 0 || u.Account == "" || u.Name != id.Name || u.Key != id.Key {
			t.Fatalf("%+v becomes %+v", id, u)
		}
		var on []string
		for side, subjects := range sides {
			if slices.ContainsFunc(subjects, func(s string) bool { return collides(u.Publish, s) }) {
				on = append(on, side)
			}
		}
		if len(on) > 1 {
			t.Fatalf("%+v stands on the sides %v: %v", id, on, u.Publish)
		}
		inside := slices.Contains(schemas.GatewayRoles(), id.Role)
		if inside != (u.Account == broker.Gate || u.Account == broker.AuditLog) {
			t.Fatalf("%s is in the account %s", id.Role, u.Account)
		}
		if !inside {
			ownName(t, u)
		}
		harmless(t, u)
	})
}

func collides(patterns []string, subject string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return server.SubjectsCollide(p, subject) })
}

// ownName makes sure that where a name stands, it is the identity's own.
func ownName(t *rapid.T, u broker.User) {
	for _, p := range u.Publish {
		tokens := strings.Split(p, ".")
		switch tokens[0] {
		case "intents", "decisions", "standing", "revoked", "outcomes", "control", "ask", "claims":
			if tokens[1] != string(u.Name) {
				t.Fatalf("%s may publish to %s", u.Name, p)
			}
		case "hold", "$JS", "$O":
		default:
			t.Fatalf("%s may publish to %s, of which nothing is known here", u.Name, p)
		}
	}
	for _, p := range u.Subscribe {
		if !strings.HasPrefix(p, "holds.") && strings.Split(strings.TrimPrefix(p, "_INBOX_"), ".")[0] != string(u.Name) && strings.Split(p, ".")[1] != string(u.Name) {
			t.Fatalf("%s may subscribe to %s", u.Name, p)
		}
	}
}

// harmless makes sure that nobody may change, delete or restore a stream, or
// delete a message or a consumer. Provision alone makes and purges; provision-audit
// may have AUDIT led by another node.
func harmless(t *rapid.T, u broker.User) {
	for _, prefix := range []string{"$JS.API.", "hold.API.", "GATE.API.", "AUDIT.API."} {
		for _, verb := range []string{"STREAM.UPDATE.>", "STREAM.DELETE.>", "STREAM.MSG.DELETE.>", "STREAM.RESTORE.>", "STREAM.SNAPSHOT.>",
			"CONSUMER.DELETE.>", "CONSUMER.PAUSE.>", "CONSUMER.DURABLE.>", "STREAM.LEADER.>", "STREAM.PEER.>", "META.>", "ACCOUNT.>", "SERVER.>"} {
			if collides(u.Publish, prefix+verb) && !(u.Name == "provision-audit" && verb == "STREAM.LEADER.>") {
				t.Fatalf("%s may publish to %s%s: %v", u.Name, prefix, verb, u.Publish)
			}
		}
		for _, verb := range []string{"STREAM.CREATE.>", "STREAM.PURGE.>", "CONSUMER.CREATE.>"} {
			if collides(u.Publish, prefix+verb) && u.Name != "provision" && !(u.Name == "provision-audit" && verb == "STREAM.CREATE.>") {
				t.Fatalf("%s may publish to %s%s: %v", u.Name, prefix, verb, u.Publish)
			}
		}
	}
	if collides(u.Publish, "$JS.API.STREAM.PURGE.AUDIT") || collides(u.Publish, "$SYS.>") || collides(u.Publish, "_INBOX_>") {
		t.Fatalf("%s may publish to %v", u.Name, u.Publish)
	}
}

// anyIdentity is one that the gate would register, or one of its own.
func anyIdentity(t *rapid.T, key string) schemas.Identity {
	role := rapid.SampledFrom(append(schemas.OutsideRoles(), schemas.GatewayRoles()...)).Draw(t, "role")
	id := schemas.Identity{Role: role, Name: schemas.Name(role), Key: key}
	if slices.Contains(schemas.GatewayRoles(), role) {
		return id
	}
	name := rapid.StringMatching(`[a-z0-9-]{1,32}`)
	id.Name = schemas.Name(name.Draw(t, "name"))
	switch role {
	case schemas.RoleAgent:
		id.Owner = "olga"
		id.Actions = rapid.SliceOfN(rapid.StringMatching(`\*|([A-Za-z0-9_-]{1,8}|\*)\.([A-Za-z0-9_-]{1,8}|\*)`), 0, 4).Draw(t, "actions")
	case schemas.RoleReviewer:
		id.Person = "ann"
		for _, q := range rapid.SliceOfN(name, 1, 4).Draw(t, "queues") {
			id.Queues = append(id.Queues, schemas.Name(q))
		}
	case schemas.RoleExecutor:
		id.Owner = "opal"
		id.Systems = rapid.SliceOfN(rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9_-]{0,20}`), 1, 4).Draw(t, "systems")
	}
	if err := identity.Check(id); err != nil {
		t.Fatalf("%+v: %v", id, err)
	}
	return id
}

// TestUnknownRoleMayNothing: a role that does not exist has no permissions, and
// that is an error, not a user without limits.
func TestUnknownRoleMayNothing(t *testing.T) {
	t.Parallel()
	for _, role := range []schemas.Role{"", "root", "AGENT", "agent ", "gate"} {
		if u, err := broker.UserOf(schemas.Identity{Name: "x", Role: role}); !errors.Is(err, schemas.ErrDenied) || u.Publish != nil || u.Account != "" {
			t.Errorf("role %q: %+v, %v; want nothing and ErrDenied", role, u, err)
		}
	}
}

// TestUserOfLeavesTheIdentityAlone: identities are shared by everyone who asks.
func TestUserOfLeavesTheIdentityAlone(t *testing.T) {
	t.Parallel()
	actions := []string{"shop.*", "unchanged"}
	userOf(t, schemas.Identity{Name: "bot", Role: schemas.RoleAgent, Actions: actions[:1]})
	if actions[1] != "unchanged" {
		t.Errorf("wrote %q behind the identity's actions", actions[1])
	}
}

// TestDeniedAtOnce: who publishes, asks, claims or pulls where it may not is told
// so by the broker, and does not wait in vain.
func TestDeniedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := places()
	for _, id := range people() {
		u, c := userOf(t, id), w.conn(id.Name)
		for _, place := range all {
			subject := strings.ReplaceAll(place, "self", string(id.Name))
			if may(u.Publish, subject, "p") == "p" {
				continue
			}
			if _, err := c.Send(w.ctx(), schemas.Draft{Subject: subject}); !errors.Is(err, schemas.ErrDenied) {
				t.Errorf("%s publishes to %s: %v, want ErrDenied", id.Name, subject, err)
			}
		}
	}
	eve := w.conn("eve")
	key := newKey("bot")
	_, askErr := eve.Ask(w.ctx(), "bot", schemas.AskStatus, schemas.Question{})
	_, claimErr := eve.Claim(w.ctx(), "run", key, schemas.Question{})
	_, readErr := eve.OwnSettlement(w.ctx(), key)
	pullErr := eve.Pull(w.ctx(), "shop", 1, patience, func(broker.Delivery) {})
	for what, err := range map[string]error{"asks": askErr, "claims": claimErr, "reads a verdict": readErr, "pulls": pullErr} {
		if !errors.Is(err, schemas.ErrDenied) {
			t.Errorf("eve %s where she may not: %v, want ErrDenied", what, err)
		}
	}
}
