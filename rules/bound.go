package rules

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// maxWork is how many elements and bytes one call may touch.
const maxWork = 1 << 20

// growth says how the work of a call grows with the weight of its arguments.
type growth uint8

const (
	byLesser  growth = iota // it goes through both arguments until one ends
	byMembers               // it goes through its second argument, if that is a list
	byProduct               // it pairs the elements of its arguments
	bySquare                // it pairs the elements of its first with each other
)

// growing are the functions whose work is not bounded by the nodes of the
// expression. CEL charges for a call after it returned, and cannot interrupt it:
// with an agent's parameters in it, sets.contains(data.list, params.list) would
// take seconds before it is found too expensive.
var growing = map[string]growth{
	operators.Equals:    byLesser,
	operators.NotEquals: byLesser,
	operators.In:        byMembers,
	"flatten":           byProduct,
	"replace":           byProduct,
	"join":              byProduct,
	"sets.contains":     byProduct,
	"sets.equivalent":   byProduct,
	"sets.intersects":   byProduct,
	"distinct":          bySquare,
}

// calls finds the implementations of the functions of an environment.
type calls map[string]*functions.Overload

func newCalls(env *cel.Env) (calls, error) {
	c := calls{}
	for name, declaration := range env.Functions() {
		if _, ok := growing[name]; !ok {
			continue
		}
		bindings, err := declaration.Bindings()
		if err != nil {
			return nil, fmt.Errorf("binding %s: %w", name, err)
		}
		for _, b := range bindings {
			c[b.Operator] = b
		}
	}
	return c, nil
}

// bound puts the weighing of its arguments before every call that could grow.
// Comparing with a constant cannot: it ends where the constant ends.
func (c calls) bound(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok {
		return i, nil
	}
	how, ok := growing[call.Function()]
	if !ok || how <= byMembers && hasConstant(call) {
		return i, nil
	}
	run := c.implementation(call)
	if run == nil {
		return nil, fmt.Errorf("function %s has no implementation that can be bounded", call.Function())
	}
	bounded := func(args ...ref.Val) ref.Val {
		if work(how, args) > maxWork {
			return types.NewErr("%s of too much at once", displayName(call.Function()))
		}
		return run(args...)
	}
	return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), bounded), nil
}

func hasConstant(call interpreter.InterpretableCall) bool {
	for _, arg := range call.Args() {
		if _, ok := arg.(interpreter.InterpretableConst); ok {
			return true
		}
	}
	return false
}

func displayName(function string) string {
	if name, ok := operators.FindReverse(function); ok && name != "" {
		return name
	}
	return function
}

// implementation returns what the interpreter would run for the call.
func (c calls) implementation(call interpreter.InterpretableCall) functions.FunctionOp {
	switch call.Function() {
	case operators.Equals:
		return func(args ...ref.Val) ref.Val { return types.Equal(args[0], args[1]) }
	case operators.NotEquals:
		return func(args ...ref.Val) ref.Val { return types.Bool(types.Equal(args[0], args[1]) != types.True) }
	}
	overload, ok := c[call.OverloadID()]
	if !ok {
		overload, ok = c[call.Function()]
	}
	switch n := len(call.Args()); {
	case !ok:
		return nil
	case n == 1 && overload.Unary != nil:
		return func(args ...ref.Val) ref.Val { return overload.Unary(args[0]) }
	case n == 2 && overload.Binary != nil:
		return func(args ...ref.Val) ref.Val { return overload.Binary(args[0], args[1]) }
	default:
		return overload.Function
	}
}

// work is the number of elements and bytes that a call touches, or more than
// maxWork if it is that much.
func work(how growth, args []ref.Val) int {
	switch how {
	case byLesser:
		return min(weigh(args[0], maxWork), weigh(args[1], maxWork))
	case byMembers:
		if _, ok := args[1].(traits.Lister); !ok || isSet(args[1]) {
			return 1
		}
		return weigh(args[1], maxWork)
	case bySquare:
		w := weigh(args[0], maxWork)
		return w * w
	}
	product := 1
	for _, arg := range args {
		product = min(maxWork+1, product*weigh(arg, maxWork))
	}
	return product
}

// weigh returns the number of elements and bytes in v, or more than most. It
// stops there: values share their parts, and can weigh more than the machine has.
func weigh(v ref.Val, most int) int {
	weight := 1
	switch v := v.(type) {
	case types.String:
		weight += len(v)
	case types.Bytes:
		weight += len(v)
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True && weight <= most; {
			key := it.Next()
			value, _ := v.Find(key)
			weight += weigh(key, most) + weigh(value, most-weight)
		}
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True && weight <= most; {
			weight += weigh(it.Next(), most-weight)
		}
	case *types.Optional:
		if v.HasValue() {
			weight += weigh(v.GetValue(), most)
		}
	}
	return weight
}
