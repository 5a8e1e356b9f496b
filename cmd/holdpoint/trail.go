package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

// trailFromAudit finds the records of an intent among those of its agent, and those
// that they name.
func trailFromAudit(ctx context.Context, a client.Auditor, k schemas.Key) ([]schemas.Record, error) {
	if k.Agent == "" {
		return nil, usage("%s: an auditor gives AGENT/ID", k.ID)
	}
	records, err := readOrigins(ctx, a.Tail(k.Agent, 1), func(r schemas.Record) bool { return about(r, k) })
	if err == nil && len(records) == 0 {
		err = fmt.Errorf("%s: %w", k, schemas.ErrNotFound)
	}
	named := stages.Named(records)
	if err != nil || len(named) == 0 {
		return records, err
	}
	wanted := func(r schemas.Record) bool {
		return slices.ContainsFunc(named, func(p schemas.Pointer) bool { return p.Stream == r.Stream && p.Seq == r.Seq })
	}
	others, err := readOrigins(ctx, a.Tail(k.Agent, 1), wanted)
	records = append(records, others...)
	if err == nil && slices.ContainsFunc(named, func(p schemas.Pointer) bool { return p.Stream == schemas.Budgets }) {
		// Budgets are nobody's.
		others, err = readOrigins(ctx, a.Kind("budgets", 1), wanted)
		records = append(records, others...)
	}
	return records, err
}

// readOrigins reads the originals of copies in AUDIT that are wanted.
func readOrigins(ctx context.Context, tail *broker.Tail, wanted func(schemas.Record) bool) ([]schemas.Record, error) {
	var records []schemas.Record
	err := tail.Read(ctx, func(r schemas.Record) error {
		if origin, err := broker.Origin(r); err == nil && wanted(origin) {
			records = append(records, origin)
		}
		return nil
	})
	return records, err
}

// about reports whether a record is about an intent. Those of the first streams
// say so only inside.
func about(r schemas.Record, k schemas.Key) bool {
	s, _ := schemas.ParseSubject(r.Subject)
	switch r.Stream {
	case schemas.Intents:
		in, _ := schemas.ReadIntent("", r)
		return in.Key() == k
	case schemas.Observed:
		var o schemas.Observation
		return schemas.Read(r, &o) == nil && o.Intent.Key() == k
	case schemas.Recommended:
		var rec schemas.Recommendation
		return schemas.Read(r, &rec) == nil && rec.Intent.Key() == k
	}
	return s.Agent == k.Agent && s.Intent == k.ID
}
