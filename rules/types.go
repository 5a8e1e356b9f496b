package rules

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// records are the objects of schemas and documents as CEL types, by their names.
type records map[string]record

// record is one of them.
type record struct {
	*shape
	types map[string]*cel.Type
}

// typeOf returns the type of values of a shape, which may be nil, and declares the
// records in it. They are named after where they stand.
func (r records) typeOf(sh *shape, name string) *cel.Type {
	switch {
	case sh == nil || sh.null && (sh.form == listForm || sh.form == objectForm && !sh.isRecord()):
		return cel.DynType
	case sh.isRecord():
		return r.declare(sh, name)
	}
	t := r.plainType(sh, name)
	if sh.null {
		return cel.NullableType(t)
	}
	return t
}

func (r records) plainType(sh *shape, name string) *cel.Type {
	switch sh.form {
	case nullForm:
		return cel.NullType
	case boolForm:
		return cel.BoolType
	case intForm:
		return cel.IntType
	case doubleForm:
		return cel.DoubleType
	case textForm:
		return cel.StringType
	case listForm:
		if len(sh.prefix) > 0 {
			return cel.ListType(cel.DynType)
		}
		return cel.ListType(r.typeOf(sh.items, name+"[]"))
	case objectForm:
		return cel.MapType(cel.StringType, r.typeOf(sh.rest, name+"{}"))
	}
	return cel.DynType
}

// recordPrefix makes the name of a record something that no expression can say:
// CEL takes data.limits for a type if there is one of that name.
const recordPrefix = "object "

func (r records) declare(sh *shape, name string) *cel.Type {
	rec := record{shape: sh, types: map[string]*cel.Type{}}
	r[recordPrefix+name] = rec
	for field, of := range sh.fields {
		rec.types[field] = r.typeOf(of, name+"."+field)
	}
	if !sh.closed {
		rec.types[""] = r.typeOf(sh.rest, name+"{}")
	}
	return cel.ObjectType(recordPrefix + name)
}

// fieldType returns the type of a field. Of what a schema allows without naming
// it, the type is that of the other fields.
func (r record) fieldType(name string) (*cel.Type, bool) {
	if t, ok := r.types[name]; ok && name != "" {
		return t, true
	}
	t, ok := r.types[""]
	return t, ok
}

// provider adds records to the types that CEL knows.
type provider struct {
	types.Provider
	records records
}

// FindStructType implements types.Provider.
func (p provider) FindStructType(name string) (*types.Type, bool) {
	if _, ok := p.records[name]; ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	if r, ok := p.records[name]; ok {
		return r.names(), true
	}
	return p.Provider.FindStructFieldNames(name)
}

// FindStructFieldType implements types.Provider. It gives no way to read the
// field: a record is a map when an expression runs.
func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	r, ok := p.records[name]
	if !ok {
		return p.Provider.FindStructFieldType(name, field)
	}
	t, ok := r.fieldType(field)
	if !ok {
		return nil, false
	}
	return &types.FieldType{Type: t}, true
}

// signature says everything about a shape that its types depend on: two shapes
// with the same have the same types.
func (sh *shape) signature() string {
	var b strings.Builder
	sh.sign(&b)
	return b.String()
}

func (sh *shape) sign(b *strings.Builder) {
	if sh == nil {
		b.WriteString("?")
		return
	}
	fmt.Fprintf(b, "%d%t%t[%v %v %v", sh.form, sh.null, sh.closed, sh.values, sh.low, sh.high)
	for _, name := range sh.names() {
		fmt.Fprintf(b, "%q%t", name, sh.required[name])
		sh.fields[name].sign(b)
	}
	for _, item := range sh.prefix {
		item.sign(b)
	}
	sh.items.sign(b)
	sh.rest.sign(b)
	b.WriteString("]")
}

// untyped calls found for every part of a shape whose type is not known.
func (sh *shape) untyped(path string, found func(path, why string)) {
	switch {
	case sh == nil:
		return
	case sh.null && (sh.form == listForm || sh.form == objectForm && !sh.isRecord()):
		found(path, fmt.Sprintf("it may be %s or null", sh.form))
		return
	case sh.form == unknownForm:
		found(path, sh.why)
		return
	case len(sh.prefix) > 0:
		found(path+"[]", "prefixItems gives items of several types")
	case sh.form == listForm && sh.items == nil:
		found(path+"[]", "its schema gives no items")
	case sh.form == objectForm && !sh.closed && sh.rest == nil:
		found(path+".*", "its schema allows fields that it does not name")
	}
	sh.items.untyped(path+"[]", found)
	sh.rest.untyped(path+".*", found)
	for _, name := range sh.names() {
		sh.fields[name].untyped(path+"."+name, found)
	}
}
