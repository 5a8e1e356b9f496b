package broker

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// refusals is for how long the broker has been refusing to connect an identity that
// it knew before.
type refusals struct {
	patience time.Duration // 0 means for ever

	// mu guards what follows, for the time of one look.
	mu    sync.Mutex
	since time.Time // zero if the last attempt was not refused
	final bool
}

// add notes that the broker refused once more at that moment. It reports whether
// that is the first time in a row, and whether it is once too often.
func (r *refusals) add(at time.Time) (first, final bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since.IsZero() {
		r.since, first = at, true
	}
	r.final = r.final || r.patience > 0 && at.Sub(r.since) >= r.patience
	return first, r.final
}

// over notes that the broker did not refuse: it let the identity in, or is not there.
func (r *refusals) over() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since = time.Time{}
}

// isFinal reports whether the connection was given up.
func (r *refusals) isFinal() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.final
}

// unknown reports whether the broker says that it does not know the identity.
func unknown(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) ||
		errors.Is(err, nats.ErrAuthRevoked) || errors.Is(err, nats.ErrAccountAuthExpired)
}

// turnedAway takes note that the broker does not know the identity any more. When
// that has been so for too long, the connection is closed for good.
func (c *Conn) turnedAway(nc *nats.Conn, err error) {
	first, final := c.refusals.add(time.Now())
	switch {
	case final:
		nc.Close()
	case first && c.refusals.patience > 0:
		c.log.Warn().Err(err).Msgf("the broker does not know %s: it was removed, or the gate has just started; trying again for %s", c.name, c.refusals.patience)
	case first:
		c.log.Warn().Err(err).Msgf("the broker does not know %s; trying again", c.name)
	}
}

// ErrTurnedAway says that a connection that stood was given up, because the broker
// does not know its identity any more.
var ErrTurnedAway = fmt.Errorf("not known to the broker any more: %w", nats.ErrAuthorization)

// because returns err, or that the broker does not know the identity any more if that
// is why the connection is closed.
func (c *Conn) because(err error) error {
	if errors.Is(err, nats.ErrConnectionClosed) && c.refusals.isFinal() {
		return fmt.Errorf("%s is %w", c.name, ErrTurnedAway)
	}
	return err
}
