package stages

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/holdpoint/holdpoint/schemas"
)

// catalog returns the actions of the active bundle or, if one is asked for, that
// one with the schema of its parameters. An agent is told of those that it may
// propose. It says nothing of rules.
func (a *Answer) catalog(ctx context.Context, asker schemas.Identity, q schemas.Question) (schemas.Answer, error) {
	policy, err := a.Execute.Control.Policy(ctx)
	if err != nil {
		return schemas.Answer{}, err
	}
	found := schemas.Catalog{Bundle: policy.Digest(), Actions: []schemas.CatalogEntry{}}
	for _, name := range policy.Actions() {
		if q.Action == "" && asker.MayPropose(name) {
			found.Actions = append(found.Actions, entryOf(policy, name))
		}
	}
	if q.Action != "" {
		if _, known := policy.Action(q.Action); !known || !asker.MayPropose(q.Action) {
			return schemas.Answer{}, fmt.Errorf("action %s: %w in the catalog", q.Action, schemas.ErrNotFound)
		}
		one := entryOf(policy, q.Action)
		one.Params = jsontext.Value(policy.Params(q.Action))
		found.Actions = []schemas.CatalogEntry{one}
	}
	return schemas.Answer{Catalog: &found}, nil
}

func entryOf(p Policy, name schemas.Action) schemas.CatalogEntry {
	action, _ := p.Action(name)
	return schemas.CatalogEntry{
		Action:     name,
		Title:      action.Title,
		Effect:     string(action.Effect),
		Reversible: action.Reversible,
		Idempotent: action.Idempotent,
	}
}

// check tells an agent whether an intent would be well formed. It evaluates no
// rule: an agent that could ask what the rules say without proposing anything
// could feel its way around them, and nobody would see it.
func (a *Answer) check(ctx context.Context, asker schemas.Identity, q schemas.Question) (schemas.Answer, error) {
	if !asker.MayPropose(q.Action) {
		return schemas.Answer{Check: &schemas.Check{Fault: &schemas.Fault{Code: schemas.CodeUnregistered}}}, nil
	}
	policy, err := a.Execute.Control.Policy(ctx)
	if err != nil {
		return schemas.Answer{}, err
	}
	params, err := schemas.Canonical(q.Params)
	if err != nil {
		return schemas.Answer{Check: &schemas.Check{Fault: faultOf(err)}}, nil
	}
	in := schemas.Intent{Action: q.Action, Params: params}
	if q.Action == schemas.Withdraw {
		_, err := withdrawalOf(in)
		return schemas.Answer{Check: &schemas.Check{Fault: faultOf(err)}}, nil
	}
	return schemas.Answer{Check: &schemas.Check{Fault: catalogFault(policy, in)}}, nil
}

// pieceSize is how much of a bundle travels in one answer.
const pieceSize = 384 << 10

// bundle returns a piece of a bundle's archive. Whoever puts the pieces together
// must compute the digest.
func (a *Answer) bundle(ctx context.Context, q schemas.Question) (schemas.Answer, error) {
	archive, err := a.Bundle(ctx, q.Bundle)
	if err != nil {
		return schemas.Answer{}, err
	}
	if q.Offset < 0 || q.Offset > len(archive) {
		return schemas.Answer{}, fmt.Errorf("bundle %s: %w: no byte %d", q.Bundle.Short(), schemas.ErrInvalid, q.Offset)
	}
	end := min(len(archive), q.Offset+pieceSize)
	return schemas.Answer{Bundle: &schemas.Piece{Size: len(archive), Offset: q.Offset, Data: archive[q.Offset:end]}}, nil
}
