package stages

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/holdpoint/holdpoint/schemas"
)

// heldStreams say that they were asked, and answer when they may.
type heldStreams struct {
	Streams
	asked atomic.Int64
	may   chan struct{}
}

func (s *heldStreams) Subjects(ctx context.Context, stream schemas.Stream, filter string) (map[string]uint64, error) {
	s.asked.Add(1)
	select {
	case <-s.may:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return s.Streams.Subjects(ctx, stream, filter)
}

// TestBudgetListAtOnce: of many who ask about budgets at once, one looks at the keys at a
// time, those who ask for the same go by that, and who would be one too many is told so.
func TestBudgetListAtOnce(t *testing.T) {
	t.Parallel()
	p := newTill(t)
	p.spend(100)
	a := p.answers()
	held := &heldStreams{Streams: a.Streams, may: make(chan struct{})}
	a.Streams = held
	answers := make(chan schemas.Answer, mostAsking)
	ask := func(q schemas.Question) {
		answers <- a.Ask(t.Context(), "boss", schemas.AskBudgets, q)
	}
	asking := func() int {
		a.balancing.mu.Lock()
		defer a.balancing.mu.Unlock()
		return a.balancing.asking
	}
	for range mostAsking {
		go ask(schemas.Question{})
	}
	for asking() < mostAsking || held.asked.Load() == 0 {
		runtime.Gosched()
	}
	if err := a.Ask(t.Context(), "boss", schemas.AskBudgets, schemas.Question{}).Problem.Err(); !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("one too many: %v, want that it is unavailable", err)
	}
	if n := held.asked.Load(); n != 1 {
		t.Errorf("%d look at the keys at once", n)
	}
	close(held.may)
	for range mostAsking {
		answer := <-answers
		must(t, answer.Problem.Err())
		if page := answer.Budgets; len(page.Budgets) != 1 || page.Budgets[0].Taken != 100 {
			t.Errorf("listed: %+v, want 100 taken", page)
		}
	}
	if n := held.asked.Load(); n != 3 { // once for each budget of the bundle
		t.Errorf("the keys were listed %d times, want 3", n)
	}
	if asking() != 0 || a.balancing.last.found != nil {
		t.Errorf("when all are answered, %d ask and %d keys are remembered", asking(), len(a.balancing.last.found))
	}
	p.spend(200)
	ask(schemas.Question{})
	if page := (<-answers).Budgets; len(page.Budgets) != 1 || page.Budgets[0].Taken != 300 {
		t.Errorf("listed later: %+v, want 300 taken", page)
	}
}

// TestBudgetListInTurn: who waited while another looked at other budgets, or began before
// the question, looks again; and who waited for too long is told so.
func TestBudgetListInTurn(t *testing.T) {
	t.Parallel()
	var b balancing
	looks := 0
	look := func() ([]touched, int, error) {
		looks++
		return []touched{{key: "k"}}, 0, nil
	}
	asks := func(ctx context.Context, of string, after, want int) error {
		t.Helper()
		_, _, err := b.look(ctx, of, after, look)
		if looks != want {
			t.Errorf("%s after %d: looked %d times, want %d", of, after, looks, want)
		}
		return err
	}
	must(t, asks(t.Context(), "a", 0, 1))
	must(t, asks(t.Context(), "a", 0, 1))
	must(t, asks(t.Context(), "a", 1, 2))
	must(t, asks(t.Context(), "b", 0, 3))
	ended, end := context.WithCancel(t.Context())
	end()
	if err := asks(ended, "a", 3, 3); !errors.Is(err, schemas.ErrUnavailable) {
		t.Errorf("who waited for too long: %v, want that it is unavailable", err)
	}
	look = func() ([]touched, int, error) { return nil, 0, schemas.ErrUnavailable }
	if err := asks(t.Context(), "b", 3, 3); !errors.Is(err, schemas.ErrUnavailable) || b.looks != 3 {
		t.Errorf("what cannot be read: %v, and %d looked", err, b.looks)
	}
}
