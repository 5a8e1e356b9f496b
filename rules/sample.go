package rules

import (
	"encoding/json"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// sample makes up a value of a schema, the smallest that there is: what is not
// required is left out. It reports false if it does not know how. The value is a
// guess, and whoever wants to be sure validates it.
func sample(v ref.Val, depth int) (ref.Val, bool) {
	o, ok := v.(*ordered)
	if !ok || depth > maxNesting {
		return nil, false
	}
	if v := o.values["const"]; v != nil {
		return v, true
	}
	if l, ok := o.values["enum"].(traits.Lister); ok && l.Size() != types.IntZero {
		return l.Get(types.IntZero), true
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if l, ok := o.values[key].(traits.Lister); ok && l.Size() != types.IntZero {
			return sample(l.Get(types.IntZero), depth+1)
		}
	}
	switch typeName(o.values["type"]) {
	case "object":
		return sampleObject(o, depth)
	case "array":
		return sampleArray(o, depth)
	case "string":
		return types.String(sampleText(o)), true
	case "integer", "number":
		return sampleNumber(o), true
	case "boolean":
		return types.True, true
	case "null":
		return types.NullValue, true
	}
	return types.String("example"), o.values["$ref"] == nil
}

// typeName returns the first type that is not null.
func typeName(v ref.Val) string {
	l, ok := v.(traits.Lister)
	if !ok {
		name, _ := v.(types.String)
		return string(name)
	}
	for it := l.Iterator(); it.HasNext() == types.True; {
		if name, ok := it.Next().(types.String); ok && name != "null" {
			return string(name)
		}
	}
	return "null"
}

func sampleObject(o *ordered, depth int) (ref.Val, bool) {
	made := newOrdered(nil, map[string]ref.Val{})
	properties, _ := o.values["properties"].(*ordered)
	l, ok := o.values["required"].(traits.Lister)
	if !ok {
		return made, true
	}
	for it := l.Iterator(); it.HasNext() == types.True; {
		name, _ := it.Next().(types.String)
		if properties == nil || properties.values[string(name)] == nil {
			return nil, false
		}
		value, ok := sample(properties.values[string(name)], depth+1)
		if !ok {
			return nil, false
		}
		made.put(string(name), value)
	}
	return made, true
}

func sampleArray(o *ordered, depth int) (ref.Val, bool) {
	least, _ := o.values["minItems"].(types.Int)
	var items []ref.Val
	for range min(int64(least), 100) {
		item, ok := sample(o.values["items"], depth+1)
		if !ok {
			return nil, false
		}
		items = append(items, item)
	}
	return list(items), true
}

func sampleText(o *ordered) string {
	text := map[string]string{
		"email": "somebody@example.com", "uri": "https://example.com/", "date": "2026-01-01", "time": "12:00:00Z",
		"date-time": "2026-01-01T12:00:00Z", "uuid": "00000000-0000-4000-8000-000000000000", "ipv4": "192.0.2.1", "hostname": "example.com",
	}[o.text("format")]
	if text == "" {
		text = "example"
	}
	if most, ok := o.values["maxLength"].(types.Int); ok && int(most) < len(text) && most >= 0 {
		text = text[:most]
	}
	for least, _ := o.values["minLength"].(types.Int); len(text) < int(min(least, 1000)); {
		text += "x"
	}
	return text
}

func sampleNumber(o *ordered) ref.Val {
	n := ref.Val(types.Int(1))
	if least := o.values["minimum"]; least != nil {
		n = least
	} else if least, ok := number(o.values["exclusiveMinimum"]); ok {
		n = types.Int(int64(least) + 1)
	} else if most, ok := number(o.values["maximum"]); ok && most < 1 {
		n = o.values["maximum"]
	}
	return n
}

// plain returns a value as the validator of schemas takes it.
func plain(v ref.Val) any {
	switch v := v.(type) {
	case *ordered:
		m := map[string]any{}
		for _, key := range v.keys {
			m[key] = plain(v.values[key])
		}
		return m
	case types.Null:
		return nil
	case traits.Lister:
		items := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			items = append(items, plain(it.Next()))
		}
		return items
	case types.Int, types.Double:
		return json.Number(jsonText(v.Value()))
	}
	return v.Value()
}

// plainSchema returns a schema as its compiler takes it.
func plainSchema(o *ordered) map[string]any {
	m, _ := plain(o).(map[string]any)
	return m
}
