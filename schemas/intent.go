package schemas

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits of what an intent says.
const (
	// MaxLifetime is how long an intent may wait, and its lifetime if it names
	// none.
	MaxLifetime = 72 * time.Hour

	// MaxProse is the size of reason and of goal, in bytes.
	MaxProse = 4 << 10

	// MaxSession is the size of a session's name, in bytes.
	MaxSession = 128

	maxExpiresIn = Seconds(MaxLifetime / time.Second)

	// idSkew is how far the time in an id may lie ahead of the broker's.
	idSkew = 5 * time.Minute
)

// Proposal is the body of an intent as its agent publishes it.
type Proposal struct {
	// Params are the action's parameters: an object.
	Params jsontext.Value `json:"params"`

	// Reason says why the agent wants this, Goal what it was asked to do. Both
	// are prose of the agent: shown to reviewers apart from the facts, and not
	// visible to rules that could release anything.
	Reason string `json:"reason,omitzero"`
	Goal   string `json:"goal,omitzero"`

	// Session is the agent's own word for what belongs together: letters, digits
	// and . _ : -
	Session string `json:"session,omitzero"`

	// ExpiresIn is how long the intent may wait, counted from the moment the
	// broker accepted it. If zero, it is MaxLifetime.
	ExpiresIn Seconds `json:"expires_in,omitzero"`

	// Cause is reserved for chains of intents and refused until they exist.
	Cause jsontext.Value `json:"cause,omitzero"`
}

// Intent returns the intent that the proposal makes under the id of k, as far as
// the digest covers it and but for the gateway, which the agent need not know.
func (p Proposal) Intent(k Key, a Action) (Intent, error) {
	params, err := Canonical(p.Params)
	if err != nil {
		return Intent{}, err
	}
	in := Intent{Agent: k.Agent, ID: k.ID, Action: a, Params: params, Session: p.Session, ExpiresIn: maxExpiresIn}
	if p.ExpiresIn > 0 {
		in.ExpiresIn = p.ExpiresIn
	}
	return in, nil
}

// Propose returns the message by which an agent proposes an action under the id
// of k, at time at.
func Propose(k Key, a Action, p Proposal, at time.Time) (Draft, error) {
	if err := checkTime(k.ID, at); err != nil {
		return Draft{}, err
	}
	body, err := Marshal(p)
	if err != nil {
		return Draft{}, invalid("proposal: %v", err)
	}
	e := Event{ID: string(k.ID), Source: "/agents/" + string(k.Agent), Type: TypePrefix + proposedType, Time: at}
	d := Draft{Subject: Subject{Kind: "intents", Agent: k.Agent, Action: a}.String(), Header: e.Header(), Body: body}
	if size := d.size(); size > MaxIntentSize {
		return d, invalid("the intent is %d bytes long, at most %d", size, MaxIntentSize)
	}
	return d, nil
}

// proposedType is the CloudEvents type of an intent, without the common prefix.
const proposedType = "intent.proposed.v1"

// Intent is one agent's proposal to perform one action with these parameters,
// as all records carry it.
type Intent struct {
	// Gateway is the tenant whose gate this is.
	Gateway Name     `json:"gateway"`
	Agent   Name     `json:"agent"`
	ID      IntentID `json:"id"`
	Action  Action   `json:"action"`

	// Params are the parameters in canonical form (RFC 8785): what rules judge,
	// what reviewers see, what the digest covers and what the executor receives
	// are the same bytes. They are missing if the intent could not be read.
	Params jsontext.Value `json:"params,omitzero"`

	Session   string  `json:"session,omitzero"`
	ExpiresIn Seconds `json:"expires_in"`
	Reason    string  `json:"reason,omitzero"`
	Goal      string  `json:"goal,omitzero"`

	// Proposed is when the broker accepted the intent, by its clock.
	Proposed time.Time `json:"proposed"`

	Digest Digest `json:"digest"`
}

// Key returns what the intent is known by.
func (in Intent) Key() Key { return Key{Agent: in.Agent, ID: in.ID} }

// Expires returns when the intent ends unless it was settled.
func (in Intent) Expires() time.Time { return in.Proposed.Add(in.ExpiresIn.Duration()) }

// DigestOf returns the digest of an intent: SHA-256 over the canonical JSON (RFC
// 8785) of the fields below. It covers what was asked for, by whom and of which
// gateway, and not when: the same proposal published twice has one digest.
func DigestOf(in Intent) Digest {
	covered := mustMarshal(struct {
		Action    Action         `json:"action"`
		Agent     Name           `json:"agent"`
		Cause     string         `json:"cause"`
		ExpiresIn Seconds        `json:"expires_in"`
		Gateway   Name           `json:"gateway"`
		ID        IntentID       `json:"id"`
		Params    jsontext.Value `json:"params"`
		Session   string         `json:"session"`
		Version   int            `json:"version"`
	}{in.Action, in.Agent, "", in.ExpiresIn, in.Gateway, in.ID, in.Params, in.Session, 1})
	return digestOf(covered)
}

