package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdpoint/holdpoint/schemas"
)

// Exit codes. They are part of the interface: scripts branch on them.
const (
	exitDone        = 0
	exitFailure     = 1
	exitUsage       = 2
	exitRefused     = 3
	exitParked      = 4 // still waiting
	exitOver        = 5 // expired or withdrawn
	exitConflict    = 6 // already decided, or not what was shown
	exitDenied      = 7
	exitUnavailable = 8
	exitInterrupted = 130
)

// usageError is a mistake in how a command was called.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// hinted is an error that knows the next step.
type hinted struct {
	error
	hint string
}

func (e hinted) Unwrap() error { return e.error }

// hint adds the next step to err.
func hint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return hinted{err, fmt.Sprintf(format, args...)}
}

// ended is an error that sets the exit code itself.
type ended struct {
	error
	code int
}

func (e ended) Unwrap() error { return e.error }

// exitCode returns what the process exits with after err.
func exitCode(err error) int {
	var own ended
	var wrong *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &wrong):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, schemas.ErrDenied):
		return exitDenied
	case errors.Is(err, schemas.ErrStale), errors.Is(err, schemas.ErrClosed):
		return exitConflict
	case errors.Is(err, schemas.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return exitUnavailable
	default:
		return exitFailure
	}
}

// codeExit returns the exit code for an intent that was refused because of code.
func codeExit(code schemas.Code) int {
	switch code {
	case schemas.CodeExpired, schemas.CodeWithdrawn:
		return exitOver
	case schemas.CodeDuplicateID:
		return exitConflict
	default:
		return exitRefused
	}
}
