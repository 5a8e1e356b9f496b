package client

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// mostRung is how many notices wait to be looked into; those that come beyond are
// found by looking again.
const mostRung = 1024

// Watch calls changed with where every intent of the agent stands that waits, and
// again whenever one came into another state, until ctx ends or changed returns
// an error. A notice only makes it look; one that is lost delays the news by a
// second.
func (a Agent) Watch(ctx context.Context, changed func(schemas.Status) error) error {
	w := agentWatch{Agent: a, changed: changed, stands: map[schemas.IntentID]schemas.State{}}
	rung := make(chan schemas.IntentID, mostRung)
	err := a.broker.Listen(ctx, "notices."+string(a.Name())+".*.*", func(subject string) {
		if id, err := schemas.ParseIntentID(strings.Split(subject, ".")[2]); err == nil {
			select {
			case rung <- id:
			default:
			}
		}
	})
	if err != nil {
		return err
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for err = w.lookAtAll(ctx); err == nil; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case id := <-rung:
			err = w.look(ctx, id)
		case <-ticker.C:
			err = w.lookAtAll(ctx)
		}
	}
	return err
}

// agentWatch is what an agent was told of its intents that are not over.
type agentWatch struct {
	Agent
	changed func(schemas.Status) error
	stands  map[schemas.IntentID]schemas.State
}

// lookAtAll looks at everything that waits, or did.
func (w agentWatch) lookAtAll(ctx context.Context) error {
	for after := ""; ; {
		page, err := w.List(ctx, "", 0, after)
		if errors.Is(err, schemas.ErrUnavailable) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, h := range page.Holds {
			if _, known := w.stands[h.Intent]; !known {
				w.stands[h.Intent] = ""
			}
		}
		if after = page.After; after == "" {
			break
		}
	}
	for id := range w.stands {
		if err := w.look(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// look tells where an intent stands, if that is news.
func (w agentWatch) look(ctx context.Context, id schemas.IntentID) error {
	status, err := w.Status(ctx, id)
	switch {
	case errors.Is(err, schemas.ErrNotFound), errors.Is(err, schemas.ErrUnavailable):
		return nil
	case err != nil:
		return err
	case w.stands[id] == status.State:
		return nil
	}
	w.stands[id] = status.State
	if status.State.Final() {
		delete(w.stands, id)
	}
	return w.changed(status)
}
