package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

// raiser is the name of who gives AUDIT more room. No identity has that right: who
// may raise a limit may lower it.
const raiser = "raiser"

// Raiser returns the user who may look at AUDIT and change how it is kept. Whoever
// owns the server may let it in, for as long as that takes.
func Raiser(key string) User {
	return User{
		Name: raiser, Key: key, Account: AuditLog,
		Publish:   []string{"$JS.API.STREAM.INFO.AUDIT", "$JS.API.STREAM.UPDATE.AUDIT"},
		Subscribe: []string{inbox(raiser) + ".>"},
	}
}

// RaiseAudit lets AUDIT grow to so many bytes, over the connection of the [Raiser]; 0
// is no limit. What is asked for already, or a stream that is not there, needs
// nothing. A lower limit is an ErrInvalid, since it would cut the record.
func RaiseAudit(ctx context.Context, c *Conn, bytes int64) error {
	info, err := c.streamInfoAt(ctx, "$JS.API.STREAM.INFO.AUDIT")
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	config := info.Config
	switch have := config.MaxBytes; {
	case have == bytes, have <= 0 && bytes == 0:
		return nil
	case bytes == 0:
		return fmt.Errorf("%w: AUDIT may grow to %d bytes, and no limit was given: give that one, or a higher one", schemas.ErrInvalid, have)
	case have <= 0:
		return fmt.Errorf("%w: AUDIT may grow without a limit, and %d bytes are less: a lower limit can cut the record", schemas.ErrInvalid, bytes)
	case bytes < have:
		return fmt.Errorf("%w: AUDIT may grow to %d bytes, and %d are less: a lower limit can cut the record", schemas.ErrInvalid, have, bytes)
	}
	config.MaxBytes = bytes
	_, err = c.js.UpdateStream(ctx, config)
	return translate("giving AUDIT more room", err)
}
