package stages

import (
	"sync"

	"github.com/holdpoint/holdpoint/schemas"
)

// ExposureCopy is a copy of EXPOSED, as far as it was read. It may be used
// concurrently.
type ExposureCopy struct {
	// mu guards agents, for the time of one look or one record.
	mu     sync.RWMutex
	agents map[schemas.Name]schemas.Exposure
}

// NewExposureCopy returns an empty copy.
func NewExposureCopy() *ExposureCopy {
	return &ExposureCopy{agents: map[schemas.Name]schemas.Exposure{}}
}

// Apply takes in a record of EXPOSED.
func (c *ExposureCopy) Apply(r schemas.Record) error {
	var e schemas.Exposure
	if err := read(r, &e); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.agents[e.Agent] = e
	return nil
}

// Exposure returns what an agent has been given.
func (c *ExposureCopy) Exposure(agent schemas.Name) schemas.Exposure {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.agents[agent]
}