// Verify reports whether the intent's digest is the digest of what it says.
func (in Intent) Verify() error {
	if want := DigestOf(in); in.Digest != want {
		return invalid("digest of %s is %s and its content says %s", in.Key(), in.Digest.Short(), want.Short())
	}
	return nil
}

// ReadIntent returns the intent that r, a record of INTENTS, proposes to
// gateway. The agent is the one that the broker let publish on r's subject,
// whatever the message says.
//
// If the message can never be accepted the error is a [Fault], and the intent
// still has everything needed to refuse it: agent, id, action, time and a
// digest. Its id is then the agent's own if that can be used, else the sequence
// of r. Only if the subject names no agent is there nothing to refuse.
func ReadIntent(gateway Name, r Record) (Intent, error) {
	s, subjectErr := ParseSubject(r.Subject)
	if s.Agent == "" {
		return Intent{}, subjectErr
	}
	in := Intent{
		Gateway:   gateway,
		Agent:     s.Agent,
		ID:        SequenceID(r.Seq),
		Action:    unreadable,
		ExpiresIn: maxExpiresIn,
		Proposed:  r.Time.UTC(),
		Digest:    r.Hash(),
	}
	if subjectErr != nil {
		return in, subjectErr
	}
	in.Action = s.Action
	body, err := in.readHeader(r)
	if err == nil {
		err = in.readBody(body)
	}
	if err != nil {
		return in, err
	}
	in.Digest = DigestOf(in)
	return in, nil
}

// readHeader takes the id from the message's headers, and returns its body.
func (in *Intent) readHeader(r Record) ([]byte, error) {
	if err := CheckHeaders(r); err != nil {
		return nil, err
	}
	e, data, err := ReadEvent(r.Header, r.Body)
	if err != nil {
		return nil, err
	}
	if e.ID == "" {
		return data, nil
	}
	id, err := ParseIntentID(e.ID)
	if err != nil {
		return nil, err
	}
	if err := checkTime(id, in.Proposed); err != nil {
		return nil, err
	}
	in.ID = id
	if claimed, ok := strings.CutPrefix(e.Source, "/agents/"); ok && claimed != string(in.Agent) {
		return nil, invalid("ce-source: %q, but this is agent %s", clip(e.Source), in.Agent)
	}
	if err := checkVersion(e.Type); err != nil {
		return nil, err
	}
	if want := TypePrefix + proposedType; e.Type != want {
		return nil, invalid("ce-type: %q, want %q", clip(e.Type), want)
	}
	return data, nil
}

// checkTime refuses an id whose time is zero, which is the gate's own, one from
// the future, and one that is older than any intent may become: the gate may
// have forgotten by then what became of it.
func checkTime(id IntentID, proposed time.Time) error {
	switch t := id.Time(); {
	case t.Unix() == 0:
		return invalid("id %s: its time is zero", id)
	case t.After(proposed.Add(idSkew)):
		return invalid("id %s: its time %s lies ahead", id, t.Format(time.RFC3339))
	case t.Before(proposed.Add(-MaxLifetime)):
		return invalid("id %s: its time %s is more than %s ago", id, t.Format(time.RFC3339), MaxLifetime)
	}
	return nil
}

func sessionByte(c byte) bool { return partByte(c) || c == '.' || c == ':' }

func (in *Intent) readBody(body []byte) error {
	var p Proposal
	if err := Unmarshal(body, &p); err != nil {
		return err
	}
	switch {
	case p.Params.Kind() != '{':
		return invalid("/params: want an object")
	case len(p.Cause) != 0:
		return invalid("/cause: reserved")
	case len(p.Reason) > MaxProse:
		return invalid("/reason: longer than %d bytes", MaxProse)
	case len(p.Goal) > MaxProse:
		return invalid("/goal: longer than %d bytes", MaxProse)
	case p.Session != "" && !only(p.Session, 1, MaxSession, sessionByte):
		return invalid("/session: want at most %d of letters, digits and . _ : -", MaxSession)
	case p.ExpiresIn < 0 || p.ExpiresIn > maxExpiresIn:
		return invalid("/expires_in: want 1 to %d seconds", maxExpiresIn)
	}
	params, err := Canonical(p.Params)
	if err != nil {
		return err
	}
	// Records carry the canonical form, in which numbers can grow: 9e15 takes
	// sixteen digits. Nothing else does.
	if size := len(body) - len(p.Params) + len(params); size > MaxIntentSize {
		return invalid("/params: the intent is %d bytes with them in canonical form, at most %d", size, MaxIntentSize)
	}
	in.Params, in.Session, in.Reason, in.Goal = params, p.Session, p.Reason, p.Goal
	if p.ExpiresIn > 0 {
		in.ExpiresIn = p.ExpiresIn
	}
	return nil
}
