package stages

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// byRisk orders holds as reviewers see them: those in doubt first, because
// something may have happened, then the riskiest, then the oldest.
func byRisk(a, b *entry) int {
	doubt := func(e *entry) int {
		if e.line.State == schemas.InDoubt {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(doubt(b), doubt(a)),
		cmp.Compare(b.line.Risk, a.line.Risk),
		a.line.Since.Compare(b.line.Since),
		cmp.Compare(a.ID, b.ID),
		cmp.Compare(a.Agent, b.Agent),
	)
}

// Page returns the open holds of the queues, in order, at most limit of them,
// from the cursor after on, and how many there are.
func (x *Index) Page(queues []schemas.Name, limit int, after string) (schemas.HoldPage, error) {
	from, err := parseCursor(after)
	if err != nil {
		return schemas.HoldPage{}, err
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	var page schemas.HoldPage
	var found []*entry
	for _, q := range queues {
		queue := x.queues[q]
		page.Total += len(queue)
		start := 0
		if from != nil {
			if i, exact := slices.BinarySearchFunc(queue, from, byRisk); exact {
				start = i + 1
			} else {
				start = i
			}
		}
		found = append(found, queue[start:min(len(queue), start+limit+1)]...)
	}
	slices.SortFunc(found, byRisk)
	for i, e := range found {
		if i == limit {
			page.After = cursor(found[i-1])
			break
		}
		page.Holds = append(page.Holds, e.line)
	}
	return page, nil
}

// cursor is the place of an entry in the order, as text.
func cursor(e *entry) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s %d %d %s %s", e.line.State, e.line.Risk, e.line.Since.UnixNano(), e.ID, e.Agent))
}

func parseCursor(s string) (*entry, error) {
	if s == "" {
		return nil, nil
	}
	wrong := fmt.Errorf("%w: cursor %q is not one that was given", schemas.ErrInvalid, s)
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, wrong
	}
	parts := strings.Fields(string(text))
	if len(parts) != 5 {
		return nil, wrong
	}
	risk, err := strconv.Atoi(parts[1])
	if err != nil {
		return nil, wrong
	}
	since, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return nil, wrong
	}
	return &entry{
		place: place{schemas.Key{ID: schemas.IntentID(parts[3]), Agent: schemas.Name(parts[4])}, true},
		line:  schemas.HoldLine{State: schemas.State(parts[0]), Risk: risk, Since: time.Unix(0, since).UTC()},
	}, nil
}

// Work returns intents of the systems that an executor may claim now, the oldest
// first, at most limit of them.
func (x *Index) Work(systems []string, limit int) []schemas.Key {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var found []*entry
	for _, e := range x.entries {
		free := e.line.State == schemas.Released || e.line.State == schemas.Granted && e.again
		if free && slices.Contains(systems, e.line.Action.System()) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *entry) int { return a.line.Since.Compare(b.line.Since) })
	keys := make([]schemas.Key, 0, min(limit, len(found)))
	for _, e := range found[:min(limit, len(found))] {
		keys = append(keys, e.Key)
	}
	return keys
}

// Waiting returns the holds that have their approvals and wait for a thaw.
func (x *Index) Waiting() []schemas.HoldLine {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var lines []schemas.HoldLine
	for _, e := range x.entries {
		if e.line.State == schemas.Parked && e.line.Waiting != "" {
			lines = append(lines, e.line)
		}
	}
	return lines
}

// Find returns the intents of that id that wait, of whichever agent.
func (x *Index) Find(id schemas.IntentID) []schemas.Key {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var keys []schemas.Key
	for at := range x.entries {
		if at.ID == id && !slices.Contains(keys, at.Key) {
			keys = append(keys, at.Key)
		}
	}
	return keys
}

// Oldest returns when the oldest intent that waits was proposed, or the zero time
// if nothing waits. No open intent needs a record from before.
func (x *Index) Oldest() time.Time {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var oldest time.Time
	for _, e := range x.entries {
		oldest = earliest(oldest, e.since)
	}
	return oldest
}

// Counts says how many intents wait in each state.
func (x *Index) Counts() map[schemas.State]int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	counts := map[schemas.State]int{}
	for _, e := range x.entries {
		counts[e.line.State]++
	}
	return counts
}
