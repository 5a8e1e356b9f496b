package rules

import (
	"math"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// set is a list of a document that is also looked things up in: whether something
// is a member takes the same time however long the list is.
type set struct {
	traits.Lister
	members map[any]bool
}

// fewest is how many members a list has that is worth a set.
const fewest = 8

// indexed returns v with all its long lists of scalars as sets.
func indexed(v ref.Val) ref.Val {
	switch v := v.(type) {
	case *ordered:
		if v.isFlat() {
			return v
		}
		values := make(map[string]ref.Val, len(v.keys))
		for key, value := range v.values {
			values[key] = indexed(value)
		}
		return newOrdered(v.keys, values)
	case traits.Lister:
		return indexedList(v)
	}
	return v
}

// isFlat reports whether there are only scalars in the object.
func (o *ordered) isFlat() bool {
	for _, key := range o.keys {
		if scalarForm(o.values[key]) == unknownForm {
			return false
		}
	}
	return true
}

func indexedList(l traits.Lister) ref.Val {
	var items []ref.Val
	members := map[any]bool{}
	for it := l.Iterator(); it.HasNext() == types.True; {
		item := it.Next()
		items = append(items, indexed(item))
		if key, ok := member(item); ok {
			members[key] = true
		} else {
			members = nil
			break
		}
	}
	if members != nil && len(items) >= fewest {
		return &set{Lister: l, members: members}
	}
	for i := len(items); i < int(l.Size().(types.Int)); i++ {
		items = append(items, indexed(l.Get(types.Int(i))))
	}
	return list(items)
}

// member returns what stands for a scalar among members: equal values have the
// same. It reports false for what is no scalar.
func member(v ref.Val) (any, bool) {
	switch v := v.(type) {
	case types.String:
		return string(v), true
	case types.Bool:
		return bool(v), true
	case types.Null:
		return nil, true
	case types.Int:
		return int64(v), true
	case types.Uint:
		if v <= math.MaxInt64 {
			return int64(v), true
		}
		return uint64(v), true
	case types.Double:
		if f := float64(v); f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return int64(f), true
		}
		return float64(v), true
	}
	return nil, false
}

// Contains implements traits.Container.
func (s *set) Contains(v ref.Val) ref.Val {
	key, ok := member(v)
	if !ok {
		return s.Lister.Contains(v)
	}
	return types.Bool(s.members[key])
}

func isSet(v ref.Val) bool {
	_, ok := v.(*set)
	return ok
}

// priceOfMembership is the price of asking a set, which CEL prices as a walk
// along the list. It is nil for other lists: then CEL's price stands.
func priceOfMembership(args []ref.Val, _ ref.Val) *uint64 {
	if len(args) != 2 || !isSet(args[1]) {
		return nil
	}
	price := uint64(1)
	return &price
}
