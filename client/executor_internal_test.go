package client

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestLateGrant: an action whose lease ended before the grant was here is not
// performed, and nothing is reported on it.
func TestLateGrant(t *testing.T) {
	t.Parallel()
	called := false
	r := &run{handler: func(context.Context, Task) (any, error) {
		called = true
		return "ok", nil
	}}
	result, err := r.perform(t.Context(), Task{Until: time.Now()}, nil)
	if called || result != nil || !errors.Is(err, ErrUnknown) {
		t.Errorf("called %t, got %v, %v, want ErrUnknown without a call", called, result, err)
	}
	result, err = r.perform(t.Context(), Task{Until: time.Now().Add(time.Hour)}, nil)
	if !called || result != "ok" || err != nil {
		t.Errorf("in time: called %t, got %v, %v, want ok", called, result, err)
	}
}
