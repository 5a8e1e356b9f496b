package stages

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// tale is what the streams say of one intent, in the order in which it happened.
type tale struct {
	t       *testing.T
	began   time.Time
	intent  schemas.Intent
	records []schemas.Record
	seqs    map[schemas.Stream]uint64
	hold    schemas.Hold
	grant   schemas.Grant
	granted schemas.Pointer
}

func newTale(t *testing.T) *tale {
	in := schemas.Intent{Gateway: "test", ExpiresIn: 3600, Agent: "bot", ID: schemas.NewIntentID(time.Now()), Action: "sys.small", Proposed: time.Now().UTC(), Params: []byte(`{}`)}
	in.Digest = schemas.DigestOf(in)
	return &tale{t: t, began: in.Proposed, intent: in, seqs: map[schemas.Stream]uint64{}}
}

func (s *tale) write(c schemas.Content) schemas.Pointer {
	d := schemas.Write(c, "/test", s.began, "")
	subject, err := schemas.ParseSubject(d.Subject)
	must(s.t, err)
	s.seqs[subject.Stream] += 10
	r := schemas.Record{Stream: subject.Stream, Seq: s.seqs[subject.Stream], Subject: d.Subject, Header: d.Header, Body: d.Body}
	s.records = append(s.records, r)
	must(s.t, schemas.Read(r, reflect.New(reflect.TypeOf(c)).Interface().(schemas.Content)))
	return r.Pointer()
}

func (s *tale) held(state schemas.State, change func(*schemas.Hold)) *tale {
	s.hold.Intent, s.hold.Queue, s.hold.State, s.hold.At = s.intent, "desk", state, s.began
	s.hold.Deadline = s.began.Add(time.Hour)
	if change != nil {
		change(&s.hold)
	}
	s.write(s.hold)
	return s
}

func (s *tale) park() *tale { return s.held(schemas.Parked, nil) }

func (s *tale) release() *tale {
	s.write(schemas.Settlement{Intent: s.intent, Outcome: schemas.Release, ExecuteBy: s.began.Add(time.Hour), At: s.began})
	return s
}

func (s *tale) refuse() *tale {
	s.write(schemas.Settlement{Intent: s.intent, Outcome: schemas.Refuse, Code: schemas.CodeDenied, At: s.began})
	return s
}

func (s *tale) claim() *tale {
	s.grant = schemas.Grant{Agent: "bot", Intent: s.intent.ID, Executor: "run", Action: s.intent.Action, Digest: s.intent.Digest, LeaseUntil: s.began.Add(time.Minute), At: s.began}
	s.granted = s.write(s.grant)
	return s
}

func (s *tale) doubt() *tale {
	return s.held(schemas.InDoubt, func(h *schemas.Hold) { h.Doubt = &schemas.Doubt{Grant: s.granted, Executor: "run"} })
}

func (s *tale) resolve(state schemas.State, v schemas.Verdict) *tale {
	return s.held(state, func(h *schemas.Hold) { h.Doubt = &schemas.Doubt{Grant: s.granted, Executor: "run", Verdict: v} })
}

func (s *tale) report(change func(*schemas.Report)) *tale {
	r := schemas.Report{Executor: "run", Agent: "bot", Intent: s.intent.ID, Digest: s.intent.Digest, Grant: s.granted, State: schemas.Done}
	if change != nil {
		change(&r)
	}
	s.write(r)
	return s
}

func (s *tale) lapse() *tale {
	s.write(schemas.Lapse{Agent: "bot", Intent: s.intent.ID, Action: s.intent.Action, Digest: s.intent.Digest, At: s.began})
	return s
}

// fold reads records into an index.
func fold(t *testing.T, records []schemas.Record) *Index {
	x := NewIndex(nil)
	for _, r := range records {
		must(t, x.Apply(r))
	}
	return x
}

