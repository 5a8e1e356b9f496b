package stages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/rules"
	"github.com/holdpoint/holdpoint/schemas"
)

// dossier is the records of an intent, by stream and in order.
type dossier struct {
	Again
	gateway schemas.Name
	records map[schemas.Stream][]schemas.Record

	// guessed are those whom the records speak of, as far as they do.
	guessed map[schemas.Name]schemas.Identity
}

func (a Again) dossier(records []schemas.Record) *dossier {
	d := &dossier{Again: a, records: map[schemas.Stream][]schemas.Record{}, guessed: map[schemas.Name]schemas.Identity{}}
	for _, r := range records {
		d.records[r.Stream] = append(d.records[r.Stream], r)
	}
	for _, all := range d.records {
		slices.SortFunc(all, func(a, b schemas.Record) int { return cmp.Compare(a.Seq, b.Seq) })
	}
	for _, r := range d.records[schemas.Observed] {
		var o schemas.Observation
		if schemas.Read(r, &o) == nil {
			d.gateway = o.Intent.Gateway
			d.guess(schemas.Identity{Name: o.Agent.Name, Role: schemas.RoleAgent, Owner: o.Agent.Owner, Groups: o.Agent.Groups})
		}
	}
	for _, r := range d.records[schemas.ParkedHolds] {
		var h schemas.Hold
		if schemas.Read(r, &h) != nil {
			continue
		}
		d.gateway = cmp.Or(d.gateway, h.Intent.Gateway)
		for _, v := range h.Votes {
			d.guess(schemas.Identity{Name: v.Reviewer, Role: schemas.RoleReviewer, Person: v.Person, Queues: []schemas.Name{h.Queue}})
		}
	}
	for _, r := range d.records[schemas.Grants] {
		var g schemas.Grant
		if schemas.Read(r, &g) == nil {
			d.guess(schemas.Identity{Name: g.Executor, Role: schemas.RoleExecutor, Systems: []string{g.Action.System()}})
		}
	}
	return d
}

// guess notes whom a record speaks of. Where several do, the first that says more
// than a name counts.
func (d *dossier) guess(id schemas.Identity) {
	if have, known := d.guessed[id.Name]; !known || have.Principal() == "" {
		d.guessed[id.Name] = id
	}
}

// guesses reports whether of any of these votes is only known what the vote says.
func (d *dossier) guesses(votes []schemas.Vote) bool {
	return slices.ContainsFunc(votes, func(v schemas.Vote) bool {
		_, known := d.registered(v.Reviewer, v.At)
		return !known
	})
}

// find returns the record that p names, whatever it says by now.
func (d *dossier) find(p schemas.Pointer) (schemas.Record, error) {
	i, found := slices.BinarySearchFunc(d.records[p.Stream], p.Seq, func(r schemas.Record, seq uint64) int { return cmp.Compare(r.Seq, seq) })
	if !found {
		return schemas.Record{}, cannotError(fmt.Sprintf("%s, on which it rests, is not to be had", p))
	}
	return d.records[p.Stream][i], nil
}

// cannotError is why something cannot be decided again.
type cannotError string

func (e cannotError) Error() string { return string(e) }

// aside are the streams that execute writes before it settles, so that what it
// settles counts. What they said then is an input.
func aside(stream schemas.Stream) bool { return stream == schemas.Exposed || stream == schemas.Budgets }

// recall returns a log that has what the stages read when they wrote t.
func (d *dossier) recall(t *retrial, budgets books) (*recalled, error) {
	l := &recalled{}
	for _, r := range d.records[schemas.Intents] {
		if d.Copied {
			r.Time = t.intent.Proposed
		}
		l.records = append(l.records, r)
	}
	l.records = append(l.records, t.stood...)
	for _, v := range t.voters {
		if !v.InAdvance() {
			continue
		}
		r, err := d.find(v.Decision)
		if err != nil {
			return nil, err
		}
		l.records = append(l.records, r)
	}
	for _, p := range t.inputs {
		if !aside(p.Stream) || p.Stream == schemas.Budgets && budgets == asTaken {
			continue
		}
		r, err := d.find(p)
		if err != nil {
			return nil, err
		}
		if p.Stream == schemas.Budgets && budgets == withoutShare {
			r = t.before(r)
		}
		l.records = append(l.records, r)
	}
	return l, nil
}

// before returns a record of BUDGETS as it was before the intent took its share, if it
// took it for what is decided again.
func (t *retrial) before(r schemas.Record) schemas.Record {
	var b schemas.Budget
	if schemas.Read(r, &b) != nil || !b.At.Equal(t.at) {
		return r
	}
	b.Reserved = slices.DeleteFunc(b.Reserved, func(s schemas.Reservation) bool { return s.Of(t.intent) })
	w := schemas.Write(b, "/before", b.At, "")
	r.Header, r.Body = w.Header, w.Body
	return r
}

// toldBooks are budgets of which nothing is known but what a hold says.
type toldBooks struct{ *retrial }

