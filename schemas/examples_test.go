package schemas_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/schemas"
)

// What all tests are about: bot asks shop to pay 120 back to a customer.
const (
	gate   schemas.Name     = "acme"
	bot    schemas.Name     = "bot"
	refund schemas.Action   = "shop.refund"
	id     schemas.IntentID = "01M86PTPG0D1QPRS3GDXMPWX11"
)

// noon is when the broker accepted the intent, three seconds after its id.
var noon = time.Date(2026, 11, 24, 12, 0, 3, 141_592_653, time.UTC)

func digest(of string) schemas.Digest {
	sum := sha256.Sum256([]byte(of))
	return schemas.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func pointer(s schemas.Stream, seq uint64) schemas.Pointer {
	return schemas.Pointer{Stream: s, Seq: seq, Hash: digest(string(s))}
}

func intent() schemas.Intent {
	in := schemas.Intent{
		Gateway: gate, Agent: bot, ID: id, Action: refund,
		Params:  jsontext.Value(`{"amount":120,"order":"A-1007"}`),
		Session: "chat-17", ExpiresIn: 3600,
		Reason: "the parcel never arrived", Goal: "make the customer whole",
		Proposed: noon,
	}
	in.Digest = schemas.DigestOf(in)
	return in
}

func approvals() []schemas.Approval {
	return []schemas.Approval{{ID: "finance", Eligible: `"finance" in reviewer.groups`, Quorum: 2, Deadline: 1800, Remind: 600}}
}

func opinion() schemas.Opinion {
	return schemas.Opinion{
		Outcome: schemas.Park, Risk: 40,
		Matched:   []schemas.Match{{Rule: "big-refund", Outcome: schemas.Park, Add: 40, Reason: "over 100"}},
		Failed:    []schemas.Match{{Rule: "velocity", Outcome: schemas.Park, Reason: "no such key: country"}},
		More:      2,
		Approvals: approvals(),
		Tell:      "refunds over 100 are checked by finance",
	}
}

// examples are real messages, at least one for each schema. Together they use
// every field, which TestExamplesUseEveryField makes sure of.
func examples() map[string][]any {
	in, at := intent(), noon.Add(time.Second)
	trail := []schemas.Pointer{pointer(schemas.Intents, 7), pointer(schemas.Observed, 7)}
	fault := &schemas.Fault{Code: schemas.CodeInvalid, Detail: "/params/amount: want a number"}
	freeze := schemas.Freeze{By: "pat", Scope: schemas.Scope{All: true}, Reason: "incident 12", At: at}
	ann := schemas.Identity{
		By: "ida", Name: "ann", Role: schemas.RoleReviewer, Key: "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4",
		Person: "ann@acme.example", Groups: []string{"finance"}, Queues: []schemas.Name{"money"}, Service: true, At: at,
	}
	worker := schemas.Identity{
		By: "ida", Name: "worker", Role: schemas.RoleExecutor, Key: ann.Key, Owner: "ops@acme.example",
		Systems: []string{"shop"}, Actions: []string{"shop.*"}, Sessions: schemas.SessionsDeclared, At: at,
	}
	standing := schemas.Standing{
		ID: id, Reviewer: "ann", Queue: "money", Agent: bot, Action: refund, When: "params.amount < 100", Uses: 20, Until: at.Add(4 * time.Hour),
		Reason: "the sale", Bundle: digest("bundle"), At: at, Signature: strings.Repeat("A", 86),
	}
	copied := schemas.CopyOf(record(schemas.Settled, 9, schemas.Settlement{Intent: in, Outcome: schemas.Release, At: at}))
	return map[string][]any{
		"proposal": {
			schemas.Proposal{Params: in.Params, Reason: in.Reason, Goal: in.Goal, Session: in.Session, ExpiresIn: 3600},
			schemas.Proposal{Params: jsontext.Value(`{}`)},
		},
		"observation": {schemas.Observation{
			Intent: in, Fault: fault, Agent: schemas.AgentFacts{Name: bot, Owner: "olga", Groups: []string{"support"}},
			Exposure: schemas.ExposureFacts{Labels: []string{"pii"}, Actions: []schemas.Action{"crm.read"}},
			Rate:     3, Opinion: opinion(), Bundle: digest("bundle"), At: at, Trail: trail,
		}},
		"recommendation": {
			schemas.Recommendation{Intent: in, Fault: fault, Opinion: opinion(), Shadow: &schemas.ShadowOpinion{Bundle: digest("next"), Outcome: schemas.Refuse, Rules: []string{"big"}}, Queue: "money", Bundle: digest("bundle"), At: at, Trail: trail},
			schemas.Recommendation{
				Intent: in, Opinion: schemas.Opinion{Outcome: schemas.Refuse, Matched: []schemas.Match{{Rule: "never", Outcome: schemas.Refuse}}},
				At: at, Trail: trail,
			},
		},
		"hold": {schemas.Hold{
			Inputs: []schemas.Pointer{pointer(schemas.Exposed, 6)},
			Intent: in, State: schemas.InDoubt, Waiting: "frozen", Queue: "money", Opinion: opinion(), Recommended: approvals(),
			Votes:    []schemas.Vote{{Reviewer: "ann", Person: "ann@acme.example", Verdict: schemas.Approve, Decision: pointer(schemas.Decisions, 3), At: at}},
			Deadline: at.Add(time.Hour), Remind: at.Add(time.Minute),
			Doubt:  &schemas.Doubt{Grant: pointer(schemas.Grants, 4), Executor: "worker", Since: at, Decision: pointer(schemas.Decisions, 5), Verdict: schemas.Retry},
			Taken:  []schemas.Taken{{Budget: "refunds-a-day", Amount: 49_900}, {Budget: "mails", Amount: 1, Reserved: true}},
			Bundle: digest("bundle"), At: at, Trail: trail, States: []schemas.Digest{digest("state")},
		}},
		"decision": {schemas.Decision{
			Reviewer: "ann", Queue: "money", Agent: bot, Intent: id, Digest: in.Digest, Verdict: schemas.Approve,
			Reason: "seen the tracking", Shown: digest("state"), Signature: strings.Repeat("A", 86),
		}},
		"standing":   {standing},
		"revocation": {schemas.Revocation{ID: id, Reviewer: "ben", Queue: "money", Agent: bot, Reason: "enough", At: at, Signature: strings.Repeat("A", 86)}},
		"settlement": {
			schemas.Settlement{Intent: in, Outcome: schemas.Release, ExecuteBy: at, Bundle: digest("bundle"), At: at, Trail: trail},
			schemas.Settlement{Intent: in, Outcome: schemas.Refuse, Code: schemas.CodePolicy, Detail: "no", Tell: "ask finance", At: at, Trail: trail},
		},
		"grant": {schemas.Grant{
			Agent: bot, Intent: id, Executor: "worker", Action: refund, Digest: in.Digest, Attempt: 1, Idempotent: true, Nonce: "n",
			LeaseUntil: at, Bundle: digest("bundle"), At: at, Trail: trail,
		}},
		"lapse": {schemas.Lapse{Agent: bot, Intent: id, Action: refund, Digest: in.Digest, At: at, Trail: trail}},
		"report": {
			schemas.Report{Executor: "worker", Agent: bot, Intent: id, Digest: in.Digest, Grant: pointer(schemas.Grants, 4), State: schemas.Done, Result: jsontext.Value(`{"paid":120}`)},
			schemas.Report{Executor: "worker", Agent: bot, Intent: id, Digest: in.Digest, Grant: pointer(schemas.Grants, 4), State: schemas.Failed, Error: "card closed"},
		},
		"rejection": {schemas.Rejection{Of: "ann", Agent: bot, Intent: id, Record: pointer(schemas.Decisions, 3), Code: schemas.CodeVoted, Detail: "once is enough", At: at}},
		"exposure":  {schemas.Exposure{Agent: bot, Seen: []schemas.Seen{{Action: "crm.read", Labels: []string{"pii"}, Session: "chat-17", Until: at}}, At: at, Trail: trail}},
		"budget": {
			schemas.Budget{
				Budget: "refunds-a-day", Key: "bot", Limit: 50_000, Since: at.Add(-24 * time.Hour),
				Spent:    []schemas.Spent{{Amount: 12_000, At: at.Add(-time.Hour)}},
				Reserved: []schemas.Reservation{{Agent: bot, Intent: id, Digest: in.Digest, Amount: 120, At: at, Beyond: true}},
				Returned: []schemas.Reservation{{Agent: bot, Intent: schemas.SequenceID(4), Digest: in.Digest, Amount: 7, At: at}},
				At:       at, Nonce: "2S3KQ7VXDMAHWT5RZCJ4YPBNLE", Trail: trail,
			},
			schemas.Budget{Budget: "mails", At: at, Since: at},
		},
		"identity":   {ann, worker},
		"removal":    {schemas.Removal{By: "ida", Name: "ann", Reason: "left", At: at}},
		"freeze":     {freeze, schemas.Freeze{By: "pat", Scope: schemas.Scope{Agent: bot}, Reason: "odd", At: at}},
		"thaw":       {schemas.Thaw{By: "pat", Scope: schemas.Scope{System: "shop"}, Reason: "over", At: at}, schemas.Thaw{By: "pat", Scope: schemas.Scope{Action: refund}, At: at}},
		"activation": {schemas.Activation{By: "pat", Bundle: digest("bundle"), Reason: "new limits", Quorum: 2, At: at}},
		"shadow":     {schemas.Shadow{By: "pat", Bundle: digest("bundle"), Reason: "try it", At: at}, schemas.Shadow{By: "pat", At: at}},
		"stream":     {schemas.StreamMade{By: "provision", Stream: schemas.Intents, Created: noon, Configuration: digest("configuration"), At: at}},
		"question":   {schemas.Question{Agent: bot, Intent: id, Action: refund, Params: jsontext.Value(`{}`), Queue: "money", Limit: 50, After: "x", Budget: "refunds", From: 80, Seq: 3, Name: "ann", Key: "UANN", Bundle: digest("bundle"), Offset: 4, Nonce: "n"}, schemas.Question{}},
		"answer": {
			schemas.Answer{Problem: schemas.ProblemOf(schemas.ErrNotFound)},
			schemas.Answer{
				Status: &schemas.Status{Gateway: gate,
					Agent: bot, Intent: id, Action: refund, Digest: in.Digest, State: schemas.Failed, Code: schemas.CodePolicy,
					Detail: "no", Tell: "ask finance", Deadline: at, Result: jsontext.Value(`null`), Error: "card closed",
				},
				Records: []schemas.Copy{copied}, Hold: &copied,
				Holds: &schemas.HoldPage{Holds: []schemas.HoldLine{{
					Agent: bot, Intent: id, Action: refund, Queue: "money", State: schemas.Parked, Waiting: "frozen",
					Risk: 40, Votes: 1, Quorum: 2, Digest: in.Digest, Since: noon, Deadline: at,
				}}, Total: 1, After: "x"},
				Ruling: &schemas.Ruling{Counts: true, State: schemas.Parked, Code: schemas.CodeVoted, Detail: "d", Waiting: "frozen"},
				Work:   []schemas.Key{in.Key()}, Claim: &schemas.Claim{Settlement: copied, Grant: copied},
				Looking: []schemas.Name{"ben"},
				Decided: []schemas.Decided{{
					Seq: 3, At: at, Agent: bot, Intent: id, Queue: "money", Verdict: schemas.Deny, Reason: "no", Digest: in.Digest, Code: schemas.CodeVoted,
				}},
				Standing: []schemas.StandingLine{{Standing: standing, Used: 3, Revoked: true, By: "ben", Over: true}},
				Catalog: &schemas.Catalog{Bundle: digest("bundle"), Actions: []schemas.CatalogEntry{{
					Action: refund, Title: "refund an order", Effect: "write", Reversible: true, Idempotent: true, Params: jsontext.Value(`{}`),
				}}},
				Check: &schemas.Check{Fault: &schemas.Fault{Code: schemas.CodeInvalid, Detail: "/params: missing"}},
				Policies: &schemas.Policies{
					Active: digest("bundle"), Loaded: true, Quorum: 2, Shadow: digest("next"),
					Past: []schemas.Activated{{
						Seq: 4, At: at, By: "pat", Bundle: digest("bundle"), Reason: "new limits", Quorum: 2, Effective: true, Missing: 1,
					}},
				},
				Bundle:     &schemas.Piece{Size: 9, Offset: 4, Data: []byte("x")},
				Identities: []schemas.Identity{ann}, Removed: []schemas.Name{"eve"},
				Gate: &schemas.GateStatus{Embedded: true,
					Gateway: gate, Bundle: digest("bundle"), Freezes: []schemas.Freeze{freeze}, Identities: 2, Open: 1, Released: 1, Granted: 1, InDoubt: 1,
					Health: []schemas.Condition{{Name: "audit", Healthy: true, Detail: "lag 0"}}, Oldest: noon,
					Queues: []schemas.Backlog{{Name: "money", Open: 1, Oldest: noon}}, Systems: []schemas.Backlog{{Name: "shop", Open: 1, Oldest: at}},
					Broker: &schemas.BrokerStatus{
						Stages:       []schemas.StageStatus{{Stage: schemas.RoleObserve, Stream: schemas.Intents, Waiting: 1, Taken: 2, Redelivered: 1}},
						Streams:      []schemas.StreamStatus{{Stream: schemas.Intents, Records: 9, Bytes: 900, Behind: 1}},
						AuditRecords: 8, AuditBytes: 800, AuditMaxBytes: 1 << 30, FreeBytes: 1 << 40,
					},
				},
				Budgets: &schemas.BudgetPage{Bundle: digest("bundle"), Budgets: []schemas.BudgetLine{{
					Budget: "refunds", Key: "ann", Window: "24h", Limit: 1000, Taken: 900, Left: 100, Reserved: 200, Back: 300, BackAt: at,
					Beyond: schemas.Refuse, Agent: bot, Intent: id,
				}}, Total: 2, Unread: 1, After: "x"},
			},
		},
	}
}

// record returns c as a stream would keep it.
func record(stream schemas.Stream, seq uint64, c schemas.Content) schemas.Record {
	d := schemas.Write(c, "/gateways/acme/execute", noon, "")
	return schemas.Record{Stream: stream, Seq: seq, Subject: d.Subject, Time: noon, Header: d.Header, Body: d.Body}
}

func TestExamplesUseEveryField(t *testing.T) {
	t.Parallel()
	used := make(map[string]bool)
	for _, list := range examples() {
		for _, v := range list {
			use(used, reflect.ValueOf(v))
		}
	}
	all := map[string]bool{}
	for _, v := range messages {
		fields(all, reflect.TypeOf(v))
	}
	delete(all, "Proposal.Cause") // which is refused
	for name := range all {
		if !used[name] {
			t.Errorf("no example uses %s", name)
		}
	}
}

// use marks the fields of v, and what they contain, that are not zero.
func use(used map[string]bool, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		use(used, v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			use(used, v.Index(i))
		}
	case reflect.Struct:
		for f, field := range v.Fields() {
			if f.IsExported() && !field.IsZero() {
				used[v.Type().Name()+"."+f.Name] = true
				use(used, field)
			}
		}
	}
}