// states is where the intent of a tale waits, for whom.
func (s *tale) states(x *Index) (reviewers, executors schemas.State) {
	line, _ := x.Line(s.intent.Key())
	return line.State, x.working(s.intent.Key())
}

// TestIndex: an intent waits where it should after every step.
func TestIndex(t *testing.T) {
	t.Parallel()
	const nowhere schemas.State = ""
	for name, c := range map[string]struct {
		tell                 func(*tale)
		reviewers, executors schemas.State
	}{
		"parked":              {func(s *tale) { s.park() }, schemas.Parked, nowhere},
		"refused":             {func(s *tale) { s.park().held(schemas.Refused, nil) }, nowhere, nowhere},
		"released by rules":   {func(s *tale) { s.release() }, nowhere, schemas.Released},
		"released, not yet":   {func(s *tale) { s.park().release() }, schemas.Parked, schemas.Released},
		"released":            {func(s *tale) { s.park().release().held(schemas.Released, nil) }, nowhere, schemas.Released},
		"lapsed":              {func(s *tale) { s.release().lapse() }, nowhere, nowhere},
		"granted":             {func(s *tale) { s.release().claim() }, nowhere, schemas.Granted},
		"done":                {func(s *tale) { s.release().claim().report(nil) }, nowhere, nowhere},
		"in doubt":            {func(s *tale) { s.release().claim().doubt() }, schemas.InDoubt, nowhere},
		"resolved":            {func(s *tale) { s.release().claim().doubt().resolve(schemas.Done, schemas.WasDone) }, nowhere, nowhere},
		"to be tried again":   {func(s *tale) { s.release().claim().doubt().resolve(schemas.Released, schemas.Retry) }, nowhere, schemas.Released},
		"reported late":       {func(s *tale) { s.release().claim().doubt().report(nil).resolve(schemas.Done, "") }, nowhere, nowhere},
		"granted again":       {func(s *tale) { s.release().claim().doubt().resolve(schemas.Released, schemas.Retry).claim() }, nowhere, schemas.Granted},
		"in doubt again":      {func(s *tale) { s.release().claim().doubt().resolve(schemas.Released, schemas.Retry).claim().doubt() }, schemas.InDoubt, nowhere},
		"retry lapsed":        {func(s *tale) { s.release().claim().doubt().resolve(schemas.Released, schemas.Retry).lapse() }, nowhere, nowhere},
		"another's report":    {func(s *tale) { s.release().claim().report(func(r *schemas.Report) { r.Executor = "ran" }) }, nowhere, schemas.Granted},
		"report on no grant":  {func(s *tale) { s.release().claim().report(func(r *schemas.Report) { r.Grant.Seq++ }) }, nowhere, schemas.Granted},
		"report on no digest": {func(s *tale) { s.release().claim().report(func(r *schemas.Report) { r.Digest = r.Grant.Hash }) }, nowhere, schemas.Granted},
		"report of no state":  {func(s *tale) { s.release().claim().report(func(r *schemas.Report) { r.State = schemas.Parked }) }, nowhere, schemas.Granted},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTale(t)
			c.tell(s)
			for how, x := range map[string]*Index{"folded": fold(t, s.records), "loaded": s.load(0)} {
				if reviewers, executors := s.states(x); reviewers != c.reviewers || executors != c.executors {
					t.Errorf("%s: reviewers have it as %q, executors as %q, want %q and %q", how, reviewers, executors, c.reviewers, c.executors)
				}
				for at, e := range x.entries {
					if e.at.IsZero() {
						t.Errorf("%s: %s hold=%t is never looked at", how, at.Key, at.hold)
					}
				}
			}
		})
	}
}