// budget implements takings.
func (t toldBooks) budget(_ context.Context, subject string) (b schemas.Budget, p schemas.Pointer, err error) {
	var named []schemas.Pointer
	for _, p := range t.inputs {
		if p.Stream == schemas.Budgets {
			named = append(named, p)
		}
	}
	for i, taken := range t.taken {
		if !strings.HasPrefix(subject, "budgets."+taken.Budget+".") {
			continue
		}
		if len(named) == len(t.taken) {
			p = named[i] // or else some were not touched yet, and it is not known which
		}
		b.Spent = []schemas.Spent{{Amount: taken.Amount, At: t.at}}
		if taken.Reserved {
			b.Reserved = []schemas.Reservation{{Agent: t.intent.Agent, Intent: t.intent.ID, Digest: t.intent.Digest, Amount: schemas.MaxAmount, At: t.at}}
		}
	}
	return b, p, nil
}

// verdict implements takings.
func (toldBooks) verdict(context.Context, schemas.Reservation) (schemas.Outcome, bool, error) {
	return schemas.Park, false, nil
}

// recalled is a log of what stood in the streams at a moment. It takes one write, and
// what is written aside.
type recalled struct {
	records []schemas.Record // each stream in order
	wrote   *schemas.Draft
}

// errWritten ends a decision when it is made.
var errWritten = errors.New("decided")

// Append implements Log. What is written aside is what is named already.
func (l *recalled) Append(ctx context.Context, d schemas.Draft, _ schemas.Expect) (schemas.Record, error) {
	s, err := schemas.ParseSubject(d.Subject)
	if err != nil {
		return schemas.Record{}, err
	}
	if aside(s.Stream) {
		r, _ := l.Last(ctx, s.Stream, d.Subject)
		r.Header, r.Body = d.Header, d.Body
		return r, nil
	}
	if l.wrote == nil {
		l.wrote = &d
	}
	return schemas.Record{}, errWritten
}

// Last implements Log.
func (l *recalled) Last(_ context.Context, stream schemas.Stream, filter string) (schemas.Record, error) {
	for _, r := range slices.Backward(l.records) {
		if r.Stream == stream && matches(filter, r.Subject) {
			return r, nil
		}
	}
	return schemas.Record{}, schemas.ErrNotFound
}

// At implements Log.
func (l *recalled) At(_ context.Context, stream schemas.Stream, seq uint64) (schemas.Record, error) {
	for _, r := range l.records {
		if r.Stream == stream && r.Seq == seq {
			return r, nil
		}
	}
	return schemas.Record{}, fmt.Errorf("%s/%d: %w", stream, seq, schemas.ErrNotFound)
}

// Each implements Log.
func (l *recalled) Each(_ context.Context, stream schemas.Stream, filter string, next func(schemas.Record) bool) error {
	for _, r := range l.records {
		if r.Stream == stream && matches(filter, r.Subject) && !next(r) {
			return nil
		}
	}
	return nil
}

// matches reports whether a subject matches a filter, which may have "*" in it.
func matches(filter, subject string) bool {
	want, have := strings.Split(filter, "."), strings.Split(subject, ".")
	return slices.EqualFunc(want, have, func(w, h string) bool { return w == "*" || w == h })
}

// formerly is who was registered at a moment.
type formerly struct {
	*dossier
	at       time.Time
	sessions string // what an agent is guessed to do with them
	without  bool   // the agent, as the record says
	by       *Redecision
}

// ByName implements Directory.
func (f *formerly) ByName(name schemas.Name) (schemas.Identity, bool) {
	if known, ok := f.registered(name, f.at); ok {
		return known.Identity, known.was
	}
	id, known := f.guessed[name]
	switch id.Role {
	case schemas.RoleReviewer:
		f.by.give("that those who approved were registered, and eligible")
	case schemas.RoleAgent:
		id.Sessions = f.sessions
		return id, known && !f.without
	}
	return id, known
}

// Ever implements Directory.
func (f *formerly) Ever(name schemas.Name) (schemas.Identity, bool) {
	if known, ok := f.registered(name, f.at); ok {
		return known.Identity, true
	}
	id, known := f.guessed[name]
	return id, known
}

// overheard is a bundle that is listened to.
type overheard struct {
	Policy
	by *Redecision
}

// Evaluate implements Policy.
func (o overheard) Evaluate(ctx context.Context, at rules.Checkpoint, f rules.Facts) schemas.Opinion {
	opinion := o.Policy.Evaluate(ctx, at, f)
	o.by.Asked = append(o.by.Asked, Asked{Bundle: o.Digest(), At: at, Facts: f, Opinion: opinion})
	return opinion
}

// everyone who voted is eligible, for want of knowing better.
type everyone struct{}

func (everyone) Eligible(context.Context, string, rules.Reviewer, schemas.AgentFacts, schemas.Action) (bool, error) {
	return true, nil
}

// well is the health of a gate that released something.
type well struct{}

func (well) Check() error { return nil }

// mute rings for nobody.
type mute struct{}

func (mute) Intent(schemas.Key, schemas.State)      {}
func (mute) Hold(schemas.Name, schemas.Key, string) {}
