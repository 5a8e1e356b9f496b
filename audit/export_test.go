package audit

import "fmt"

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
