package replay

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/holdpoint/holdpoint/schemas"
)

// DefaultAgent is the agent of calls that name none.
const DefaultAgent schemas.Name = "agent"

// Call is one line of a log: a call that an agent made.
type Call struct {
	// Line is where the call stands.
	Line Line

	Action schemas.Action
	Params jsontext.Value
	Agent  schemas.Name
	Goal   string

	// Session is as the log has it, and Seq the number of the call in it.
	Session string
	Seq     int64

	// Observed are the actions whose results the agent had been given before.
	Observed []schemas.Action

	// Time is when the call was made; zero if the log does not say.
	Time time.Time

	numbered bool // the log has Seq
}

// call is a line as it is written.
type call struct {
	Action   schemas.Action   `json:"action"`
	Params   jsontext.Value   `json:"params"`
	Session  string           `json:"session"`
	Agent    *string          `json:"agent"`
	Seq      *int64           `json:"seq"`
	Observed []schemas.Action `json:"observed"`
	Goal     string           `json:"goal"`
	Time     time.Time        `json:"time"`
}

// ParseCall reads a line. If as is not empty, it is the agent, whatever the line
// says. The error says what is wrong with the line, and not where the line stands.
func ParseCall(l Line, as schemas.Name) (Call, error) {
	if l.Err != nil {
		return Call{}, l.Err
	}
	var in call
	if err := json.Unmarshal(l.Text, &in); err != nil {
		return Call{}, explain(err)
	}
	if in.Action == "" {
		return Call{}, errors.New("/action: missing")
	}
	c := Call{
		Line: l, Action: in.Action, Params: in.Params, Agent: cmp.Or(as, DefaultAgent), Goal: in.Goal,
		Session: in.Session, Observed: in.Observed, Time: in.Time.UTC(),
	}
	if len(c.Params) == 0 || c.Params.Kind() == 'n' {
		c.Params = jsontext.Value("{}")
	}
	if in.Agent != nil && as == "" {
		name, err := schemas.ParseName(*in.Agent)
		if err != nil {
			return Call{}, fmt.Errorf("/agent: %w", err)
		}
		c.Agent = name
	}
	if in.Seq != nil {
		c.Seq, c.numbered = *in.Seq, true
	}
	return c, nil
}

// explain says in one line, field first, why a line cannot be read.
func explain(err error) error {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	var fault *schemas.Fault
	switch {
	case errors.As(err, &fault) && errors.As(err, &semantic):
		return fmt.Errorf("%s: %s", semantic.JSONPointer, fault.Detail)
	case errors.As(err, &semantic) && semantic.JSONPointer == "":
		return errors.New("want a JSON object")
	case errors.As(err, &semantic) && semantic.Err != nil:
		return fmt.Errorf("%s: %w", semantic.JSONPointer, semantic.Err)
	case errors.As(err, &semantic):
		return fmt.Errorf("%s: a JSON %s does not fit here", semantic.JSONPointer, semantic.JSONKind)
	case errors.As(err, &syntactic):
		return fmt.Errorf("not JSON at byte %d: %w", syntactic.ByteOffset, syntactic.Err)
	default:
		return errors.New("not JSON: cut short")
	}
}

// Proposal returns the call as its agent would propose it to a gate. Prose that is
// longer than a gate takes is cut.
func (c Call) Proposal() schemas.Proposal {
	return schemas.Proposal{Params: c.Params, Goal: cut(c.Goal, schemas.MaxProse), Session: SessionName(c.Session)}
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// sessionKept is how much of a name is kept if it cannot be used as it is.
const sessionKept = 64

// SessionName returns the name of a session as a gate takes it: itself if it can
// be, else one that looks like it, another for each.
func SessionName(name string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("._:-", r):
			return r
		}
		return ':'
	}, name)
	if plain == name && len(name) <= schemas.MaxSession {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return plain[:min(len(plain), sessionKept)] + "." + hex.EncodeToString(sum[:8])
}
