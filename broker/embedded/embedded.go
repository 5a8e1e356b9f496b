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
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// readyWait is how long the server may take to start. Recovering large streams
	// after a crash takes most of it.
	readyWait = 2 * time.Minute

	// readyLook is how often it is asked whether it has given up meanwhile.
	readyLook = 100 * time.Millisecond
)

// ErrInUse says that another process has the data directory.
var ErrInUse = errors.New("another process uses it")

// Config says how to run the server.
type Config struct {
	Tenant broker.Tenant

	// Dir keeps the streams. It is locked while the server runs.
	Dir string

	// Port is where Listen listens on loopback; -1 picks a free one. With 0 the
	// server is reached in process only.
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
	port  int
	lock  *os.File
	doors *doorman
}

// Start starts the server and returns when it takes connections from within the
// process. It returns an error that names the directory if another process uses
// it.
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
	words := newLogger(cfg.Log)
	ns.SetLoggerV2(words, false, false, false)
	ns.Start()
	err = words.ready(ns)
	if err == nil {
		err = openAudit(ns, cfg.Tenant)
	}
	if err != nil {
		ns.Shutdown()
		ns.WaitForShutdown()
		return nil, fmt.Errorf("starting the embedded broker: %w", err)
	}
	return &Server{ns: ns, dir: cfg.Dir, port: cfg.Port, doors: doors}, nil
}

// openAudit opens AUDIT, on a server that is up. By then every stream of GATE is
// back. The server restores accounts in any order, and AUDIT asks for what it has
// not copied a moment after it is restored: a stream that is not there yet, or does
// not hear the question, it would ask again only after 12 to 40 seconds, in which
// nothing may be released.
func openAudit(ns *server.Server, t broker.Tenant) error {
	audit, err := ns.LookupAccount(t.Account(broker.AuditLog))
	if err != nil {
		return err
	}
	return audit.EnableJetStream(nil, nil)
}

func (cfg Config) options() (*server.Options, error) {
	options := &server.Options{}
	if err := options.ProcessConfigString(cfg.Tenant.EmbeddedConfig()); err != nil {
		return nil, fmt.Errorf("configuring the embedded broker: %w", err)
	}
	options.ServerName = "holdpoint-" + string(cfg.Tenant)
	options.Host = "127.0.0.1"
	options.Port = cfg.Port
	options.DontListen = true // until Listen
	options.JetStream = true
	options.StoreDir = filepath.Join(cfg.Dir, "streams")
	options.SyncAlways = cfg.SyncAlways
	options.NoSigs = true
	options.AlwaysEnableNonce = true
	return options, nil
}

// Connection returns how to reach the server from within the process.
func (s *Server) Connection() broker.Server { return broker.Server{InProcess: s.ns} }

// Listen takes connections on the port, if there is one. It is to be called once,
// when the directory knows everyone: a client that is refused twice in a row, as
// it would be before, gives up for good, while one that finds nobody listening
// tries again.
func (s *Server) Listen() error {
	if s.port == 0 {
		return nil
	}
	s.ns.AcceptLoop(make(chan struct{}))
	if s.ns.Addr() == nil {
		return fmt.Errorf("listening on port %d of loopback: %w: it may be in use", s.port, schemas.ErrUnavailable)
	}
	return nil
}

// RaiseAudit lets AUDIT grow to so many bytes; 0 is no limit. It does what no identity
// may, since whoever runs this process owns the server; see [broker.RaiseAudit]. Call
// it before Listen.
func (s *Server) RaiseAudit(ctx context.Context, bytes int64) error {
	key, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	public, err := key.PublicKey()
	if err != nil {
		return err
	}
	s.doors.let(public)
	defer s.doors.let("")
	c, err := broker.Connect(s.Connection(), broker.Raiser(public).Name, key, s.doors.log)
	if err != nil {
		return err
	}
	defer c.Close()
	return broker.RaiseAudit(ctx, c, bytes)
}

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
// longer be. Call it when the directory has forgotten somebody.
func (s *Server) Review() { s.doors.review() }

// Stop ends the server and releases the directory. It returns when everything is
// on disk, or when ctx ends: at once, if it has ended already.
func (s *Server) Stop(ctx context.Context) error {
	stopped := make(chan struct{})
	go func() {
		s.ns.Shutdown()
		s.ns.WaitForShutdown()
		close(stopped)
	}()
	if ctx.Err() == nil {
		select {
		case <-stopped:
			return s.lock.Close()
		case <-ctx.Done():
		}
	}
	return fmt.Errorf("stopping the embedded broker: %w", ctx.Err())
}

// Directory knows who exists. It may be asked concurrently.
type Directory interface {
	// ByKey returns the identity that has this public nkey, or an ErrDenied: also
	// for everyone from outside, as long as it has not read all of CONTROL.
	ByKey(key string) (schemas.Identity, error)
}
