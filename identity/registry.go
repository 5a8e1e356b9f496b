package identity

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/holdpoint/holdpoint/schemas"
)

// Registry is everyone who exists, as CONTROL says. It may be used concurrently.
type Registry struct {
	// mu guards everything below, for the time of one look or one record.
	mu      sync.RWMutex
	byName  map[schemas.Name]schemas.Identity
	byKey   map[string]schemas.Name
	removed map[schemas.Name]schemas.Identity
	founded map[schemas.Role]bool // roles that somebody was ever registered in
	ready   bool
}

// NewRegistry returns a registry that knows only the identities of the gateway
// itself, whose public keys are given by role.
func NewRegistry(gateway map[schemas.Role]string) *Registry {
	r := &Registry{
		byName:  map[schemas.Name]schemas.Identity{},
		byKey:   map[string]schemas.Name{},
		removed: map[schemas.Name]schemas.Identity{},
		founded: map[schemas.Role]bool{},
	}
	for _, role := range schemas.GatewayRoles() {
		name := schemas.Name(role)
		// The names are taken even where the key is not known.
		r.byName[name] = schemas.Identity{Name: name, Role: role, Key: gateway[role]}
		if key := gateway[role]; key != "" {
			r.byKey[key] = name
		}
	}
	return r
}

// Apply takes in a record of CONTROL. Records about other things are passed
// over. It returns an ErrInvalid for one that changes nothing because it should
// not have been written: that is worth a log line, and nothing more.
func (r *Registry) Apply(record schemas.Record) error {
	s, err := schemas.ParseSubject(record.Subject)
	if err != nil || s.About != "identity" && s.About != "removal" {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if writer := r.byName[s.Writer]; !schemas.MayWrite(writer.Role, s.About) {
		return fmt.Errorf("%w: %s may not write %s", schemas.ErrInvalid, s.Writer, record.Subject)
	}
	if s.About == "removal" {
		return r.remove(s.Record)
	}
	var id schemas.Identity
	if err := schemas.Read(record, &id); err != nil {
		return err
	}
	return r.add(id)
}

// add takes id in. The first admin of each kind is provision's to register, the
// others are not: it is a program, and could be made to register anybody.
func (r *Registry) add(id schemas.Identity) error {
	admin := id.Role == schemas.RolePolicyAdmin || id.Role == schemas.RoleIdentityAdmin
	if id.By == schemas.Name(schemas.RoleProvision) && (!admin || r.founded[id.Role]) {
		return fmt.Errorf("%w: provision may not register %s as %s", schemas.ErrInvalid, id.Name, id.Role)
	}
	if err := Check(id); err != nil {
		return err
	}
	if _, taken := r.ever(id.Name); taken {
		return fmt.Errorf("%w: name %s is taken", schemas.ErrInvalid, id.Name)
	}
	if holder, taken := r.byKey[id.Key]; taken {
		return fmt.Errorf("%w: the key of %s is the key of %s", schemas.ErrInvalid, id.Name, holder)
	}
	r.byName[id.Name], r.byKey[id.Key], r.founded[id.Role] = id, id.Name, true
	return nil
}

// remove takes a name away. Its record need not be readable: the subject says
// enough.
func (r *Registry) remove(name schemas.Name) error {
	id, known := r.byName[name]
	if !known || slices.Contains(schemas.GatewayRoles(), id.Role) {
		return fmt.Errorf("%w: nobody of the name %s to remove", schemas.ErrInvalid, name)
	}
	delete(r.byName, name)
	delete(r.byKey, id.Key)
	r.removed[name] = id
	return nil
}

// Ready says that CONTROL has been read to its end: from now on the registry
// vouches for people from outside.
func (r *Registry) Ready() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ready = true
}

// ByKey returns the identity that has this public nkey, or an ErrDenied. Until
// Ready only the gateway's own are known.
func (r *Registry) ByKey(key string) (schemas.Identity, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	id, known := r.byName[r.byKey[key]]
	if !known || !r.ready && !slices.Contains(schemas.GatewayRoles(), id.Role) {
		return schemas.Identity{}, fmt.Errorf("key %s: %w", key, schemas.ErrDenied)
	}
	return id, nil
}

// ByName returns the identity of that name, and false if there is none or it was
// removed.
func (r *Registry) ByName(name schemas.Name) (schemas.Identity, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	id, known := r.byName[name]
	return id, known
}

// Ever returns the identity that has that name or had it, and false if there never
// was one.
func (r *Registry) Ever(name schemas.Name) (schemas.Identity, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.ever(name)
}

func (r *Registry) ever(name schemas.Name) (schemas.Identity, bool) {
	if id, known := r.byName[name]; known {
		return id, true
	}
	id, known := r.removed[name]
	return id, known
}

// All returns everyone from outside, by name, and the names that were removed.
func (r *Registry) All() (present []schemas.Identity, removed []schemas.Name) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, id := range r.byName {
		if outside(id) {
			present = append(present, id)
		}
	}
	for name := range r.removed {
		removed = append(removed, name)
	}
	slices.SortFunc(present, func(a, b schemas.Identity) int { return cmp.Compare(a.Name, b.Name) })
	slices.Sort(removed)
	return present, removed
}

// About returns what All says of one name and of the holder of one key. It looks at
// nobody else, so that asking about each of many is as much work as there are of them.
func (r *Registry) About(name schemas.Name, key string) (present []schemas.Identity, removed []schemas.Name) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	about := []schemas.Name{name}
	if holder, held := r.byKey[key]; held && holder != name {
		about = append(about, holder)
	}
	slices.Sort(about)
	for _, n := range about {
		if id, known := r.byName[n]; known && outside(id) {
			present = append(present, id)
		}
	}
	if _, was := r.removed[name]; was {
		removed = append(removed, name)
	}
	return present, removed
}

func outside(id schemas.Identity) bool { return slices.Contains(schemas.OutsideRoles(), id.Role) }
