package broker

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

// Sent is the broker's word that it keeps a message.
type Sent struct {
	Stream schemas.Stream
	Seq    uint64

	// Duplicate says that the stream has seen the message's id, and kept nothing.
	Duplicate bool
}

const (
	// noStream is how often, and noStreamWait how long apart, a publish is tried
	// that no stream listens to: its leader may be changing.
	noStream     = 3
	noStreamWait = 250 * time.Millisecond
)

// publish sends d to the stream of its subject and returns its acknowledgement.
// The error is NATS'.
func (c *Conn) publish(ctx context.Context, d schemas.Draft, expect schemas.Expect) (Sent, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	m := &nats.Msg{Subject: d.Subject, Header: nats.Header(d.Header), Data: d.Body}
	if expect.Filter != "" {
		m.Header = make(nats.Header, len(d.Header)+2)
		maps.Copy(m.Header, nats.Header(d.Header))
		m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(expect.Last, 10)}
		m.Header[jetstream.ExpectedLastSubjSeqSubjHeader] = []string{expect.Filter}
	}
	for try := 1; ; try++ {
		answer, err := c.exchange(ctx, m)
		if err == nil {
			return acknowledged(answer.Data)
		}
		if !errors.Is(err, nats.ErrNoResponders) || try == noStream {
			return Sent{}, err
		}
		if err := pause(ctx, noStreamWait); err != nil {
			return Sent{}, err
		}
	}
}

// acknowledged reads a stream's answer to a publish.
func acknowledged(answer []byte) (Sent, error) {
	var ack struct {
		Stream    string              `json:"stream"`
		Sequence  uint64              `json:"seq"`
		Duplicate bool                `json:"duplicate"`
		Error     *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer, &ack); err != nil {
		return Sent{}, err
	}
	if ack.Error != nil {
		return Sent{}, ack.Error
	}
	if ack.Stream == "" {
		return Sent{}, jetstream.ErrInvalidJSAck
	}
	return Sent{Stream: schemas.Stream(ack.Stream), Seq: ack.Sequence, Duplicate: ack.Duplicate}, nil
}
