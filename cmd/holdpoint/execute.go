package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// exitUnknown is the exit code of a program that cannot say whether it performed
// the action (EX_TEMPFAIL of sysexits.h).
const exitUnknown = 75

// executeOptions are the flags of execute.
type executeOptions struct {
	program, url  string
	pass, systems []string
	width         int
}

func executeCommand() *cobra.Command {
	var o executeOptions
	cmd := &cobra.Command{
		Use:   "execute",
		Short: "Perform released actions with a program or an HTTP service, as an executor",
		Long: `Perform released actions, as an executor. Each is claimed first, so that nobody
else performs it, and reported after.

With --exec, the program is started for each action, without a shell and with a
clean environment, with the task as JSON on standard input. Exit code 0 means
done: standard output is the result, JSON or text. 75 means that it is not known
whether it was done, as does a program that is killed or takes longer than its
lease. Any other exit code means that it was not done: standard error says why.

With --http, the task is sent to the URL by POST with an Idempotency-Key that is
the same over all attempts. 2xx means done, 4xx not done; on anything else an
idempotent action is tried again until the lease ends, and whether any other was
done is not known. Redirects are not followed.`,
		Example: `  holdpoint execute --exec ./refund --key shop-runner.key
  holdpoint execute --http http://127.0.0.1:9000/actions --key shop-runner.key`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return execute(cmd, o) },
	}
	connectionFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.program, "exec", "", "`program` that performs an action")
	f.StringVar(&o.url, "http", "", "`URL` of a service that performs actions; only here, as HOLDPOINT_HTTP is an address of serve")
	_ = f.SetAnnotation("http", onlyFlag, []string{"true"})
	f.StringSliceVar(&o.pass, "pass", nil, "environment variables that the program gets")
	f.StringSliceVar(&o.systems, "systems", nil, "systems to work for; all of the key if empty")
	f.IntVar(&o.width, "width", 8, "how many actions to perform at once")
	cmd.MarkFlagsOneRequired("exec", "http")
	cmd.MarkFlagsMutuallyExclusive("exec", "http")
	return cmd
}

// handler returns what performs an action, if it can be asked at all: one that cannot
// would fail whatever is released.
func (o executeOptions) handler() (client.Handler, error) {
	if o.url == "" {
		p := program{path: o.program, pass: o.pass}
		return byProgram(p), p.check("--exec")
	}
	service, err := url.Parse(o.url)
	if err != nil || !slices.Contains([]string{"http", "https"}, service.Scheme) || service.Host == "" {
		return nil, hint(usage("--http %s: not the URL of a service", o.url), "it looks like http://127.0.0.1:9000/actions")
	}
	return byHTTP(o.url), nil
}

func execute(cmd *cobra.Command, o executeOptions) error {
	perform, err := o.handler()
	if err != nil {
		return err
	}
	conn, key, err := dial(cmd, schemas.RoleExecutor)
	if err != nil {
		return err
	}
	defer conn.Close()
	systems := o.systems
	if len(systems) == 0 {
		systems = key.Systems
	}
	say(cmd.ErrOrStderr(), "holdpoint: %s performs actions on %s", string(conn.Name()), strings.Join(systems, ", "))
	return client.Executor{Conn: conn}.Run(cmd.Context(), systems, o.width, func(ctx context.Context, t client.Task) (any, error) {
		result, err := perform(ctx, t)
		word := schemas.Done
		if errors.Is(err, client.ErrUnknown) {
			word = schemas.InDoubt
		} else if err != nil {
			word = schemas.Failed
		}
		say(cmd.OutOrStdout(), "%s %s %s", string(word), t.Intent.Key(), string(t.Intent.Action))
		return result, err
	})
}

// task is an action as a program or a service is given it.
type task struct {
	Agent          schemas.Name     `json:"agent"`
	Intent         schemas.IntentID `json:"intent"`
	Action         schemas.Action   `json:"action"`
	Params         jsontext.Value   `json:"params"`
	Digest         schemas.Digest   `json:"digest"`
	IdempotencyKey string           `json:"idempotency_key"`
	Attempt        int              `json:"attempt"`
	Until          time.Time        `json:"until"`
}

func encodeTask(t client.Task) ([]byte, error) {
	return schemas.Marshal(task{
		Agent:          t.Intent.Agent,
		Intent:         t.Intent.ID,
		Action:         t.Intent.Action,
		Params:         t.Intent.Params,
		Digest:         t.Intent.Digest,
		IdempotencyKey: t.Key,
		Attempt:        t.Grant.Attempt,
		Until:          t.Until,
	})
}

// byProgram performs actions with a program.
func byProgram(p program) client.Handler {
	return func(ctx context.Context, t client.Task) (any, error) {
		input, err := encodeTask(t)
		if err != nil {
			return nil, err
		}
		o, err := p.run(ctx, input)
		switch {
		case err != nil:
			return nil, err
		case o.killed || o.code == exitUnknown:
			return nil, fmt.Errorf("%w: %s", client.ErrUnknown, o.complaint)
		case o.code != 0:
			return nil, fmt.Errorf("exit code %d: %s", o.code, o.complaint)
		}
		return resultOf(o.output), nil
	}
}

// resultOf is output as JSON: itself if it reads as JSON, nothing if it is
// nothing, else a string.
func resultOf(output []byte) any {
	v := jsontext.Value(bytes.TrimSpace(output))
	if len(v) == 0 {
		return nil
	}
	if v.IsValid() {
		return v
	}
	return strings.ToValidUTF8(string(v), "\ufffd")
}

// httpRetry is how long a service is left alone before it is asked again.
const httpRetry = time.Second

// byHTTP performs actions with a service.
func byHTTP(service string) client.Handler {
	c := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		// On a connection that is used again the transport repeats a request that
		// has an Idempotency-Key by itself. Whether to repeat is decided here.
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	return func(ctx context.Context, t client.Task) (any, error) {
		body, err := encodeTask(t)
		if err != nil {
			return nil, err
		}
		for {
			result, err := post(ctx, c, service, t.Key, body)
			if err == nil || !errors.Is(err, client.ErrUnknown) && !errors.Is(err, errNotSent) {
				return result, err
			}
			if errors.Is(err, client.ErrUnknown) && !t.Grant.Idempotent {
				return nil, err
			}
			if waitErr := sleep(ctx, httpRetry); waitErr != nil {
				return nil, err
			}
		}
	}
}

// errNotSent says that the service was not reached, so nothing was done.
var errNotSent = errors.New("not sent")

// post sends one request and returns what it says of the action.
func post(ctx context.Context, c *http.Client, service, key string, body []byte) (any, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, service, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	response, err := c.Do(request)
	var dialing *net.OpError
	if errors.As(err, &dialing) && dialing.Op == "dial" {
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", client.ErrUnknown, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxOutput))
	switch status := response.StatusCode; {
	case status >= 200 && status < 300:
		return resultOf(answer), nil
	case status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests:
		return nil, fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(answer[:min(len(answer), maxComplaint)])))
	default:
		return nil, fmt.Errorf("%w: %s", client.ErrUnknown, errors.Join(errors.New(response.Status), err))
	}
}
