package rules

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types/ref"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// form is what a value is.
type form uint8

const (
	unknownForm form = iota // or one of several
	nullForm
	boolForm
	intForm
	doubleForm
	textForm
	listForm
	objectForm
)

func (f form) String() string {
	return [...]string{"anything", "null", "boolean", "integer", "number", "string", "array", "object"}[f]
}

// numeric says what a JSON number becomes in an expression.
type numeric uint8

const (
	byValue numeric = iota // an int if it is whole
	asInt
	asDouble
)

// shape is what a schema says about a value, as far as expressions can make use
// of it. What it does not know it allows.
type shape struct {
	form   form
	null   bool   // may be null beside its form
	why    string // why the form is unknown
	number numeric

	// fields are those that the schema names; required of them are always there.
	// If closed, there are no others; if not, others have the shape rest, if it is
	// known.
	fields   map[string]*shape
	required map[string]bool
	closed   bool
	rest     *shape

	// prefix are the shapes of the first items, items that of the others.
	prefix []*shape
	items  *shape

	// values are all that there can be, if they are listed; low and high bound a
	// number.
	values    []ref.Val
	low, high float64
}

func newShape() *shape {
	return &shape{fields: map[string]*shape{}, required: map[string]bool{}, low: math.Inf(-1), high: math.Inf(1)}
}

// shapeOf returns the shape of what s allows. The schema does not recur.
func shapeOf(s *jsonschema.Schema) *shape {
	sh := newShape()
	sh.readForm(s)
	sh.readBounds(s)
	sh.readFields(s)
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
	sh.choose("anyOf", s.AnyOf)
	sh.choose("oneOf", s.OneOf)
	sh.mention(s)
	return sh
}

// readForm finds out the form from the types, or else from the values.
func (sh *shape) readForm(s *jsonschema.Schema) {
	var names []string
	if s.Types != nil {
		names = s.Types.ToStrings()
	}
	sh.number = numberOf(names)
	sh.readValues(s)
	if len(names) == 0 {
		sh.formOfValues()
		return
	}
	sh.null = len(names) > 1 && slices.Contains(names, "null")
	names = slices.DeleteFunc(names, func(n string) bool {
		return sh.null && n == "null" || n == "integer" && slices.Contains(names, "number")
	})
	if len(names) > 1 {
		sh.why, sh.null = "it may be "+strings.Join(names, " or "), false
		return
	}
	for f := nullForm; f <= objectForm; f++ {
		if f.String() == names[0] {
			sh.form = f
		}
	}
}

func numberOf(names []string) numeric {
	switch {
	case slices.Contains(names, "number"):
		return asDouble
	case slices.Contains(names, "integer"):
		return asInt
	}
	return byValue
}

// readValues reads enum and const.
func (sh *shape) readValues(s *jsonschema.Schema) {
	var listed []any
	switch {
	case s.Const != nil:
		listed = []any{*s.Const}
	case s.Enum != nil:
		listed = s.Enum.Values
	}
	for _, v := range listed {
		sh.values = append(sh.values, literal(v, sh.number))
	}
}

// formOfValues is the form that all listed values have.
func (sh *shape) formOfValues() {
	sh.why = "its schema gives no type"
	var all *shape
	for _, v := range sh.values {
		one := infer(v)
		if all == nil {
			all = one
		} else {
			all = all.either(one, "enum")
		}
	}
	if all != nil {
		sh.form, sh.null, sh.why, sh.number = all.form, all.null, all.why, all.number
	}
}

func (sh *shape) readBounds(s *jsonschema.Schema) {
	if s.Minimum != nil {
		sh.low, _ = s.Minimum.Float64()
	}
	if s.Maximum != nil {
		sh.high, _ = s.Maximum.Float64()
	}
	if s.ExclusiveMinimum != nil {
		low, _ := s.ExclusiveMinimum.Float64()
		sh.low = max(sh.low, low)
	}
	if s.ExclusiveMaximum != nil {
		high, _ := s.ExclusiveMaximum.Float64()
		sh.high = min(sh.high, high)
	}
}

func (sh *shape) readFields(s *jsonschema.Schema) {
	for name, field := range s.Properties {
		sh.fields[name] = shapeOf(field)
	}
	for _, name := range s.Required {
		sh.required[name] = true
	}
	open := len(s.PatternProperties) > 0
	switch additional := s.AdditionalProperties.(type) {
	case bool:
		sh.closed = !additional && !open
	case *jsonschema.Schema:
		if !open {
			sh.rest = shapeOf(additional)
		}
		sh.closed = isFalse(additional) && !open
	}
	if isFalse(s.UnevaluatedProperties) && !open && s.AdditionalProperties == nil {
		sh.closed = true
	}
}

