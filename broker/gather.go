package broker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// mostGathered is how many questions are asked at once.
	mostGathered = 256

	// widestRun is how many records are read to answer for each that is wanted.
	widestRun = 4
)

// gather asks the broker for several records at once: while one request is under
// way, those that come meanwhile wait and are asked for together. Alone, a
// question is asked at once; among many, each costs a fraction.
type gather struct {
	conn   *Conn
	stream schemas.Stream

	// mu guards what follows, for the time it takes to join or to leave.
	mu      sync.Mutex
	waiting []*question
	busy    bool
}

// question asks for the record with a sequence, or for the last on a filter.
type question struct {
	getRequest
	answered chan struct{}
	record   schemas.Record
	err      error
}

// get returns the record that r asks for, read from the only replica.
func (g *gather) get(ctx context.Context, r getRequest) (schemas.Record, error) {
	q := &question{getRequest: r, answered: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, q)
	if !g.busy {
		g.busy = true
		go g.answerAll()
	}
	g.mu.Unlock()
	select {
	case <-q.answered:
		return q.record, q.err
	case <-ctx.Done():
		return schemas.Record{}, translate(r.op(g.stream), ctx.Err())
	}
}

// answerAll answers until nobody waits.
func (g *gather) answerAll() {
	for {
		g.mu.Lock()
		all := g.waiting[:min(len(g.waiting), mostGathered)]
		g.waiting = slices.Clone(g.waiting[len(all):])
		g.busy = len(all) > 0
		g.mu.Unlock()
		if len(all) == 0 {
			return
		}
		g.answer(context.Background(), all)
		for _, q := range all {
			close(q.answered)
		}
	}
}

// answer asks one by one, or together where that is cheaper.
func (g *gather) answer(ctx context.Context, all []*question) {
	bySeq, byFilter := []*question{}, []*question{}
	for _, q := range all {
		if q.Seq > 0 {
			bySeq = append(bySeq, q)
		} else {
			byFilter = append(byFilter, q)
		}
	}
	g.answerRuns(ctx, bySeq)
	if len(byFilter) > 1 {
		g.together(ctx, byFilter)
		return
	}
	g.alone(ctx, byFilter)
}

func (g *gather) alone(ctx context.Context, all []*question) {
	for _, q := range all {
		q.record, q.err = g.conn.getDirect(ctx, "$JS.API", g.stream, q.getRequest)
	}
}

// answerRuns answers for sequences that lie close together in one go.
func (g *gather) answerRuns(ctx context.Context, all []*question) {
	slices.SortFunc(all, func(a, b *question) int { return int(int64(a.Seq) - int64(b.Seq)) })
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Seq-all[0].Seq < uint64(min(batch, widestRun*(n+1))) {
			n++
		}
		if n == 1 {
			g.alone(ctx, all[:1])
		} else {
			g.run(ctx, all[:n])
		}
		all = all[n:]
	}
}

func (g *gather) run(ctx context.Context, all []*question) {
	first, last := all[0].Seq, all[len(all)-1].Seq
	found := map[uint64]schemas.Record{}
	err := g.batch(ctx, getRequest{Seq: first, NextFor: ">", Batch: int(last - first + 1)}, func(r schemas.Record) {
		found[r.Seq] = r
	})
	for _, q := range all {
		record, ok := found[q.Seq]
		q.give(g.stream, record, ok, err)
	}
}

// together asks for the last records on several filters in one request.
func (g *gather) together(ctx context.Context, all []*question) {
	r := getRequest{}
	for _, q := range all {
		r.LastOf = append(r.LastOf, q.LastFor)
	}
	var found []schemas.Record
	if err := g.batch(ctx, r, func(r schemas.Record) { found = append(found, r) }); err != nil {
		// Nobody pays for what another asked for.
		g.alone(ctx, all)
		return
	}
	for _, q := range all {
		var last schemas.Record
		for _, r := range found {
			if r.Seq > last.Seq && matches(q.LastFor, r.Subject) {
				last = r
			}
		}
		q.give(g.stream, last, last.Seq > 0, nil)
	}
}

func (g *gather) batch(ctx context.Context, r getRequest, take func(schemas.Record)) error {
	b, err := g.conn.openBatches("$JS.API", g.stream)
	if err != nil {
		return err
	}
	defer b.close()
	_, err = b.read(ctx, r, func(r schemas.Record) error {
		take(r)
		return nil
	})
	return err
}

// give answers q. What was found is right also if the rest could not be read.
func (q *question) give(stream schemas.Stream, r schemas.Record, found bool, err error) {
	switch {
	case found:
		q.record = r
	case err != nil:
		q.err = err
	default:
		q.err = translate(q.op(stream), errNoRecord)
	}
}

// matches reports whether a subject matches a filter without ">".
func matches(filter, subject string) bool {
	for {
		f, moreF, okF := strings.Cut(filter, ".")
		s, moreS, okS := strings.Cut(subject, ".")
		if f != "*" && f != s || okF != okS {
			return false
		}
		if !okF {
			return true
		}
		filter, subject = moreF, moreS
	}
}

var errNoRecord = errors.New("no such record")
