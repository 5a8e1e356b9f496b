package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
	"github.com/holdpoint/holdpoint/stages"
)

// evidence is what an intent is decided again from, beside bundles. It is written with
// the answer, so that others can decide again from that.
type evidence struct {
	Records []schemas.Copy `json:"records"`

	// Copied says that the times of records are when AUDIT copied them.
	Copied bool `json:"copied"`

	// Registered are those who have to do with the intent, and when they were
	// registered; nothing if that is not known.
	Registered tenures `json:"registered,omitempty"`
}

// gather returns the evidence about an intent, as far as the one who is connected may
// see it.
func gather(ctx context.Context, c *client.Conn, k schemas.Key) (e evidence, err error) {
	var records []schemas.Record
	if e.Copied = c.Role() == schemas.RoleAuditor; e.Copied {
		records, err = trailFromAudit(ctx, client.Auditor{Conn: c}, k)
	} else {
		records, err = c.Show(ctx, k)
	}
	if err != nil {
		return e, err
	}
	inOrder(records)
	e.Records = copies(records)
	e.Registered, err = tenuresKnownTo(ctx, c)
	return e, err
}

// readEvidence reads what why or show wrote as JSON. Times are not believed unless it
// says that they are the gate's own.
func readEvidence(path string) (evidence, error) {
	e := evidence{Copied: true}
	text, err := os.ReadFile(path)
	if err != nil {
		return e, fmt.Errorf("reading records: %w", err)
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, hint(fmt.Errorf("reading records: %s: %w", path, err), "write the file with \"holdpoint why ID -o json\"")
	}
	if len(e.Records) == 0 {
		return e, hint(fmt.Errorf("reading records: %s: %w: there are none", path, schemas.ErrInvalid), "write the file with \"holdpoint why ID -o json\"")
	}
	return e, nil
}

func (e evidence) records() []schemas.Record {
	all := make([]schemas.Record, len(e.Records))
	for i, c := range e.Records {
		all[i] = c.Record()
	}
	return all
}

// lookUp returns who was registered when, or nil if nobody knows, and keeps of those
// whom nobody asks for nothing.
func (e *evidence) lookUp() (registered stages.Registered, done func()) {
	if e.Registered == nil {
		return nil, func() {}
	}
	asked := tenures{}
	registered = func(name schemas.Name, at time.Time) (schemas.Identity, bool, bool) {
		if t, known := e.Registered[name]; known {
			asked[name] = t
		}
		return e.Registered.at(name, at)
	}
	return registered, func() { e.Registered = asked }
}
