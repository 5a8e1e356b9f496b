package rules

import (
	"math"
	"slices"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// domain is a set of values: numbers between two bounds, and other values. The
// zero value is not everything: see anyValue.
type domain struct {
	low, high         float64
	lowOpen, highOpen bool

	// only are all values that there are, if it is not nil; but are not there.
	only, but []ref.Val
}

func anyValue() domain { return domain{low: math.Inf(-1), high: math.Inf(1)} }

// domainOf returns the values that a shape allows.
func domainOf(sh *shape) domain {
	d := anyValue()
	if sh != nil && sh.isNumber() {
		d.low, d.high = sh.low, sh.high
	}
	if sh != nil && sh.values != nil && !sh.null {
		d.only = sh.values
	}
	return d
}

// membersOf returns the members of a list, or what is not among them.
func membersOf(l ref.Val, in bool) domain {
	d := anyValue()
	items := []ref.Val{}
	for it := l.(traits.Lister).Iterator(); it.HasNext() == types.True; {
		items = append(items, it.Next())
	}
	if in {
		d.only = items
	} else {
		d.but = items
	}
	return d
}

// comparedWith returns the values of which the operator holds. Between whole
// numbers there are no others.
func comparedWith(operator string, constant ref.Val, whole bool) domain {
	d := anyValue()
	switch operator {
	case operators.Equals:
		d.only = []ref.Val{constant}
		return d
	case operators.NotEquals:
		d.but = []ref.Val{constant}
		return d
	}
	bound, ok := number(constant)
	if !ok {
		return d
	}
	step := 0.0
	if whole && bound == math.Trunc(bound) {
		step = 1
	}
	switch operator {
	case operators.Less:
		d.high, d.highOpen = bound-step, step == 0
	case operators.LessEquals:
		d.high = bound
	case operators.Greater:
		d.low, d.lowOpen = bound+step, step == 0
	case operators.GreaterEquals:
		d.low = bound
	}
	return d
}

func number(v ref.Val) (float64, bool) {
	switch v := v.(type) {
	case types.Int:
		return float64(v), true
	case types.Double:
		return float64(v), true
	}
	return 0, false
}

// and returns the values in both.
func (d domain) and(other domain) domain {
	if other.low > d.low || other.low == d.low && other.lowOpen {
		d.low, d.lowOpen = other.low, other.lowOpen
	}
	if other.high < d.high || other.high == d.high && other.highOpen {
		d.high, d.highOpen = other.high, other.highOpen
	}
	d.but = slices.Concat(d.but, other.but)
	if d.only == nil {
		d.only = other.only
	} else if other.only != nil {
		d.only = slices.DeleteFunc(slices.Clone(d.only), func(v ref.Val) bool { return !contains(other.only, v) })
	}
	return d
}

func contains(values []ref.Val, v ref.Val) bool {
	return slices.ContainsFunc(values, func(have ref.Val) bool { return types.Equal(have, v) == types.True })
}

// empty reports whether there is no value left.
func (d domain) empty() bool {
	if d.low > d.high || d.low == d.high && (d.lowOpen || d.highOpen) {
		return true
	}
	if d.only == nil {
		return false
	}
	return !slices.ContainsFunc(d.only, func(v ref.Val) bool { return !contains(d.but, v) && d.between(v) })
}

// between reports whether a value lies within the bounds, if it is a number.
func (d domain) between(v ref.Val) bool {
	n, ok := number(v)
	if !ok {
		return true
	}
	return (n > d.low || n == d.low && !d.lowOpen) && (n < d.high || n == d.high && !d.highOpen)
}
