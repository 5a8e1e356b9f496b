package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

const probedCatalog = `version: 1
systems:
  shop:
    queue: billing
    operations:
      read: { effect: read, labels: [untrusted] }
      refund:
        effect: write
        params:
          type: object
          required: [amount]
          properties: { amount: { type: integer }, note: { type: string } }
`

// probedPolicy parks amounts from 11 on and refuses those from 21 on, each by
// something else: another rule, checkpoint, risk, threshold, failure or number of
// people.
const probedPolicy = `version: 1
risk:
  - { id: weighs, actions: [shop.refund], when: params.amount == 13 || params.amount == 22, add: "params.amount == 13 ? 40 : 90", reason: too much }
thresholds:
  - { actions: [shop.refund], park_from: 40, refuse_from: 90, owner: finance, rationale: what we lose in a week }
rules:
  - { id: flows, at: recommend, actions: [shop.refund], when: "params.amount < 11 || params.amount in [12, 13, 15, 16, 23, 24]", outcome: release }
  - { id: first, at: recommend, actions: [shop.refund], when: params.amount == 11, outcome: park, reason: the first, tell: ask for less }
  - { id: looks, at: observe, actions: [shop.refund], when: params.amount == 12, outcome: park, tell: somebody looks at it }
  - { id: breaks, at: recommend, actions: [shop.refund], when: params.amount == 15 && params.note == 'x', outcome: park }
  - { id: late, at: execute, actions: [shop.refund], when: params.amount == 16, outcome: park, reason: as it is now }
  - { id: reads, at: execute, actions: [shop.refund], when: "'untrusted' in exposure.labels", outcome: park }
  - { id: never, at: recommend, actions: [shop.refund], when: params.amount == 21, outcome: refuse, tell: never }
  - { id: not-seen, at: observe, actions: [shop.refund], when: params.amount == 23, outcome: refuse }
  - { id: not-now, at: execute, actions: [shop.refund], when: params.amount == 24, outcome: refuse, tell: not now }
approvals:
  - { id: two, actions: [shop.refund], when: "params.amount in [12, 16]", quorum: 2, eligible: "'finance' in reviewer.groups", deadline: 4h, remind: 1h }
  - { id: one, actions: [shop.refund], when: params.amount == 13 }
`

// TestAgentCannotProbe: whatever it is that parks or refuses intents, their agent gets
// the same bytes for all of them, by whatever way it asks or listens, but for ids, times,
// deadlines, what it sent itself, and what the author of the policy tells it.
func TestAgentCannotProbe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "catalog.yaml"), []byte(probedCatalog), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(probedPolicy), 0o600))
	w := newExternalWorld(t, dir)
	p := newProber(w)
	var parked, refused []probed
	for _, amount := range []int{11, 12, 13, 14, 15, 16} {
		parked = append(parked, p.propose(amount, schemas.Parked))
	}
	for _, amount := range []int{21, 22, 23, 24} {
		refused = append(refused, p.propose(amount, schemas.Refused))
	}
	// A vote, of the two that some of them need, is nobody's to know.
	reviewer := w.reviewer("ann", "finance")
	for _, i := range []int{1, 5} {
		shown, err := reviewer.Hold(w.ctx(), parked[i].key)
		check(t, err)
		_, err = reviewer.Decide(w.ctx(), shown, schemas.Approve, "")
		check(t, err)
	}
	p.propose(14, schemas.Parked) // rings after what the votes would ring
	p.compare(parked)
	p.compare(refused)
}

// probed is an intent, and what its agent sent.
type probed struct {
	key    schemas.Key
	amount int
	said   string // by submit
}

// prober is an agent that tries everything it may.
type prober struct {
	*world
	agent   client.Agent
	wire    *wire
	flags   []string
	notices map[schemas.IntentID]string
	asked   int
}

func newProber(w *world) *prober {
	w.t.Helper()
	k := w.register(schemas.Identity{Name: "bot", Role: schemas.RoleAgent, Owner: "olga"})
	path := filepath.Join(w.t.TempDir(), "bot.key")
	check(w.t, k.Write(path))
	x := w.server.(*external)
	p := &prober{
		world: w, agent: client.Agent{Conn: w.dial(k)}, wire: wireOf(w, k), notices: map[schemas.IntentID]string{},
		flags: []string{"--key", path, "--server", x.Connection().URL, "--ca", x.path("cert.pem")},
	}
	p.wire.sub("notices.bot.*.*")
	p.wire.sub("_INBOX_bot.>")
	check(w.t, p.wire.flush())
	return p
}

func wireOf(w *world, k identity.KeyFile) *wire {
	w.entering.Lock()
	defer w.entering.Unlock()
	return newWire(w.t, w.server.Connection(), k.Key)
}

// propose proposes a refund, and waits until it is where it should be.
func (p *prober) propose(amount int, want schemas.State) probed {
	p.t.Helper()
	said := p.command("submit", "shop.refund", "--param", fmt.Sprintf("amount=%d", amount))
	id := regexp.MustCompile(`bot/([0-9A-Z]{26})`).FindStringSubmatch(said)
	if id == nil {
		p.t.Fatalf("submit says %q, and no id", said)
	}
	one := probed{key: schemas.Key{Agent: "bot", ID: schemas.IntentID(id[1])}, amount: amount, said: said}
	p.until(string(want), func() bool {
		p.hear()
		return strings.Contains(p.notices[one.key.ID], string(want))
	})
	return one
}

