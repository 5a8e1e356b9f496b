package main

import (
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestNobodyIsLookedFor: the broker looks again at who is connected when somebody
// was removed, and not when an admin removes whoever does not exist.
func TestNobodyIsLookedFor(t *testing.T) {
	t.Parallel()
	looked := 0
	g := bareGate(gateConfig{Removed: func() { looked++ }, Log: logTo(t)})
	write := func(c schemas.Content) {
		t.Helper()
		d := schemas.Write(c, "/test", time.Now(), "")
		check(t, g.apply(schemas.Record{Stream: schemas.Control, Subject: d.Subject, Header: d.Header, Body: d.Body}))
	}
	add := func(by, name schemas.Name, role schemas.Role, owner string) {
		t.Helper()
		k, err := identity.NewKeyFile(name, role)
		check(t, err)
		public, err := k.Public()
		check(t, err)
		write(schemas.Identity{By: by, Name: name, Role: role, Owner: owner, Key: public, At: time.Now()})
	}
	remove := func(name schemas.Name) { write(schemas.Removal{By: "ida", Name: name, At: time.Now()}) }
	add("provision", "ida", schemas.RoleIdentityAdmin, "")
	add("ida", "bot", schemas.RoleAgent, "olga")
	for _, step := range []struct {
		name schemas.Name
		want int
	}{{"nobody", 0}, {"observe", 0}, {"bot", 1}, {"bot", 1}} {
		if remove(step.name); looked != step.want {
			t.Errorf("after the removal of %s: looked %d times, want %d", step.name, looked, step.want)
		}
	}
}
