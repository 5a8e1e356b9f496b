package identity_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// control is CONTROL as somebody writes it, and the registry that follows it.
type control struct {
	t    testing.TB
	r    *identity.Registry
	keys map[schemas.Name]string
}

// newControl is a gate after its first start: provision has registered an admin of
// each kind.
func newControl(t testing.TB) *control {
	t.Helper()
	c := &control{t: t, keys: map[schemas.Name]string{}}
	c.r = identity.NewRegistry(map[schemas.Role]string{schemas.RoleObserve: c.key("observe"), schemas.RoleProvision: c.key("provision")})
	c.adds("provision", admin("ida", schemas.RoleIdentityAdmin))
	c.adds("provision", admin("poe", schemas.RolePolicyAdmin))
	return c
}

func admin(name schemas.Name, role schemas.Role) schemas.Identity {
	return schemas.Identity{Name: name, Role: role}
}

func agent(name schemas.Name) schemas.Identity {
	return schemas.Identity{Name: name, Role: schemas.RoleAgent, Owner: "olga"}
}

// key returns the public key of a name.
func (c *control) key(name schemas.Name) string {
	c.t.Helper()
	if c.keys[name] == "" {
		public, err := newKey(c.t, name, schemas.RoleAgent).Public()
		check(c.t, err)
		c.keys[name] = public
	}
	return c.keys[name]
}

// write lets the registry take in a record.
func (c *control) write(content schemas.Content) error {
	d := schemas.Write(content, "/test", time.Unix(0, 0), "")
	return c.r.Apply(schemas.Record{Stream: schemas.Control, Subject: d.Subject, Header: d.Header, Body: d.Body})
}

func (c *control) add(by schemas.Name, id schemas.Identity) error {
	id.By = by
	if id.Key == "" {
		id.Key = c.key(id.Name)
	}
	return c.write(id)
}

func (c *control) adds(by schemas.Name, id schemas.Identity) {
	c.t.Helper()
	check(c.t, c.add(by, id))
}

func (c *control) remove(by, name schemas.Name) error {
	return c.write(schemas.Removal{By: by, Name: name, Reason: "test"})
}

// names returns who is present, and who was removed.
func (c *control) names() (present, removed []schemas.Name) {
	all, removed := c.r.All()
	for _, id := range all {
		present = append(present, id.Name)
	}
	return present, removed
}

// TestRegistryFollowsControl: who is added is known by name and key, with
// everything that its record says; who is removed is not known any more.
func TestRegistryFollowsControl(t *testing.T) {
	t.Parallel()
	c := newControl(t)
	c.r.Ready()
	want := schemas.Identity{Name: "ann", Role: schemas.RoleReviewer, Person: "ann", Groups: []string{"chiefs"}, Queues: []schemas.Name{"desk"}}
	c.adds("ida", want)
	byName, known := c.r.ByName("ann")
	byKey, err := c.r.ByKey(c.key("ann"))
	if !known || err != nil || byName.Person != "ann" || byName.By != "ida" || !slices.Equal(byKey.Queues, want.Queues) || byKey.Name != "ann" {
		t.Errorf("ann is %+v by name, %+v by key, %t, %v", byName, byKey, known, err)
	}
	check(t, c.remove("ida", "ann"))
	if _, known := c.r.ByName("ann"); known {
		t.Error("ann is known by name after removal")
	}
	if id, err := c.r.ByKey(c.key("ann")); !errors.Is(err, schemas.ErrDenied) {
		t.Errorf("ann's key is that of %+v after removal, %v", id, err)
	}
	present, removed := c.names()
	if !slices.Equal(present, []schemas.Name{"ida", "poe"}) || !slices.Equal(removed, []schemas.Name{"ann"}) {
		t.Errorf("present %v, removed %v", present, removed)
	}
}

