package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/holdpoint/holdpoint/schemas"
	"go.yaml.in/yaml/v3"
)

// Case is one test of a policy: facts, and what is expected of them.
type Case struct {
	// File and Line are where it stands, Name is what it is called.
	File string `json:"file"`
	Line int    `json:"line"`
	Name string `json:"name"`

	// At is the checkpoint. If zero, it is all three, joined: what becomes of the
	// intent.
	At    Checkpoint `json:"-"`
	Facts Facts      `json:"-"`

	want expectation
}

// expectation is what of an opinion is compared: what it names.
type expectation struct {
	outcome   string
	risk      int
	matched   []string
	failed    []string
	approvals []string
	tell      string

	named map[string]bool
}

// caseKeys are the keys of a case; all but table may also stand in its rows.
var caseKeys = []string{"name", "at", "action", "agent", "session", "exposure", "rate", "taken", "now", "params", "reason", "goal", "want", "table"}

// noon is the time of cases that name none: a Monday.
var noon = time.Date(2000, 1, 3, 12, 0, 0, 0, time.UTC)

// readCases reads the files in cases/.
func readCases(files []file, known vocabulary, notes *notebook) []Case {
	var cases []Case
	for _, f := range files {
		if !strings.HasPrefix(f.path, casesDir) || strings.HasSuffix(f.path, ".md") {
			continue
		}
		if !strings.HasSuffix(f.path, ".yaml") && !strings.HasSuffix(f.path, ".yml") {
			notes.file(f.path, "want .yaml")
			continue
		}
		d := parse(f, notes)
		if d == nil {
			continue
		}
		if d.root.Kind != yaml.SequenceNode {
			d.mistake(d.root, "want a list of cases, this is %s", describe(d.root))
			continue
		}
		for _, n := range d.root.Content {
			cases = append(cases, readCase(d, n, known)...)
		}
	}
	return cases
}

// Cases returns the cases of the bundle. An error is [Mistakes].
func (b *Bundle) Cases() ([]Case, error) {
	notes := &notebook{}
	cases := readCases(unpack(b.archive, notes), b.vocabulary(), notes)
	return cases, notes.err()
}

// Facts reads facts from a YAML or JSON file: a case that wants nothing. An error
// is [Mistakes].
func (b *Bundle) Facts(path string, text []byte) (Facts, error) {
	notes := &notebook{}
	c := &collection{files: []file{{path: path, content: text}}, notes: notes}
	var facts Facts
	if files := c.done(); notes.err() == nil {
		if d := parse(files[0], notes); d != nil {
			facts = readFacts(d, b.vocabulary())
		}
	}
	return facts, notes.err()
}

func readFacts(d *document, known vocabulary) Facts {
	o, ok := d.object(d.root, "", "agent", "action", "session", "exposure", "rate", "taken", "now", "params", "reason", "goal")
	if !ok {
		return Facts{}
	}
	o.must("action")
	return caseReader{vocabulary: known, layers: []object{o}}.read().Facts
}

// readCase reads a case, which is several if it has a table.
func readCase(d *document, n *yaml.Node, known vocabulary) []Case {
	o, ok := d.object(n, "case", caseKeys...)
	if !ok {
		return nil
	}
	o.must("name", "action")
	table := o.child("table")
	if table == nil {
		o.must("want")
		return []Case{caseReader{vocabulary: known, layers: []object{o}}.read()}
	}
	var cases []Case
	for i, row := range o.items("table") {
		r, ok := d.object(row, "case", caseKeys[:len(caseKeys)-1]...)
		if !ok {
			continue
		}
		one := caseReader{vocabulary: known, layers: []object{r, o}}.read()
		one.Line = row.Line
		one.Name = o.text("name", maxReason) + ": " + rowName(r, i)
		if o.child("want") == nil {
			r.must("want")
		}
		cases = append(cases, one)
	}
	return cases
}

func rowName(row object, i int) string {
	if name := row.text("name", maxReason); name != "" {
		return name
	}
	return fmt.Sprintf("row %d", i+1)
}

// caseReader reads a case from a row, if there is one, and the case around it:
// what the row says counts.
type caseReader struct {
	vocabulary
	layers []object
}

// vocabulary is what of a bundle cases may name.
type vocabulary struct {
	actions []schemas.Action
	budgets []string
}

// with returns the first layer that has the key, or the last.
func (r caseReader) with(key string) object {
	for _, o := range r.layers {
		if o.child(key) != nil {
			return o
		}
	}
	return r.layers[len(r.layers)-1]
}

func (r caseReader) read() Case {
	o := r.with("name")
	c := Case{File: o.path, Line: o.node.Line, Name: o.text("name", maxReason), At: r.checkpoint(), want: r.expectation()}
	c.Facts = Facts{Agent: r.agent(), Exposure: r.exposure(), Rate: r.with("rate").integer("rate", 0, never, 0), Taken: r.taken(), Now: r.now()}
	c.Facts.Intent = schemas.Intent{
		Agent:   c.Facts.Agent.Name,
		Action:  r.action(),
		Params:  r.params(),
		Session: r.with("session").text("session", schemas.MaxSession),
		Reason:  r.with("reason").text("reason", schemas.MaxProse),
		Goal:    r.with("goal").text("goal", schemas.MaxProse),
	}
	return c
}

