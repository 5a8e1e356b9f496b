package audit_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/holdpoint/holdpoint/audit"
	"github.com/holdpoint/holdpoint/schemas"
)

const gate schemas.Name = "test"

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// groups is what "eligible" means here: "in:GROUP".
type groups struct{}

func (groups) Eligible(expr string, reviewer, _ schemas.Identity, _ schemas.Action) (bool, error) {
	group, ok := strings.CutPrefix(expr, "in:")
	if !ok {
		return false, errors.New("no such expression")
	}
	return slices.Contains(reviewer.Groups, group), nil
}

// history is what the broker accepted, in that order, as a correct gate writes it
// unless a test says otherwise.
type history struct {
	t       testing.TB
	now     time.Time
	seqs    map[schemas.Stream]uint64
	records []schemas.Record
}

// keys are the keys of everybody, made once.
var keys = func() map[schemas.Name]nkeys.KeyPair {
	keys := map[schemas.Name]nkeys.KeyPair{}
	for _, name := range []schemas.Name{"pat", "ida", "bot", "ann", "bob", "cat", "cat2", "dan", "eve", "fay", "runner", "sprinter", "bobs-runner", "mailer"} {
		key, err := nkeys.CreateUser()
		if err != nil {
			panic(err)
		}
		keys[name] = key
	}
	return keys
}()

func public(name schemas.Name) string {
	key, err := keys[name].PublicKey()
	if err != nil {
		panic(err)
	}
	return key
}

// newHistory has everybody registered.
func newHistory(t testing.TB) *history {
	h := &history{t: t, now: noon, seqs: map[schemas.Stream]uint64{}}
	h.write(schemas.StreamMade{By: "provision", Stream: schemas.Audit, Created: noon, Configuration: digestOf("stream"), At: h.now})
	h.register(schemas.Identity{By: "provision", Name: "pat", Role: schemas.RolePolicyAdmin})
	h.register(schemas.Identity{By: "provision", Name: "ida", Role: schemas.RoleIdentityAdmin})
	h.write(schemas.Activation{By: "pat", Bundle: digestOf("bundle"), At: h.now})
	h.register(schemas.Identity{Name: "bot", Role: schemas.RoleAgent, Owner: "olga", Actions: []string{"shop.*"}})
	for _, name := range []schemas.Name{"ann", "bob", "cat"} {
		h.register(schemas.Identity{Name: name, Role: schemas.RoleReviewer, Person: string(name), Queues: []schemas.Name{"billing"}, Groups: []string{"finance"}})
	}
	h.register(schemas.Identity{Name: "cat2", Role: schemas.RoleReviewer, Person: "cat", Queues: []schemas.Name{"billing"}})
	h.register(schemas.Identity{Name: "eve", Role: schemas.RoleReviewer, Person: "olga", Queues: []schemas.Name{"billing"}, Groups: []string{"finance"}})
	h.register(schemas.Identity{Name: "runner", Role: schemas.RoleExecutor, Owner: "opal", Systems: []string{"shop"}})
	h.register(schemas.Identity{Name: "sprinter", Role: schemas.RoleExecutor, Owner: "opal", Systems: []string{"shop"}})
	h.register(schemas.Identity{Name: "bobs-runner", Role: schemas.RoleExecutor, Owner: "bob", Systems: []string{"shop"}})
	h.register(schemas.Identity{Name: "mailer", Role: schemas.RoleExecutor, Owner: "opal", Systems: []string{"mail"}})
	return h
}

func digestOf(text string) schemas.Digest {
	return schemas.Record{Body: []byte(text)}.Hash()
}

func (h *history) register(id schemas.Identity) schemas.Pointer {
	if id.By == "" {
		id.By = "ida"
	}
	if id.Key == "" {
		id.Key = public(id.Name)
	}
	id.At = h.now
	return h.write(id)
}

func (h *history) freeze(s schemas.Scope) schemas.Pointer {
	return h.write(schemas.Freeze{By: "pat", Scope: s, Reason: "test", At: h.now})
}

func (h *history) thaw(s schemas.Scope) schemas.Pointer {
	return h.write(schemas.Thaw{By: "pat", Scope: s, At: h.now})
}

func (h *history) wait(d time.Duration) { h.now = h.now.Add(d) }

// write appends what one of the gateway's own or an operator says.
func (h *history) write(c schemas.Content) schemas.Pointer {
	return h.put(schemas.Write(c, "/test", h.now, ""))
}

// put appends a message.
func (h *history) put(d schemas.Draft) schemas.Pointer {
	h.now = h.now.Add(time.Millisecond)
	s, _ := schemas.ParseSubject(d.Subject)
	h.seqs[s.Stream]++
	r := schemas.Record{Stream: s.Stream, Seq: h.seqs[s.Stream], Subject: d.Subject, Time: h.now, Header: d.Header, Body: d.Body}
	h.records = append(h.records, r)
	return r.Pointer()
}

// at returns where the record that p names stands in the history.
func (h *history) at(p schemas.Pointer) int {
	for i, r := range slices.Backward(h.records) {
		if r.Stream == p.Stream && r.Seq == p.Seq {
			return i
		}
	}
	h.t.Fatalf("there is no %s", p)
	return -1
}

// verify reads the history as AUDIT has it when each record is copied at once.
func (h *history) verify() audit.Report { return verify(h.records, h.now) }

// verify reads records, and ends an hour after the last.
func verify(records []schemas.Record, last time.Time) audit.Report {
	return verifier(records).Finish(last.Add(time.Hour))
}

// verifier returns a Verifier that has read records.
func verifier(records []schemas.Record) *audit.Verifier {
	v := audit.New(audit.Config{Gateway: gate, Eligibility: groups{}, Check: somebody})
	for i, r := range records {
		v.Add(uint64(i+1), r)
	}
	return v
}

// somebody is what every identity must be here.
func somebody(id schemas.Identity) error {
	if id.Person == "nobody" {
		return errors.New("nobody is nobody")
	}
	return nil
}
