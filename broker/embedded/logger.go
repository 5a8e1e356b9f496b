package embedded

import (
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// logger passes the server's words on. What it says when all is well is noise
// to us; what it cannot go on after it says here and nowhere else.
type logger struct {
	log   zerolog.Logger
	fatal chan error // the first such word
}

func newLogger(log zerolog.Logger) logger { return logger{log: log, fatal: make(chan error, 1)} }

// ready waits until the server takes connections, or has given up.
func (l logger) ready(ns *server.Server) error {
	for range readyWait / readyLook {
		if ns.ReadyForConnections(readyLook) {
			return nil
		}
		select {
		case err := <-l.fatal:
			return err
		default:
		}
	}
	return fmt.Errorf("not ready within %s", time.Duration(readyWait))
}

func (l logger) Fatalf(format string, v ...any) {
	l.log.Error().Msgf(format, v...)
	select {
	case l.fatal <- fmt.Errorf(format, v...):
	default:
	}
}

func (l logger) Noticef(format string, v ...any) { l.log.Debug().Msgf(format, v...) }
func (l logger) Warnf(format string, v ...any)   { l.log.Warn().Msgf(format, v...) }
func (l logger) Errorf(format string, v ...any)  { l.log.Error().Msgf(format, v...) }
func (l logger) Debugf(string, ...any)           {}
func (l logger) Tracef(string, ...any)           {}
