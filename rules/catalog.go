package rules

import (
	"slices"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// Effect says whether an action changes anything.
type Effect string

// The effects.
const (
	EffectRead  Effect = "read"
	EffectWrite Effect = "write"
)

// Action is what the catalog says about an action.
type Action struct {
	Name   schemas.Action
	Title  string
	Effect Effect

	// Reversible says that what was done can be undone, Idempotent that doing it
	// twice is the same as doing it once.
	Reversible bool
	Idempotent bool

	// Timeout is the lease of a claim, ExecuteBy how long a release waits for
	// one.
	Timeout   time.Duration
	ExecuteBy time.Duration

	// Queue is where reviewers find its intents.
	Queue schemas.Name

	// Labels are what its result exposes the agent to.
	Labels []string

	// ReadsExposure says that what an agent has been given can change what the
	// rules say about this action.
	ReadsExposure bool
}

// operation is an action with the schema of its parameters.
type operation struct {
	Action
	document *document
	node     *yaml.Node
	schema   *jsonschema.Schema
	shape    *shape
	text     []byte // the schema as JSON
}

// catalog is what exists.
type catalog struct {
	systems    []string
	operations map[schemas.Action]*operation
	order      []schemas.Action
	labels     map[string]bool
	labeled    int
	parts      int // of all schemas

	// readable says that the names of the actions are known, so that a pattern
	// that matches none is a mistake.
	readable bool
}

// reservedSystem is the system of the built-in actions.
const reservedSystem = "holdpoint"

// readCatalog reads a catalog. Of an operation with mistakes it keeps the name,
// so that rules about it are not mistaken too.
func readCatalog(d *document) *catalog {
	c := &catalog{operations: map[schemas.Action]*operation{}, labels: map[string]bool{}}
	o, ok := d.object(d.root, "", "version", "systems")
	if !ok {
		return c
	}
	o.version()
	o.must("systems")
	if systems := o.child("systems"); systems != nil {
		c.readSystems(o, systems)
	}
	slices.Sort(c.systems)
	slices.Sort(c.order)
	return c
}

func (c *catalog) readSystems(o object, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		o.mistake(n, "systems: want a mapping, this is %s", describe(n))
		return
	}
	c.readable = true
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		_, err := schemas.ParseAction(key.Value + ".x")
		switch {
		case err != nil || strings.Contains(key.Value, "."):
			o.mistake(key, "system '%s': want 1 to 64 of A-Z, a-z, 0-9, _ and -", key.Value)
		case key.Value == reservedSystem:
			o.mistake(key, "system '%s' is the gate's own: name it otherwise", reservedSystem)
		default:
			c.readSystem(o.document, key.Value, n.Content[i+1])
		}
	}
}

func (c *catalog) readSystem(d *document, name string, n *yaml.Node) {
	o, ok := d.object(n, "system "+name, "queue", "operations")
	if !ok {
		return
	}
	c.systems = append(c.systems, name)
	o.must("operations")
	operations := o.child("operations")
	if operations == nil {
		return
	}
	if operations.Kind != yaml.MappingNode {
		o.mistake(operations, "operations: want a mapping, this is %s", describe(operations))
		return
	}
	queue := o.name("queue", "")
	for i := 0; i < len(operations.Content); i += 2 {
		c.readOperation(o, operations.Content[i], operations.Content[i+1], queue)
	}
}

func (c *catalog) readOperation(system object, key, n *yaml.Node, queue schemas.Name) {
	name := strings.TrimPrefix(system.about, "system ") + "." + key.Value
	action, err := schemas.ParseAction(name)
	if err != nil {
		system.mistake(key, "operation '%s': want 1 to 64 of A-Z, a-z, 0-9, _ and -", key.Value)
		return
	}
	if len(c.order) == maxActions {
		system.mistake(key, "the catalog has more than %d actions", maxActions)
		return
	}
	op := &operation{Action: Action{Name: action}, document: system.document, node: key, shape: newShape()}
	c.operations[action] = op
	c.order = append(c.order, action)
	if o, ok := system.document.object(n, "operation "+name, operationKeys()...); ok {
		op.read(o, queue)
		c.countLabels(o, op)
		if op.schema, op.shape = c.params(o, o.child("params")); op.schema != nil {
			op.text = o.schemaText(o.child("params"))
		}
	}
}

func operationKeys() []string {
	return []string{"title", "effect", "reversible", "idempotent", "timeout", "execute_by", "queue", "labels", "params"}
}

func (op *operation) read(o object, queue schemas.Name) {
	o.must("effect")
	op.Title = o.text("title", maxReason)
	op.Effect = Effect(o.word("effect", string(EffectRead), string(EffectWrite)))
	op.Reversible = o.boolean("reversible")
	op.Idempotent = o.boolean("idempotent")
	op.Timeout = o.duration("timeout", maxTimeout, time.Minute)
	op.ExecuteBy = o.duration("execute_by", maxTimeout, 15*time.Minute)
	op.Queue = o.name("queue", queue)
	if op.Queue == "" {
		o.mistake(op.node, "'queue' is missing, here and in the system: nobody would see what parks")
	}
	for _, label := range o.texts("labels", maxLabels) {
		op.addLabel(o, label)
	}
	slices.Sort(op.Labels)
}

func (op *operation) addLabel(o object, n *yaml.Node) {
	const characters = "abcdefghijklmnopqrstuvwxyz0123456789_-"
	switch {
	case n.Value == "" || len(n.Value) > 32 || strings.Trim(n.Value, characters) != "":
		o.mistake(n, "label '%s': want 1 to 32 of a-z, 0-9, _ and -", n.Value)
	case slices.Contains(op.Labels, n.Value):
		o.mistake(n, "label '%s' is given twice", n.Value)
	default:
		op.Labels = append(op.Labels, n.Value)
	}
}

// countLabels keeps the exposure of an agent small enough for its record.
func (c *catalog) countLabels(o object, op *operation) {
	if len(op.Labels) == 0 {
		return
	}
	before := len(c.labels)
	for _, label := range op.Labels {
		c.labels[label] = true
	}
	if c.labeled++; c.labeled == maxLabeled+1 {
		o.mistake(o.child("labels"), "the catalog has more than %d actions with labels", maxLabeled)
	}
	if before <= maxLabels && len(c.labels) > maxLabels {
		o.mistake(o.child("labels"), "the catalog has more than %d distinct labels", maxLabels)
	}
}
