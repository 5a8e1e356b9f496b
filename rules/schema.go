package rules

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// holds says what a keyword of JSON Schema has as its value.
type holds uint8

const (
	aValue holds = iota
	aSchema
	someSchemas  // a list of them
	namedSchemas // a mapping to them
)

// keywords are those of JSON Schema 2020-12 that a catalog may use. Left out is
// what reaches out of a schema ($id, $dynamicRef), and what checks nothing
// (contentEncoding).
var keywords = map[string]holds{
	"$schema": aValue, "$ref": aValue, "$anchor": aValue, "$comment": aValue, "$defs": namedSchemas,
	"title": aValue, "description": aValue, "default": aValue, "examples": aValue,
	"deprecated": aValue, "readOnly": aValue, "writeOnly": aValue,

	"type": aValue, "enum": aValue, "const": aValue, "format": aValue,
	"allOf": someSchemas, "anyOf": someSchemas, "oneOf": someSchemas, "not": aSchema,
	"if": aSchema, "then": aSchema, "else": aSchema, "dependentSchemas": namedSchemas,

	"properties": namedSchemas, "patternProperties": namedSchemas, "additionalProperties": aSchema,
	"propertyNames": aSchema, "unevaluatedProperties": aSchema,
	"required": aValue, "dependentRequired": aValue, "minProperties": aValue, "maxProperties": aValue,

	"prefixItems": someSchemas, "items": aSchema, "contains": aSchema, "unevaluatedItems": aSchema,
	"minItems": aValue, "maxItems": aValue, "uniqueItems": aValue, "minContains": aValue, "maxContains": aValue,

	"minLength": aValue, "maxLength": aValue, "pattern": aValue,
	"minimum": aValue, "maximum": aValue, "exclusiveMinimum": aValue, "exclusiveMaximum": aValue, "multipleOf": aValue,
}

const (
	dialect   = "https://json-schema.org/draft/2020-12/schema"
	schemaURL = "mem:///params"
)

// params reads the schema of an action's parameters. Without one, the action
// has no parameters.
func (c *catalog) params(o object, n *yaml.Node) (*jsonschema.Schema, *shape) {
	doc := map[string]any{"type": "object", "additionalProperties": false}
	if n != nil {
		if doc = o.schemaOf("params: ", n); doc == nil {
			return nil, newShape()
		}
		if doc["type"] != "object" {
			o.mistake(n, "params: want type: object")
			return nil, newShape()
		}
	}
	schema, err := compileSchema(doc)
	if err != nil {
		o.schemaMistakes("params: ", n, err)
		return nil, newShape()
	}
	size := (unfolding{}).size(schema)
	c.parts += size
	switch {
	case size > maxSchema:
		o.mistake(n, "params: the schema recurs, or has more than %d parts with its references followed", maxSchema)
	case c.parts > maxSchemas && c.parts-size <= maxSchemas:
		o.mistake(n, "params: the schemas of the catalog have more than %d parts", maxSchemas)
	case c.parts <= maxSchemas:
		return schema, shapeOf(schema)
	}
	return nil, newShape()
}

// schemaOf returns a schema as JSON, or nil if it has mistakes. They begin with
// what the schema is of.
func (o object) schemaOf(of string, n *yaml.Node) map[string]any {
	if count(n) > 2*maxSchema {
		o.mistake(n, "%sthe schema is too large", of) // the compiler takes quadratic time
		return nil
	}
	found := len(o.notes.found)
	o.checkSchema(of, n)
	text := o.appendJSON(nil, n)
	if len(o.notes.found) > found {
		return nil
	}
	return jsonObject(text)
}

// schemaText returns a schema without mistakes as JSON.
func (o object) schemaText(n *yaml.Node) []byte {
	if n == nil {
		return []byte(`{"type":"object","additionalProperties":false}`)
	}
	return o.appendJSON(nil, n)
}

// count returns the number of nodes in n.
func count(n *yaml.Node) int {
	nodes := 1
	for _, child := range n.Content {
		nodes += count(child)
	}
	return nodes
}

// jsonObject returns a JSON object whose numbers keep their digits, or nil.
func jsonObject(text []byte) map[string]any {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil
	}
	object, _ := value.(map[string]any)
	return object
}