// fields marks the fields that a value of type of can have.
func fields(all map[string]bool, of reflect.Type) {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct {
		return
	}
	for f := range of.Fields() {
		if name := of.Name() + "." + f.Name; f.IsExported() && !all[name] {
			all[name] = true
			fields(all, f.Type)
		}
	}
}

// TestExamplesRoundTrip writes each example as a record and reads it back.
func TestExamplesRoundTrip(t *testing.T) {
	t.Parallel()
	for name, list := range examples() {
		for i, v := range list {
			c, ok := v.(schemas.Content)
			if !ok {
				continue
			}
			got := reflect.New(reflect.TypeOf(v))
			if err := schemas.Read(record("", 1, c), got.Interface().(schemas.Content)); err != nil {
				t.Errorf("%s %d: reading what was written: %v", name, i, err)
			}
			if diff := cmp.Diff(normal(t, v), normal(t, got.Elem().Interface())); diff != "" {
				t.Errorf("%s %d: read differs from written (-want +got):\n%s", name, i, diff)
			}
		}
	}
}

// normal is v as text, because nil and empty are the same in a message.
func normal(t *testing.T, v any) string {
	t.Helper()
	b, err := schemas.Marshal(v)
	if err != nil {
		t.Fatalf("encoding %T: %v", v, err)
	}
	return string(b)
}

// isFault reports whether err is what a sender is told.
func isFault(err error) bool {
	var f *schemas.Fault
	return errors.As(err, &f) && errors.Is(err, schemas.ErrInvalid)
}

// checkFault wants err to be a Fault that can stand in a record.
func checkFault(t interface{ Errorf(string, ...any) }, err error) {
	var f *schemas.Fault
	if !errors.As(err, &f) {
		t.Errorf("got %v, want a Fault", err)
		return
	}
	if f.Code == "" || f.Detail == "" || !utf8.ValidString(f.Detail) || len(f.Detail) > maxDetail {
		t.Errorf("got a Fault with code %q and detail %q (%d bytes), want both, in UTF-8, at most %d bytes", f.Code, f.Detail, len(f.Detail), maxDetail)
	}
}

// maxDetail is how long the detail of a Fault gets.
const maxDetail = 512
