package identity

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/nats-io/nkeys"

	"github.com/holdpoint/holdpoint/schemas"
)

// maxGroups is how many groups one identity may be in.
const maxGroups = 16

// Check returns an ErrInvalid that names every mistake in id.
func Check(id schemas.Identity) error {
	var mistakes []error
	mistake := func(format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf("%w: "+format, append([]any{schemas.ErrInvalid}, args...)...))
	}
	if _, err := schemas.ParseName(string(id.Name)); err != nil {
		mistakes = append(mistakes, err)
	}
	if !slices.Contains(schemas.OutsideRoles(), id.Role) {
		mistake("role %q", id.Role)
	}
	if !nkeys.IsValidPublicUserKey(id.Key) {
		mistake("key of %s is not a public user nkey", id.Name)
	}
	for _, text := range append([]string{id.Owner, id.Person}, id.Groups...) {
		if text != "" && !person.MatchString(text) {
			mistake("%q: want 1 to 64 of letters, digits and . _ @ + -", text)
		}
	}
	for _, system := range id.Systems {
		if _, err := schemas.ParseAction(system + ".x"); err != nil {
			mistake("system %q: want 1 to 64 of A-Z, a-z, 0-9, _ and -", system)
		}
	}
	if len(id.Groups) > maxGroups {
		mistake("%s is in %d groups, at most %d", id.Name, len(id.Groups), maxGroups)
	}
	for _, pattern := range id.Actions {
		if err := schemas.ParsePattern(pattern); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	for _, q := range id.Queues {
		if _, err := schemas.ParseName(string(q)); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	mistakes = append(mistakes, checkRole(id)...)
	return errors.Join(mistakes...)
}

// person is a person or a group.
var person = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$`)

// checkRole makes sure that id has what its role needs, so that separation of
// duties has something to compare, and nothing that it cannot use: a person beside
// an owner would stand in front of it.
func checkRole(id schemas.Identity) []error {
	needs := map[string]bool{"owner": id.Owner == "", "person": id.Person == "", "queues": len(id.Queues) == 0, "systems": len(id.Systems) == 0}
	var wants []string
	switch {
	case id.Role == schemas.RoleAgent:
		wants = []string{"owner"}
	case id.Role == schemas.RoleExecutor:
		wants = []string{"owner", "systems"}
	case id.Role == schemas.RoleReviewer && id.Service:
		wants = []string{"owner", "queues"}
	case id.Role == schemas.RoleReviewer:
		wants = []string{"person", "queues"}
	}
	var mistakes []error
	for _, want := range wants {
		if needs[want] {
			mistakes = append(mistakes, fmt.Errorf("%w: %s %s has no %s", schemas.ErrInvalid, id.Role, id.Name, want))
		}
	}
	program := id.Role == schemas.RoleAgent || id.Role == schemas.RoleExecutor || id.Service
	useless := map[string]bool{
		"owner":    id.Owner != "" && !program,
		"person":   id.Person != "" && program,
		"actions":  len(id.Actions) > 0 && id.Role != schemas.RoleAgent,
		"sessions": id.Sessions != "" && (id.Role != schemas.RoleAgent || id.Sessions != schemas.SessionsDeclared),
		"queues":   len(id.Queues) > 0 && id.Role != schemas.RoleReviewer,
		"service":  id.Service && id.Role != schemas.RoleReviewer,
		"systems":  len(id.Systems) > 0 && id.Role != schemas.RoleExecutor,
	}
	for _, field := range []string{"owner", "person", "actions", "sessions", "queues", "service", "systems"} {
		if useless[field] {
			mistakes = append(mistakes, fmt.Errorf("%w: %s of %s %s has no meaning", schemas.ErrInvalid, field, id.Role, id.Name))
		}
	}
	return mistakes
}
