package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/schemas"
)

// readyWithin is how long a process may take to say how it is.
const readyWithin = 5 * time.Second

func readyCommand() *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:   "ready",
		Short: "Ask a process of the gate whether it is ready, for health checks",
		Long: `Ask a process of the gate whether it is ready, for health checks: exits with 0 if
it is, and with 8 if it is not, or does not answer. With --url …/healthz it asks
only whether the process is alive.`,
		Example: "  holdpoint ready --url http://127.0.0.1:8300/readyz",
		Args:    takes(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return ready(cmd, url) },
	}
	cmd.Flags().StringVar(&url, "url", "http://127.0.0.1:8300/readyz", "address of the process")
	return cmd
}

func ready(cmd *cobra.Command, url string) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), readyWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return usage("--url: %v", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking %s: %w: %w", url, schemas.ErrUnavailable, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxOutput))
	if err != nil {
		return fmt.Errorf("asking %s: %w: %w", url, schemas.ErrUnavailable, err)
	}
	var answer struct {
		OK         bool                `json:"ok"`
		Conditions []schemas.Condition `json:"conditions,omitempty"`
	}
	if err := schemas.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	err = output(cmd, answer, func(w printer) error {
		for _, c := range answer.Conditions {
			say(w, "%-8s %s", c.Name, wellOr(c))
		}
		return nil
	})
	if err == nil && !answer.OK {
		err = fmt.Errorf("%s: %w", url, schemas.ErrUnavailable)
	}
	return err
}
