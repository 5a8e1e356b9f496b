package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/holdpoint/holdpoint/schemas"
)

const (
	// pullExpiry is how long the broker keeps a request for messages, pullBeat how
	// often it says that it does, pullSilence after how long a request is taken
	// for lost.
	pullExpiry  = 5 * time.Second
	pullBeat    = time.Second
	pullSilence = 3 * pullBeat

	// pullPause is how long a stage waits after the broker turned a request down.
	pullPause = 250 * time.Millisecond
)

// pull takes the messages of a consumer.
//
// The client library can do that too, but it takes a message without a body
// whose headers say "Status" for the broker's own word, and such headers are
// anybody's to write. What tells the two apart is the subject to reply to: a
// message always has one, the broker's word never.
type pull struct {
	conn  *Conn
	from  string // where messages are asked for
	inbox string
	ahead int // how many are asked for at most
	open  int // how many are asked for and not here yet
}

// pull hands the messages of a stage's consumer to take, one after the other,
// until ctx ends; then it hands on what the broker has sent already, and returns
// nil. It calls arrived with each as soon as it is here, which may be long before
// its turn. It returns an error if the consumer is deleted or the connection closed.
func (l *Log) pull(ctx context.Context, stream schemas.Stream, ahead int, arrived, take func(*nats.Msg)) error {
	p := &pull{
		conn:  l.Conn,
		from:  "$JS.API.CONSUMER.MSG.NEXT." + string(stream) + "." + stageConsumer(stream),
		inbox: l.nc.NewInbox(),
		ahead: ahead,
	}
	messages, left := make(chan *nats.Msg, ahead), make(chan struct{})
	defer close(left)
	sub, err := l.nc.Subscribe(p.inbox, func(m *nats.Msg) {
		if m.Reply != "" {
			arrived(m)
		}
		select {
		case messages <- m:
		case <-left:
		}
	})
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	sub.SetClosedHandler(func(string) { close(messages) })
	defer context.AfterFunc(ctx, func() { _ = sub.Drain() })()
	return p.run(ctx, messages, take)
}

func (p *pull) run(ctx context.Context, messages <-chan *nats.Msg, take func(*nats.Msg)) error {
	connected := p.conn.nc.StatusChanged(nats.CONNECTED)
	defer p.conn.nc.RemoveStatusListener(connected)
	silence := time.NewTimer(pullSilence)
	defer silence.Stop()
	for {
		if err := p.ask(ctx); err != nil {
			return err
		}
		select {
		case m, ok := <-messages:
			if !ok && ctx.Err() == nil {
				return nats.ErrConnectionClosed
			}
			if !ok {
				return nil
			}
			if err := p.receive(ctx, m, take); err != nil {
				return err
			}
		case <-connected:
			p.open = 0
		case <-silence.C:
			p.open = 0
		}
		silence.Reset(pullSilence)
	}
}

// ask asks for more messages as soon as half of what was asked for is here.
func (p *pull) ask(ctx context.Context) error {
	if p.open > p.ahead/2 || ctx.Err() != nil {
		return nil
	}
	body, err := json.Marshal(struct {
		Batch   int           `json:"batch"`
		Expires time.Duration `json:"expires"`
		Beat    time.Duration `json:"idle_heartbeat"`
	}{p.ahead - p.open, pullExpiry, pullBeat})
	if err != nil {
		return err
	}
	p.open = p.ahead
	err = p.conn.nc.PublishRequest(p.from, p.inbox, body)
	if unsent(err) {
		return nil // it is asked again when the connection stands, or for the silence
	}
	return err
}

// receive passes a message on, or takes note of what the broker says.
func (p *pull) receive(ctx context.Context, m *nats.Msg, take func(*nats.Msg)) error {
	if m.Reply != "" {
		p.open = max(0, p.open-1)
		take(m)
		return nil
	}
	status, text := m.Header.Get("Status"), m.Header.Get("Description")
	switch status {
	case "100":
	case "404", "408":
		p.open -= unanswered(m, p.open)
	default:
		if strings.Contains(text, "Consumer Deleted") {
			return fmt.Errorf("%s %s", status, text)
		}
		p.conn.log.Warn().Str("consumer", p.from).Str("status", status+" "+text).Msg("waiting for messages")
		p.open = 0
		_ = pause(ctx, pullPause)
	}
	return nil
}

// unanswered is how many of the messages that were asked for will not come,
// because the request is over.
func unanswered(m *nats.Msg, open int) int {
	n, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
	if err != nil {
		return open
	}
	return min(n, open)
}
