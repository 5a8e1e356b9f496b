package audit

import (
	"fmt"

	"github.com/holdpoint/holdpoint/schemas"
)

// Needless says what is in memory although nothing needs it any more, when all
// that was read is older than the lag.
func (v *Verifier) Needless() (kept []string) {
	needed := map[place]bool{}
	for key, t := range v.trails {
		if t.isOver() || t.isEmpty() || t.unjudged > 0 {
			kept = append(kept, "what was read of "+key.String())
		}
		for _, seq := range t.proposals {
			if p := v.proposals[seq]; p != nil {
				needed[p.at] = true
			}
		}
		for _, seq := range t.decisions {
			needed[v.decisions.kept[seq].at] = true
		}
		for _, s := range t.reports {
			needed[s.at] = true
		}
	}
	for seq, p := range v.proposals {
		if !needed[p.at] && v.trails[p.at.key] != nil {
			kept = append(kept, fmt.Sprintf("INTENTS/%d", seq))
		}
	}
	for _, in := range []inbox{v.decisions, v.outcomes} {
		for seq, s := range in.kept {
			if !needed[s.at] && s.answered {
				kept = append(kept, fmt.Sprintf("%s/%d", in.stream, seq))
			}
		}
	}
	for _, s := range v.budgets.shares {
		if s.over && s.to != 0 {
			kept = append(kept, fmt.Sprintf("a share from BUDGETS/%d to %d", s.from, s.to))
		}
	}
	for _, c := range v.queue.items[v.queue.head:] {
		if v.now.After(c.at.copied.Add(v.cfg.Lag)) {
			kept = append(kept, fmt.Sprintf("the check of %s/%d", c.at.stream, c.at.seq))
		}
	}
	return kept
}

// Kept counts what is in memory of records that somebody from outside sent, or
// that the gate made of them.
func (v *Verifier) Kept() int {
	n := len(v.proposals) + len(v.decisions.kept) + len(v.outcomes.kept)
	for _, all := range v.withdrawals {
		n += len(all)
	}
	for _, t := range v.trails {
		n += 1 + len(t.advice) + len(t.proposals) + len(t.decisions) + len(t.reports)
	}
	return n
}

// Forget forgets what is over, however little it is.
func (v *Verifier) Forget() {
	v.budgets.forget(v.dates[schemas.Budgets].said, v.lanes[schemas.Budgets].next)
	v.standings.forget(v.judged.copied)
}

// Remembered counts what is in memory of budgets and of standing approvals.
type Remembered struct{ Budgets, Records, Shares, Standings, Revocations int }

// Remembered returns the counts.
func (v *Verifier) Remembered() Remembered {
	return Remembered{len(v.budgets.latest), len(v.budgets.all), len(v.budgets.shares), len(v.standings.all), len(v.standings.revoked)}
}

// Plenty is how much may be kept of what is over.
const Plenty = plenty
