package rules

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// inference finds out shapes. It looks at an object twice at most, as a table and
// as a record, however deep it stands.
type inference map[objectAs]*shape

type objectAs struct {
	object *ordered
	record bool
}

// infer returns the shape that a value has.
func infer(v ref.Val) *shape { return inference{}.of(v, false) }

// of returns the shape that a value of a document has. An object is a record, or
// else a table in which keys are looked up: that is one whose values are all
// alike. The items of a list are records.
func (in inference) of(v ref.Val, record bool) *shape {
	switch v := v.(type) {
	case *ordered:
		key := objectAs{v, record}
		if in[key] == nil {
			in[key] = in.object(v, record)
		}
		return in[key]
	case traits.Lister:
		sh := newShape()
		sh.form, sh.items = listForm, in.items(v)
		return sh
	}
	sh := newShape()
	switch sh.form = scalarForm(v); sh.form {
	case intForm:
		sh.number = asInt
	case doubleForm:
		sh.number = asDouble
	}
	return sh
}

// inferDocument returns the shape of the content of a file. The rows of a sheet
// are records of one kind, even if they have not the same cells.
func inferDocument(f file, v ref.Val) *shape {
	o, ok := v.(*ordered)
	if !ok || !strings.HasSuffix(f.path, ".csv") {
		return infer(v)
	}
	sh := newShape()
	sh.form = objectForm
	in, seen := inference{}, map[string]bool{}
	for _, key := range o.keys {
		if row := o.values[key]; news(seen, row) {
			sh.rest = eitherOf(sh.rest, in.of(row, true))
		}
	}
	return sh
}

// news reports whether v can have another shape than what was seen: not if it is
// a scalar, or an object of scalars, of the same forms.
func news(seen map[string]bool, v ref.Val) bool {
	forms := string(rune(scalarForm(v)))
	if o, ok := v.(*ordered); ok {
		for _, key := range o.keys {
			f := scalarForm(o.values[key])
			if f == unknownForm {
				return true
			}
			forms += key + "\x00" + string(rune(f))
		}
	} else if scalarForm(v) == unknownForm {
		return true
	}
	if seen[forms] {
		return false
	}
	seen[forms] = true
	return true
}

func scalarForm(v ref.Val) form {
	switch v.(type) {
	case types.Null:
		return nullForm
	case types.Bool:
		return boolForm
	case types.Int:
		return intForm
	case types.Double:
		return doubleForm
	case types.String:
		return textForm
	}
	return unknownForm
}

func (in inference) object(o *ordered, record bool) *shape {
	if !record {
		if table := in.table(o); table != nil {
			return table
		}
	}
	sh := newShape()
	sh.form, sh.closed = objectForm, true
	for _, key := range o.keys {
		sh.fields[key], sh.required[key] = in.of(o.values[key], false), true
	}
	return sh
}

// items returns the shape that all items have, or nil if there are none.
func (in inference) items(items traits.Lister) *shape {
	var all *shape
	seen := map[string]bool{}
	for it := items.Iterator(); it.HasNext() == types.True; {
		if item := it.Next(); news(seen, item) {
			all = eitherOf(all, in.of(item, true))
		}
	}
	return all
}

// eitherOf joins shapes, until there is too much to say about them.
func eitherOf(a, b *shape) *shape {
	switch {
	case a == nil:
		return b
	case a.form == unknownForm:
		return a
	case len(a.fields)+len(b.fields) > 2*maxFields:
		sh := newShape()
		sh.why = fmt.Sprintf("there are more than %d fields, not always the same", maxFields)
		return sh
	}
	return a.either(b, "the document")
}

// table returns the shape of a table, or nil if the values differ too much.
func (in inference) table(o *ordered) *shape {
	sh := newShape()
	sh.form = objectForm
	if len(o.keys) == 0 {
		return sh
	}
	first := scalarForm(o.values[o.keys[0]])
	for _, key := range o.keys {
		if scalarForm(o.values[key]) != first {
			return nil
		}
	}
	if first != unknownForm {
		sh.rest = in.of(o.values[o.keys[0]], false)
		return sh
	}
	sh.rest = in.entries(o)
	if sh.rest == nil {
		return nil
	}
	return sh
}

// entries returns the shape of the lists and objects in a table: objects
// with the same keys are records of one kind, others must be tables of one kind.
func (in inference) entries(o *ordered) *shape {
	records := true
	for _, key := range o.keys {
		entry, isObject := o.values[key].(*ordered)
		first, firstIs := o.values[o.keys[0]].(*ordered)
		records = records && isObject && firstIs && sameKeys(first, entry)
	}
	var all *shape
	seen := map[string]bool{}
	for _, key := range o.keys {
		if !news(seen, o.values[key]) {
			continue
		}
		one := in.of(o.values[key], records)
		if !records && all != nil && one.signature() != all.signature() {
			return nil
		}
		all = eitherOf(all, one)
	}
	return all
}

func sameKeys(a, b *ordered) bool {
	return slices.Equal(a.keys, b.keys) || slices.Equal(slices.Sorted(slices.Values(a.keys)), slices.Sorted(slices.Values(b.keys)))
}

// literal returns a value of a schema as expressions see it.
func literal(v any, number numeric) ref.Val {
	text, err := json.Marshal(v)
	if err != nil {
		return types.NullValue
	}
	value, err := decodeJSON(text, &shape{number: number})
	if err != nil {
		return types.NullValue
	}
	return value
}
