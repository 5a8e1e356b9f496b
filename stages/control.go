package stages

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// policyWait is how long a message waits for the bundle that is active, before
// it is handed back.
const policyWait = 5 * time.Second

// ControlState is what CONTROL says about freezes, bundles and the streams. It is
// folded from the records, in order, by one goroutine, and may be asked by all.
type ControlState struct {
	names Directory

	// mu guards everything below, for the time of one look or one record.
	mu      sync.RWMutex
	freezes map[schemas.Scope]schemas.Freeze
	bundles schemas.Activations
	policy  Policy         // nil, or older than the active one, until that is loaded
	wanted  schemas.Digest // of the shadow
	shadow  Policy         // nil, or another than the one that is wanted, until it is loaded
	changed chan struct{}  // closed and replaced when policy changes
	toLoad  chan struct{}  // receives when another bundle may be wanted
	thawed  chan struct{}  // receives when something may go on
	streams map[schemas.Stream]schemas.StreamMade

	// patience is how long Policy waits for a bundle. It does not change.
	patience time.Duration
}

// NewControlState returns the state before the first record.
func NewControlState(names Directory) *ControlState {
	return &ControlState{
		names:   names,
		freezes: map[schemas.Scope]schemas.Freeze{},
		changed: make(chan struct{}),
		toLoad:  make(chan struct{}, 1),
		thawed:  make(chan struct{}, 1),
		streams: map[schemas.Stream]schemas.StreamMade{},

		patience: policyWait,
	}
}

