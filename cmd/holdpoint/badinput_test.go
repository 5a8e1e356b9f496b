package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// badInputs is how many messages TestBadInput sends. HOLDPOINT_TEST_BAD_INPUT says
// how many; the full test is 10000.
func badInputs(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("HOLDPOINT_TEST_BAD_INPUT"); text != "" {
		n, err := strconv.Atoi(text)
		check(t, err)
		return n
	}
	return 2000
}

// TestBadInput: agents and reviewers send mutations of what they may send. Every
// intent that is stored ends, with a reason if it is refused; every decision that
// is stored counts, or is rejected once; nothing panics or stands still, the audit
// verifies, and the gate keeps nothing of it in memory. HOLDPOINT_TEST_SEED repeats
// the mutations of one run.
func TestBadInput(t *testing.T) {
	t.Parallel()
	t.Run("external", sendBadInput) // the gate's process needs a broker that listens
}

func sendBadInput(t *testing.T) {
	n := badInputs(t)
	m := newMob(t)
	m.send(n / 10)
	before := m.gate.vitals()
	m.send(n - n/10)
	after := m.gate.vitals()
	t.Logf("the heap of the gate after %d messages: %d KiB, after %d: %d KiB", n/10, before.Heap>>10, n, after.Heap>>10)
	if float64(after.Heap) > 1.2*float64(before.Heap) {
		t.Errorf("the heap of the gate grew from %d to %d bytes, want at most 1.2 times as much", before.Heap, after.Heap)
	}
	if after.Panicked > 0 {
		t.Errorf("%d messages made a stage panic", after.Panicked)
	}
	m.finish()
	m.gate.stop()
	m.start()
	m.check(n)
	m.stillWorks()
	m.handled(m.copying)
	report, err := verifyAudit(t.Context(), m.otto, 1, func(uint64) {})
	check(t, err)
	if first := report.First(); first != nil || report.Pending > 0 {
		t.Errorf("the audit: %s, %d pending, first finding: %v", summary(report), report.Pending, first)
	}
}

// mob is everyone who sends bad input to a gate, and those who look on.
type mob struct {
	*siege
	gate   *gateProcess
	random *rand.Rand

	bot       *wire
	reviewers map[schemas.Name]signer
	stranger  nkeys.KeyPair

	vic    client.Agent // proposes what is decided on
	ann    client.Reviewer
	runner client.Executor
	otto   client.Auditor
	boss   client.Operator

	finish func() // ends who performs what is released

	known []schemas.IntentID // intents of bot from before
	first uint64             // the first of the others, in INTENTS
	past  []pastMsg          // what bot sent

	sent   []origin
	stored map[place]origin
	shown  map[string]bool // kinds of mutations of which one was looked at
}

// signer is a reviewer who says anything.
type signer struct {
	*wire
	key nkeys.KeyPair
}

// origin is what was done to a message before it was sent.
type origin struct {
	what     string
	hopeless bool
}

// pastMsg is a message that may be sent again.
type pastMsg struct {
	rawMsg
	what origin
}

// place is where a stream keeps a message.
type place struct {
	stream schemas.Stream
	seq    uint64
}

func newMob(t *testing.T) *mob {
	t.Helper()
	seed := rand.Uint64N(1 << 40)
	if text := os.Getenv("HOLDPOINT_TEST_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		check(t, err)
	}
	t.Logf("seed %d", seed)
	w := newExternalWorld(t, "testdata/shop")
	m := &mob{
		siege:     &siege{world: w, ns: natsServer(w)},
		random:    rand.New(rand.NewPCG(seed, 0)),
		reviewers: map[schemas.Name]signer{},
		stored:    map[place]origin{},
		shown:     map[string]bool{},
	}
	var err error
	m.stranger, err = nkeys.CreateUser()
	check(t, err)
	m.gather()
	m.gate = w.startProcess()
	m.perform()
	return m
}

