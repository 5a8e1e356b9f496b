package stages

import (
	"context"
	"slices"

	"github.com/holdpoint/holdpoint/schemas"
)

// history returns the asker's own decisions that are still kept, the latest
// first, and of those that do not count, why.
func (a *Answer) history(ctx context.Context, asker schemas.Identity, q schemas.Question) (schemas.Answer, error) {
	own := schemas.Subject{Kind: "decisions", Writer: asker.Name}.String()
	limit := pageSize(q)
	var past []schemas.Decided
	err := a.Execute.Log.Each(ctx, schemas.Decisions, own, func(r schemas.Record) bool {
		if past = append(past, decidedOf(r)); len(past) > 2*limit {
			past = slices.Clone(past[len(past)-limit:])
		}
		return true
	})
	if err != nil {
		return schemas.Answer{}, err
	}
	past = past[max(0, len(past)-limit):]
	codes, err := a.rejected(ctx, asker.Name)
	if err != nil {
		return schemas.Answer{}, err
	}
	for i := range past {
		past[i].Code = codes[past[i].Seq]
	}
	slices.Reverse(past)
	return schemas.Answer{Decided: past}, nil
}

func decidedOf(r schemas.Record) schemas.Decided {
	s, _ := schemas.ParseSubject(r.Subject)
	past := schemas.Decided{Seq: r.Seq, At: r.Time, Agent: s.Agent, Intent: s.Intent, Queue: s.Queue}
	var d schemas.Decision
	if schemas.Read(r, &d) == nil {
		past.Verdict, past.Reason, past.Digest = d.Verdict, d.Reason, d.Digest
	}
	return past
}

// rejected returns why decisions of a reviewer do not count, by their sequence.
func (a *Answer) rejected(ctx context.Context, reviewer schemas.Name) (map[uint64]schemas.Code, error) {
	codes := map[uint64]schemas.Code{}
	filter := schemas.Subject{Kind: "rejected", Writer: reviewer}.String()
	err := a.Execute.Log.Each(ctx, schemas.Rejected, filter, func(r schemas.Record) bool {
		var rejection schemas.Rejection
		if read(r, &rejection) == nil && rejection.Record.Stream == schemas.Decisions {
			codes[rejection.Record.Seq] = rejection.Code
		}
		return true
	})
	return codes, err
}
