package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// lookEvery is how often the audit and the clock are looked at, and lookAgain
	// how soon when something was not well: much waits for it to be.
	lookEvery = 250 * time.Millisecond
	lookAgain = 25 * time.Millisecond

	// staleAfter is for how long a look is good.
	staleAfter = 3 * time.Second

	// streamsEvery is how often a stage makes sure that the streams are still the
	// ones that provision made.
	streamsEvery = 10 * time.Second
)

// monitor knows how the gate is, from looking at intervals. Before the first look
// nothing is well.
type monitor struct {
	// mu guards everything below, for the time of one look.
	mu         sync.RWMutex
	conditions []schemas.Condition
	at         time.Time
}

// run looks until ctx ends.
func (m *monitor) run(ctx context.Context, conn *broker.Conn, bounds broker.Bounds) error {
	for {
		m.set(conn.Health(ctx, bounds, time.Now))
		wait := lookEvery
		if m.Check() != nil {
			wait = lookAgain
		}
		if err := sleep(ctx, wait); err != nil {
			return nil
		}
	}
}

func (m *monitor) set(conditions []schemas.Condition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conditions, m.at = conditions, time.Now()
}

// Conditions returns what the last look found.
func (m *monitor) Conditions() []schemas.Condition {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if age := time.Since(m.at); age > staleAfter {
		return []schemas.Condition{{Name: "audit", Detail: "not known for " + age.Round(time.Second).String()}}
	}
	return m.conditions
}

// Check returns an ErrUnavailable unless everything is well.
func (m *monitor) Check() error {
	for _, c := range m.Conditions() {
		if !c.Healthy {
			return fmt.Errorf("%s: %w: %s", c.Name, schemas.ErrUnavailable, c.Detail)
		}
	}
	return nil
}
