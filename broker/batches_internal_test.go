package broker

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
)

// TestNextMsgPrefersWhatIsThere: what the broker handed out while its taker was
// busy is taken, also if that lasted longer than the broker's patience: it would
// be handed out to nobody else for a while.
func TestNextMsgPrefersWhatIsThere(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(context.Background())
	cancel()
	answers := make(chan *nats.Msg, 100)
	for range cap(answers) {
		answers <- &nats.Msg{}
	}
	for range cap(answers) {
		if _, err := nextMsg(over, answers, 0); err != nil {
			t.Fatalf("a message was there: %v", err)
		}
	}
	if _, err := nextMsg(over, answers, patience); !errors.Is(err, context.Canceled) {
		t.Errorf("the context is over: %v", err)
	}
	if _, err := nextMsg(context.Background(), answers, 1); !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("the wait is over: %v", err)
	}
}

// patience is longer than any test.
const patience = 1 << 50
