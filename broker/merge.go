package broker

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/schemas"
)

// ReadMerged reads several streams, or parts of one, to their ends, in the order in
// which the broker accepted their records, so that a reader who folds them needs to
// remember only what is open at each moment.
func ReadMerged(ctx context.Context, tails []*Tail, apply func(schemas.Record) error) error {
	group, ctx := errgroup.WithContext(ctx)
	lanes := make([]lane, len(tails))
	for i, t := range tails {
		lanes[i].records = make(chan schemas.Record, batch)
		group.Go(func() error {
			defer close(lanes[i].records)
			return t.Read(ctx, func(r schemas.Record) error {
				select {
				case lanes[i].records <- r:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		})
	}
	group.Go(func() error { return merge(lanes, apply) })
	return group.Wait()
}

// lane is one of the streams that are merged, and the record that is its next.
type lane struct {
	records chan schemas.Record
	next    schemas.Record
	open    bool
}

func (l *lane) advance() { l.next, l.open = <-l.records }

// earlier reports whether the broker accepted a before b.
func earlier(a, b schemas.Record) bool {
	if a.Stream == b.Stream {
		return a.Seq < b.Seq
	}
	return a.Time.Before(b.Time)
}

func merge(lanes []lane, apply func(schemas.Record) error) error {
	for i := range lanes {
		lanes[i].advance()
	}
	for {
		var first *lane
		for i := range lanes {
			if l := &lanes[i]; l.open && (first == nil || earlier(l.next, first.next)) {
				first = l
			}
		}
		if first == nil {
			return nil
		}
		if err := apply(first.next); err != nil {
			return err
		}
		first.advance()
	}
}
