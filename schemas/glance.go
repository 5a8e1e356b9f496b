package schemas

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// GlanceHold returns the state that a record of PARKED gives its hold, and whether
// the hold was ever in doubt. It reads no more than it needs, and checks nothing
// else: whoever acts on the hold reads it whole.
func GlanceHold(r Record) (state State, doubted bool, err error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(r.Body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := d.ReadToken(); err != nil {
		return "", false, jsonFault(err)
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return "", false, jsonFault(err)
		}
		switch name.String() {
		case "state":
			value, err := d.ReadToken()
			if err != nil {
				return "", false, jsonFault(err)
			}
			state = State(value.String())
		case "doubt":
			doubted = true
			fallthrough
		default:
			if err := d.SkipValue(); err != nil {
				return "", false, jsonFault(err)
			}
		}
	}
	_, err = d.ReadToken()
	return state, doubted, jsonFault(err)
}