func (r caseReader) checkpoint() Checkpoint {
	word := r.with("at").word("at", Observe.String(), Recommend.String(), Execute.String())
	for _, c := range []Checkpoint{Observe, Recommend, Execute} {
		if c.String() == word {
			return c
		}
	}
	return 0
}

func (r caseReader) action() schemas.Action {
	o := r.with("action")
	action := schemas.Action(o.text("action", maxReason))
	if n := o.child("action"); n != nil && !slices.Contains(r.actions, action) {
		var names []string
		for _, name := range r.actions {
			names = append(names, string(name))
		}
		o.mistake(n, "action '%s' is not in the catalog%s", n.Value, suggest(n.Value, names))
	}
	return action
}

func (r caseReader) agent() schemas.AgentFacts {
	agent := schemas.AgentFacts{Name: "agent"}
	o := r.with("agent")
	n := o.child("agent")
	if n == nil {
		return agent
	}
	if isText(n) {
		agent.Name = o.name("agent", agent.Name)
		return agent
	}
	if a, ok := o.document.object(n, o.about+": agent", "name", "owner", "groups"); ok {
		agent.Name = a.name("name", agent.Name)
		agent.Owner = a.text("owner", maxReason)
		agent.Groups = words(a.texts("groups", maxPatterns))
	}
	return agent
}

func (r caseReader) exposure() schemas.ExposureFacts {
	var e schemas.ExposureFacts
	o := r.with("exposure")
	n := o.child("exposure")
	if n == nil {
		return e
	}
	if x, ok := o.document.object(n, o.about+": exposure", "labels", "actions"); ok {
		e.Labels = words(x.texts("labels", maxLabels))
		for _, action := range words(x.texts("actions", schemas.MaxSeen)) {
			e.Actions = append(e.Actions, schemas.Action(action))
		}
	}
	return e
}

// taken returns what others have taken of budgets, by their ids.
func (r caseReader) taken() []schemas.Taken {
	o := r.with("taken")
	n := o.child("taken")
	if n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		o.mistake(n, "taken: want a mapping from budgets to amounts, this is %s", describe(n))
		return nil
	}
	var taken []schemas.Taken
	amounts := object{document: o.document, node: n, about: o.about + ": taken"}
	for i := 0; i < len(n.Content); i += 2 {
		id := n.Content[i].Value
		if !slices.Contains(r.budgets, id) {
			o.mistake(n.Content[i], "the policy has no budget '%s'%s", id, suggest(id, r.budgets))
		}
		taken = append(taken, schemas.Taken{Budget: id, Amount: int64(amounts.integer(id, 0, schemas.MaxAmount, 0))})
	}
	return taken
}

func words(nodes []*yaml.Node) []string {
	var texts []string
	for _, n := range nodes {
		texts = append(texts, n.Value)
	}
	return texts
}

func (r caseReader) now() time.Time {
	o := r.with("now")
	n := o.child("now")
	if n == nil {
		return noon
	}
	at, err := time.Parse(time.RFC3339, n.Value)
	if err != nil {
		o.mistake(n, "now: want a time such as 2026-03-01T12:00:00Z")
	}
	return at
}

// params returns the parameters of the case with those of the row in them.
func (r caseReader) params() jsontext.Value {
	var keys []string
	values := map[string][]byte{}
	for _, o := range slices.Backward(r.layers) {
		n := o.child("params")
		if n == nil {
			continue
		}
		if n.Kind != yaml.MappingNode {
			o.mistake(n, "params: want a mapping, this is %s", describe(n))
			continue
		}
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if _, ok := values[key]; !ok {
				keys = append(keys, key)
			}
			values[key] = o.appendJSON(nil, n.Content[i+1])
		}
	}
	b := []byte{'{'}
	for i, key := range keys {
		b = append(appendText(comma(b, i), key), ':')
		b = append(b, values[key]...)
	}
	canonical, err := schemas.Canonical(append(b, '}'))
	if err != nil {
		r.layers[0].mistake(r.layers[0].node, "params: %v", err)
	}
	return canonical
}

func (r caseReader) expectation() expectation {
	o := r.with("want")
	x := expectation{named: map[string]bool{}}
	n := o.child("want")
	if n == nil {
		return x
	}
	w, ok := o.document.object(n, o.about+": want", "outcome", "risk", "matched", "failed", "approvals", "tell")
	if !ok {
		return x
	}
	w.must("outcome")
	for i := 0; i < len(n.Content); i += 2 {
		x.named[n.Content[i].Value] = true
	}
	x.outcome = w.word("outcome", "release", "park", "refuse")
	x.risk = w.integer("risk", 0, highest, 0)
	x.tell = w.text("tell", maxTell)
	x.matched = words(w.texts("matched", maxEntries))
	x.approvals = words(w.texts("approvals", maxEntries))
	x.failed = w.namesOf("failed")
	return x
}

// namesOf returns a list of texts, or the keys of a mapping, sorted.
func (o object) namesOf(key string) []string {
	n := o.child(key)
	if n == nil || n.Kind != yaml.MappingNode {
		return slices.Sorted(slices.Values(words(o.texts(key, maxEntries))))
	}
	var names []string
	for i := 0; i < len(n.Content); i += 2 {
		names = append(names, n.Content[i].Value)
	}
	slices.Sort(names)
	return names
}
