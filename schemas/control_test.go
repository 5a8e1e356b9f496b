package schemas_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/holdpoint/holdpoint/schemas"
)

func TestScopeCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scope schemas.Scope
		text  string
		want  [3]bool // bot shop.refund, bot shop.order, eve crm.read
	}{
		{schemas.Scope{All: true}, "all", [3]bool{true, true, true}},
		{schemas.Scope{}, "all", [3]bool{true, true, true}},
		{schemas.Scope{Agent: bot}, "agent bot", [3]bool{true, true, false}},
		{schemas.Scope{Action: refund}, "action shop.refund", [3]bool{true, false, false}},
		{schemas.Scope{System: "shop"}, "system shop", [3]bool{true, true, false}},
	} {
		got := [3]bool{c.scope.Covers(bot, refund), c.scope.Covers(bot, "shop.order"), c.scope.Covers("eve", "crm.read")}
		if got != c.want || c.scope.String() != c.text {
			t.Errorf("%+v: got %s, covers %v, want %s, %v", c.scope, c.scope, got, c.text, c.want)
		}
	}
}

// TestScopeSubjects: a thaw stands for exactly the scope of its freeze, and every
// scope is fit for a subject.
func TestScopeSubjects(t *testing.T) {
	t.Parallel()
	seen := make(map[schemas.Name]schemas.Scope)
	name, part := rapid.StringMatching(`[a-z0-9-]{1,32}`), rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`)
	rapid.Check(t, func(t *rapid.T) {
		system := part.Draw(t, "system")
		for _, scope := range []schemas.Scope{
			{All: true}, {Agent: schemas.Name(name.Draw(t, "agent"))}, {System: system}, {Action: schemas.Action(system + "." + part.Draw(t, "operation"))},
		} {
			freeze, err := schemas.ParseSubject(schemas.Freeze{By: "pat", Scope: scope}.Subject())
			if err != nil {
				t.Fatal(err)
			}
			thaw, err := schemas.ParseSubject(schemas.Thaw{By: "pat", Scope: scope}.Subject())
			if err != nil || thaw.Record != freeze.Record {
				t.Errorf("%s: freeze is %s and thaw %s, %v", scope, freeze.Record, thaw.Record, err)
			}
			if other, ok := seen[freeze.Record]; ok && other != scope {
				t.Errorf("%s and %s are both %s", scope, other, freeze.Record)
			}
			seen[freeze.Record] = scope
		}
	})
}

// TestMayWrite holds the rights on CONTROL against the table of section 2.
func TestMayWrite(t *testing.T) {
	t.Parallel()
	want := map[schemas.Role][]string{
		schemas.RolePolicyAdmin:   {"bundle", "freeze", "shadow", "thaw"},
		schemas.RoleIdentityAdmin: {"identity", "removal"},
		schemas.RoleProvision:     {"identity", "stream"},
	}
	roles := append(schemas.OutsideRoles(), schemas.GatewayRoles()...)
	for _, role := range append(roles, "", "root") {
		if diff := cmp.Diff(want[role], schemas.Abouts(role)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", role, diff)
		}
	}
	for _, list := range examples() {
		for _, v := range list {
			c, ok := v.(schemas.Content)
			if !ok {
				continue
			}
			s, err := schemas.ParseSubject(c.Subject())
			if err != nil {
				t.Fatal(err)
			}
			if s.Kind == "control" && !schemas.MayWrite(schemas.RolePolicyAdmin, s.About) && !schemas.MayWrite(schemas.RoleIdentityAdmin, s.About) && !schemas.MayWrite(schemas.RoleProvision, s.About) {
				t.Errorf("%s: nobody may write it", c.Subject())
			}
		}
	}
}

func TestMatchAction(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string][2]bool{ // shop.refund, crm.read
		"*": {true, true}, "*.*": {true, true}, "shop.*": {true, false}, "*.read": {false, true}, "shop.refund": {true, false},
		"shop": {}, "": {}, "shop.": {}, ".refund": {}, "sho*.refund": {}, "shop.>": {}, "Shop.refund": {}, "shop.refund.x": {},
	} {
		got := [2]bool{schemas.MatchAction(pattern, refund), schemas.MatchAction(pattern, "crm.read")}
		if got != want {
			t.Errorf("%q: got %v, want %v", pattern, got, want)
		}
	}
	for pattern, want := range map[string]bool{
		"*": true, "*.*": true, "shop.*": true, "*.read": true, "Shop.refund": true,
		"shop": false, "": false, ".": false, "shop.": false, ".refund": false, "sho*.refund": false, "shop.>": false, "shop.refund.x": false, "**": false,
	} {
		if err := schemas.ParsePattern(pattern); (err == nil) != want || err != nil && !isFault(err) {
			t.Errorf("%q: got %v, want it accepted %v", pattern, err, want)
		}
	}
}

func TestMayPropose(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		actions []string
		want    [3]bool // shop.refund, crm.read, holdpoint.withdraw
	}{
		"no pattern": {nil, [3]bool{true, true, true}},
		"one":        {[]string{"shop.*"}, [3]bool{true, false, true}},
		"two":        {[]string{"shop.order", "crm.read"}, [3]bool{false, true, true}},
		"nonsense":   {[]string{""}, [3]bool{false, false, true}},
	} {
		i := schemas.Identity{Actions: c.actions}
		if got := [3]bool{i.MayPropose(refund), i.MayPropose("crm.read"), i.MayPropose(schemas.Withdraw)}; got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestPrincipal(t *testing.T) {
	t.Parallel()
	for want, i := range map[string]schemas.Identity{
		"ann": {Person: "ann", Owner: "ops"}, "ops": {Owner: "ops"}, "": {},
	} {
		if got := i.Principal(); got != want {
			t.Errorf("%+v: got %q, want %q", i, got, want)
		}
	}
}
