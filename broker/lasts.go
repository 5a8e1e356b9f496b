package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// mostLasts is for how many subjects one request asks for the last record. The
	// broker gives at most 1024.
	mostLasts = 500

	// lastsWidth is how many such requests are under way at once.
	lastsWidth = 4

	// replicaWait is when a replica is asked again that lags.
	replicaWait = 20 * time.Millisecond
)

// Subjects returns the subjects of a stream that match filter, as its leader knows
// them, and how many records each has. It reads no record.
func (l *Log) Subjects(ctx context.Context, stream schemas.Stream, filter string) (map[string]uint64, error) {
	all := map[string]uint64{}
	var first subjectPage
	for offset := 0; ; {
		page, err := l.subjects(ctx, stream, filter, offset)
		if err != nil {
			return nil, err
		}
		if offset == 0 {
			first = page
		}
		if page.State.First != first.State.First {
			// What was trimmed meanwhile moved all others forward.
			clear(all)
			offset = 0
			continue
		}
		for subject, n := range page.State.Subjects {
			all[subject] = n
		}
		if offset += len(page.State.Subjects); len(page.State.Subjects) == 0 || offset >= page.Total {
			return all, nil
		}
	}
}

// subjectPage is what the broker says of the subjects of a stream, from an offset
// in their order on.
type subjectPage struct {
	Error *jetstream.APIError `json:"error"`
	Total int                 `json:"total"`
	State struct {
		First    uint64            `json:"first_seq"`
		Subjects map[string]uint64 `json:"subjects"`
	} `json:"state"`
}

func (l *Log) subjects(ctx context.Context, stream schemas.Stream, filter string, offset int) (page subjectPage, err error) {
	op := "listing the subjects of " + string(stream)
	body, err := json.Marshal(struct {
		Filter string `json:"subjects_filter"`
		Offset int    `json:"offset"`
	}{filter, offset})
	if err != nil {
		return page, translate(op, err)
	}
	m, err := l.request(ctx, op, "$JS.API.STREAM.INFO."+string(stream), body)
	if err != nil {
		return page, err
	}
	if err := json.Unmarshal(m.Data, &page); err != nil {
		return page, translate(op, err)
	}
	if page.Error != nil {
		return page, translate(op, page.Error)
	}
	return page, nil
}

// LastOf hands the last record on each of the subjects to take, one at a time, in no
// order. It has seen every write that returned before. A subject without a record is
// left out.
func (l *Log) LastOf(ctx context.Context, stream schemas.Stream, subjects []string, take func(schemas.Record) error) error {
	if len(subjects) == 0 {
		return nil
	}
	var end uint64
	if l.replicated { // else the only replica is the leader
		var err error
		if end, err = l.LastSeq(ctx, stream); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lastsWidth)
	hand := handing{take: take}
	for some := range slices.Chunk(subjects, mostLasts) {
		group.Go(func() error {
			b, err := l.openBatches("$JS.API", stream)
			if err != nil {
				return err
			}
			defer b.close()
			records, err := b.lasts(ctx, some, end)
			if err != nil {
				return err
			}
			return hand.over(records)
		})
	}
	return group.Wait()
}

// handing hands records over, one at a time, until one is not taken.
type handing struct {
	take func(schemas.Record) error

	// mu guards failed, and is held while take is called.
	mu     sync.Mutex
	failed error
}

func (h *handing) over(records []schemas.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range records {
		if h.failed != nil {
			return h.failed
		}
		h.failed = h.take(r)
	}
	return h.failed
}

// lasts returns the last records on some subjects, from a replica that has
// everything up to sequence end.
func (b *batches) lasts(ctx context.Context, subjects []string, end uint64) (records []schemas.Record, err error) {
	for patience := time.After(answerWait); ; {
		records = records[:0]
		_, err = b.read(ctx, getRequest{LastOf: subjects}, func(r schemas.Record) error {
			records = append(records, r)
			return nil
		})
		if err != nil || b.upTo >= end {
			return records, err
		}
		select {
		case <-patience:
			return nil, fmt.Errorf("reading %s: %w: the replica has %d of %d records", b.stream, schemas.ErrUnavailable, b.upTo, end)
		default:
		}
		if err := pause(ctx, replicaWait); err != nil {
			return nil, err
		}
	}
}

// After hands every record of stream behind a sequence to take, in order.
func (l *Log) After(ctx context.Context, stream schemas.Stream, seq uint64, take func(schemas.Record) error) error {
	return l.Tail(stream, "", seq+1).Read(ctx, take)
}

// Handled returns up to which sequence the messages of a stream are dealt with by
// the stage whose input it is.
func (l *Log) Handled(ctx context.Context, stream schemas.Stream) (uint64, error) {
	c, err := l.js.Consumer(ctx, string(stream), stageConsumer(stream))
	if err != nil {
		return 0, translate("asking how far "+string(stream)+" is handled", err)
	}
	return c.CachedInfo().AckFloor.Stream, nil
}
