package main

import (
	"context"
	"time"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

// tenure is an identity, and from when until when it is registered; until is zero while
// it is.
type tenure struct {
	schemas.Identity
	from, until time.Time
}

// registeredThen returns who was registered when, as far as the one who is connected
// may know: an auditor from AUDIT; admins who is registered now; others nothing.
func registeredThen(ctx context.Context, c *client.Conn) (stages.Registered, error) {
	var terms map[schemas.Name]*tenure
	var err error
	switch c.Role() {
	case schemas.RoleAuditor:
		terms, err = termsOf(ctx, client.Auditor{Conn: c})
	case schemas.RolePolicyAdmin, schemas.RoleIdentityAdmin:
		terms, err = presentTerms(ctx, client.Operator{Conn: c})
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return func(name schemas.Name, at time.Time) (schemas.Identity, bool, bool) {
		t, known := terms[name]
		if !known {
			return schemas.Identity{}, false, false
		}
		return t.Identity, !at.Before(t.from) && (t.until.IsZero() || at.Before(t.until)), true
	}, nil
}

// termsOf reads from AUDIT who was registered when. What the gate passes over counts
// here no more than there. The time is that at which AUDIT got it: an operator's clock
// is nobody's to rely on.
func termsOf(ctx context.Context, a client.Auditor) (map[schemas.Name]*tenure, error) {
	terms, registry := map[schemas.Name]*tenure{}, identity.NewRegistry(nil)
	_, err := readOrigins(ctx, a.Kind("control", 1), func(r schemas.Record) bool {
		s, err := schemas.ParseSubject(r.Subject)
		if err != nil || s.About != "identity" && s.About != "removal" || registry.Apply(r) != nil {
			return false
		}
		if s.About == "removal" {
			terms[s.Record].until = r.Time
		} else if id, known := registry.ByName(s.Record); known {
			terms[s.Record] = &tenure{Identity: id, from: r.Time}
		}
		return false
	})
	return terms, err
}

// presentTerms are those who are registered, from ever on: when they were is not
// asked.
func presentTerms(ctx context.Context, o client.Operator) (map[schemas.Name]*tenure, error) {
	terms := map[schemas.Name]*tenure{}
	present, _, err := o.Identities(ctx, "")
	for _, id := range present {
		terms[id.Name] = &tenure{Identity: id}
	}
	return terms, err
}