// gather lets everyone in, and lets bot propose what it refers to later.
func (m *mob) gather() {
	m.t.Helper()
	for _, name := range []schemas.Name{"ann", "ben", "olga"} {
		k := m.register(schemas.Identity{Name: name, Role: schemas.RoleReviewer, Person: string(name), Queues: []schemas.Name{"billing", "default"}})
		m.reviewers[name] = signer{m.hear(k), k.Key}
		if name == "ann" {
			m.ann = client.Reviewer{Conn: m.dial(k)}
		}
	}
	m.vic, m.runner = m.agent("vic"), m.executor("runner", "shop")
	m.otto = client.Auditor{Conn: m.add(schemas.Identity{Name: "otto", Role: schemas.RoleAuditor, Person: "otto"})}
	m.boss = m.operator(schemas.RolePolicyAdmin)
	bot := m.register(schemas.Identity{Name: "bot", Role: schemas.RoleAgent, Owner: "olga"})
	m.bot = m.hear(bot)
	early := client.Agent{Conn: m.dial(bot)}
	for _, amount := range []int{20, 500, 20_000} { // released, parked, refused
		ticket, err := early.Submit(m.ctx(), refund(amount))
		check(m.t, err)
		_, err = early.Stand(m.ctx(), ticket)
		check(m.t, err)
		m.known = append(m.known, ticket.Key.ID)
	}
	m.first = m.look()[gateStream(schemas.Intents)].Last + 1
}

// perform lets an executor do what is released, so that it does not wait in memory.
func (m *mob) perform() {
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() {
		ran <- m.runner.Run(ctx, []string{"shop"}, 8, func(context.Context, client.Task) (any, error) { return nil, nil })
	}()
	m.finish = sync.OnceFunc(func() {
		stop()
		check(m.t, <-ran)
	})
	m.t.Cleanup(m.finish)
}

// hear connects the holder of a key, and listens to what it is answered.
func (m *mob) hear(k identity.KeyFile) *wire {
	m.t.Helper()
	w := wireOf(m.world, k)
	w.sub("_INBOX_" + string(k.Name) + ".raw.*")
	m.flush(w)
	return w
}

// wires are the connections over which bad input is sent.
func (m *mob) wires() []*wire {
	all := []*wire{m.bot}
	for _, name := range slices.Sorted(maps.Keys(m.reviewers)) {
		all = append(all, m.reviewers[name].wire)
	}
	return all
}

// send sends n messages, and waits until the gate has handled them.
func (m *mob) send(n int) {
	m.t.Helper()
	const round = 200
	for left := n; left > 0; left -= round {
		holds := m.holds()
		for i := range min(left, round) {
			if i%2 == 0 {
				m.sendIntent()
			} else {
				m.sendDecision(holds)
			}
		}
		for _, w := range m.wires() {
			m.flush(w)
		}
	}
	m.handled(m.performing)
	for _, w := range m.wires() {
		m.collect(w)
	}
}

// flush returns when the broker took what was written, and makes sure that it
// complained only about subjects that nobody may publish to.
func (m *mob) flush(w *wire) {
	m.t.Helper()
	if err := w.flush(); err != nil {
		m.t.Fatalf("%v: %q", err, w.errors())
	}
	for _, text := range w.errors() {
		if !strings.HasPrefix(text, "'Permissions Violation for Publish to ") {
			m.t.Errorf("the broker says %s", text)
		}
	}
}

