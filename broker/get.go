package broker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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
	if err != nil {
		return schemas.Record{}, err
	}
	record, err := directRecord(stream, m)
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
		Header:  storedHeader(answer.Message.Header),
		Body:    answer.Message.Data,
	}, nil
}

// unreadable is the header that stands for a block of headers that cannot be
// read. No sender may set it: it begins with "Nats-".
const unreadable = "Nats-Unreadable"

// errUnreadable is the answer to a direct get whose headers cannot be read: the
// broker accepts any bytes as a block of headers, and its own are lost with it.
var errUnreadable = errors.New("headers cannot be read")

// storedHeader reads a block of headers as the broker stored it. Of one that
// does not read to its end only the source remains, which the broker itself
// appended.
func storedHeader(block []byte) schemas.Header {
	if len(block) == 0 {
		return nil
	}
	h, err := nats.DecodeHeadersMsg(block)
	if err == nil && wireSize(h) >= len(block) {
		return schemas.Header(h)
	}
	rest := schemas.Header{unreadable: {""}}
	if i := bytes.LastIndex(block, []byte("\r\n"+sourceHeader+": ")); i >= 0 {
		value, _, _ := bytes.Cut(block[i+len("\r\n"+sourceHeader+": "):], []byte("\r\n"))
		rest[sourceHeader] = []string{string(value)}
	}
	return rest
}

// wireSize is the most that a block with these headers has: one that is longer
// hides something behind its end.
func wireSize(h nats.Header) int {
	size := len("NATS/1.0\r\n\r\n")
	for name, values := range h {
		for _, v := range values {
			size += len(name) + len(": ") + len(v) + len("\r\n")
		}
	}
	return size
}

// directRecord reads the answer to a direct get. The broker appends its own
// headers to those of the record, and a sender may have set the same names: the
// last value is the broker's. An answer without them is a status.
func directRecord(stream schemas.Stream, m *nats.Msg) (schemas.Record, error) {
	if len(m.Header["Nats-Subject"]) == 0 {
		switch status := m.Header.Get("Status"); status {
		case "":
			return schemas.Record{}, errUnreadable
		case "404":
			return schemas.Record{}, jetstream.ErrMsgNotFound
		default:
			return schemas.Record{}, fmt.Errorf("answered with status %s %s", status, m.Header.Get("Description"))
		}
	}
	seq, err := strconv.ParseUint(take(m.Header, "Nats-Sequence"), 10, 64)
	if err != nil {
		return schemas.Record{}, errUnreadable
	}
	at, err := time.Parse(time.RFC3339Nano, take(m.Header, "Nats-Time-Stamp"))
	if err != nil {
		return schemas.Record{}, errUnreadable
	}
	r := schemas.Record{Stream: stream, Seq: seq, Subject: take(m.Header, "Nats-Subject"), Time: at, Body: m.Data}
	for _, name := range []string{"Nats-Stream", "Nats-Num-Pending", "Nats-Last-Sequence"} {
		take(m.Header, name)
	}
	r.Header = schemas.Header(m.Header)
	return r, nil
}

// take removes the last value of a header, which is the broker's, and returns it.
func take(h nats.Header, name string) string {
	value := last(h, name)
	if len(h[name]) > 1 {
		h[name] = h[name][:len(h[name])-1]
	} else {
		delete(h, name)
	}
	return value
}

func last(h nats.Header, name string) string {
	values := h[name]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}
