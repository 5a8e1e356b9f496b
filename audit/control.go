package audit

import (
	"fmt"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// members is everyone who was ever registered. A name has one holder for ever, a
// key one at a time. The first admin of each kind is provision's to register, the
// others are not.
type members struct {
	byName  map[schemas.Name]*member
	byKey   map[string]schemas.Name
	founded map[schemas.Role]bool // roles that somebody was ever registered in
}

// member is an identity, since when, and since when it is none any more.
type member struct {
	schemas.Identity
	since   moment
	removed *moment
}

// newMembers knows the identities of the gateway, which nobody registers.
func newMembers() members {
	m := members{byName: map[schemas.Name]*member{}, byKey: map[string]schemas.Name{}, founded: map[schemas.Role]bool{}}
	for _, role := range schemas.GatewayRoles() {
		m.byName[schemas.Name(role)] = &member{Identity: schemas.Identity{Name: schemas.Name(role), Role: role}}
	}
	return m
}

// gone reports whether everybody must have known at a moment that somebody was
// removed.
func (v *Verifier) gone(m *member, at moment) bool {
	return m.removed != nil && at.said.After(v.known(*m.removed, at).Add(slack))
}

// separate reports whether two identities are known to be of different people.
func (m *member) separate(other *member) bool {
	return m.Principal() != "" && m.Principal() != other.Principal()
}

// member returns the identity of a name, removed or not.
func (v *Verifier) member(name schemas.Name) (*member, error) {
	if m := v.members.byName[name]; m != nil {
		return m, nil
	}
	if v.partial() {
		return nil, errBefore
	}
	return nil, missingf("depends on %s, whom CONTROL does not register", name)
}

// registered returns the identity of a name if it had a role at a moment.
func (v *Verifier) registered(name schemas.Name, role schemas.Role, at moment) (*member, error) {
	m, err := v.member(name)
	switch {
	case err != nil:
		return nil, err
	case m.Role != role:
		return nil, fmt.Errorf("depends on %s, who is no %s", name, role)
	case v.gone(m, at):
		return nil, fmt.Errorf("depends on %s, who was removed before", name)
	}
	return m, nil
}

// takeControl takes in what an operator or provision wrote. A record that the
// gate passes over, because its writer may not write it, has no effect here.
func (v *Verifier) takeControl(at place, s schemas.Subject, r schemas.Record) {
	_, err := schemas.ParseSubject(r.Subject)
	if err == nil {
		err = v.mayWrite(s)
	}
	if err != nil {
		v.find(at, err.Error())
		return
	}
	switch s.About {
	case "identity":
		v.register(at, r)
	case "removal":
		v.remove(at, s.Record, r)
	case "freeze":
		v.freeze(at, r)
	case "thaw":
		v.thaw(at, r)
	case "bundle":
		v.activate(at, r)
	case "shadow":
		v.read(at, r, &schemas.Shadow{})
	case "stream":
		v.make(at, r)
	}
}

// mayWrite says why the writer of a control record may not write it. CONTROL is
// in order, so nobody is registered who is not known by now.
func (v *Verifier) mayWrite(s schemas.Subject) error {
	writer := v.members.byName[s.Writer]
	switch {
	case writer == nil && v.partial():
		return nil
	case writer == nil:
		return fmt.Errorf("is written by %s, whom CONTROL does not register", s.Writer)
	case writer.removed != nil:
		return fmt.Errorf("is written by %s, who was removed", s.Writer)
	case !schemas.MayWrite(writer.Role, s.About):
		return fmt.Errorf("is written by %s, and %s may not write %q", s.Writer, writer.Role, s.About)
	}
	return nil
}

func (v *Verifier) register(at place, r schemas.Record) {
	var id schemas.Identity
	if !v.read(at, r, &id) {
		return
	}
	holder, taken := v.members.byKey[id.Key]
	admin := id.Role == schemas.RolePolicyAdmin || id.Role == schemas.RoleIdentityAdmin
	switch {
	case !slices.Contains(schemas.OutsideRoles(), id.Role):
		v.find(at, fmt.Sprintf("registers %s in the role %q", id.Name, id.Role))
	case id.By == schemas.Name(schemas.RoleProvision) && !admin:
		v.find(at, fmt.Sprintf("registers %s, and provision registers admins only", id.Name))
	case id.By == schemas.Name(schemas.RoleProvision) && v.members.founded[id.Role]:
		v.find(at, fmt.Sprintf("registers %s, and provision registers only the first %s", id.Name, id.Role))
	case v.members.byName[id.Name] != nil:
		v.find(at, fmt.Sprintf("registers %s, a name that was taken", id.Name))
	case taken:
		v.find(at, fmt.Sprintf("registers %s with the key of %s", id.Name, holder))
	case v.cfg.Check != nil && v.cfg.Check(id) != nil:
		v.find(at, fmt.Sprintf("registers %s, as no gate takes it: %v", id.Name, v.cfg.Check(id)))
	default:
		v.members.founded[id.Role] = true
		v.members.byName[id.Name], v.members.byKey[id.Key] = &member{Identity: id, since: moment{id.At, at.copied}}, id.Name
	}
}

// remove takes a name away. The gate does so also when the record does not read.
func (v *Verifier) remove(at place, name schemas.Name, r schemas.Record) {
	var removal schemas.Removal
	if !v.read(at, r, &removal) {
		removal.At = at.copied
	}
	m := v.members.byName[name]
	if m == nil || m.removed != nil || slices.Contains(schemas.GatewayRoles(), m.Role) {
		return // nobody to remove
	}
	m.removed = &moment{removal.At, at.copied}
	delete(v.members.byKey, m.Key)
}

// freeze is one span of time in which nothing in a scope is released.
type freeze struct {
	at    place
	since moment
	until *moment // nil while there is no thaw
}

// freeze takes in a freeze. One that does not read is a full one, as it is to the
// gate, from when it was copied at the latest.
func (v *Verifier) freeze(at place, r schemas.Record) {
	var f schemas.Freeze
	if !v.read(at, r, &f) {
		f = schemas.Freeze{Scope: schemas.Scope{All: true}, At: at.copied}
	} else if !f.Scope.Valid() {
		v.find(at, "freezes several things, which is taken for everything")
		f.Scope = schemas.Scope{All: true}
	}
	spans := v.freezes[f.Scope]
	if n := len(spans); n > 0 && spans[n-1].until == nil {
		return // frozen already
	}
	v.freezes[f.Scope] = append(spans, freeze{at: at, since: moment{f.At, at.copied}})
}

func (v *Verifier) thaw(at place, r schemas.Record) {
	var t schemas.Thaw
	if !v.read(at, r, &t) {
		return
	}
	spans := v.freezes[t.Scope]
	if n := len(spans); n > 0 && spans[n-1].until == nil {
		spans[n-1].until = &moment{t.At, at.copied}
	}
}

// thawed returns an error if an intent was frozen at a moment. A freeze whose end
// is not known may have had one.
func (v *Verifier) thawed(agent schemas.Name, a schemas.Action, at moment) error {
	for _, scope := range []schemas.Scope{{All: true}, {Agent: agent}, {Action: a}, {System: a.System()}} {
		for _, f := range v.freezes[scope] {
			switch {
			case !at.said.After(v.known(f.since, at).Add(slack)):
			case f.until == nil:
				return missingf("is written during the freeze of %s that CONTROL/%d begins", scope, f.at.seq)
			case at.said.Before(v.possible(*f.until, at).Add(-slack)):
				return fmt.Errorf("is written during the freeze of %s that CONTROL/%d begins", scope, f.at.seq)
			}
		}
	}
	return nil
}

// activate takes in an activation, and with it that a bundle is the active one from
// now on, if as many policy-admins want it as the bundle before asks for. Of a
// reading that begins later it is not known what that one asked for.
func (v *Verifier) activate(at place, r schemas.Record) {
	var a schemas.Activation
	if !v.read(at, r, &a) {
		return
	}
	person := string(a.By)
	if m := v.members.byName[a.By]; m != nil {
		person = m.Principal()
	}
	if !v.activations.Add(r.Seq, a, person) && !v.partial() {
		return
	}
	if _, known := v.bundles[a.Bundle]; !known {
		v.bundles[a.Bundle] = moment{a.At, at.copied}
	}
}

// activated says why nobody may have gone by a bundle at a moment: who, if not nil,
// is the beginning of that sentence. Whether the bundle was the active one still is not asked.
func (v *Verifier) activated(who string, bundle schemas.Digest, at moment) error {
	since, known := v.bundles[bundle]
	switch {
	case known && !since.earliest().After(at.said.Add(slack)):
		return nil
	case v.partial():
		return errBefore
	}
	return missingf("%s bundle %s, which nobody had activated", who, bundle.Short())
}

// make takes in how a stream was made. Made again, it has lost what it held; that
// it is kept otherwise, such as with more room, is an operator's to decide, and what
// that cost is found record by record.
func (v *Verifier) make(at place, r schemas.Record) {
	var made schemas.StreamMade
	if !v.read(at, r, &made) {
		return
	}
	if before, known := v.made[made.Stream]; known && !before.Created.Equal(made.Created) {
		v.find(at, fmt.Sprintf("says that %s was made again", made.Stream))
	}
	v.made[made.Stream] = made
}
