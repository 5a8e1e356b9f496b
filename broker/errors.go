package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

// translate gives err, which came out of NATS while doing op, the meaning that
// the rest of holdpoint understands. This is the only place that names NATS
// errors.
func translate(op string, err error) error {
	if err == nil {
		return nil
	}
	if unsent(err) {
		err = errDisconnected
	}
	return fmt.Errorf("%s: %w: %w", op, meaning(err), err)
}

func meaning(err error) error {
	switch {
	case wrongSequence(err):
		return schemas.ErrStale
	case errors.Is(err, jetstream.ErrMsgNotFound), errors.Is(err, errNoRecord):
		return schemas.ErrNotFound
	case errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum),
		errors.Is(err, nats.ErrMaxPayload),
		errors.Is(err, nats.ErrBadHeaderMsg),
		errors.Is(err, nats.ErrBadSubject):
		return schemas.ErrInvalid
	case errors.Is(err, nats.ErrPermissionViolation), errors.Is(err, nats.ErrAuthorization):
		return schemas.ErrDenied
	case errors.Is(err, context.Canceled):
		return context.Canceled
	default:
		return schemas.ErrUnavailable
	}
}

// Unmade reports whether err says that there is no such stream: the broker was asked,
// and knows. Any other ErrUnavailable says nothing of that.
func Unmade(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) }

// wrongSequence reports whether a conditional write lost. A single stream says
// 10071; a replicated one also says 10164, which means that another write is
// under way and may still come to nothing. Both mean look, not settled.
func wrongSequence(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	return api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}

// errDisconnected says that nothing was sent.
var errDisconnected = errors.New("disconnected from the broker; nothing was sent")

// unsent reports whether err says that nothing was sent, because the connection was
// broken at that moment. The client library means the buffer that it does not have.
func unsent(err error) bool {
	return errors.Is(err, errDisconnected) || errors.Is(err, nats.ErrReconnectBufExceeded)
}
