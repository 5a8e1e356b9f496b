package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

// getRequest is the body of a request for records (nats-server
// JSApiMsgGetRequest, ADR-31).
type getRequest struct {
	Seq     uint64 `json:"seq,omitempty"`
	LastFor string `json:"last_by_subj,omitempty"`
	NextFor string `json:"next_by_subj,omitempty"`
	Batch   int    `json:"batch,omitempty"`

	// LastOf asks for the last record on each of several filters.
	LastOf []string `json:"multi_last,omitempty"`

	Since *time.Time `json:"start_time,omitempty"`
}

func (r getRequest) body() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic("encoding a request for records: " + err.Error())
	}
	return b
}

func (r getRequest) op(stream schemas.Stream) string {
	if r.LastFor != "" {
		return fmt.Sprintf("reading the last of %s on %s", stream, r.LastFor)
	}
	return fmt.Sprintf("reading %s %d %s", stream, r.Seq, r.NextFor)
}

// getDirect asks whichever replica answers first.
func (c *Conn) getDirect(ctx context.Context, api string, stream schemas.Stream, r getRequest) (schemas.Record, error) {
	m, err := c.request(ctx, r.op(stream), api+".DIRECT.GET."+string(stream), r.body())
	if errors.Is(err, nats.ErrNoResponders) {
		// The client library takes a record for this that has no body and says
		// "Status: 503".
		return c.getFromLeader(ctx, api, stream, r)
	}
	if err != nil {
		return schemas.Record{}, err
	}
	record, err := directRecord(stream, m, appended)
	if errors.Is(err, errUnreadable) {
		return c.getFromLeader(ctx, api, stream, r)
	}
	return record, translate(r.op(stream), err)
}

// getFromLeader asks the leader, who answers in JSON with the header as it was
// stored.
func (c *Conn) getFromLeader(ctx context.Context, api string, stream schemas.Stream, r getRequest) (schemas.Record, error) {
	op := r.op(stream)
	m, err := c.request(ctx, op, api+".STREAM.MSG.GET."+string(stream), r.body())
	if err != nil {
		return schemas.Record{}, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return schemas.Record{}, translate(op, err)
	}
	if answer.Error != nil {
		return schemas.Record{}, translate(op, answer.Error)
	}
	if answer.Message == nil {
		return schemas.Record{}, translate(op, jetstream.ErrMsgNotFound)
	}
	return schemas.Record{
		Stream:  stream,
		Seq:     answer.Message.Seq,
		Subject: answer.Message.Subject,
		Time:    answer.Message.Time,
		Header:  storedHeader(stream, answer.Message.Header),
		Body:    answer.Message.Data,
	}, nil
}
