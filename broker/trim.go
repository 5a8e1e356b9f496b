package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

// Trim removes, by sequence, the records of a stream that the broker accepted
// before a moment, as far as AUDIT has copied them and every stage has
// acknowledged them. It returns how many it removed. Only provision may.
//
// The caller chooses the moment so that no open intent needs an older record. The
// consumers of executors do not hold anything back: what they acknowledge says
// nothing, and a release that nobody took is open until it lapses.
func (l *Log) Trim(ctx context.Context, stream schemas.Stream, before time.Time) (uint64, error) {
	op := "trimming " + string(stream)
	keep, err := l.firstSince(ctx, stream, before)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	copied, err := l.copied(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	keep = min(keep, copied+1)
	for _, c := range stageConsumers(stream) {
		consumer, err := l.js.Consumer(ctx, string(stream), c.Durable)
		if err != nil {
			return 0, translate(op, err)
		}
		keep = min(keep, consumer.CachedInfo().AckFloor.Stream+1)
	}
	return l.purge(ctx, stream, keep)
}

// firstSince returns the sequence of the first record that was accepted at or
// after a moment, or that of the last record if there is none. It asks the leader:
// a replica that lags would take its own last record for the stream's.
func (l *Log) firstSince(ctx context.Context, stream schemas.Stream, at time.Time) (uint64, error) {
	r, err := l.getFromLeader(ctx, "$JS.API", stream, getRequest{Since: &at})
	if errors.Is(err, schemas.ErrNotFound) {
		return l.LastSeq(ctx, stream)
	}
	return r.Seq, err
}

// copied returns the last sequence of stream that AUDIT holds.
func (l *Log) copied(ctx context.Context, stream schemas.Stream) (uint64, error) {
	info, err := l.streamInfo(ctx, schemas.Audit)
	if err != nil {
		return 0, err
	}
	for _, s := range info.Sources {
		if s.Name == string(stream) {
			return s.Seq, nil
		}
	}
	return 0, fmt.Errorf("%w: AUDIT does not copy %s", schemas.ErrInvalid, stream)
}

// purge removes everything before sequence keep.
func (l *Log) purge(ctx context.Context, stream schemas.Stream, keep uint64) (uint64, error) {
	op := fmt.Sprintf("removing %s before %d", stream, keep)
	if keep <= 1 {
		return 0, nil
	}
	body, err := json.Marshal(struct {
		Seq uint64 `json:"seq"`
	}{keep})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	m, err := l.request(ctx, op, "$JS.API.STREAM.PURGE."+string(stream), body)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Error  *jetstream.APIError `json:"error"`
		Purged uint64              `json:"purged"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return 0, translate(op, err)
	}
	if answer.Error != nil {
		return 0, translate(op, answer.Error)
	}
	return answer.Purged, nil
}
