package main

import (
	"io"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

// logOf returns the log of a command, on standard error. Commands other than
// serve say only what is wrong, unless they are asked for more.
func logOf(cmd *cobra.Command) zerolog.Logger {
	level, err := zerolog.ParseLevel(cmd.Flag("log-level").Value.String())
	if err != nil {
		level = zerolog.WarnLevel
	}
	var w io.Writer = cmd.ErrOrStderr()
	format := cmd.Flag("log-format").Value.String()
	if format == "console" || format == "auto" && onTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000", NoColor: true}
	}
	return zerolog.New(w).Level(level).Hook(stamp{})
}

// stamp gives every line the time, to the millisecond and in UTC.
type stamp struct{}

// Run implements [zerolog.Hook].
func (stamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"))
}
