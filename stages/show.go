package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// show answers with the records of an intent, as far as the asker may see them:
// an agent the verdict and its own intent, an executor those and its own grants
// and reports, reviewers of the queue and admins everything.
func (a *Answer) show(ctx context.Context, asker schemas.Identity, q schemas.Question) (schemas.Answer, error) {
	k, err := a.key(asker, q)
	if err != nil {
		return schemas.Answer{}, err
	}
	records, err := a.Execute.trail(ctx, k)
	if err != nil {
		return schemas.Answer{}, hide(err, k)
	}
	var copies []schemas.Copy
	for _, r := range records {
		if visible(asker, r) {
			copies = append(copies, schemas.CopyOf(r))
		}
	}
	if len(copies) == 0 || asker.Role == schemas.RoleReviewer && !inQueues(records, asker.Queues) {
		return schemas.Answer{}, fmt.Errorf("%s: %w", k, schemas.ErrNotFound)
	}
	return schemas.Answer{Records: copies}, nil
}

// visible reports whether a record may be shown to the asker.
func visible(asker schemas.Identity, r schemas.Record) bool {
	s, err := schemas.ParseSubject(r.Subject)
	switch asker.Role {
	case schemas.RolePolicyAdmin, schemas.RoleIdentityAdmin, schemas.RoleReviewer:
		return true
	case schemas.RoleAgent:
		return s.Agent == asker.Name && (r.Stream == schemas.Intents || r.Stream == schemas.Settled)
	case schemas.RoleExecutor:
		mine := s.Writer == asker.Name
		return err == nil && (s.Kind == "released" && slices.Contains(asker.Systems, s.Action.System()) || mine)
	}
	return false
}

// inQueues reports whether the intent was ever on hold in one of the queues.
func inQueues(records []schemas.Record, queues []schemas.Name) bool {
	return slices.ContainsFunc(records, func(r schemas.Record) bool {
		s, _ := schemas.ParseSubject(r.Subject)
		return r.Stream == schemas.ParkedHolds && slices.Contains(queues, s.Queue)
	})
}

// trail returns all records of an intent that are still kept, in the order in
// which an intent passes the streams.
func (e *Execute) trail(ctx context.Context, k schemas.Key) ([]schemas.Record, error) {
	var found []schemas.Record
	collect := func(r schemas.Record) bool {
		found = append(found, r)
		return true
	}
	for _, each := range []struct {
		stream schemas.Stream
		filter string
	}{
		{schemas.ParkedHolds, schemas.HoldFilter(k)},
		{schemas.Decisions, schemas.Subject{Kind: "decisions", Agent: k.Agent, Intent: k.ID}.String()},
		{schemas.Settled, schemas.SettlementFilter(k)},
		{schemas.Grants, schemas.GrantFilter(k)},
		{schemas.Outcomes, schemas.Subject{Kind: "outcomes", Agent: k.Agent, Intent: k.ID}.String()},
		{schemas.Rejected, schemas.Subject{Kind: "rejected", Agent: k.Agent, Intent: k.ID}.String()},
	} {
		if err := e.Log.Each(ctx, each.stream, each.filter, collect); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, schemas.ErrNotFound
	}
	trail, err := begins(found)
	if err != nil {
		return nil, err
	}
	before, err := e.before(ctx, trail)
	return append(before, found...), err
}

// begins returns the trail of the first hold or settlement among records. Others
// may say something of an intent before the gate does.
func begins(records []schemas.Record) ([]schemas.Pointer, error) {
	for _, r := range records {
		switch r.Stream {
		case schemas.ParkedHolds:
			var h schemas.Hold
			err := read(r, &h)
			return h.Trail, err
		case schemas.Settled:
			var s schemas.Settlement
			err := read(r, &s)
			return s.Trail, err
		}
	}
	return nil, nil
}

// before returns the records that a trail names from before a hold and a
// settlement.
func (e *Execute) before(ctx context.Context, trail []schemas.Pointer) ([]schemas.Record, error) {
	var records []schemas.Record
	for _, p := range trail {
		if p.Stream != schemas.Intents && p.Stream != schemas.Observed && p.Stream != schemas.Recommended {
			continue
		}
		r, err := e.Log.At(ctx, p.Stream, p.Seq)
		if errors.Is(err, schemas.ErrNotFound) {
			continue // trimmed
		}
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}
