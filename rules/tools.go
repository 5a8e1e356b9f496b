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

// tool is an action as the description of an agent's tools has it.
type tool struct {
	action     schemas.Action
	title      string
	effect     Effect
	idempotent bool
	params     *ordered
}

// toolReader reads descriptions of tools: those of MCP (tools/list), of function
// calling, and of traces, alone or under "tools".
type toolReader struct {
	system string // of tools that name none
	drop   []string
	notes  []string
}

func (r *toolReader) note(format string, args ...any) {
	r.notes = append(r.notes, oneLine(fmt.Sprintf(format, args...)))
}

func (r *toolReader) read(text []byte) ([]tool, error) {
	v, err := decodeJSON(text, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the tools: %w: %w", schemas.ErrInvalid, err)
	}
	o, isObject := v.(*ordered)
	if isObject {
		if suite, ok := o.values["suite"].(types.String); ok && r.system == "" {
			r.system = string(suite)
		}
		v = o.values["tools"]
	}
	if r.system == "" {
		r.system = "tools"
	}
	l, ok := v.(traits.Lister)
	if !ok {
		return nil, fmt.Errorf("reading the tools: %w: want a list of them, or an object with one under \"tools\"", schemas.ErrInvalid)
	}
	var tools []tool
	for it := l.Iterator(); it.HasNext() == types.True; {
		t, err := r.tool(it.Next())
		if err != nil {
			return nil, fmt.Errorf("reading tool %d: %w: %w", len(tools)+1, schemas.ErrInvalid, err)
		}
		tools = append(tools, t)
	}
	slices.SortFunc(tools, func(a, b tool) int { return strings.Compare(string(a.action), string(b.action)) })
	return tools, distinct(tools)
}

// distinct makes sure that there are tools, and no two of one name.
func distinct(tools []tool) error {
	if len(tools) == 0 {
		return fmt.Errorf("reading the tools: %w: there are none", schemas.ErrInvalid)
	}
	for i := range tools[1:] {
		if tools[i].action == tools[i+1].action {
			return fmt.Errorf("reading the tools: %w: there are two of the name %s", schemas.ErrInvalid, tools[i].action)
		}
	}
	return nil
}

func (r *toolReader) tool(v ref.Val) (tool, error) {
	o, ok := v.(*ordered)
	if !ok {
		return tool{}, fmt.Errorf("want an object, this is %s", v.Type().TypeName())
	}
	if f, ok := o.values["function"].(*ordered); ok {
		o = f
	}
	var t tool
	var err error
	if t.action, err = r.action(o); err != nil {
		return t, err
	}
	t.title = firstSentence(o.text("title", "description"))
	r.effect(o, &t)
	t.params = newOrdered([]string{"type"}, map[string]ref.Val{"type": types.String("object")})
	for _, key := range []string{"parameters", "inputSchema", "input_schema"} {
		if params, ok := o.values[key].(*ordered); ok {
			t.params = r.schema(string(t.action), params)
		}
	}
	return t, nil
}

// text returns the first of the fields that is a text.
func (o *ordered) text(names ...string) string {
	for _, name := range names {
		if text, ok := o.values[name].(types.String); ok && text != "" {
			return string(text)
		}
	}
	return ""
}

func (r *toolReader) action(o *ordered) (schemas.Action, error) {
	name := o.text("action")
	if name == "" && o.text("name") != "" {
		name = r.system + "." + o.text("name")
	}
	system, operation, _ := strings.Cut(name, ".")
	plain := actionPart(system) + "." + actionPart(operation)
	if name != "" && plain != name {
		r.note("%s is called %s: names are of A-Z, a-z, 0-9, _ and -", name, plain)
	}
	action, err := schemas.ParseAction(plain)
	if err != nil || action.System() == reservedSystem {
		return "", fmt.Errorf("name %q cannot be that of an action", clip(name, 80))
	}
	return action, nil
}

// actionPart returns a name as a part of an action can have it.
func actionPart(name string) string {
	return strings.Map(func(c rune) rune {
		if c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			return c
		}
		return '_'
	}, name)
}

