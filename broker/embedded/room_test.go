package embedded_test

import (
	"errors"
	"testing"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/broker/embedded"
	"github.com/holdpoint/holdpoint/schemas"
)

// TestRaiseAudit: AUDIT gets more room when whoever runs the process says so, and
// never less, which would cut the record. Nothing else of it changes.
func TestRaiseAudit(t *testing.T) {
	t.Parallel()
	d := population(t)
	s := start(t, config(t, d))
	check(t, s.RaiseAudit(t.Context(), 1<<20)) // there is no AUDIT yet
	provisionWith(t, s, d, 1<<20)
	for _, c := range []struct {
		bytes, then int64
		want        error
	}{
		{1 << 20, 1 << 20, nil},
		{1 << 21, 1 << 21, nil},
		{1 << 20, 1 << 21, schemas.ErrInvalid},
		{0, 1 << 21, schemas.ErrInvalid},
		{1, 1 << 21, schemas.ErrInvalid},
		{1 << 22, 1 << 22, nil},
	} {
		if err := s.RaiseAudit(t.Context(), c.bytes); !errors.Is(err, c.want) {
			t.Errorf("%d bytes: %v, want %v", c.bytes, err, c.want)
		}
		provisionWith(t, s, d, c.then) // finds no difference
	}
	unlimited := start(t, config(t, d))
	provision(t, unlimited, d)
	check(t, unlimited.RaiseAudit(t.Context(), 0))
	if err := unlimited.RaiseAudit(t.Context(), 1<<40); !errors.Is(err, schemas.ErrInvalid) {
		t.Errorf("a limit where there was none: %v, want an ErrInvalid", err)
	}
	provision(t, unlimited, d)
}

// provisionWith is provision with a limit for AUDIT.
func provisionWith(t testing.TB, s *embedded.Server, d *directory, bytes int64) {
	t.Helper()
	gate, audit := mustConnect(t, s.Connection(), d, "provision"), mustConnect(t, s.Connection(), d, "provision-audit")
	_, err := broker.NewProvisioner(gate, audit, "test", broker.Layout{Replicas: 1, AuditMaxBytes: bytes}).Apply(t.Context(), nil)
	check(t, err)
}
