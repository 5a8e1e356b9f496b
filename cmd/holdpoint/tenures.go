package main

import (
	"context"
	"errors"
	"time"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// tenure is an identity, and from when until when it is registered; until is zero while
// it is.
type tenure struct {
	schemas.Identity
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
}

// tenures are who was registered when; nil if that is not known of anybody.
type tenures map[schemas.Name]*tenure

// at implements stages.Registered.
func (all tenures) at(name schemas.Name, at time.Time) (id schemas.Identity, was, known bool) {
	t := all[name]
	if t == nil {
		return id, false, false
	}
	return t.Identity, !at.Before(t.From) && (t.Until.IsZero() || at.Before(t.Until)), true
}

// tenuresKnownTo returns who was registered when, as far as the one who is connected
// may know: an auditor from AUDIT; admins who is registered now; others nothing.
func tenuresKnownTo(ctx context.Context, c *client.Conn) (tenures, error) {
	switch c.Role() {
	case schemas.RoleAuditor:
		return pastTenures(ctx, client.Auditor{Conn: c})
	case schemas.RolePolicyAdmin, schemas.RoleIdentityAdmin:
		return presentTenures(ctx, client.Operator{Conn: c})
	}
	return nil, nil
}

// pastTenures reads AUDIT. What the gate passes over counts here no more than there.
// The time is that at which AUDIT got it: an operator's clock is nobody's to rely on.
func pastTenures(ctx context.Context, a client.Auditor) (tenures, error) {
	all, registry := tenures{}, identity.NewRegistry(nil)
	_, err := readOrigins(ctx, a.Kind("control", 1), func(r schemas.Record) bool {
		s, err := schemas.ParseSubject(r.Subject)
		if err != nil || s.About != "identity" && s.About != "removal" || registry.Apply(r) != nil {
			return false
		}
		if s.About == "removal" {
			all[s.Record].Until = r.Time
		} else if id, known := registry.ByName(s.Record); known {
			all[s.Record] = &tenure{Identity: id, From: r.Time}
		}
		return false
	})
	return all, err
}

// presentTenures are those who are registered, from ever on: when they were is not
// asked. If there are more than one answer takes, nobody is known.
func presentTenures(ctx context.Context, o client.Operator) (tenures, error) {
	all := tenures{}
	present, _, err := o.Identities(ctx, "")
	if errors.Is(err, schemas.ErrInvalid) {
		return nil, nil
	}
	for _, id := range present {
		all[id.Name] = &tenure{Identity: id}
	}
	return all, err
}
