package identity_test

import (
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestEver: who was removed is nobody any more, and is still known to have been.
func TestEver(t *testing.T) {
	t.Parallel()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := identity.NewKeyFile("clerk", schemas.RoleIdentityAdmin)
	check(err)
	public, err := key.Public()
	check(err)
	r := identity.NewRegistry(nil)
	apply := func(c schemas.Content) error {
		d := schemas.Write(c, "/test", time.Now(), "")
		return r.Apply(schemas.Record{Stream: schemas.Control, Subject: d.Subject, Header: d.Header, Body: d.Body})
	}
	clerk := schemas.Identity{By: "provision", Name: "clerk", Role: schemas.RoleIdentityAdmin, Key: public, At: time.Now().UTC()}
	check(apply(clerk))
	agent, err := identity.NewKeyFile("bot", schemas.RoleAgent)
	check(err)
	public, err = agent.Public()
	check(err)
	bot := schemas.Identity{By: "clerk", Name: "bot", Role: schemas.RoleAgent, Owner: "olga", Key: public, At: time.Now().UTC()}
	check(apply(bot))
	check(apply(schemas.Removal{By: "clerk", Name: "bot", Reason: "test", At: time.Now().UTC()}))
	if id, known := r.ByName("bot"); known {
		t.Errorf("bot was removed, and is %+v", id)
	}
	if id, known := r.Ever("bot"); !known || id.Owner != "olga" {
		t.Errorf("bot was %+v, %t, want the agent of olga", id, known)
	}
	if _, known := r.Ever("nobody"); known {
		t.Error("nobody was ever registered")
	}
	if err := apply(bot); err == nil {
		t.Error("the name of somebody who was removed is given again")
	}
}