// TestNamesAreTakenForEver: a name has one holder over all roles, also after its
// removal, and nobody takes that of a stage; a key has one holder at a time.
func TestNamesAreTakenForEver(t *testing.T) {
	t.Parallel()
	c := newControl(t)
	c.adds("ida", agent("bot"))
	c.adds("ida", agent("old"))
	check(t, c.remove("ida", "old"))
	fresh := c.key("fresh")
	for what, id := range map[string]schemas.Identity{
		"the same again":        {Name: "bot", Role: schemas.RoleAgent, Owner: "olga", Key: c.key("bot")},
		"in another role":       {Name: "bot", Role: schemas.RoleReviewer, Person: "ann", Queues: []schemas.Name{"desk"}, Key: fresh},
		"of an admin":           {Name: "poe", Role: schemas.RoleAgent, Owner: "olga", Key: fresh},
		"after removal":         {Name: "old", Role: schemas.RoleAgent, Owner: "olga", Key: fresh},
		"of a stage":            {Name: "execute", Role: schemas.RoleAgent, Owner: "olga", Key: fresh},
		"of a stage with a key": {Name: "observe", Role: schemas.RoleAgent, Owner: "olga", Key: fresh},
		"with bot's key":        {Name: "bat", Role: schemas.RoleAgent, Owner: "olga", Key: c.key("bot")},
		"with a stage's key":    {Name: "bat", Role: schemas.RoleAgent, Owner: "olga", Key: c.key("observe")},
	} {
		if err := c.add("ida", id); !errors.Is(err, schemas.ErrInvalid) {
			t.Errorf("a name %s: %v, want ErrInvalid", what, err)
		}
	}
	if err := c.remove("ida", "old"); !errors.Is(err, schemas.ErrInvalid) {
		t.Errorf("removing it again: %v, want ErrInvalid", err)
	}
	present, removed := c.names()
	if !slices.Equal(present, []schemas.Name{"bot", "ida", "poe"}) || !slices.Equal(removed, []schemas.Name{"old"}) {
		t.Errorf("present %v, removed %v", present, removed)
	}
	if id, _ := c.r.ByName("bot"); id.Role != schemas.RoleAgent || id.Key != c.key("bot") {
		t.Errorf("bot is %+v now", id)
	}
}

// TestWhoMayRegister: an identity-admin may register and remove, as long as it is
// one. Provision may register the first admin of each kind, and nobody else: it
// is a program, and could be made to.
func TestWhoMayRegister(t *testing.T) {
	t.Parallel()
	c := newControl(t)
	c.adds("ida", admin("ivy", schemas.RoleIdentityAdmin))
	for _, by := range []schemas.Name{"poe", "observe", "execute", "answer", "nobody"} {
		if err := c.add(by, agent("bot")); !errors.Is(err, schemas.ErrInvalid) {
			t.Errorf("%s registers: %v, want ErrInvalid", by, err)
		}
		if err := c.remove(by, "ivy"); !errors.Is(err, schemas.ErrInvalid) {
			t.Errorf("%s removes: %v, want ErrInvalid", by, err)
		}
	}
	for _, id := range []schemas.Identity{agent("bot"), admin("eve", schemas.RoleIdentityAdmin), admin("eve", schemas.RolePolicyAdmin)} {
		if err := c.add("provision", id); !errors.Is(err, schemas.ErrInvalid) {
			t.Errorf("provision registers %s as %s: %v, want ErrInvalid", id.Name, id.Role, err)
		}
	}
	if err := c.remove("provision", "ivy"); !errors.Is(err, schemas.ErrInvalid) {
		t.Errorf("provision removes: %v, want ErrInvalid", err)
	}
	if err := c.remove("ida", "observe"); !errors.Is(err, schemas.ErrInvalid) {
		t.Errorf("removing a stage: %v, want ErrInvalid", err)
	}
	check(t, c.remove("ida", "ivy"))
	if err := c.add("ivy", agent("bot")); !errors.Is(err, schemas.ErrInvalid) {
		t.Errorf("who was removed registers: %v, want ErrInvalid", err)
	}
	check(t, c.remove("ida", "ida"))
	for _, by := range []schemas.Name{"ida", "provision"} {
		if err := c.add(by, admin("eve", schemas.RoleIdentityAdmin)); !errors.Is(err, schemas.ErrInvalid) {
			t.Errorf("%s registers after the last admin is gone: %v, want ErrInvalid", by, err)
		}
	}
	if present, _ := c.names(); !slices.Equal(present, []schemas.Name{"poe"}) {
		t.Errorf("present: %v", present)
	}
}