// command runs the program, and returns all that it says.
func (p *prober) command(args ...string) string {
	p.t.Helper()
	var out bytes.Buffer
	code := run(p.ctx(), append(args, p.flags...), nil, &out, &out)
	return fmt.Sprintf("%s\nexit %d\n", &out, code)
}

// hear keeps the notices that were received, by the intent that they are about, and
// returns the answer to the last question.
func (p *prober) hear() (answer string) {
	p.t.Helper()
	for _, m := range p.wire.messages() {
		if id, ok := strings.CutPrefix(m.subject, "notices.bot."); ok {
			p.notices[schemas.IntentID(id[:26])] += fmt.Sprintf("%s %q %q\n", m.subject, m.header, m.body)
		} else if m.subject == p.inbox() {
			headers := strings.Split(string(m.header), "\r\n")
			slices.Sort(headers) // the order in which they are written is chance
			answer += fmt.Sprintf("%q\n%s\n", headers, m.body)
		} // or else it is an answer to the program
	}
	return answer
}

func (p *prober) inbox() string { return fmt.Sprintf("_INBOX_bot.question-%d", p.asked) }

// ask sends a question as it stands, and returns the answer as it comes.
func (p *prober) ask(subject, body string) (answer string) {
	p.t.Helper()
	p.asked++
	p.wire.pub(subject, p.inbox(), []byte(body))
	check(p.t, p.wire.flush())
	p.until("an answer on "+subject, func() bool {
		answer += p.hear()
		return answer != ""
	})
	return answer
}

// everything is all that the agent gets to know of an intent.
func (p *prober) everything(one probed) string {
	p.t.Helper()
	k, id := one.key.String(), string(one.key.ID)
	about := fmt.Sprintf(`{"agent":"bot","intent":%q}`, id)
	all := []string{"submit", one.said, "notices", p.notices[one.key.ID]}
	for _, what := range []string{schemas.AskStatus, schemas.AskShow, schemas.AskHold, schemas.AskHolds, schemas.AskBundle, schemas.AskCheck, schemas.AskCatalog, schemas.AskBudgets} {
		all = append(all, "ask "+what, p.ask("ask.bot."+what, about))
	}
	for _, kind := range []string{"released", "refused"} {
		all = append(all, "get "+kind, p.ask("hold.API.DIRECT.GET.SETTLED."+kind+"."+id+".bot.*.*", ""))
	}
	for _, args := range [][]string{{"show", k}, {"show", k, "-o", "json"}, {"why", k}, {"why", id}, {"why", k, "-o", "json"}} {
		all = append(all, strings.Join(args, " "), p.command(args...))
	}
	for line := range strings.Lines(p.command("list")) {
		if strings.Contains(line, id) {
			all = append(all, "list", line)
		}
	}
	return strings.Join(all, "\n")
}

const tells = `(ask for less|somebody looks at it|never|not now)`

// What may differ: ids, times, digests, what a record is numbered, what the agent sent,
// and what it is told.
var mayDiffer = []struct{ pattern, as string }{
	{`[0-9A-Z]{26}`, "ID"},
	{`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?|\d\d:\d\d:\d\d\.\d+`, "TIME"},
	{`\w+, \d\d \w+ \d{4} \d\d:\d\d:\d\d GMT`, "TIME"},
	{`sha256:[0-9a-f]{64}`, "DIGEST"},
	{`\b[0-9a-f]{32}\b`, "EVENT"},
	{`"seq": ?\d+|Nats-(Last-)?Sequence: ?\d+|Nats-Num-Pending: ?\d+`, "SEQ"},
	{`amount\\*"? ?[:=] ?\d+`, "AMOUNT"},
	{`(,\s*)?"tell": ?"[^"]*"`, ""},
	{`(?m)^(tell +)?` + tells + `\n|; ` + tells, ""},
	{`\b\d+[hms]\d*[ms]?\d*s?\b`, "SPAN"},
}

// bodies are records as they travel.
var bodies = regexp.MustCompile(`"body": ?"([A-Za-z0-9+/=]+)"`)

// leveled returns text without what may differ.
func leveled(text string) string {
	text = bodies.ReplaceAllStringFunc(text, func(body string) string {
		decoded, err := base64.StdEncoding.DecodeString(bodies.FindStringSubmatch(body)[1])
		if err != nil {
			return body
		}
		return string(decoded)
	})
	for _, m := range mayDiffer {
		text = regexp.MustCompile(m.pattern).ReplaceAllString(text, m.as)
	}
	return text
}

// compare makes sure that the agent is told the same of all.
func (p *prober) compare(all []probed) {
	p.t.Helper()
	first := leveled(p.everything(all[0]))
	for _, secret := range []string{"weighs", "thresholds", "finance", "too much", "flows", "the first"} {
		if strings.Contains(first, secret) {
			p.t.Errorf("the agent is told of %q:\n%s", secret, first)
		}
	}
	for _, one := range all[1:] {
		if diff := cmp.Diff(strings.Split(first, "\n"), strings.Split(leveled(p.everything(one)), "\n")); diff != "" {
			p.t.Errorf("of %d and of %d the agent is told something else:\n%s", all[0].amount, one.amount, diff)
		}
	}
}
