package stages

import "github.com/holdpoint/holdpoint/schemas"

// Streams lists the streams that the index is folded from.
func (x *Index) Streams() []schemas.Stream {
	return []schemas.Stream{schemas.ParkedHolds, schemas.Settled, schemas.Grants, schemas.Outcomes}
}

// Apply takes in a record of one of its streams. One that cannot be read is
// passed over: whoever acts on the intent will read it again, and find out.
func (x *Index) Apply(r schemas.Record) error {
	s, err := schemas.ParseSubject(r.Subject)
	if err != nil {
		return nil
	}
	key := schemas.Key{Agent: s.Agent, ID: s.Intent}
	switch s.Kind {
	case "lapsed":
		x.Ended(key, r.Seq)
	case "parked":
		var h schemas.Hold
		if read(r, &h) == nil {
			x.Held(h, r.Seq)
		}
	case "released", "refused":
		var settled schemas.Settlement
		if !x.knows(key, s.Kind) && read(r, &settled) == nil {
			x.Settled(settled)
		}
	case "granted":
		var g schemas.Grant
		if read(r, &g) == nil {
			x.Granted(g, r.Pointer())
		}
	case "outcomes":
		x.reported(r, key)
	}
	return nil
}

// knows reports whether a settlement has nothing new to say, so that it need not
// be decoded.
func (x *Index) knows(k schemas.Key, kind string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.entries[place{k, true}] != nil {
		return false
	}
	return kind == "refused" || !x.news(place{k, false}, mark{})
}

// reported takes in a report. It ends what its executor was granted, if that is
// known by now and not in doubt: else the timer of the grant finds the report, or
// a state of the hold says what came of it.
func (x *Index) reported(r schemas.Record, k schemas.Key) {
	var report schemas.Report
	if checkReport(r, &report) != nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	at := place{k, false}
	e := x.entries[at]
	if e != nil && e.line.State == schemas.Granted && e.executor == report.Executor && e.grant == report.Grant && e.line.Digest == report.Digest {
		x.end(at, e.mark)
	}
}
