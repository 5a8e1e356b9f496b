package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// lookEvery is how often the audit and the clock are looked at, and lookAgain
	// how soon when something was not well: much waits for it to be.
	lookEvery = 250 * time.Millisecond
	lookAgain = 25 * time.Millisecond

	// sayAfter is for how long the gate is not well before it says so: a start is
	// not worth mentioning.
	sayAfter = time.Second

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

// run looks until ctx ends, and logs when the gate falls ill and is well again.
func (m *monitor) run(ctx context.Context, conn *broker.Conn, bounds broker.Bounds, log zerolog.Logger) error {
	well, said := time.Now(), false
	for {
		m.set(conn.Health(ctx, bounds, time.Now))
		wait, err := lookEvery, m.Check()
		switch {
		case err != nil && !said && time.Since(well) > sayAfter:
			log.Warn().Err(err).Msg("nothing is released")
			said = true
		case err == nil && said:
			log.Info().Msg("what may be released is released again")
			said = false
		}
		if err != nil {
			wait = lookAgain
		} else {
			well = time.Now()
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
