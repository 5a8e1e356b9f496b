package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/holdpoint/holdpoint/schemas"
)

// serveHTTP answers /healthz, /readyz and /metrics until ctx ends. They say how
// this process is; nothing can be decided through them.
func serveHTTP(ctx context.Context, listener net.Listener, g *gate) error {
	server := &http.Server{
		Handler:           handler(g),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
	}
	defer context.AfterFunc(ctx, func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = server.Shutdown(stopping)
	})()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func handler(g *gate) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.Metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answerHTTP(w, http.StatusOK, nil)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		conditions := append(g.conditions(), g.open())
		status := http.StatusOK
		for _, c := range conditions {
			if !c.Healthy {
				status = http.StatusServiceUnavailable
			}
		}
		answerHTTP(w, status, conditions)
	})
	return mux
}

func answerHTTP(w http.ResponseWriter, status int, conditions []schemas.Condition) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = writeJSON(w, struct {
		OK         bool                `json:"ok"`
		Conditions []schemas.Condition `json:"conditions,omitempty"`
	}{status == http.StatusOK, conditions})
}