func firstSentence(text string) string {
	text = oneLine(strings.TrimSpace(text))
	if i := strings.Index(text, ". "); i > 0 {
		text = text[:i]
	}
	return clip(strings.TrimSuffix(text, "."), maxReason)
}

// effect finds out whether a tool only reads. What does not say so writes.
func (r *toolReader) effect(o *ordered, t *tool) {
	t.effect = EffectWrite
	hints, _ := o.values["annotations"].(*ordered)
	class := o.text("class")
	switch {
	case hints != nil && hints.values["readOnlyHint"] == types.True, class == string(EffectRead):
		t.effect = EffectRead
	case class != "" && class != string(EffectWrite):
		r.note("%s is neither read nor write, but %s: taken for a write", t.action, class)
	}
	t.idempotent = t.effect == EffectRead || hints != nil && hints.values["idempotentHint"] == types.True
}

// schemaTypes are the names that others have for types.
var schemaTypes = map[string]string{
	"dict": "object", "float": "number", "double": "number", "int": "integer", "long": "integer",
	"str": "string", "bool": "boolean", "list": "array", "tuple": "array", "any": "", "none": "null", "None": "null",
}

// schema returns a schema as a catalog may have it. Objects of named fields have
// no others: what is not named here no rule could judge.
func (r *toolReader) schema(about string, o *ordered) *ordered {
	kept := newOrdered(nil, map[string]ref.Val{})
	for _, key := range o.keys {
		holds, known := keywords[key]
		value := o.values[key]
		switch {
		case key == "type":
			value = schemaType(value)
		case !known || key == "$schema":
			value = nil
		case key == "required":
			value = r.required(o, value)
		default:
			value = r.subschema(about, key, holds, value)
		}
		if value != nil {
			kept.put(key, value)
		}
	}
	if properties, ok := kept.values["properties"].(*ordered); ok && len(properties.keys) > 0 && kept.values["additionalProperties"] == nil {
		kept.put("additionalProperties", types.False)
	}
	return kept
}

func (o *ordered) put(key string, v ref.Val) {
	o.keys = append(o.keys, key)
	o.values[key] = v
}

func schemaType(v ref.Val) ref.Val {
	name, ok := v.(types.String)
	if !ok {
		return v
	}
	other, known := schemaTypes[string(name)]
	switch {
	case !known:
		return v
	case other == "":
		return nil
	}
	return types.String(other)
}

func (r *toolReader) subschema(about, key string, h holds, v ref.Val) ref.Val {
	switch o, isObject := v.(*ordered); {
	case h == aSchema && isObject:
		return r.schema(about, o)
	case h == namedSchemas && isObject:
		return r.named(about, key, o)
	case h == someSchemas:
		var all []ref.Val
		if l, ok := v.(traits.Lister); ok {
			for it := l.Iterator(); it.HasNext() == types.True; {
				all = append(all, r.subschema(about, key, aSchema, it.Next()))
			}
		}
		return list(all)
	}
	return v
}

// named returns named schemas, without the parameters that no agent sends.
func (r *toolReader) named(about, key string, o *ordered) ref.Val {
	kept := newOrdered(nil, map[string]ref.Val{})
	for _, name := range o.keys {
		field := o.values[name]
		if key == "properties" && r.injected(name, field) {
			r.note("%s: %s is left out: it is no parameter of the agent", about, name)
			continue
		}
		kept.put(name, r.subschema(about+"."+name, "", aSchema, field))
	}
	return kept
}

// injected reports whether a parameter is one that a harness adds: it has a type
// of the harness's language.
func (r *toolReader) injected(name string, field ref.Val) bool {
	o, ok := field.(*ordered)
	return slices.Contains(r.drop, name) || ok && o.values["x-python-type"] != nil
}

func (r *toolReader) required(o *ordered, v ref.Val) ref.Val {
	l, ok := v.(traits.Lister)
	if !ok {
		return nil
	}
	properties, _ := o.values["properties"].(*ordered)
	var kept []ref.Val
	for it := l.Iterator(); it.HasNext() == types.True; {
		name, ok := it.Next().(types.String)
		if ok && (properties == nil || properties.values[string(name)] == nil || !r.injected(string(name), properties.values[string(name)])) {
			kept = append(kept, name)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return list(kept)
}
