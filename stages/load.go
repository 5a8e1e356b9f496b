package stages

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// Streams is what an index is loaded from, and where budgets are found.
type Streams interface {
	// Subjects returns the subjects of a stream that match filter, and how many
	// records each has.
	Subjects(ctx context.Context, stream schemas.Stream, filter string) (map[string]uint64, error)

	// LastOf hands the last record on each of the subjects to take, in no order.
	// A subject without a record is left out.
	LastOf(ctx context.Context, stream schemas.Stream, subjects []string, take func(schemas.Record) error) error

	// After hands every record of stream behind a sequence to take, in order.
	After(ctx context.Context, stream schemas.Stream, seq uint64, take func(schemas.Record) error) error

	// Each hands every record of stream that matches filter to next, in order,
	// until next returns false.
	Each(ctx context.Context, stream schemas.Stream, filter string, next func(schemas.Record) bool) error
}

// Load takes in what waits, and reads little of what is over: of every hold the last
// state, and of releases, grants and reports only those that the subjects of the
// streams leave open. It finds what folding all records would find.
//
// Handled is up to which sequence the reports in OUTCOMES are dealt with; it is
// asked for before. What is written from then on, and every report behind it, is
// to be applied afterwards.
func (x *Index) Load(ctx context.Context, from Streams, handled uint64) error {
	if err := x.loadHolds(ctx, from); err != nil {
		return err
	}
	if err := x.loadWork(ctx, from, handled); err != nil {
		return err
	}
	// Nothing from before is read again.
	x.Forget()
	x.Forget()
	return nil
}

// loadHolds takes in the last state of every hold. Most are closed.
func (x *Index) loadHolds(ctx context.Context, from Streams) error {
	parked, err := from.Subjects(ctx, schemas.ParkedHolds, everything)
	if err != nil {
		return err
	}
	// Sorted, holds that the broker keeps close together are asked for together.
	return from.LastOf(ctx, schemas.ParkedHolds, slices.Sorted(maps.Keys(parked)), func(r schemas.Record) error {
		state, doubted, err := schemas.GlanceHold(r)
		if err != nil || doubted || state == schemas.Parked || state == schemas.InDoubt {
			return x.Apply(r)
		}
		if s, err := schemas.ParseSubject(r.Subject); err == nil {
			x.closed(schemas.Key{Agent: s.Agent, ID: s.Intent}, r.Seq)
		}
		return nil
	})
}

// everything matches every subject of a stream.
const everything = ">"

// loadWork takes in what waits for executors: releases without a grant or a lapse,
// and grants without a report that counts.
func (x *Index) loadWork(ctx context.Context, from Streams, handled uint64) error {
	released, err := x.loadReleases(ctx, from)
	if err != nil {
		return err
	}
	if err := released.readGrants(ctx, from); err != nil {
		return err
	}
	if err := released.countReports(ctx, from, handled); err != nil {
		return err
	}
	var settled, granted, reports []string
	for k, r := range released {
		switch {
		case r.lapsed, r.reported():
			x.NotReleased(k) // as a hold may say that was to be tried again
		case len(r.grants) == 0:
			settled = append(settled, r.subject)
		default:
			for _, g := range r.grants {
				granted = append(granted, g.subject)
			}
			reports = append(reports, r.unsure...)
		}
	}
	if err := from.LastOf(ctx, schemas.Settled, settled, x.Apply); err != nil {
		return err
	}
	if err := from.LastOf(ctx, schemas.Grants, granted, x.Apply); err != nil {
		return err
	}
	return x.loadReports(ctx, from, reports)
}

// loadReports takes in the reports on some subjects, one by one.
func (x *Index) loadReports(ctx context.Context, from Streams, subjects []string) error {
	for _, subject := range subjects {
		var failed error
		err := from.Each(ctx, schemas.Outcomes, subject, func(r schemas.Record) bool {
			failed = x.Apply(r)
			return failed == nil
		})
		if err := errors.Join(err, failed); err != nil {
			return err
		}
	}
	return nil
}

// releases are the intents that were released, as far as the subjects of the
// streams speak of them.
type releases map[schemas.Key]*releasedIntent

// releasedIntent is the subject of a release, and those of its grants.
type releasedIntent struct {
	subject string
	grants  []grantSubject
	lapsed  bool

	// unsure are the subjects of reports of which some are not handled: those that
	// are rejected already make the others seem fewer.
	unsure []string
}

// grantSubject is the subject of the grants of an intent to one executor, and how
// many reports of that executor on the intent count.
type grantSubject struct {
	subject  string
	executor schemas.Name
	reports  int
}

// reported reports whether a report counted. Then the intent is over, whoever was
// granted it.
func (r *releasedIntent) reported() bool {
	return slices.ContainsFunc(r.grants, func(g grantSubject) bool { return g.reports > 0 })
}

// loadReleases returns the intents that were released. A hold that is open and
// settled is looked at soon.
func (x *Index) loadReleases(ctx context.Context, from Streams) (releases, error) {
	settled, err := from.Subjects(ctx, schemas.Settled, everything)
	if err != nil {
		return nil, err
	}
	found := releases{}
	for subject := range settled {
		s, err := schemas.ParseSubject(subject)
		if err != nil {
			continue
		}
		k := schemas.Key{Agent: s.Agent, ID: s.Intent}
		x.settled(k)
		if s.Kind == "released" && s.Action != schemas.Withdraw {
			found[k] = &releasedIntent{subject: subject}
		}
	}
	return found, nil
}

// readGrants takes in who was granted what, and what has lapsed.
func (all releases) readGrants(ctx context.Context, from Streams) error {
	granted, err := from.Subjects(ctx, schemas.Grants, everything)
	if err != nil {
		return err
	}
	for subject := range granted {
		s, err := schemas.ParseSubject(subject)
		k := schemas.Key{Agent: s.Agent, ID: s.Intent}
		switch r := all[k]; {
		case err != nil || r == nil:
		case s.Kind == "lapsed":
			r.lapsed = true
		default:
			r.grants = append(r.grants, grantSubject{subject: subject, executor: s.Writer})
		}
	}
	return nil
}

// countReports counts the reports that count, or fewer: those that are handled and
// were not rejected. Every report that is handled is one of the two.
func (all releases) countReports(ctx context.Context, from Streams, handled uint64) error {
	reported, err := from.Subjects(ctx, schemas.Outcomes, everything)
	if err != nil {
		return err
	}
	for subject, n := range reported {
		all.count(subject, int(n))
	}
	rejected, err := from.Subjects(ctx, schemas.Rejected, everything)
	if err != nil {
		return err
	}
	for subject, n := range rejected {
		all.count(subject, -int(n))
	}
	return from.After(ctx, schemas.Outcomes, handled, func(r schemas.Record) error {
		if to := all.count(r.Subject, -1); to != nil && !slices.Contains(to.unsure, r.Subject) {
			to.unsure = append(to.unsure, r.Subject)
		}
		return nil
	})
}

// count adds to the reports on an intent by the executor that a subject names. It
// returns the intent, or nil if that executor was never granted it.
func (all releases) count(subject string, n int) *releasedIntent {
	s, err := schemas.ParseSubject(subject)
	r := all[schemas.Key{Agent: s.Agent, ID: s.Intent}]
	if err != nil || r == nil {
		return nil
	}
	i := slices.IndexFunc(r.grants, func(g grantSubject) bool { return g.executor == s.Writer })
	if i < 0 {
		return nil
	}
	r.grants[i].reports += n
	return r
}
