package rules

import (
	"time"

	"github.com/holdpoint/holdpoint/schemas"
)

// Charge is what an intent takes of a budget, if it is released.
type Charge struct {
	// Budget is the id of the budget, and Key for what it counts apart.
	Budget string
	Key    string

	Amount int64
	Limit  int64

	// Since is the beginning of the window: what was taken before does not count. From
	// Forget on it is kept, because the window may be another by other clocks.
	Since  time.Time
	Forget time.Time

	// Grain is the part of the window in which amounts may be added up.
	Grain time.Duration
}

// Budget is a budget of a policy: a limit on all that is released within a window.
type Budget struct {
	ID    string
	Limit int64

	// Beyond is what becomes of an intent that goes beyond the limit.
	Beyond schemas.Outcome

	window window
}

// Charge returns the charge of an amount at a moment, for a key. Nothing else says from
// when on what was taken counts.
func (b Budget) Charge(key string, amount int64, now time.Time) Charge {
	return Charge{
		Budget: b.ID, Key: key, Amount: amount, Limit: b.Limit,
		Since: b.window.since(now), Forget: b.window.since(now.Add(-otherClocks)), Grain: b.window.grain(),
	}
}

// Over returns until when what is taken at a moment counts.
func (b Budget) Over(at time.Time) time.Time { return b.window.over(at) }

// Window returns the window as a policy has it: a time span such as 24h, or the hour,
// day, week or month of UTC.
func (b Budget) Window() string {
	if b.window.calendar != "" {
		return b.window.calendar
	}
	return span(b.window.span)
}

// otherClocks is more than any two clocks of a gate that releases something differ by.
const otherClocks = 10 * time.Second

// window is the time whose releases count: the span before now, or the calendar's
// hour, day, week or month of UTC that now is in.
type window struct {
	span     time.Duration
	calendar string
}

// spans are the lengths of the windows of the calendar, at most.
var spans = map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour, "month": schemas.MaxWindow}

// since returns the beginning of the window.
func (w window) since(now time.Time) time.Time {
	now = now.UTC()
	year, month, day := now.Date()
	switch w.calendar {
	case "hour":
		return now.Truncate(time.Hour)
	case "day":
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	case "week":
		sinceMonday := (int(now.Weekday()) + 6) % 7
		return time.Date(year, month, day-sinceMonday, 0, 0, 0, 0, time.UTC)
	case "month":
		return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	default:
		return now.Add(-w.span)
	}
}

// over returns until when what is taken at a moment counts: a window that begins later
// is without it.
func (w window) over(at time.Time) time.Time {
	switch w.calendar {
	case "":
		return at.Add(w.span)
	case "month":
		return w.since(at).AddDate(0, 1, 0)
	default:
		return w.since(at).Add(spans[w.calendar])
	}
}

func (w window) grain() time.Duration {
	length := w.span
	if w.calendar != "" {
		length = spans[w.calendar]
	}
	return max(time.Second, length/32)
}

func (w window) String() string {
	if w.calendar != "" {
		return "this " + w.calendar
	}
	return span(w.span)
}
