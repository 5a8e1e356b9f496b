package broker

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestTranslate: every error of NATS has one meaning, keeps its own text, and says
// what was being done. One that is not known is trouble: later, and never never.
func TestTranslate(t *testing.T) {
	t.Parallel()
	api := func(code jetstream.ErrorCode) error { return &jetstream.APIError{Code: 400, ErrorCode: code} }
	for _, c := range []struct {
		err, want error
	}{
		{api(10071), schemas.ErrStale}, // another write came first
		{api(10164), schemas.ErrStale}, // another write is under way, and may come to nothing
		{api(10037), schemas.ErrNotFound},
		{jetstream.ErrMsgNotFound, schemas.ErrNotFound},
		{errNoRecord, schemas.ErrNotFound},
		{api(10054), schemas.ErrInvalid},
		{nats.ErrMaxPayload, schemas.ErrInvalid},
		{nats.ErrBadSubject, schemas.ErrInvalid},
		{nats.ErrBadHeaderMsg, schemas.ErrInvalid},
		{nats.ErrPermissionViolation, schemas.ErrDenied},
		{fmt.Errorf("%w: Permissions Violation for Publish to \"x\"", nats.ErrPermissionViolation), schemas.ErrDenied},
		{nats.ErrAuthorization, schemas.ErrDenied},
		{context.Canceled, context.Canceled},
		{context.DeadlineExceeded, schemas.ErrUnavailable},
		{nats.ErrTimeout, schemas.ErrUnavailable},
		{nats.ErrNoResponders, schemas.ErrUnavailable},
		{nats.ErrConnectionClosed, schemas.ErrUnavailable},
		{nats.ErrNoServers, schemas.ErrUnavailable},
		{api(10077), schemas.ErrUnavailable}, // the disk is full
		{api(10002), schemas.ErrUnavailable}, // the account is full
		{api(10008), schemas.ErrUnavailable}, // the cluster has no leader
		{api(10059), schemas.ErrUnavailable}, // no such stream: yet
		{errUnreadable, schemas.ErrUnavailable},
		{errors.New("anything else"), schemas.ErrUnavailable},
	} {
		got := translate("doing something", c.err)
		if !errors.Is(got, c.want) || !errors.Is(got, c.err) {
			t.Errorf("%v becomes %v, want %v", c.err, got, c.want)
		}
		if want := fmt.Sprintf("doing something: %v: %v", c.want, c.err); got.Error() != want {
			t.Errorf("%v reads %q, want %q", c.err, got, want)
		}
		for _, other := range []error{
			schemas.ErrInvalid, schemas.ErrDenied, schemas.ErrNotFound, schemas.ErrStale, schemas.ErrClosed, schemas.ErrUnavailable, context.Canceled,
		} {
			if other != c.want && other != c.err && errors.Is(got, other) {
				t.Errorf("%v is %v as well as %v", c.err, other, c.want)
			}
		}
	}
	unsent := translate("doing something", nats.ErrReconnectBufExceeded)
	if want := "doing something: temporarily unavailable: disconnected from the broker; nothing was sent"; unsent.Error() != want {
		t.Errorf("what was not sent reads %q, want %q", unsent, want)
	}
	if !errors.Is(unsent, schemas.ErrUnavailable) {
		t.Errorf("what was not sent becomes %v", unsent)
	}
	if err := translate("doing something", nil); err != nil {
		t.Errorf("nothing becomes %v", err)
	}
}
