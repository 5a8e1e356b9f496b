package stages

import (
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// shelved sorts the records of a tale by stream.
func (s *tale) shelved() shelves {
	all := shelves{}
	for _, stream := range schemas.Streams() {
		all[stream] = &shelf{}
	}
	for _, r := range s.records {
		all[r.Stream].records = append(all[r.Stream].records, r)
	}
	return all
}

// load reads the records of a tale as a gate does at its start, when the reports up
// to a sequence are handled.
func (s *tale) load(handled uint64) *Index {
	s.t.Helper()
	x, from := NewIndex(nil), s.shelved()
	must(s.t, x.Load(s.t.Context(), from, handled))
	must(s.t, from.After(s.t.Context(), schemas.Outcomes, handled, x.Apply))
	return x
}

// reject records that the last report does not count.
func (s *tale) reject() *tale {
	last := s.records[len(s.records)-1]
	p, err := schemas.ParseSubject(last.Subject)
	must(s.t, err)
	s.write(schemas.Rejection{Of: p.Writer, Agent: "bot", Intent: s.intent.ID, Record: last.Pointer(), Code: schemas.CodeNotGranted, At: s.began})
	return s
}

// TestLoad: what is over is known by the subjects alone, and a report only ends what
// it counts for.
func TestLoad(t *testing.T) {
	t.Parallel()
	const nowhere schemas.State = ""
	wrong := func(r *schemas.Report) { r.Grant.Seq++ }
	for name, c := range map[string]struct {
		tell      func(*tale)
		handled   uint64 // in OUTCOMES, which counts in tens
		executors schemas.State
	}{
		"reported":                        {func(s *tale) { s.release().claim().report(nil) }, 10, nowhere},
		"reported, not handled":           {func(s *tale) { s.release().claim().report(nil) }, 0, nowhere},
		"reported wrongly":                {func(s *tale) { s.release().claim().report(wrong).reject() }, 10, schemas.Granted},
		"reported wrongly, not handled":   {func(s *tale) { s.release().claim().report(wrong) }, 0, schemas.Granted},
		"wrongly, then well":              {func(s *tale) { s.release().claim().report(wrong).reject().report(nil) }, 20, nowhere},
		"wrongly, then well, not handled": {func(s *tale) { s.release().claim().report(wrong).reject().report(nil) }, 10, nowhere},
		"well, then wrongly":              {func(s *tale) { s.release().claim().report(nil).report(wrong).reject() }, 20, nowhere},
		"rejected before it is handled":   {func(s *tale) { s.release().claim().report(nil).report(wrong).reject() }, 10, nowhere},
		"by somebody else":                {func(s *tale) { s.release().claim().report(func(r *schemas.Report) { r.Executor = "ran" }).reject() }, 10, schemas.Granted},
		"by somebody else, not rejected":  {func(s *tale) { s.release().claim().report(func(r *schemas.Report) { r.Executor = "ran" }) }, 10, schemas.Granted},
		"reported after another try": {func(s *tale) {
			s.release().claim().doubt().resolve(schemas.Released, schemas.Retry).claim().report(nil)
		}, 10, nowhere},
		"lapsed after the word to retry":   {func(s *tale) { s.release().claim().doubt().resolve(schemas.Released, schemas.Retry).lapse() }, 0, nowhere},
		"granted after the word to retry":  {func(s *tale) { s.release().claim().doubt().resolve(schemas.Released, schemas.Retry).claim() }, 0, schemas.Granted},
		"a withdrawal waits for nobody":    {func(s *tale) { s.intent.Action = schemas.Withdraw; s.release() }, 0, nowhere},
		"released, and the hold is open":   {func(s *tale) { s.park().release() }, 0, schemas.Released},
		"granted, and the hold is open":    {func(s *tale) { s.park().release().claim() }, 0, schemas.Granted},
		"refused, and the hold is open":    {func(s *tale) { s.park().refuse() }, 0, nowhere},
		"in doubt, and a reviewer said so": {func(s *tale) { s.release().claim().doubt().resolve(schemas.Failed, schemas.WasNotDone) }, 0, nowhere},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTale(t)
			c.tell(s)
			x := s.load(c.handled)
			if _, executors := s.states(x); executors != c.executors {
				t.Errorf("executors have it as %q, want %q", executors, c.executors)
			}
			hold := x.entries[place{s.intent.Key(), true}]
			if settled := len(s.shelved()[schemas.Settled].records) > 0; hold != nil && settled && hold.at.After(x.now().Add(lookSoon)) {
				t.Errorf("the hold is settled and open, and looked at only at %s", hold.at)
			}
		})
	}
}
