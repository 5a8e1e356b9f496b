// Package embedded runs the broker in this process: a nats-server with the
// accounts of package broker, on loopback, with its data in one directory.
//
// Every connection is authenticated by nkey against a directory of identities,
// live: who is added may connect at once, who is removed is cut off. It is meant
// for one machine; replication needs an external cluster.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// readyWait is how long the server may take to start. Recovering large streams
// after a crash takes most of it.
const readyWait = 2 * time.Minute

// Config says how to run the server.
type Config struct {
	Tenant broker.Tenant

	// Dir keeps the streams. It is locked while the server runs.
	Dir string

	// Port listens on loopback; -1 picks a free one. With 0 the server does not
	// listen and is reached in process only.
	Port int

	// SyncAlways makes every write durable before it is acknowledged. Otherwise
	// a loss of power may lose the last two minutes; a crash of the process
	// loses nothing.
	SyncAlways bool

	// Directory says who may connect.
	Directory Directory

	Log zerolog.Logger
}

// Server is a running broker.
type Server struct {
	ns    *server.Server
	dir   string
	lock  *os.File
	doors *doorman
}

// Start starts the server and returns when it takes connections. It returns an
// error that names the directory if another process uses it.
func Start(cfg Config) (*Server, error) {
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s, err := start(cfg)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.lock = lock
	return s, nil
}

func start(cfg Config) (*Server, error) {
	options, err := cfg.options()
	if err != nil {
		return nil, err
	}
	doors := newDoorman(cfg)
	options.CustomClientAuthentication = doors
	ns, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("starting the embedded broker: %w", err)
	}
	doors.server = ns
	ns.SetLoggerV2(logger{cfg.Log}, false, false, false)
	ns.Start()
	if !ns.ReadyForConnections(readyWait) {
		ns.Shutdown()
		return nil, fmt.Errorf("starting the embedded broker: not ready within %s", readyWait)
	}
	return &Server{ns: ns, dir: cfg.Dir, doors: doors}, nil
}

func (cfg Config) options() (*server.Options, error) {
	options := &server.Options{}
	if err := options.ProcessConfigString(cfg.Tenant.WriteConfig(nil)); err != nil {
		return nil, fmt.Errorf("configuring the embedded broker: %w", err)
	}
	options.ServerName = "holdpoint-" + string(cfg.Tenant)
	options.Host = "127.0.0.1"
	options.Port = cfg.Port
	options.DontListen = cfg.Port == 0
	options.JetStream = true
	options.StoreDir = filepath.Join(cfg.Dir, "streams")
	options.SyncAlways = cfg.SyncAlways
	options.NoSigs = true
	options.AlwaysEnableNonce = true
	return options, nil
}

// Connection returns how to reach the server from within the process.
func (s *Server) Connection() broker.Server { return broker.Server{InProcess: s.ns} }

// URL returns the address that the server listens on, or "".
func (s *Server) URL() string {
	if s.ns.Addr() == nil {
		return ""
	}
	return s.ns.ClientURL()
}

// Free returns the room that is left for the data, in bytes; 0 if that is not
// known.
func (s *Server) Free() uint64 { return free(s.dir) }

// Review looks again at everyone who is connected, and cuts off those who may no
// longer be. A connection that is just being made may be missed, so call it again
// a little later.
func (s *Server) Review() { s.doors.review() }

// Stop ends the server and releases the directory. It returns when everything is
// on disk, or when ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	s.ns.Shutdown()
	stopped := make(chan struct{})
	go func() {
		s.ns.WaitForShutdown()
		close(stopped)
	}()
	select {
	case <-stopped:
		return s.lock.Close()
	case <-ctx.Done():
		return fmt.Errorf("stopping the embedded broker: %w", ctx.Err())
	}
}

// Directory knows who exists. It may be asked concurrently.
type Directory interface {
	// ByKey returns the identity that has this public nkey, or an ErrDenied: also
	// for everyone from outside, as long as it has not read all of CONTROL.
	ByKey(key string) (schemas.Identity, error)
}
