package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// beginning is where in AUDIT to begin: at a sequence, or at a moment.
type beginning struct {
	seq uint64
	at  time.Time
}

const sinceForms = "a sequence in AUDIT, how long ago (7d, 24h), or a time (RFC 3339)"

// sinceFlag adds --since, whose text parseSince reads. What is so without it stands at
// the end of its help.
func sinceFlag(cmd *cobra.Command, text *string, without string) {
	cmd.Flags().StringVar(text, "since", "", "where to begin: "+sinceForms+"; "+without)
}

// parseSince reads the flag --since, now being the time.
func parseSince(text string, now time.Time) (beginning, error) {
	if text == "" {
		return beginning{seq: 1}, nil
	}
	if seq, err := strconv.ParseUint(text, 10, 64); err == nil {
		return beginning{seq: max(1, seq)}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return beginAt(now.AddDate(0, 0, -int(n))), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return beginAt(now.Add(-ago)), nil
	}
	for _, form := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil {
			return beginAt(at), nil
		}
	}
	return beginning{}, usage("--since %q: want "+sinceForms, text)
}

// beginAt returns the beginning at a moment. The broker counts nanoseconds from 1970 on:
// what is before, or after all of them, must not come out at the other end.
func beginAt(at time.Time) beginning {
	if at.Before(time.Unix(0, 0)) {
		return beginning{seq: 1}
	}
	if last := time.Unix(0, math.MaxInt64); at.After(last) {
		at = last
	}
	return beginning{at: at}
}

// sequence returns the first sequence in AUDIT that b includes: one behind the last
// if there is none.
func (b beginning) sequence(ctx context.Context, a client.Auditor) (uint64, error) {
	if b.at.IsZero() {
		return b.seq, nil
	}
	seq, err := a.Since(ctx, b.at)
	if errors.Is(err, schemas.ErrNotFound) {
		seq, err = a.Last(ctx)
		seq++
	}
	if err != nil {
		return 0, fmt.Errorf("reading the audit: %w", err)
	}
	return seq, nil
}
