package audit_test

import (
	"testing"
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestExposures: what an agent was exposed to is not forgotten before its time.
func TestExposures(t *testing.T) {
	seen := func(h *history) schemas.Seen {
		return schemas.Seen{Action: "shop.read", Session: "s", Labels: []string{"mail", "pii"}, Until: h.now.Add(time.Hour)}
	}
	const forgets = "forgets that bot was exposed by shop.read until 2026-03-04T13:00:00Z"
	next := func(change func(s *schemas.Seen)) tampering {
		return func(h *history) (schemas.Pointer, string) {
			s := seen(h)
			h.expose("bot", schemas.Seen{Action: "shop.look", Labels: []string{"x"}, Until: h.now.Add(time.Second)}, s)
			h.expose("bit")
			h.wait(time.Minute)
			change(&s)
			return h.expose("bot", s), forgets
		}
	}
	testTamperings(t, map[string]tampering{
		"the action":  next(func(s *schemas.Seen) { s.Action = "shop.other" }),
		"the session": next(func(s *schemas.Seen) { s.Session = "t" }),
		"a label":     next(func(s *schemas.Seen) { s.Labels = s.Labels[1:] }),
		"the time":    next(func(s *schemas.Seen) { s.Until = s.Until.Add(-time.Second) }),
		"everything": func(h *history) (schemas.Pointer, string) {
			h.expose("bot", seen(h))
			return h.expose("bot"), forgets
		},
	})
}