// TestIndexInAnyOrder: records that are read late, or twice, change nothing. This is
// how a process reads what another one wrote: each stream in order, one after the
// other; and what it writes itself it knows before it reads it.
func TestIndexInAnyOrder(t *testing.T) {
	t.Parallel()
	s := newTale(t)
	s.park().release().held(schemas.Released, nil).claim().doubt()
	s.resolve(schemas.Released, schemas.Retry).claim().doubt()
	s.resolve(schemas.Released, schemas.Retry).claim().doubt()
	s.resolve(schemas.Released, schemas.Retry).lapse()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for n := range s.records {
		records := s.records[:n+1]
		want := standings(fold(t, records))
		for range 300 {
			mixed := append(slices.Clone(records), records[:random.IntN(n+1)]...)
			random.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
			if got := standings(fold(t, mixed)); !maps.Equal(got, want) {
				t.Fatalf("seed %d, after %d records: got %v, want %v, in the order %v", seed, n+1, got, want, pointers(mixed))
			}
		}
	}
}

func pointers(records []schemas.Record) (all []string) {
	for _, r := range records {
		all = append(all, r.Pointer().String())
	}
	return all
}

// TestEndOfAnEarlierGrant: what is late to end a grant does not end the next one.
func TestEndOfAnEarlierGrant(t *testing.T) {
	t.Parallel()
	s := newTale(t)
	first := s.release().claim().granted
	s.doubt().resolve(schemas.Released, schemas.Retry).claim()
	x := fold(t, s.records)
	x.Ended(s.intent.Key(), first.Seq)
	if _, executors := s.states(x); executors != schemas.Granted {
		t.Errorf("executors have it as %q, want granted", executors)
	}
}

// TestGrantReadAfterRetry: a process that only follows, and reads the grant after the
// doubt and the word to retry, still lets the retry lapse.
func TestGrantReadAfterRetry(t *testing.T) {
	t.Parallel()
	s, k := toRetry(t)
	s.refresh()
	follower := s.replicas[1].execute
	follower.Index = NewIndex(s.now)
	for _, stream := range follower.Index.Streams() { // PARKED first
		for _, r := range s.copies[stream].records {
			must(t, follower.Index.Apply(r))
		}
	}
	s.pass(time.Hour)
	s.timers(1)
	s.want(k, schemas.Lapsed, "")
}

// TestLookedAtAgain: what waits does not cease to be looked at, whatever a look
// brings about, and what does not wait does.
func TestLookedAtAgain(t *testing.T) {
	t.Parallel()
	s := newTale(t)
	now := s.began
	x := NewIndex(func() time.Time { return now })
	s.park().release()
	for _, r := range s.records {
		must(t, x.Apply(r))
	}
	now = now.Add(2 * time.Hour)
	for range 3 {
		held, work, next := x.Due()
		if len(held) != 1 || len(work) != 1 || next.After(now.Add(lookAgain)) || !next.After(now) {
			t.Fatalf("due are %v and %v, then at %s; want both, and again in %s", held, work, next, lookAgain)
		}
		if held, work, _ := x.Due(); len(held)+len(work) > 0 {
			t.Fatalf("due at once again: %v and %v", held, work)
		}
		now = now.Add(lookAgain)
	}
	for _, r := range s.held(schemas.Released, nil).lapse().records {
		must(t, x.Apply(r))
	}
	if held, work, next := x.Due(); len(held)+len(work) > 0 || !next.IsZero() {
		t.Errorf("due are %v and %v, then at %s, and all is over", held, work, next)
	}
}

// TestForget: what ended is remembered as long as records may be late, and no longer.
func TestForget(t *testing.T) {
	t.Parallel()
	s := newTale(t)
	s.park().release().held(schemas.Released, nil).claim().report(nil)
	x := fold(t, s.records)
	x.Forget()
	for _, r := range s.records {
		must(t, x.Apply(r))
	}
	if left := standings(x); len(left) > 0 {
		t.Errorf("late records brought back %v", left)
	}
	x.Forget()
	x.Forget()
	if n := len(x.over) + len(x.overBefore); n > 0 {
		t.Errorf("%d endings are still remembered", n)
	}
}
