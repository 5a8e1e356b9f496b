package rules

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/holdpoint/holdpoint/schemas"
)

// Scaffold says what a first bundle is made of.
type Scaffold struct {
	// System is that of tools that do not name one. If empty, it is the suite that
	// the file names, or "tools".
	System string

	// Queue is where intents wait. If empty, it is named after each system.
	Queue schemas.Name

	// Drop are the names of parameters that no agent sends.
	Drop []string
}

// Files returns the files of a bundle for the tools that an agent has: a catalog,
// a policy under which reads flow and everything else waits for a person, and a
// case for each action. The notes say what was decided meanwhile.
func (s Scaffold) Files(tools []byte) (files map[string][]byte, notes []string, err error) {
	r := &toolReader{system: s.System, drop: s.Drop}
	found, err := r.read(tools)
	if err != nil {
		return nil, nil, err
	}
	w := scaffolder{Scaffold: s, tools: found, reader: r}
	files = map[string][]byte{catalogFile: w.catalog(), casesDir + "first.yaml": w.cases()}
	if files[policyFile], err = Format(policyFile, w.policy()); err != nil {
		return nil, nil, err
	}
	return files, r.notes, nil
}

// scaffolder writes the files of a first bundle.
type scaffolder struct {
	Scaffold
	tools  []tool
	reader *toolReader
}

func (w scaffolder) catalog() []byte {
	var b strings.Builder
	b.WriteString("# The actions that exist, made of a description of tools. See to effect, reversible\n" +
		"# and idempotent of each, and to the labels of reads: untrusted is what others may\n" +
		"# have written.\nversion: 1\nsystems:\n")
	reads := len(slices.DeleteFunc(slices.Clone(w.tools), func(t tool) bool { return t.effect != EffectRead }))
	if reads > maxLabeled {
		w.reader.note("reads have no labels: there are more than %d; label those whose results others write", maxLabeled)
	}
	system := ""
	for _, t := range w.tools {
		if t.action.System() != system {
			system = t.action.System()
			fmt.Fprintf(&b, "  %s:\n    queue: %s\n    operations:\n", quote(system, false), w.queue(system))
		}
		w.operation(&b, t, reads <= maxLabeled)
	}
	return []byte(b.String())
}

// queue returns the queue of a system.
func (w scaffolder) queue(system string) schemas.Name {
	if w.Queue != "" {
		return w.Queue
	}
	name, err := schemas.ParseName(clipName(strings.ToLower(strings.ReplaceAll(system, "_", "-"))))
	if err != nil {
		return "review"
	}
	return name
}

func clipName(name string) string { return strings.Trim(name[:min(len(name), 32)], "-") }

func (w scaffolder) operation(b *strings.Builder, t tool, labels bool) {
	fmt.Fprintf(b, "      %s:\n", quote(t.action.Operation(), false))
	if t.title != "" {
		fmt.Fprintf(b, "        title: %s\n", quote(t.title, false))
	}
	fmt.Fprintf(b, "        effect: %s\n", t.effect)
	if t.idempotent {
		b.WriteString("        idempotent: true\n")
	}
	if t.effect == EffectRead && labels {
		fmt.Fprintf(b, "        labels: [%s]\n", untrusted)
	}
	if len(t.params.keys) == 1 {
		return // an object without parameters, as by default
	}
	b.WriteString("        params:\n")
	for _, key := range t.params.keys {
		writeKeyword(b, key, t.params.values[key])
	}
}

// writeKeyword writes a keyword of a schema, each property on a line of its own.
func writeKeyword(b *strings.Builder, key string, v ref.Val) {
	o, ok := v.(*ordered)
	if key != "properties" || !ok || len(o.keys) == 0 {
		fmt.Fprintf(b, "          %s: %s\n", key, flow(v))
		return
	}
	b.WriteString("          properties:\n")
	for _, name := range o.keys {
		fmt.Fprintf(b, "            %s: %s\n", quote(name, false), flow(o.values[name]))
	}
}

// flow returns a value as YAML on one line.
func flow(v ref.Val) string {
	switch v := v.(type) {
	case *ordered:
		var parts []string
		for _, key := range v.keys {
			parts = append(parts, quote(key, true)+": "+flow(v.values[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case types.String:
		return quote(string(v), true)
	case types.Null:
		return "null"
	case traits.Lister:
		var parts []string
		for it := v.Iterator(); it.HasNext() == types.True; {
			parts = append(parts, flow(it.Next()))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return jsonText(v.Value())
}

// policy lets reads flow. Writes wait because no rule releases them.
func (w scaffolder) policy() []byte {
	reads, writes := w.split()
	var b strings.Builder
	b.WriteString("# Reads flow, everything else waits for a person: no rule releases it. Mind reads\n# that carry something out, such as fetching an address: take them off the list.\nversion: 1\n")
	if len(reads) > 0 {
		b.WriteString("\nrules:\n")
		for i, part := range chunks(reads) {
			fmt.Fprintf(&b, "  - {id: reads%s, at: recommend, actions: [%s], outcome: release, reason: reading changes nothing}\n", suffix(i), strings.Join(part, ", "))
		}
	}
	if len(writes) > 0 {
		b.WriteString("\napprovals:\n")
		for i, part := range chunks(writes) {
			fmt.Fprintf(&b, "  - {id: reviewers%s, actions: [%s], deadline: 24h, remind: 4h}\n", suffix(i), strings.Join(part, ", "))
		}
	}
	return []byte(b.String())
}

func (w scaffolder) split() (reads, writes []string) {
	for _, t := range w.tools {
		if t.effect == EffectRead {
			reads = append(reads, string(t.action))
		} else {
			writes = append(writes, string(t.action))
		}
	}
	return reads, writes
}

// chunks splits actions so that one entry can name them.
func chunks(actions []string) [][]string { return slices.Collect(slices.Chunk(actions, maxPatterns)) }

func suffix(i int) string {
	if i == 0 {
		return ""
	}
	return fmt.Sprintf("-%d", i+1)
}

// cases has a case for each action whose parameters can be made up.
func (w scaffolder) cases() []byte {
	var b strings.Builder
	b.WriteString("# What happens to each action, with made-up parameters.\n")
	_, writes := w.split()
	for _, t := range w.tools {
		schema, err := compileSchema(plainSchema(t.params))
		params, ok := sample(t.params, 0)
		if err != nil || !ok || schema.Validate(plain(params)) != nil {
			w.reader.note("%s has no case: its parameters cannot be made up", t.action)
			continue
		}
		name, want := "flows", "{outcome: release}"
		if t.effect == EffectWrite {
			name = "waits for a person"
			want = fmt.Sprintf("{outcome: park, approvals: [reviewers%s]}", suffix(slices.Index(writes, string(t.action))/maxPatterns))
		}
		fmt.Fprintf(&b, "- name: %s %s\n  action: %s\n  params: %s\n  want: %s\n", t.action, name, t.action, flow(params), want)
	}
	return []byte(b.String())
}
