package schemas_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestProblem sends each reason across and wants it back.
func TestProblem(t *testing.T) {
	t.Parallel()
	for word, reason := range map[string]error{
		"invalid": schemas.ErrInvalid, "denied": schemas.ErrDenied, "not_found": schemas.ErrNotFound,
		"stale": schemas.ErrStale, "closed": schemas.ErrClosed, "unavailable": schemas.ErrUnavailable,
	} {
		p := schemas.ProblemOf(fmt.Errorf("parking i-42: %w", reason))
		if p.Reason != word || p.Text != "parking i-42: "+reason.Error() {
			t.Errorf("%v: travels as %+v, want reason %s and its text", reason, p, word)
		}
		if err := p.Err(); !errors.Is(err, reason) || err.Error() != p.Text {
			t.Errorf("%v: comes back as %v", reason, err)
		}
	}
}

func TestProblemOfTrouble(t *testing.T) {
	t.Parallel()
	p := schemas.ProblemOf(errors.New("dial 10.0.0.7: connection refused"))
	if p.Reason != "unavailable" || strings.Contains(p.Text, "10.0.0.7") {
		t.Errorf("got %+v, want unavailable, and nothing of what happened inside", p)
	}
	if err := (&schemas.Problem{Reason: "later", Text: "x"}).Err(); !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("an unknown reason: got %v, want %v", err, schemas.ErrUnavailable)
	}
	var none *schemas.Problem
	if err := none.Err(); err != nil {
		t.Errorf("no problem: got %v", err)
	}
}

func TestFault(t *testing.T) {
	t.Parallel()
	f := &schemas.Fault{Code: schemas.CodeTooLate}
	if got := f.Error(); got != "too_late" {
		t.Errorf("without detail: got %q, want the code", got)
	}
	f.Detail = "settled at noon"
	if got := f.Error(); got != "too_late: settled at noon" {
		t.Errorf("got %q, want code and detail", got)
	}
	if !errors.Is(f, schemas.ErrInvalid) || schemas.ProblemOf(f).Reason != "invalid" {
		t.Errorf("got %v, want an ErrInvalid", f)
	}
}
