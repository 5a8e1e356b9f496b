package broker

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// silent is for how long AUDIT has heard nothing from a stream that it does not
	// copy any more: the broker sends a beat every second.
	silent = 4 * time.Second

	// settling is how long a new leader of AUDIT may take to ask every stream for
	// what it has not copied. It takes a second at most.
	settling = 2 * time.Second

	// copyWait is how long a new AUDIT may take to begin, and copyLook how often
	// it is looked at meanwhile.
	copyWait = 5 * time.Second
	copyLook = 20 * time.Millisecond
)

// Rouse makes AUDIT copy again where it stands still, and returns the streams that
// it did not hear from, or none if all is well.
//
// The leader of AUDIT asks each stream for what it has not copied. If that stream
// has no leader at that moment, because both were on a node that failed, the
// question is lost, and comes again after 40 seconds. Another leader asks at
// once: so it is given another. That moves nothing but the leadership, and is all
// that can be done without the right to change AUDIT; a single server has to wait.
func (p *Provisioner) Rouse(ctx context.Context) ([]string, error) {
	info, err := p.audit.streamInfoAt(ctx, "$JS.API.STREAM.INFO."+string(schemas.Audit))
	if err != nil || !replaceable(info) {
		return nil, err
	}
	var idle []string
	for _, name := range unheard(info) {
		// A stream that does not answer us would not answer AUDIT either.
		if _, err := p.gate.streamInfoAt(ctx, "$JS.API.STREAM.INFO."+name); err == nil {
			idle = append(idle, name)
		}
	}
	if len(idle) == 0 {
		return nil, nil
	}
	return idle, p.stepDown(ctx)
}

// unheard returns the streams from which AUDIT hears nothing.
func unheard(info *jetstream.StreamInfo) []string {
	var names []string
	for _, s := range info.Sources {
		if s.Error != nil || s.Active < 0 || s.Active > silent {
			names = append(names, s.Name)
		}
	}
	return names
}

// replaceable reports whether AUDIT's leader has had its time, and another replica
// could take its place.
func replaceable(info *jetstream.StreamInfo) bool {
	c := info.Cluster
	if c == nil || c.LeaderSince == nil || info.TimeStamp.Sub(*c.LeaderSince) < settling {
		return false
	}
	for _, r := range c.Replicas {
		if r.Current && !r.Offline {
			return true
		}
	}
	return false
}

// stepDown makes AUDIT's leader hand over.
func (p *Provisioner) stepDown(ctx context.Context) error {
	op := "giving AUDIT another leader"
	m, err := p.audit.request(ctx, op, auditStepDown, nil)
	if err != nil {
		return err
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return translate(op, err)
	}
	if answer.Error != nil {
		return translate(op, answer.Error)
	}
	return nil
}

// copying waits until AUDIT, which was just made, hears from every stream. A server
// that is reloaded before that loses the questions that are under way. It does not
// wait for ever: that AUDIT does not copy is for the gate's health to say.
func (p *Provisioner) copying(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, copyWait)
	defer cancel()
	for {
		info, err := p.audit.streamInfoAt(ctx, "$JS.API.STREAM.INFO."+string(schemas.Audit))
		if err == nil && len(unheard(info)) == 0 || pause(ctx, copyLook) != nil {
			return
		}
	}
}
