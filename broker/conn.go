package broker

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/schemas"
)

// answerWait is how long the broker has to answer one request.
const answerWait = 5 * time.Second

// Server is where the broker is, and how to trust it.
type Server struct {
	// URL is one or more server addresses, separated by commas.
	URL string

	// TLS is used if it is not nil.
	TLS *tls.Config

	// InProcess connects without a socket. If set, URL is not used.
	InProcess nats.InProcessConnProvider
}

// Conn is one identity's connection to the broker. It reconnects for as long as
// it is open. All methods may be called concurrently.
type Conn struct {
	nc  *nats.Conn
	js  jetstream.JetStream
	log zerolog.Logger
}

// Connect connects as the identity of that name, which holds key. Accounts
// outside the gate see JetStream under another prefix, given by outside.
func Connect(s Server, name schemas.Name, key nkeys.KeyPair, log zerolog.Logger) (*Conn, error) {
	public, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w: %w", name, schemas.ErrInvalid, err)
	}
	nc, err := nats.Connect(s.URL, s.options(name, public, key, log)...)
	if err != nil {
		return nil, translate("connecting as "+string(name), err)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(answerWait))
	if err != nil {
		nc.Close()
		return nil, translate("connecting as "+string(name), err)
	}
	return &Conn{nc: nc, js: js, log: log}, nil
}

func (s Server) options(name schemas.Name, public string, key nkeys.KeyPair, log zerolog.Logger) []nats.Option {
	options := []nats.Option{
		nats.Name("holdpoint " + string(name)),
		nats.Nkey(public, key.Sign),
		nats.CustomInboxPrefix(inbox(name)),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(200 * time.Millisecond),
		nats.Timeout(answerWait),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn().Err(err).Str("identity", string(name)).Msg("broker")
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn().Err(err).Str("identity", string(name)).Msg("disconnected from the broker")
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			log.Info().Str("identity", string(name)).Msg("connected to the broker again")
		}),
	}
	if s.TLS != nil {
		options = append(options, nats.Secure(s.TLS))
	}
	if s.InProcess != nil {
		options = append(options, nats.InProcessServer(s.InProcess))
	}
	return options
}

// Close ends the connection after sending what is buffered.
func (c *Conn) Close() {
	if err := c.nc.Flush(); err != nil {
		c.log.Debug().Err(err).Msg("flushing before close")
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

// request sends one request and returns its answer.
func (c *Conn) request(ctx context.Context, op, subject string, body []byte) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	m, err := c.nc.RequestWithContext(ctx, subject, body)
	return m, translate(op, err)
}