// TestRegistryPassesOver: records about other things are none of its business;
// those that do not read change nothing, but a removal, whose subject says enough.
func TestRegistryPassesOver(t *testing.T) {
	t.Parallel()
	c := newControl(t)
	c.adds("ida", agent("bot"))
	c.adds("ida", agent("bit"))
	for _, content := range []schemas.Content{
		schemas.Freeze{By: "poe", Scope: schemas.Scope{All: true}},
		schemas.Thaw{By: "nobody", Scope: schemas.Scope{All: true}},
		schemas.StreamMade{By: "provision", Stream: schemas.Audit},
	} {
		if err := c.write(content); err != nil {
			t.Errorf("%s: %v", content.Type(), err)
		}
	}
	good := schemas.Write(schemas.Identity{By: "ida", Name: "new", Role: schemas.RoleAgent, Owner: "olga", Key: c.key("new")}, "/test", time.Unix(0, 0), "")
	for what, r := range map[string]schemas.Record{
		"no body":           {Subject: good.Subject, Header: good.Header},
		"no header":         {Subject: good.Subject, Body: good.Body},
		"another's subject": {Subject: "control.ida.identity.other", Header: good.Header, Body: good.Body},
		"another writer":    {Subject: "control.ivy.identity.new", Header: good.Header, Body: good.Body},
		"unknown field":     {Subject: good.Subject, Header: good.Header, Body: []byte(strings.Replace(string(good.Body), `{`, `{"root":true,`, 1))},
		"of no kind":        {Subject: "control.ida", Header: good.Header, Body: good.Body},
		"wildcards":         {Subject: "control.*.identity.*", Header: good.Header, Body: good.Body},
	} {
		if err := c.r.Apply(r); !errors.Is(err, schemas.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", what, err)
		}
	}
	if err := c.r.Apply(schemas.Record{Subject: "control.ida.removal.bot", Body: []byte("?")}); err != nil {
		t.Errorf("a removal that does not read: %v", err)
	}
	present, removed := c.names()
	if !slices.Equal(present, []schemas.Name{"bit", "ida", "poe"}) || !slices.Equal(removed, []schemas.Name{"bot"}) {
		t.Errorf("present %v, removed %v", present, removed)
	}
}

// TestOrderDecides: of two records about one name the first counts, and what an
// admin wrote counts if it was one at that place in CONTROL.
func TestOrderDecides(t *testing.T) {
	t.Parallel()
	first, second := agent("bot"), agent("bot")
	first.Owner, second.Owner = "olga", "oleg"
	for _, order := range [][]schemas.Identity{{first, second}, {second, first}} {
		c := newControl(t)
		c.adds("ida", order[0])
		if err := c.add("ida", order[1]); err == nil {
			t.Error("the second was taken in too")
		}
		if id, _ := c.r.ByName("bot"); id.Owner != order[0].Owner {
			t.Errorf("bot's owner is %s, want %s", id.Owner, order[0].Owner)
		}
	}
	c := newControl(t)
	if err := c.remove("ida", "bot"); err == nil {
		t.Error("removed before it was there")
	}
	c.adds("ida", agent("bot"))
	if _, known := c.r.ByName("bot"); !known {
		t.Error("a removal that came before hides bot")
	}
}

// TestNobodyBeforeReady: until CONTROL was read to its end the registry vouches for
// the gateway alone.
func TestNobodyBeforeReady(t *testing.T) {
	t.Parallel()
	c := newControl(t)
	c.adds("ida", agent("bot"))
	for _, ready := range []bool{false, true} {
		if ready {
			c.r.Ready()
		}
		for _, name := range []schemas.Name{"bot", "ida", "poe"} {
			if id, err := c.r.ByKey(c.key(name)); (err == nil) != ready || err != nil && !errors.Is(err, schemas.ErrDenied) {
				t.Errorf("ready %t: %s is %+v, %v", ready, name, id, err)
			}
		}
		for _, name := range []schemas.Name{"observe", "provision"} {
			if id, err := c.r.ByKey(c.key(name)); err != nil || id.Name != name {
				t.Errorf("ready %t: %s is %+v, %v", ready, name, id, err)
			}
		}
		for what, key := range map[string]string{"no key": "", "a stranger's": c.key("stranger"), "a name": "bot"} {
			if id, err := c.r.ByKey(key); !errors.Is(err, schemas.ErrDenied) {
				t.Errorf("ready %t: %s is that of %+v, %v", ready, what, id, err)
			}
		}
	}
}

// TestAboutAgreesWithAll: whatever name and key is asked about, it is what All says of
// those who have one of them.
func TestAboutAgreesWithAll(t *testing.T) {
	t.Parallel()
	c := newControl(t)
	c.adds("ida", agent("bot"))
	c.adds("ida", agent("zoe"))
	c.adds("ida", agent("old"))
	check(t, c.remove("ida", "old"))
	present, removed := c.r.All()
	found, gone := map[schemas.Name]bool{}, map[schemas.Name]bool{}
	asked := []schemas.Name{"bot", "ida", "nobody", "observe", "old", "poe", "recommend", "zoe"}
	for _, name := range asked {
		for _, key := range append([]schemas.Name{""}, asked...) {
			public := ""
			if key != "" {
				public = c.key(key)
			}
			others := func(id schemas.Identity) bool { return id.Name != name && id.Key != public }
			want := slices.DeleteFunc(slices.Clone(present), others)
			wantRemoved := slices.DeleteFunc(slices.Clone(removed), func(n schemas.Name) bool { return n != name })
			got, gotRemoved := c.r.About(name, public)
			if !slices.EqualFunc(got, want, sameIdentity) || !slices.Equal(gotRemoved, wantRemoved) {
				t.Errorf("about %q and the key of %q: %v, removed %v; want %v, %v", name, key, got, gotRemoved, want, wantRemoved)
			}
			for _, id := range got {
				found[id.Name] = true
			}
			for _, n := range gotRemoved {
				gone[n] = true
			}
		}
	}
	if len(found) != len(present) || len(gone) != len(removed) || len(present) != 4 || len(removed) != 1 {
		t.Errorf("found %v, removed %v; want %v, %v", found, gone, present, removed)
	}
}

func sameIdentity(a, b schemas.Identity) bool { return a.Name == b.Name && a.Key == b.Key }

// TestRegistryIsShared: it may be asked while it follows.
func TestRegistryIsShared(t *testing.T) {
	t.Parallel()
	c := newControl(t)
	c.r.Ready()
	var names []schemas.Name
	for _, letter := range "abcdefghijklmnopqrstuvwxyz" {
		name := schemas.Name("bot-" + string(letter))
		names = append(names, name)
		c.key(name)
	}
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for _, name := range names {
				id, err := c.r.ByKey(c.keys[name])
				if err == nil && id.Name != name {
					t.Errorf("the key of %s is that of %s", name, id.Name)
				}
				c.r.ByName(name)
				c.r.All()
				c.r.About(name, c.keys[name])
			}
		})
	}
	for _, name := range names {
		c.adds("ida", agent(name))
		check(t, c.remove("ida", name))
	}
	asking.Wait()
}
