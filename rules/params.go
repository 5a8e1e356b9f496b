package rules

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// maxDetail is how much an agent is told about its parameters, in bytes.
const maxDetail = 500

// CheckParams returns a [schemas.Fault] unless the action exists and the
// parameters are what its schema says. The fault names each parameter that is
// wrong by its JSON Pointer, as far as that fits.
func (b *Bundle) CheckParams(a schemas.Action, params []byte) error {
	p, ok := b.plans[a]
	if !ok {
		return &schemas.Fault{Code: schemas.CodeUnknownAction, Detail: clip(oneLine(string(a)), maxDetail)}
	}
	var value jsontext.Value
	if err := schemas.Unmarshal(params, &value); err != nil {
		return err
	}
	// The decoder must not lose digits: in binary, 0.07 is no multiple of 0.01.
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(params))
	if err != nil {
		return &schemas.Fault{Code: schemas.CodeInvalid, Detail: clip(oneLine("/params: "+err.Error()), maxDetail)}
	}
	if err := p.schema.Validate(doc); err != nil {
		return &schemas.Fault{Code: schemas.CodeInvalid, Detail: complaints(err)}
	}
	return nil
}

// complaints says what is wrong with parameters.
func complaints(err error) string {
	var violation *jsonschema.ValidationError
	if !errors.As(err, &violation) {
		return clip(oneLine(err.Error()), maxDetail)
	}
	var texts []string
	for _, leaf := range leaves(violation) {
		texts = append(texts, "/params"+pointer(leaf.InstanceLocation)+": "+complaint(leaf))
	}
	return clip(oneLine(strings.Join(slices.Compact(texts), "; ")), maxDetail)
}

// maxComplaints is how many leaves are put into words.
const maxComplaints = 20

// leaves returns the first causes that have no causes, in the order of their
// places: the validator finds them in the order of a Go map.
func leaves(v *jsonschema.ValidationError) []*jsonschema.ValidationError {
	var found []*jsonschema.ValidationError
	var collect func(*jsonschema.ValidationError)
	collect = func(v *jsonschema.ValidationError) {
		if len(v.Causes) == 0 {
			found = append(found, v)
		}
		for _, cause := range v.Causes {
			collect(cause)
		}
	}
	collect(v)
	slices.SortStableFunc(found, func(a, b *jsonschema.ValidationError) int {
		if c := slices.Compare(a.InstanceLocation, b.InstanceLocation); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.SchemaURL, b.SchemaURL), slices.Compare(a.ErrorKind.KeywordPath(), b.ErrorKind.KeywordPath()))
	})
	return found[:min(len(found), maxComplaints)]
}

// complaint says what a leaf is about.
func complaint(leaf *jsonschema.ValidationError) string {
	switch k := leaf.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		slices.Sort(k.Properties)
		return fmt.Sprintf("unknown: %s", strings.Join(k.Properties, ", "))
	case *kind.Required:
		return fmt.Sprintf("missing: %s", strings.Join(k.Missing, ", "))
	}
	if out := leaf.BasicOutput(); out.Error != nil {
		return out.Error.String()
	}
	return "not what the schema says"
}

// pointer returns the JSON Pointer (RFC 6901) of a place.
func pointer(place []string) string {
	var p jsontext.Pointer
	for _, part := range place {
		p = p.AppendToken(part)
	}
	return string(p)
}
