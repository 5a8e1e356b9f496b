// Command holdpoint is an event-stream approval gateway: agents propose actions,
// rules and people decide, executors perform what was released, and an audit that
// nobody can write keeps every step.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
