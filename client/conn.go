package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/identity"
	"github.com/holdpoint/holdpoint/schemas"
)

// Config says who connects, and where to.
type Config struct {
	// Key is who connects.
	Key identity.KeyFile

	// Server is the address of the gate's broker. If empty, it is the one in the
	// key file.
	Server string

	// TLS is used if it is not nil.
	TLS *tls.Config

	// InProcess connects to a server in this process instead.
	InProcess nats.InProcessConnProvider

	// Patience is for how long a connection that stood is tried again while the
	// broker does not know the key any more: it was removed, or a gate that has just
	// started has not read yet who exists. If 0, it is half a minute. After that
	// everything on the connection ends with an ErrDenied.
	Patience time.Duration

	// Log receives what happens to the connection. The zero Logger is silent.
	Log zerolog.Logger
}

// defaultPatience is longer than a gate takes to read who exists.
const defaultPatience = 30 * time.Second

// Conn is the connection of one identity. It reconnects until it is closed or the
// identity is removed, and may be used concurrently.
type Conn struct {
	broker *broker.Conn
	key    identity.KeyFile
	log    zerolog.Logger
}

// Dial connects. The error is an ErrDenied if the gate does not know the key.
func Dial(cfg Config) (*Conn, error) {
	if cfg.Server == "" {
		cfg.Server = cfg.Key.Server
	}
	if cfg.Key.Key == nil {
		return nil, fmt.Errorf("connecting as %s: %w: no key given", cfg.Key.Name, schemas.ErrInvalid)
	}
	if cfg.Server == "" && cfg.InProcess == nil {
		return nil, fmt.Errorf("connecting as %s: %w: no server given, in the key file or beside it", cfg.Key.Name, schemas.ErrInvalid)
	}
	server := broker.Server{URL: cfg.Server, TLS: cfg.TLS, InProcess: cfg.InProcess, Patience: cmp.Or(cfg.Patience, defaultPatience)}
	conn, err := broker.Connect(server, cfg.Key.Name, cfg.Key.Key, cfg.Log)
	if err != nil {
		return nil, err
	}
	return &Conn{broker: conn, key: cfg.Key, log: cfg.Log}, nil
}

// Close ends the connection.
func (c *Conn) Close() { c.broker.Close() }

// Name returns who is connected.
func (c *Conn) Name() schemas.Name { return c.key.Name }

// Role returns the role of who is connected, as the key file says.
func (c *Conn) Role() schemas.Role { return c.key.Role }

// Show returns the records of an intent that this identity may see, in the order
// in which an intent passes the streams. The agent may be left out of k if the id
// is unique among what waits.
func (c *Conn) Show(ctx context.Context, k schemas.Key) ([]schemas.Record, error) {
	answer, err := c.broker.Ask(ctx, c.key.Name, schemas.AskShow, schemas.Question{Agent: k.Agent, Intent: k.ID})
	if err != nil {
		return nil, err
	}
	records := make([]schemas.Record, len(answer.Records))
	for i, r := range answer.Records {
		records[i] = r.Record()
	}
	return records, nil
}

// List returns a page of what waits, as far as this identity may know of it: an
// agent its own, a reviewer the queues, an executor the systems, admins
// everything, or what is one agent's. The oldest come first.
func (c *Conn) List(ctx context.Context, agent schemas.Name, limit int, after string) (schemas.HoldPage, error) {
	answer, err := c.broker.Ask(ctx, c.key.Name, schemas.AskList, schemas.Question{Agent: agent, Limit: limit, After: after})
	if err != nil {
		return schemas.HoldPage{}, err
	}
	if answer.Holds == nil {
		return schemas.HoldPage{}, fmt.Errorf("listing what waits: %w: empty answer", schemas.ErrUnavailable)
	}
	return *answer.Holds, nil
}

// Catalog returns what may be proposed: all actions or, if one is given, that one
// with the schema of its parameters.
func (c *Conn) Catalog(ctx context.Context, a schemas.Action) (schemas.Catalog, error) {
	answer, err := c.broker.Ask(ctx, c.key.Name, schemas.AskCatalog, schemas.Question{Action: a})
	if err != nil {
		return schemas.Catalog{}, err
	}
	if answer.Catalog == nil {
		return schemas.Catalog{}, fmt.Errorf("reading the catalog: %w: empty answer", schemas.ErrUnavailable)
	}
	return *answer.Catalog, nil
}

// Bundle returns the archive of the bundle with that digest, in the form in which
// it was activated. The caller must compute the digest of what it gets.
func (c *Conn) Bundle(ctx context.Context, digest schemas.Digest) ([]byte, error) {
	var archive []byte
	for {
		answer, err := c.broker.Ask(ctx, c.key.Name, schemas.AskBundle, schemas.Question{Bundle: digest, Offset: len(archive)})
		if err != nil {
			return nil, fmt.Errorf("reading bundle %s: %w", digest.Short(), err)
		}
		p := answer.Bundle
		if p == nil || p.Offset != len(archive) || len(p.Data) == 0 && len(archive) < p.Size {
			return nil, fmt.Errorf("reading bundle %s: %w: not the piece that was asked for", digest.Short(), schemas.ErrUnavailable)
		}
		if archive = append(archive, p.Data...); len(archive) >= p.Size {
			return archive, nil
		}
	}
}

// Publish sends a message that the caller made, to a subject that this identity
// may publish to, and returns when the broker keeps it.
func (c *Conn) Publish(ctx context.Context, d schemas.Draft) error {
	_, err := c.broker.Send(ctx, d)
	return err
}

// listen lets messages on subject ring, until ctx ends. That the broker does not
// know of it yet is no trouble: who waits for them looks every second, too.
func (c *Conn) listen(ctx context.Context, subject string, rung chan<- struct{}) error {
	err := c.broker.Listen(ctx, subject, func(string) {
		select {
		case rung <- struct{}{}:
		default:
		}
	})
	if errors.Is(err, schemas.ErrUnavailable) {
		return nil
	}
	return err
}

// source is the CloudEvents source of what this identity sends.
func (c *Conn) source() string { return "/" + string(c.key.Role) + "s/" + string(c.key.Name) }
