package rules

import (
	"maps"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// numeric says what a JSON number becomes in an expression.
type numeric uint8

const (
	byValue numeric = iota // an int if it is whole
	asInt
	asDouble
)

// shape is what a schema says about the form of a value, as far as it has to do
// with reading it.
type shape struct {
	number numeric

	// fields are those that the schema names. If closed, there are no others;
	// if not, others have the shape rest, if it is known.
	fields map[string]*shape
	closed bool
	rest   *shape

	// prefix are the shapes of the first items, items that of the others.
	prefix []*shape
	items  *shape
}

// shapeOf returns the shape of what s allows. The schema does not recur.
func shapeOf(s *jsonschema.Schema) *shape {
	sh := &shape{fields: map[string]*shape{}, number: numberOf(s)}
	for name, field := range s.Properties {
		sh.fields[name] = shapeOf(field)
	}
	switch additional := s.AdditionalProperties.(type) {
	case bool:
		sh.closed = !additional && len(s.PatternProperties) == 0
	case *jsonschema.Schema:
		sh.rest = shapeOf(additional)
		sh.closed = additional.Bool != nil && !*additional.Bool && len(s.PatternProperties) == 0
	}
	for _, item := range s.PrefixItems {
		sh.prefix = append(sh.prefix, shapeOf(item))
	}
	if s.Items2020 != nil {
		sh.items = shapeOf(s.Items2020)
	}
	if s.Ref != nil {
		sh.join(shapeOf(s.Ref))
	}
	for _, part := range s.AllOf {
		sh.join(shapeOf(part))
	}
	return sh
}

func numberOf(s *jsonschema.Schema) numeric {
	if s.Types == nil {
		return byValue
	}
	switch types := s.Types.ToStrings(); {
	case slices.Contains(types, "number"):
		return asDouble
	case slices.Contains(types, "integer"):
		return asInt
	}
	return byValue
}

// join adds what another schema on the same value says. Where both say
// something, sh stands.
func (sh *shape) join(other *shape) {
	if sh.number == byValue {
		sh.number = other.number
	}
	for name, field := range other.fields {
		if have, ok := sh.fields[name]; ok {
			have.join(field)
		} else {
			sh.fields[name] = field
		}
	}
	sh.closed = sh.closed || other.closed
	if sh.rest == nil {
		sh.rest = other.rest
	}
	if sh.items == nil && sh.prefix == nil {
		sh.items, sh.prefix = other.items, other.prefix
	}
}

// field returns the shape of a field, or nil if nothing is known of it.
func (sh *shape) field(name string) *shape {
	if sh == nil {
		return nil
	}
	if field, ok := sh.fields[name]; ok {
		return field
	}
	return sh.rest
}

// item returns the shape of an item, or nil if nothing is known of it.
func (sh *shape) item(i int) *shape {
	switch {
	case sh == nil:
		return nil
	case i < len(sh.prefix):
		return sh.prefix[i]
	default:
		return sh.items
	}
}

// has reports whether a value of this shape can have the field.
func (sh *shape) has(name string) bool {
	_, ok := sh.fields[name]
	return ok || !sh.closed
}

// names returns the fields that the schema names.
func (sh *shape) names() []string { return slices.Sorted(maps.Keys(sh.fields)) }
