package client_test

import (
	"context"

	"github.com/holdpoint/holdpoint/client"
)

// run lets an executor work until the test is over, or stop is called; stop
// returns what it ended with.
func (g *gate) run(x client.Executor, h client.Handler) (stop func() error) {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx, []string{"shop"}, 4, h) }()
	stop = func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
	g.t.Cleanup(func() {
		if err := stop(); err != nil {
			g.t.Errorf("the executor ended with %v", err)
		}
	})
	return stop
}
