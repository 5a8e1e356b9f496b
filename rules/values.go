package rules

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/holdpoint/holdpoint/schemas"
)

// ordered is a CEL map that is read in the order in which it was written. A Go
// map gives another order each time, and with it another opinion.
type ordered struct {
	traits.Mapper
	keys   []string
	values map[string]ref.Val
}

func newOrdered(keys []string, values map[string]ref.Val) *ordered {
	return &ordered{Mapper: types.NewMap(types.DefaultTypeAdapter, values), keys: keys, values: values}
}

// Iterator implements traits.Iterable.
func (o *ordered) Iterator() traits.Iterator {
	return types.NewStringList(types.DefaultTypeAdapter, o.keys).Iterator()
}

// FindStringKey is how the interpreter looks up a field.
func (o *ordered) FindStringKey(key string) (any, bool) {
	v, ok := o.values[key]
	return v, ok
}

// String is what an error says of the map: neither its address nor its content.
func (o *ordered) String() string { return "map" }

// IsZeroValue implements traits.Zeroer.
func (o *ordered) IsZeroValue() bool { return len(o.keys) == 0 }

func list(items []ref.Val) ref.Val { return types.NewRefValList(types.DefaultTypeAdapter, items) }

// decodeJSON returns a JSON value as expressions see it. It never returns nil
// without an error.
func decodeJSON(b []byte, sh *shape) (ref.Val, error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(b))
	v, err := decodeValue(d, sh)
	if err != nil {
		return nil, err
	}
	if d.PeekKind() != 0 {
		return nil, fmt.Errorf("more than one JSON value")
	}
	return v, nil
}

func decodeValue(d *jsontext.Decoder, sh *shape) (ref.Val, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{':
		return decodeObject(d, sh)
	case '[':
		return decodeArray(d, sh)
	case '"':
		return types.String(token.String()), nil
	case '0':
		return decodeNumber(token.String(), sh)
	case 't', 'f':
		return types.Bool(token.Kind() == 't'), nil
	default:
		return types.NullValue, nil
	}
}

func decodeObject(d *jsontext.Decoder, sh *shape) (ref.Val, error) {
	if d.StackDepth() > schemas.MaxDepth {
		return nil, fmt.Errorf("nested deeper than %d", schemas.MaxDepth)
	}
	var keys []string
	values := map[string]ref.Val{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		value, err := decodeValue(d, sh.field(key))
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
		values[key] = value
	}
	_, err := d.ReadToken()
	return newOrdered(keys, values), err
}

func decodeArray(d *jsontext.Decoder, sh *shape) (ref.Val, error) {
	if d.StackDepth() > schemas.MaxDepth {
		return nil, fmt.Errorf("nested deeper than %d", schemas.MaxDepth)
	}
	var items []ref.Val
	for d.PeekKind() != ']' {
		item, err := decodeValue(d, sh.item(len(items)))
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	_, err := d.ReadToken()
	return list(items), err
}

// decodeNumber returns an int or a double. What does not fit is an error: an
// expression must not judge another number than the executor receives.
func decodeNumber(text string, sh *shape) (ref.Val, error) {
	want := byValue
	if sh != nil {
		want = sh.number
	}
	if want != asDouble {
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return types.Int(i), nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("number %s is out of range", clip(text, 40))
	}
	if want != asDouble && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return types.Int(int64(f)), nil
	}
	return types.Double(f), nil
}
