package stages

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// gate tells an operator how the gate is. What the broker does not say is left
// out: a gate whose broker is ill must still say so.
func (a *Answer) gate(ctx context.Context) schemas.Answer {
	index, control := a.Execute.Index, a.Execute.Control
	counts := index.Counts()
	present, _ := a.Registry.All()
	status := &schemas.GateStatus{
		Gateway:    a.Execute.Gateway,
		Bundle:     control.Active(),
		Embedded:   a.Embedded,
		Freezes:    control.Freezes(),
		Identities: len(present),
		Open:       counts[schemas.Parked],
		Released:   counts[schemas.Released],
		Granted:    counts[schemas.Granted],
		InDoubt:    counts[schemas.InDoubt],
		Health:     a.Conditions(),
	}
	status.Queues, status.Systems = index.Backlogs()
	for _, q := range status.Queues {
		status.Oldest = earliest(status.Oldest, q.Oldest)
	}
	if broker, err := a.Broker(ctx); err == nil {
		status.Broker = &broker
	}
	return schemas.Answer{Gate: status}
}

// Backlogs returns what waits for reviewers in each queue, and what waits for
// executors of each system, sorted by name.
func (x *Index) Backlogs() (queues, systems []schemas.Backlog) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for name, queue := range x.queues {
		if len(queue) > 0 {
			queues = append(queues, schemas.Backlog{Name: string(name), Open: len(queue), Oldest: oldestOf(queue)})
		}
	}
	released := map[string][]*entry{}
	for _, e := range x.entries {
		if e.line.State == schemas.Released {
			system := e.line.Action.System()
			released[system] = append(released[system], e)
		}
	}
	for system, all := range released {
		systems = append(systems, schemas.Backlog{Name: system, Open: len(all), Oldest: oldestOf(all)})
	}
	byName := func(a, b schemas.Backlog) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(queues, byName)
	slices.SortFunc(systems, byName)
	return queues, systems
}

func oldestOf(all []*entry) (oldest time.Time) {
	for _, e := range all {
		oldest = earliest(oldest, e.line.Since)
	}
	return oldest
}

// list returns a page of what waits, as far as the asker may know of it: an agent
// its own, a reviewer the queues, an executor the systems, admins everything. The
// oldest come first.
func (a *Answer) list(asker schemas.Identity, q schemas.Question) (schemas.Answer, error) {
	from, err := parseCursor(q.After)
	if err != nil {
		return schemas.Answer{}, err
	}
	page := a.Execute.Index.List(func(h schemas.HoldLine) bool {
		switch asker.Role {
		case schemas.RoleAgent:
			return h.Agent == asker.Name
		case schemas.RoleReviewer:
			return slices.Contains(asker.Queues, h.Queue)
		case schemas.RoleExecutor:
			return h.Queue == "" && slices.Contains(asker.Systems, h.Action.System())
		case schemas.RolePolicyAdmin, schemas.RoleIdentityAdmin:
			return q.Agent == "" || h.Agent == q.Agent
		}
		return false
	}, pageSize(q), from)
	if asker.Role == schemas.RoleAgent {
		for i := range page.Holds {
			page.Holds[i] = forAgent(page.Holds[i])
		}
	}
	return schemas.Answer{Holds: &page}, nil
}

// forAgent leaves out what an agent could learn the rules from.
func forAgent(h schemas.HoldLine) schemas.HoldLine {
	h.Queue, h.Waiting, h.Risk, h.Votes, h.Quorum = "", "", 0, 0, 0
	return h
}

// byAge orders what waits by when it was proposed or released.
func byAge(a, b *entry) int {
	return cmp.Or(a.line.Since.Compare(b.line.Since), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Agent, b.Agent))
}

// List returns a page of what waits, the oldest first, from the cursor on.
func (x *Index) List(may func(schemas.HoldLine) bool, limit int, from *entry) schemas.HoldPage {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var page schemas.HoldPage
	var found []*entry
	for _, e := range x.entries {
		if !may(e.line) {
			continue
		}
		page.Total++
		if from == nil || byAge(e, from) > 0 {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, byAge)
	for i, e := range found {
		if i == limit {
			page.After = cursor(found[i-1])
			break
		}
		page.Holds = append(page.Holds, e.line)
	}
	return page
}