// checkSchema refuses keywords that mean nothing, and references that lead out.
func (o object) checkSchema(of string, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!bool" {
		return
	}
	if n.Kind != yaml.MappingNode {
		o.mistake(n, "%swant a schema, this is %s", of, describe(n))
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		kind, known := keywords[key.Value]
		switch {
		case !known:
			o.mistake(key, "%sunknown keyword '%s'%s", of, key.Value, suggest(key.Value, slices.Sorted(maps.Keys(keywords))))
		case key.Value == "$ref" && !strings.HasPrefix(value.Value, "#"):
			o.mistake(value, "%sreferences lead nowhere but into the same schema, as in '#/$defs/name'", of)
		case key.Value == "$schema" && value.Value != dialect:
			o.mistake(value, "%sschemas are of %s", of, dialect)
		default:
			o.checkSubschemas(of, value, kind)
		}
	}
}

func (o object) checkSubschemas(of string, n *yaml.Node, kind holds) {
	switch {
	case kind == aSchema:
		o.checkSchema(of, n)
	case kind == someSchemas && n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			o.checkSchema(of, item)
		}
	case kind == namedSchemas && n.Kind == yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			o.checkSchema(of, n.Content[i])
		}
	}
}

// nothing loads no schema from anywhere.
type nothing struct{}

func (nothing) Load(url string) (any, error) {
	return nil, fmt.Errorf("schema %s: nothing is fetched", url)
}

func compileSchema(doc map[string]any) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nothing{})
	c.UseRegexpEngine(compilePattern)
	c.AssertFormat()
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, err
	}
	return c.Compile(schemaURL)
}

// compilePattern compiles a pattern of a schema that an agent's text can be
// matched against in bounded time.
func compilePattern(pattern string) (jsonschema.Regexp, error) {
	return types.CompileRegexWithLimit(pattern, maxRegex)
}

// schemaMistakes notes what the compiler of schemas found, each at its node.
func (o object) schemaMistakes(of string, n *yaml.Node, err error) {
	var invalid *jsonschema.SchemaValidationError
	var violation *jsonschema.ValidationError
	if !errors.As(err, &invalid) || !errors.As(invalid.Err, &violation) {
		o.mistake(n, "%s%s", of, strings.ReplaceAll(err.Error(), schemaURL, ""))
		return
	}
	for _, leaf := range leaves(violation) {
		o.mistake(findNode(n, leaf.InstanceLocation), "%s%s", of, complaint(leaf))
	}
}

// findNode returns the node that the pointer leads to, or the last on the way.
func findNode(n *yaml.Node, pointer []string) *yaml.Node {
	for _, part := range pointer {
		next := n
		for i := range n.Content {
			switch {
			case n.Kind == yaml.SequenceNode && fmt.Sprint(i) == part:
				next = n.Content[i]
			case n.Kind == yaml.MappingNode && i%2 == 0 && n.Content[i].Value == part:
				next = n.Content[i+1]
			}
		}
		n = next
	}
	return n
}

// unfolding counts the parts of schemas, each as often as a validation can visit
// it, so that validating an agent's parameters takes bounded time.
type unfolding map[*jsonschema.Schema]int

// size returns the number of parts of s, or more than maxSchema if it recurs.
func (u unfolding) size(s *jsonschema.Schema) int {
	if size, ok := u[s]; ok {
		return size
	}
	u[s] = maxSchema + 1 // until it is known: a schema inside itself has no size
	size := 1
	for _, part := range subschemas(s) {
		size = min(maxSchema+1, size+u.size(part))
	}
	u[s] = size
	return size
}

// subschemas returns the schemas that are applied with s.
func subschemas(s *jsonschema.Schema) []*jsonschema.Schema {
	parts := slices.Concat([]*jsonschema.Schema{
		s.Ref, s.Not, s.If, s.Then, s.Else, s.PropertyNames, s.UnevaluatedProperties,
		s.Contains, s.Items2020, s.UnevaluatedItems,
	}, s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems,
		slices.Collect(maps.Values(s.Properties)),
		slices.Collect(maps.Values(s.PatternProperties)),
		slices.Collect(maps.Values(s.DependentSchemas)))
	if additional, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		parts = append(parts, additional)
	}
	return slices.DeleteFunc(parts, func(part *jsonschema.Schema) bool { return part == nil })
}