// handled waits until nothing is going on any more.
func (m *mob) handled(going func() string) {
	m.t.Helper()
	deadline := time.After(2 * time.Minute)
	for busy := going(); busy != ""; busy = going() {
		select {
		case <-deadline:
			m.t.Fatalf("something stands still: %s", busy)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// copying says what the stages and AUDIT still have to do, or "".
func (m *mob) copying() string { return m.look().busy() }

// performing says what the stages, AUDIT and the executor still have to do, or "".
func (m *mob) performing() string {
	if busy := m.copying(); busy != "" {
		return busy
	}
	status, err := m.boss.Gate(m.ctx())
	check(m.t, err)
	if status.Released+status.Granted > 0 {
		return fmt.Sprintf("%d intents are released, %d granted", status.Released, status.Granted)
	}
	return ""
}

// holds returns open holds, as they were shown to a reviewer.
func (m *mob) holds() (shown []client.Held) {
	m.t.Helper()
	const enough = 15
	page, err := m.ann.List(m.ctx(), "billing", enough, "")
	check(m.t, err)
	for len(page.Holds) < enough {
		for range enough {
			ticket, err := m.vic.Submit(m.ctx(), refund(500))
			check(m.t, err)
			_, err = m.vic.Stand(m.ctx(), ticket)
			check(m.t, err)
		}
		page, err = m.ann.List(m.ctx(), "billing", enough, "")
		check(m.t, err)
	}
	for _, line := range page.Holds {
		h, err := m.ann.Hold(m.ctx(), schemas.Key{Agent: line.Agent, ID: line.Intent})
		check(m.t, err)
		shown = append(shown, h)
	}
	return shown
}

// sendIntent sends a mutation of an intent, or what was sent before.
func (m *mob) sendIntent() {
	m.t.Helper()
	if len(m.past) > 0 && m.random.IntN(20) == 0 {
		again := pick(m.random, m.past...)
		m.put(m.bot, "bot", again.rawMsg, again.what)
		return
	}
	key := schemas.Key{Agent: "bot", ID: schemas.NewIntentID(time.Now())}
	d, err := schemas.Propose(key, "shop.refund", schemas.Proposal{
		Params: []byte(pick(m.random, `{"order":"A-1","amount":20}`, `{"order":"A-2","amount":500}`, `{"order":"A-3","amount":20000}`)),
		Reason: "somebody asked", Goal: "help", Session: "s-1", ExpiresIn: 3600,
	}, time.Now())
	check(m.t, err)
	msg := rawOf(d)
	what := m.mangle(&msg, intentMutations(m.known))
	m.past = append(m.past, pastMsg{msg, what})
	m.put(m.bot, "bot", msg, what)
}

// sendDecision sends a mutation of a decision on one of the holds. One in twenty
// is sent twice.
func (m *mob) sendDecision(holds []client.Held) {
	m.t.Helper()
	r, i := m.random, m.random.IntN(len(holds))
	name := pick[schemas.Name](r, "ann", "ann", "ben", "ben", "olga")
	d := decisionOn(holds[i], name, pick(r, schemas.Approve, schemas.Deny))
	var what origin
	if r.IntN(5) < 2 {
		c := pick(r, changes(holds[(i+1)%len(holds)])...)
		c.change(r, &d)
		what = origin{c.name, c.hopeless}
	}
	d, err := d.Sign(m.reviewers[name].key)
	check(m.t, err)
	msg := rawOf(schemas.Write(d, "/reviewers/"+string(name), time.Now(), ""))
	tokens := strings.Split(msg.subject, ".")
	tokens[1] = string(name) // the broker takes no other
	msg.subject = strings.Join(tokens, ".")
	if what.what == "" {
		what = m.mangle(&msg, signatureMutations(m.stranger, d))
	}
	what.hopeless = what.hopeless || name == "olga" // who answers for the agents
	for range 1 + r.IntN(20)/19 {
		m.put(m.reviewers[name].wire, name, msg, what)
	}
}

// mangle changes a message once, or twice; own are the mutations of its kind. Of
// two nothing is said: the second may undo the first.
func (m *mob) mangle(msg *rawMsg, own []mutation) origin {
	ofHeaders := append(blockMutations(), eventMutations()...)
	from := ofHeaders
	if m.random.IntN(5) < 3 {
		from = append(bodyMutations(), own...)
	}
	first := pick(m.random, from...)
	first.mutate(m.random, msg)
	if m.random.IntN(4) > 0 {
		return origin{first.name, first.hopeless}
	}
	second := pick(m.random, ofHeaders...)
	second.mutate(m.random, msg)
	return origin{what: first.name + ", and " + second.name}
}

// put sends a message, and remembers what was done to it.
func (m *mob) put(w *wire, name schemas.Name, msg rawMsg, what origin) {
	m.sent = append(m.sent, what)
	reply := fmt.Sprintf("_INBOX_%s.raw.%d", name, len(m.sent)-1)
	if msg.header == "" {
		w.pub(msg.subject, reply, msg.body)
		return
	}
	w.hpub(msg.subject, reply, msg.header, msg.body)
}

// collect reads where the broker says that it stored what was sent over w.
func (m *mob) collect(w *wire) {
	m.t.Helper()
	m.flush(w)
	for _, answer := range w.messages() {
		var ack struct {
			Stream    schemas.Stream
			Seq       uint64
			Duplicate bool
			Error     any
		}
		_, nth, _ := strings.Cut(answer.subject, ".raw.")
		i, err := strconv.Atoi(nth)
		check(m.t, err)
		if json.Unmarshal(answer.body, &ack) == nil && ack.Error == nil && !ack.Duplicate {
			m.stored[place{ack.Stream, ack.Seq}] = m.sent[i]
		}
	}
}
