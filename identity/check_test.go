package identity_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"

	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// valid are one identity of each kind that is as it should be.
func valid(t testing.TB) map[string]schemas.Identity {
	t.Helper()
	key, err := newKey(t, "x", schemas.RoleAgent).Public()
	check(t, err)
	return map[string]schemas.Identity{
		"agent":          {Name: "bot", Role: schemas.RoleAgent, Key: key, Owner: "olga@example.org", Actions: []string{"shop.*", "*", "crm.read_ticket"}, Sessions: "declared"},
		"reviewer":       {Name: "ann", Role: schemas.RoleReviewer, Key: key, Person: "ann", Groups: []string{"chiefs"}, Queues: []schemas.Name{"desk"}},
		"service":        {Name: "svc", Role: schemas.RoleReviewer, Key: key, Owner: "olga", Service: true, Queues: []schemas.Name{"desk"}},
		"executor":       {Name: "run", Role: schemas.RoleExecutor, Key: key, Owner: "opal", Systems: []string{"shop", "_Bank-2"}},
		"auditor":        {Name: "aud", Role: schemas.RoleAuditor, Key: key, Person: "audrey"},
		"policy-admin":   {Name: "poe", Role: schemas.RolePolicyAdmin, Key: key},
		"identity-admin": {Name: "ida", Role: schemas.RoleIdentityAdmin, Key: key, Person: "ida"},
	}
}

// mistake is a change that makes an identity one that is not as it should be.
type mistake struct {
	of     string
	change func(*schemas.Identity)
	want   string // what is said
}

func mistakes(accountKey string) []mistake {
	return []mistake{
		{"agent", func(id *schemas.Identity) { id.Name = "" }, `name ""`},
		{"agent", func(id *schemas.Identity) { id.Name = "a.b" }, `name "a.b"`},
		{"agent", func(id *schemas.Identity) { id.Name = "*" }, `name "*"`},
		{"agent", func(id *schemas.Identity) { id.Role = "root" }, `role "root"`},
		{"agent", func(id *schemas.Identity) { id.Role = schemas.RoleExecute }, `role "execute"`},
		{"agent", func(id *schemas.Identity) { id.Key = "" }, "not a public user nkey"},
		{"agent", func(id *schemas.Identity) { id.Key = accountKey }, "not a public user nkey"},
		{"agent", func(id *schemas.Identity) { id.Owner = "" }, "agent bot has no owner"},
		{"agent", func(id *schemas.Identity) { id.Owner = "olga smith" }, `"olga smith"`},
		{"agent", func(id *schemas.Identity) { id.Person = "zed" }, "person of agent bot has no meaning"},
		{"agent", func(id *schemas.Identity) { id.Actions = []string{"shop.>"} }, `action pattern "shop.>"`},
		{"agent", func(id *schemas.Identity) { id.Actions = []string{"shop"} }, `action pattern "shop"`},
		{"agent", func(id *schemas.Identity) { id.Sessions = "yes" }, "sessions of agent bot"},
		{"agent", func(id *schemas.Identity) { id.Queues = []schemas.Name{"desk"} }, "queues of agent bot has no meaning"},
		{"agent", func(id *schemas.Identity) { id.Systems = []string{"shop"} }, "systems of agent bot has no meaning"},
		{"agent", func(id *schemas.Identity) { id.Service = true }, "service of agent bot has no meaning"},
		{"reviewer", func(id *schemas.Identity) { id.Person = "" }, "reviewer ann has no person"},
		{"reviewer", func(id *schemas.Identity) { id.Owner = "olga" }, "owner of reviewer ann has no meaning"},
		{"reviewer", func(id *schemas.Identity) { id.Queues = nil }, "reviewer ann has no queues"},
		{"reviewer", func(id *schemas.Identity) { id.Queues = []schemas.Name{">"} }, `name ">"`},
		{"reviewer", func(id *schemas.Identity) { id.Groups = []string{"a b"} }, `"a b"`},
		{"reviewer", func(id *schemas.Identity) { id.Groups = strings.Split(strings.Repeat("x,", 17), ",")[:17] }, "ann is in 17 groups, at most 16"},
		{"reviewer", func(id *schemas.Identity) { id.Actions = []string{"*"} }, "actions of reviewer ann has no meaning"},
		{"service", func(id *schemas.Identity) { id.Owner = "" }, "reviewer svc has no owner"},
		{"service", func(id *schemas.Identity) { id.Person = "zed" }, "person of reviewer svc has no meaning"},
		{"executor", func(id *schemas.Identity) { id.Owner = "" }, "executor run has no owner"},
		{"executor", func(id *schemas.Identity) { id.Person = "zed" }, "person of executor run has no meaning"},
		{"executor", func(id *schemas.Identity) { id.Systems = nil }, "executor run has no systems"},
		{"executor", func(id *schemas.Identity) { id.Systems = []string{"a.b"} }, `system "a.b"`},
		{"executor", func(id *schemas.Identity) { id.Systems = []string{"*"} }, `system "*"`},
		{"executor", func(id *schemas.Identity) { id.Systems = []string{""} }, `system ""`},
		{"executor", func(id *schemas.Identity) { id.Sessions = "declared" }, "sessions of executor run has no meaning"},
		{"auditor", func(id *schemas.Identity) { id.Queues = []schemas.Name{"desk"} }, "queues of auditor aud has no meaning"},
		{"policy-admin", func(id *schemas.Identity) { id.Owner = "olga" }, "owner of policy-admin poe has no meaning"},
	}
}

// TestCheck: every identity has what its role needs, nothing that means nothing
// there, and no word that could do harm in a subject; every mistake is named.
func TestCheck(t *testing.T) {
	t.Parallel()
	for what, id := range valid(t) {
		if err := identity.Check(id); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	account, err := nkeys.CreateAccount()
	check(t, err)
	accountKey, err := account.PublicKey()
	check(t, err)
	for _, c := range mistakes(accountKey) {
		id := valid(t)[c.of]
		c.change(&id)
		if err := identity.Check(id); !errors.Is(err, schemas.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an ErrInvalid that says %q", c.of, err, c.want)
		}
	}
	all := identity.Check(schemas.Identity{Name: "A", Role: schemas.RoleAgent, Actions: []string{"x"}, Queues: []schemas.Name{"desk"}})
	for _, want := range []string{`name "A"`, "not a public user nkey", `action pattern "x"`, "has no owner", "queues of"} {
		if all == nil || !strings.Contains(all.Error(), want) {
			t.Errorf("%v does not name %q", all, want)
		}
	}
}