func isFalse(s *jsonschema.Schema) bool { return s != nil && s.Bool != nil && !*s.Bool }

// choose adds what the alternatives have in common.
func (sh *shape) choose(keyword string, alternatives []*jsonschema.Schema) {
	var all *shape
	for _, s := range alternatives {
		one := shapeOf(s)
		if all == nil {
			all = one
		} else {
			all = all.either(one, keyword)
		}
	}
	if all != nil {
		sh.join(all)
	}
}

// mention adds the fields that schemas name which apply at times only.
func (sh *shape) mention(s *jsonschema.Schema) {
	parts := []*jsonschema.Schema{s.Then, s.Else}
	for _, name := range slices.Sorted(maps.Keys(s.DependentSchemas)) {
		parts = append(parts, s.DependentSchemas[name])
	}
	for _, part := range parts {
		if part != nil {
			sh.join(newShape().either(shapeOf(part), "if"))
		}
	}
}

// join adds what another schema on the same value says. Where both say
// something, sh stands.
func (sh *shape) join(other *shape) {
	if sh.form == unknownForm && sh.number == byValue {
		sh.form, sh.null, sh.number = other.form, other.null, other.number
		if other.why != "" {
			sh.why = other.why
		}
	} else if other.form != unknownForm {
		sh.null = sh.null && other.null
	}
	for name, field := range other.fields {
		if have, ok := sh.fields[name]; ok {
			have.join(field)
		} else {
			sh.fields[name] = field
		}
	}
	maps.Copy(sh.required, other.required)
	sh.closed = sh.closed || other.closed
	sh.low, sh.high = max(sh.low, other.low), min(sh.high, other.high)
	if sh.values == nil {
		sh.values = other.values
	}
	if sh.rest == nil {
		sh.rest = other.rest
	}
	if sh.items == nil && sh.prefix == nil {
		sh.items, sh.prefix = other.items, other.prefix
	}
}

// either returns the shape of a value that has one shape or the other.
func (sh *shape) either(other *shape, keyword string) *shape {
	both := newShape()
	both.readEither(sh, other, keyword)
	both.low, both.high = min(sh.low, other.low), max(sh.high, other.high)
	if sh.values != nil && other.values != nil {
		both.values = slices.Concat(sh.values, other.values)
	}
	both.closed = sh.closed && other.closed
	for _, one := range [][2]*shape{{sh, other}, {other, sh}} {
		for name, field := range one[0].fields {
			if second, ok := one[1].fields[name]; ok {
				both.fields[name] = field.either(second, keyword)
				both.required[name] = one[0].required[name] && one[1].required[name]
			} else {
				both.fields[name] = field
			}
		}
	}
	if sh.rest != nil && other.rest != nil {
		both.rest = sh.rest.either(other.rest, keyword)
	}
	if sh.items != nil && other.items != nil && sh.prefix == nil && other.prefix == nil {
		both.items = sh.items.either(other.items, keyword)
	}
	return both
}

func (sh *shape) readEither(a, b *shape, keyword string) {
	sh.null = a.null || b.null || (a.form == nullForm) != (b.form == nullForm)
	switch {
	case a.form == nullForm:
		sh.form, sh.number, sh.why = b.form, b.number, b.why
	case b.form == nullForm, a.form == b.form:
		sh.form, sh.number, sh.why = a.form, a.number, a.why
	case a.isNumber() && b.isNumber():
		sh.form, sh.number = doubleForm, asDouble
	case a.form == unknownForm || b.form == unknownForm:
		sh.why = a.why + b.why
	default:
		sh.why = fmt.Sprintf("it may be %s or %s, by %s", a.form, b.form, keyword)
	}
	if sh.form == unknownForm {
		sh.null = false
	}
}

func (sh *shape) isNumber() bool { return sh.form == intForm || sh.form == doubleForm }

// isRecord reports whether the value is an object of which fields are named, or
// has none.
func (sh *shape) isRecord() bool {
	return sh.form == objectForm && (len(sh.fields) > 0 || sh.closed)
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

// names returns the fields that the schema names.
func (sh *shape) names() []string { return slices.Sorted(maps.Keys(sh.fields)) }
