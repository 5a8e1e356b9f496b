package schemas

import (
	"bytes"
	"encoding"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// shape is what JSON must look like to fill a value of a Go type, as far as the
// JSON library does not look itself. The zero shape is that of a string, a number
// or a boolean.
type shape struct {
	open    bool     // any JSON, null included
	members []member // of an object
	elem    *shape   // of the elements of an array, or the values of a map
}

// member is what an object may have, and must have unless the tag of its field
// says omitempty or omitzero.
type member struct {
	name     string
	required bool
	shape    *shape
}

var anything = &shape{open: true}

// shapes caches the shape of every type that was decoded: reflect.Type to *shape.
var shapes sync.Map

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := make(shaper).shape(t)
	shapes.Store(t, s)
	return s
}

// shaper finds the shapes of types, and remembers those that it has begun,
// because a type may contain itself.
type shaper map[reflect.Type]*shape

func (begun shaper) shape(t reflect.Type) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := begun[t]; ok {
		return s
	}
	s, p := new(shape), reflect.PointerTo(t)
	begun[t] = s
	switch {
	case p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
	case t.Kind() == reflect.Interface, p.Implements(reflect.TypeFor[json.Unmarshaler]()), p.Implements(reflect.TypeFor[json.UnmarshalerFrom]()):
		s.open = true
	case t.Kind() == reflect.Struct:
		s.members = begun.members(t)
	case t.Kind() == reflect.Map, t.Kind() == reflect.Slice && t.Elem() != reflect.TypeFor[byte]():
		s.elem = begun.shape(t.Elem())
	}
	return s
}

func (begun shaper) members(t reflect.Type) []member {
	var members []member
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		members = append(members, member{name: name, required: !optional, shape: begun.shape(f.Type)})
	}
	return members
}

// check reads one value from d. Depth counts the objects and arrays around it
// that no Go type gives a shape: those are the ones a sender can nest.
func (s *shape) check(d *jsontext.Decoder, depth int) error {
	switch kind := d.PeekKind(); kind {
	case '{', '[':
		if s.members == nil && s.elem == nil {
			if depth++; depth > MaxDepth {
				return invalid("%s: nested deeper than %d", field(d.StackPointer()), MaxDepth)
			}
		}
		if _, err := d.ReadToken(); err != nil {
			return jsonFault(err)
		}
		if kind == '[' {
			return s.checkArray(d, depth)
		}
		return s.checkObject(d, depth)
	case 'n', '0':
		return s.checkScalar(d)
	default:
		return jsonFault(d.SkipValue())
	}
}

// checkScalar reads a null or a number.
func (s *shape) checkScalar(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err != nil {
		return jsonFault(err)
	}
	switch {
	case v.Kind() == 'n' && !s.open:
		return invalid("%s: null", field(d.StackPointer()))
	case v.Kind() == '0' && !interoperable(string(v)):
		return invalid("%s: number %s is outside what JSON readers agree on (I-JSON)", field(d.StackPointer()), clip(string(v)))
	}
	return nil
}

func (s *shape) checkArray(d *jsontext.Decoder, depth int) error {
	for d.PeekKind() != ']' {
		if err := s.inner(-1).check(d, depth); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return jsonFault(err)
}

func (s *shape) checkObject(d *jsontext.Decoder, depth int) error {
	given := make([]bool, len(s.members))
	for d.PeekKind() != '}' {
		name, err := d.ReadValue()
		if err != nil {
			return jsonFault(err)
		}
		at := -1
		if len(s.members) > 0 {
			if at = s.member(name); at < 0 {
				return invalid("%s: no such field", field(d.StackPointer()))
			}
			given[at] = true
		}
		if err := s.inner(at).check(d, depth); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return jsonFault(err)
	}
	for i, m := range s.members {
		if m.required && !given[i] {
			return invalid("%s: missing", field(d.StackPointer().AppendToken(m.name)))
		}
	}
	return nil
}

// member returns which member has the name that a JSON string gives, or -1.
func (s *shape) member(name jsontext.Value) int {
	text := name[1 : len(name)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		var err error
		if text, err = jsontext.AppendUnquote(nil, name); err != nil {
			return -1
		}
	}
	return slices.IndexFunc(s.members, func(m member) bool { return m.name == string(text) })
}

// inner is the shape of member at, or of each value if members are not told
// apart.
func (s *shape) inner(at int) *shape {
	switch {
	case at >= 0:
		return s.members[at].shape
	case s.elem != nil:
		return s.elem
	default:
		return anything
	}
}
