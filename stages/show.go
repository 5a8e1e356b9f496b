package stages

import (
	"cmp"
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
	case schemas.RolePolicyAdmin, schemas.RoleIdentityAdmin:
		return true
	case schemas.RoleReviewer:
		return r.Stream != schemas.Budgets // which names the intents of others
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
	before, err := e.named(ctx, found)
	return append(before, found...), err
}

// named returns the records that those found name, and that are none of them: what
// came before a hold and a settlement, and what else they were decided by.
func (e *Execute) named(ctx context.Context, found []schemas.Record) ([]schemas.Record, error) {
	var records []schemas.Record
	for _, p := range Named(found) {
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

// Named returns what the holds, the settlement and the grants among records name
// that is not among them, in the order in which an intent passes the streams.
func Named(records []schemas.Record) []schemas.Pointer {
	var named []schemas.Pointer
	for _, r := range records {
		var h schemas.Hold
		var s schemas.Settlement
		var g schemas.Grant
		switch {
		case r.Stream == schemas.ParkedHolds && schemas.Read(r, &h) == nil:
			named = slices.Concat(named, h.Trail, h.Inputs)
			for _, v := range h.Votes { // a standing approval is about no intent yet
				named = append(named, v.Decision)
			}
		case r.Stream == schemas.Settled && schemas.Read(r, &s) == nil:
			named = append(named, s.Trail...)
		case r.Stream == schemas.Grants && schemas.Read(r, &g) == nil:
			named = append(named, g.Trail...)
		}
	}
	order := schemas.Streams()
	slices.SortStableFunc(named, func(a, b schemas.Pointer) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Stream), slices.Index(order, b.Stream)), cmp.Compare(a.Seq, b.Seq))
	})
	return slices.DeleteFunc(slices.Compact(named), func(p schemas.Pointer) bool {
		return slices.ContainsFunc(records, func(r schemas.Record) bool { return r.Stream == p.Stream && r.Seq == p.Seq })
	})
}
