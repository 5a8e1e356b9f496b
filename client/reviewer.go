package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// Held is a hold as it was shown, and the record that says so.
type Held struct {
	schemas.Hold
	Record schemas.Record

	// Looking are other reviewers who were shown it in the last minutes, as far as
	// the gate knows.
	Looking []schemas.Name
}

// Reviewer decides on holds.
type Reviewer struct{ *Conn }

// List returns a page of the open holds in the reviewer's queues, or in one of
// them, the riskiest first.
func (r Reviewer) List(ctx context.Context, queue schemas.Name, limit int, after string) (schemas.HoldPage, error) {
	answer, err := r.broker.Ask(ctx, r.Name(), schemas.AskHolds, schemas.Question{Queue: queue, Limit: limit, After: after})
	if err != nil {
		return schemas.HoldPage{}, err
	}
	if answer.Holds == nil {
		return schemas.HoldPage{}, fmt.Errorf("listing holds: %w: empty answer", schemas.ErrUnavailable)
	}
	return *answer.Holds, nil
}

// Hold returns one hold. It checks that the digest is the digest of what the hold
// shows, so that deciding on the digest is deciding on that.
func (r Reviewer) Hold(ctx context.Context, k schemas.Key) (Held, error) {
	answer, err := r.broker.Ask(ctx, r.Name(), schemas.AskHold, schemas.Question{Agent: k.Agent, Intent: k.ID})
	if err != nil {
		return Held{}, err
	}
	if answer.Hold == nil {
		return Held{}, fmt.Errorf("showing %s: %w: empty answer", k.ID, schemas.ErrUnavailable)
	}
	held := Held{Record: answer.Hold.Record(), Looking: answer.Looking}
	if err := schemas.Read(held.Record, &held.Hold); err != nil {
		return Held{}, fmt.Errorf("showing %s: %w", k.ID, err)
	}
	if held.Intent.ID != k.ID || k.Agent != "" && held.Intent.Agent != k.Agent {
		return Held{}, fmt.Errorf("showing %s: %w: it is the hold on %s", k.ID, schemas.ErrInvalid, held.Intent.Key())
	}
	if err := held.Intent.Verify(); err != nil {
		return Held{}, fmt.Errorf("showing %s: %w", k.ID, err)
	}
	return held, nil
}

// History returns the reviewer's own decisions that the gate still keeps, the
// latest first, at most limit of them.
func (r Reviewer) History(ctx context.Context, limit int) ([]schemas.Decided, error) {
	answer, err := r.broker.Ask(ctx, r.Name(), schemas.AskHistory, schemas.Question{Limit: limit})
	return answer.Decided, err
}

// Decide signs and sends a decision on what was shown, and returns whether it
// counts. Sending it again after an error is safe: a person has one vote.
func (r Reviewer) Decide(ctx context.Context, h Held, verdict schemas.Verdict, reason string) (schemas.Ruling, error) {
	op := fmt.Sprintf("deciding on %s", h.Intent.Key())
	d, err := schemas.Decision{
		Reviewer: r.Name(),
		Queue:    h.Queue,
		Agent:    h.Intent.Agent,
		Intent:   h.Intent.ID,
		Digest:   h.Intent.Digest,
		Verdict:  verdict,
		Reason:   reason,
		Shown:    h.Record.Hash(),
	}.Sign(r.key.Key)
	if err != nil {
		return schemas.Ruling{}, fmt.Errorf("%s: %w", op, err)
	}
	kept, err := r.broker.Send(ctx, schemas.Write(d, r.source(), time.Now(), ""))
	if err != nil {
		return schemas.Ruling{}, fmt.Errorf("%s: %w", op, err)
	}
	ruling, err := r.ruling(ctx, schemas.AskDecision, kept.Seq)
	if err != nil {
		return ruling, fmt.Errorf("%s: recorded, but not known whether it counts: %w", op, err)
	}
	return ruling, nil
}

// ruling asks what became of a message that the broker keeps, until it is known.
func (c *Conn) ruling(ctx context.Context, what string, seq uint64) (schemas.Ruling, error) {
	return retry(ctx, func() (schemas.Ruling, error) {
		answer, err := c.broker.Ask(ctx, c.key.Name, what, schemas.Question{Seq: seq})
		if err != nil {
			return schemas.Ruling{}, err
		}
		if answer.Ruling == nil {
			return schemas.Ruling{}, fmt.Errorf("%w: empty answer", schemas.ErrUnavailable)
		}
		return *answer.Ruling, nil
	})
}

// Watch calls offer with every open hold of the queues, the riskiest first, and
// with each that is parked later, until ctx ends or offer returns an error. A
// hold is offered again only when it changed, or if offer returned an
// ErrUnavailable, which is no reason to stop.
func (r Reviewer) Watch(ctx context.Context, queues []schemas.Name, offer func(schemas.HoldLine) error) error {
	listening, stop := context.WithCancel(ctx)
	defer stop()
	rung := make(chan struct{}, 1)
	for _, q := range queues {
		if err := r.listen(listening, "holds."+string(q)+".*.*.*", rung); err != nil {
			return err
		}
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	seen := map[schemas.Key]schemas.HoldLine{}
	for {
		if err := r.offerNew(ctx, queues, seen, offer); err != nil && !errors.Is(err, schemas.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-rung:
		case <-ticker.C:
		}
	}
}

// offerNew reads all pages and offers what was not offered as it is now.
func (r Reviewer) offerNew(ctx context.Context, queues []schemas.Name, seen map[schemas.Key]schemas.HoldLine, offer func(schemas.HoldLine) error) error {
	open := map[schemas.Key]bool{}
	for after := ""; ; {
		page, err := r.List(ctx, "", 0, after)
		if err != nil {
			return err
		}
		for _, line := range page.Holds {
			key := schemas.Key{Agent: line.Agent, ID: line.Intent}
			open[key] = true
			if seen[key] == line || !slices.Contains(queues, line.Queue) {
				continue
			}
			switch err := offer(line); {
			case err == nil:
				seen[key] = line
			case !errors.Is(err, schemas.ErrUnavailable):
				return err
			}
		}
		if after = page.After; after == "" {
			break
		}
	}
	for key := range seen {
		if !open[key] {
			delete(seen, key)
		}
	}
	return nil
}

// Seen reports an ErrStale unless prefix, the beginning of a digest that a
// reviewer gives, is that of the hold.
func (h Held) Seen(prefix string) error {
	if len(strings.TrimPrefix(prefix, "sha256:")) < 12 {
		return fmt.Errorf("digest %q: %w: give at least 12 hexadecimal digits of what you were shown", prefix, schemas.ErrInvalid)
	}
	if !h.Intent.Digest.HasPrefix(prefix) {
		return fmt.Errorf("%s: %w: %s is not what you were shown; it is %s now", h.Intent.Key(), schemas.ErrStale, prefix, h.Intent.Digest.Short())
	}
	return nil
}