// Apply takes in a record of CONTROL. Its error is worth a log line: it is about
// a record that has no effect, or, if it is a freeze that cannot be read, about
// one that was taken for a full freeze.
func (c *ControlState) Apply(r schemas.Record) error {
	s, err := schemas.ParseSubject(r.Subject)
	if err != nil {
		return err
	}
	writer, _ := c.names.ByName(s.Writer)
	if !schemas.MayWrite(writer.Role, s.About) {
		return fmt.Errorf("%w: %s may not write %s", schemas.ErrInvalid, s.Writer, r.Subject)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch s.About {
	case "freeze":
		return c.freeze(r)
	case "thaw":
		return c.thaw(r)
	case "bundle":
		return c.activate(r, writer.Principal())
	case "shadow":
		return c.cast(r)
	case "stream":
		return c.stream(r)
	}
	return nil
}

func (c *ControlState) freeze(r schemas.Record) error {
	var f schemas.Freeze
	err := schemas.Read(r, &f)
	if err == nil && !f.Scope.Valid() {
		err = fmt.Errorf("%w: a freeze of %+v", schemas.ErrInvalid, f.Scope)
	}
	if err != nil {
		f = schemas.Freeze{Scope: schemas.Scope{All: true}, Reason: "a freeze that cannot be read"}
	}
	c.freezes[f.Scope] = f
	return err
}

func (c *ControlState) thaw(r schemas.Record) error {
	var t schemas.Thaw
	if err := schemas.Read(r, &t); err != nil {
		return err
	}
	delete(c.freezes, t.Scope)
	wake(c.thawed)
	return nil
}

func (c *ControlState) activate(r schemas.Record, person string) error {
	var a schemas.Activation
	if err := schemas.Read(r, &a); err != nil {
		return err
	}
	c.bundles.Add(r.Seq, a, person)
	wake(c.toLoad)
	return nil
}

// cast takes in which bundle is the shadow.
func (c *ControlState) cast(r schemas.Record) error {
	var s schemas.Shadow
	if err := schemas.Read(r, &s); err != nil {
		return err
	}
	c.wanted = s.Bundle
	wake(c.toLoad)
	return nil
}

func (c *ControlState) stream(r schemas.Record) error {
	var made schemas.StreamMade
	if err := schemas.Read(r, &made); err != nil {
		return err
	}
	// Provision says so again when a limit was changed on purpose. Another stream in
	// its place is another matter.
	if before, known := c.streams[made.Stream]; known && !before.Created.Equal(made.Created) {
		return fmt.Errorf("%w: stream %s was made again", schemas.ErrInvalid, made.Stream)
	}
	c.streams[made.Stream] = made
	return nil
}

// wake makes the one who receives from c look again. It never waits: who has yet to
// look will see all that is so by now.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Thawed receives when holds that wait are to be evaluated again.
func (c *ControlState) Thawed() <-chan struct{} { return c.thawed }

// ToLoad receives when Wanted or WantedShadow may have changed. It is for the one who
// loads bundles.
func (c *ControlState) ToLoad() <-chan struct{} { return c.toLoad }

// Wanted returns the digest of the bundle that must be loaded, or "" if the
// active one is loaded already, or there is none.
func (c *ControlState) Wanted() schemas.Digest {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return missing(c.bundles.Active(), c.policy)
}

// WantedShadow is Wanted for the shadow.
func (c *ControlState) WantedShadow() schemas.Digest {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return missing(c.wanted, c.shadow)
}

func missing(wanted schemas.Digest, have Policy) schemas.Digest {
	if have != nil && have.Digest() == wanted {
		return ""
	}
	return wanted
}

// Load makes p the policy, unless another bundle became active meanwhile.
func (c *ControlState) Load(p Policy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.Digest() != c.bundles.Active() {
		return
	}
	c.policy = p
	close(c.changed)
	c.changed = make(chan struct{})
	wake(c.thawed)
}

// LoadShadow makes p the shadow.
func (c *ControlState) LoadShadow(p Policy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shadow = p
}

// Shadow returns the bundle that is evaluated beside the active one, or nil.
func (c *ControlState) Shadow() Policy {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.shadow == nil || c.shadow.Digest() != c.wanted {
		return nil
	}
	return c.shadow
}

// Active returns the digest of the active bundle, or "".
func (c *ControlState) Active() schemas.Digest {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.bundles.Active()
}

// Policies returns which bundle is active, and how it came to that.
func (c *ControlState) Policies() schemas.Policies {
	c.mu.RLock()
	defer c.mu.RUnlock()
	active := c.bundles.Active()
	return schemas.Policies{
		Active: active,
		Loaded: active != "" && missing(active, c.policy) == "",
		Quorum: c.bundles.Quorum(),
		Shadow: c.wanted,
		Past:   c.bundles.Past(),
	}
}

// errNoPolicy is the answer while there is nothing to decide by.
var errNoPolicy = errors.New("no bundle is active")

// Policy returns the active bundle. It waits a while for one that is being
// loaded, and returns an ErrUnavailable if there is none then.
func (c *ControlState) Policy(ctx context.Context) (Policy, error) {
	deadline := time.NewTimer(c.patience)
	defer deadline.Stop()
	for {
		p, changed := c.loaded()
		if p != nil {
			return p, nil
		}
		select {
		case <-changed:
		case <-deadline.C:
			return nil, fmt.Errorf("%w: %w", schemas.ErrUnavailable, errNoPolicy)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *ControlState) loaded() (Policy, <-chan struct{}) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if active := c.bundles.Active(); active != "" && missing(active, c.policy) == "" {
		return c.policy, nil
	}
	return nil, c.changed
}

// Frozen returns the freeze that covers an intent, if there is one.
func (c *ControlState) Frozen(agent schemas.Name, action schemas.Action) (schemas.Freeze, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for scope, f := range c.freezes {
		if scope.Covers(agent, action) {
			return f, true
		}
	}
	return schemas.Freeze{}, false
}

// Freezes returns every freeze that holds.
func (c *ControlState) Freezes() []schemas.Freeze {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := slices.Collect(maps.Values(c.freezes))
	slices.SortFunc(all, func(a, b schemas.Freeze) int { return a.At.Compare(b.At) })
	return all
}

// Streams returns what provision said of every stream when it made it.
func (c *ControlState) Streams() []schemas.StreamMade {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Collect(maps.Values(c.streams))
}
