package broker

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// answerWait is how long the broker has to answer one request.
	answerWait = 5 * time.Second

	// A connection that was lost is tried again at once, then less often.
	firstReconnect = 100 * time.Millisecond
	lastReconnect  = time.Second
)

// Server is where the broker is, and how to trust it.
type Server struct {
	// URL is one or more server addresses, separated by commas.
	URL string

	// TLS is used if it is not nil.
	TLS *tls.Config

	// InProcess connects without a socket. If set, URL is not used.
	InProcess nats.InProcessConnProvider

	// Patience is for how long a connection that stood is tried again while the
	// broker does not know the identity any more: it was removed, or a gate that has
	// just started has not read yet who exists. 0 means for ever.
	Patience time.Duration
}

// Conn is one identity's connection to the broker. It reconnects for as long as
// it is open, and the broker knows the identity. All methods may be called
// concurrently.
type Conn struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	name schemas.Name
	log  zerolog.Logger

	// mu guards sending, for the time of one look: those who wait for an answer.
	mu      sync.Mutex
	sending map[*sending]bool

	refusals refusals
}

// Connect connects as the identity of that name, which holds key. Accounts
// outside the gate see JetStream under another prefix, given by outside.
func Connect(s Server, name schemas.Name, key nkeys.KeyPair, log zerolog.Logger) (*Conn, error) {
	public, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w: %w", name, schemas.ErrInvalid, err)
	}
	c := &Conn{name: name, log: log.With().Str("identity", string(name)).Logger(), sending: map[*sending]bool{}}
	c.refusals.patience = s.Patience
	c.nc, err = nats.Connect(s.URL, append(s.options(name, public, key), c.handlers()...)...)
	if err != nil {
		return nil, translate("connecting as "+string(name), err)
	}
	if c.js, err = jetstream.New(c.nc, jetstream.WithDefaultTimeout(answerWait)); err != nil {
		c.nc.Close()
		return nil, translate("connecting as "+string(name), err)
	}
	return c, nil
}

func (s Server) options(name schemas.Name, public string, key nkeys.KeyPair) []nats.Option {
	options := []nats.Option{
		nats.Name("holdpoint " + string(name)),
		nats.Nkey(public, key.Sign),
		nats.CustomInboxPrefix(inbox(name)),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectAfter),
		// A gate that starts again refuses everyone until it has read who exists.
		nats.IgnoreAuthErrorAbort(),
		// What is sent while the connection is broken fails at once. Kept back, it
		// would land when the connection stands again: minutes after it was decided,
		// and after whoever sent it was told that it is not known.
		nats.ReconnectBufSize(-1),
		nats.Timeout(answerWait),
	}
	if s.TLS != nil {
		options = append(options, nats.Secure(s.TLS))
	}
	if s.InProcess != nil {
		options = append(options, nats.InProcessServer(s.InProcess))
	}
	return options
}

// reconnectAfter is how long it waits to connect again, after so many attempts:
// soon at first, for a broker that only restarts.
func reconnectAfter(attempts int) time.Duration {
	wait := min(lastReconnect, firstReconnect<<min(attempts-1, 10))
	return wait + rand.N(wait/2)
}

// handlers say what happens to the connection.
func (c *Conn) handlers() []nats.Option {
	return []nats.Option{
		nats.ErrorHandler(func(nc *nats.Conn, _ *nats.Subscription, err error) {
			switch {
			case unknown(err):
				c.turnedAway(nc, err)
			case !c.refused(err):
				c.log.Warn().Err(err).Msg("broker")
			}
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			c.broken()
			if err != nil {
				c.log.Warn().Err(err).Msg("disconnected from the broker")
			}
		}),
		nats.ReconnectErrHandler(func(*nats.Conn, error) { c.refusals.over() }),
		nats.ReconnectHandler(func(*nats.Conn) {
			c.refusals.over()
			c.log.Info().Msg("connected to the broker again")
		}),
	}
}

// Close ends the connection. What is buffered is sent first, if the connection
// stands: with a broker that is gone there is nothing to wait for.
func (c *Conn) Close() {
	if c.nc.IsConnected() {
		if err := c.nc.FlushTimeout(answerWait); err != nil {
			c.log.Debug().Err(err).Msg("flushing before close")
		}
	}
	c.nc.Close()
}

// flush returns when the broker has everything that was sent.
func (c *Conn) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	return translate("flushing", c.nc.FlushWithContext(ctx))
}

// Connected reports whether the connection stands at this moment.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }
