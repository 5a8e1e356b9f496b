package audit

import (
	"fmt"
	"slices"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// members is everyone who was ever registered. A name has one holder for ever, a
// key one at a time.
type members struct {
	byName map[schemas.Name]*member
	byKey  map[string]schemas.Name
}

// member is an identity, and since when it is none any more.
type member struct {
	schemas.Identity
	removed *time.Time
}

// newMembers knows the identities of the gateway, which nobody registers.
func newMembers() members {
	m := members{byName: map[schemas.Name]*member{}, byKey: map[string]schemas.Name{}}
	for _, role := range schemas.GatewayRoles() {
		m.byName[schemas.Name(role)] = &member{Identity: schemas.Identity{Name: schemas.Name(role), Role: role}}
	}
	return m
}

// gone reports whether everybody must have known at a moment that the identity
// was removed.
func (m *member) gone(at time.Time) bool {
	return m.removed != nil && at.After(m.removed.Add(slack))
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
func (v *Verifier) registered(name schemas.Name, role schemas.Role, at time.Time) (*member, error) {
	m, err := v.member(name)
	switch {
	case err != nil:
		return nil, err
	case m.Role != role:
		return nil, fmt.Errorf("depends on %s, who is no %s", name, role)
	case m.gone(at):
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
		v.read(at, r, &schemas.Activation{})
	case "shadow":
		v.read(at, r, &schemas.Shadow{})
	case "stream":
		v.read(at, r, &schemas.StreamMade{})
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
	case v.members.byName[id.Name] != nil:
		v.find(at, fmt.Sprintf("registers %s, a name that was taken", id.Name))
	case taken:
		v.find(at, fmt.Sprintf("registers %s with the key of %s", id.Name, holder))
	default:
		v.members.byName[id.Name], v.members.byKey[id.Key] = &member{Identity: id}, id.Name
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
	m.removed = &removal.At
	delete(v.members.byKey, m.Key)
}

// freeze is one span of time in which nothing in a scope is released.
type freeze struct {
	at    place
	since time.Time
	until time.Time // zero while there is no thaw
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
	if n := len(spans); n > 0 && spans[n-1].until.IsZero() {
		return // frozen already
	}
	v.freezes[f.Scope] = append(spans, freeze{at: at, since: f.At})
}

func (v *Verifier) thaw(at place, r schemas.Record) {
	var t schemas.Thaw
	if !v.read(at, r, &t) {
		return
	}
	spans := v.freezes[t.Scope]
	if n := len(spans); n > 0 && spans[n-1].until.IsZero() {
		spans[n-1].until = t.At
	}
}

// thawed returns an error if an intent was frozen at a moment. A freeze whose end
// is not known may have had one.
func (v *Verifier) thawed(agent schemas.Name, a schemas.Action, at time.Time) error {
	for _, scope := range []schemas.Scope{{All: true}, {Agent: agent}, {Action: a}, {System: a.System()}} {
		for _, f := range v.freezes[scope] {
			switch {
			case !at.After(f.since.Add(slack)):
			case f.until.IsZero():
				return missingf("is written during the freeze of %s that CONTROL/%d begins", scope, f.at.seq)
			case at.Before(f.until.Add(-slack)):
				return fmt.Errorf("is written during the freeze of %s that CONTROL/%d begins", scope, f.at.seq)
			}
		}
	}
	return nil
}
