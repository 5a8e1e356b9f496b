package broker

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/holdpoint/holdpoint/schemas"
)

// batches reads records of a stream in batches of direct gets.
type batches struct {
	conn    *Conn
	api     string
	stream  schemas.Stream
	answers chan *nats.Msg // the records of a batch, and its end
	sub     *nats.Subscription
	upTo    uint64 // how much of the stream the replica had that answered about the last records
}

func (c *Conn) openBatches(api string, stream schemas.Stream) (*batches, error) {
	b := &batches{conn: c, api: api, stream: stream, answers: make(chan *nats.Msg, batch+1)}
	var err error
	b.sub, err = c.nc.ChanSubscribe(c.nc.NewInbox(), b.answers)
	return b, translate("reading "+string(stream), c.because(err))
}

func (b *batches) close() { _ = b.sub.Unsubscribe() }

// read reads one batch, of at most batch records, and reports whether there is
// more behind it. It stops with the error of apply.
func (b *batches) read(ctx context.Context, r getRequest, apply func(schemas.Record) error) (more bool, err error) {
	op, subject := r.op(b.stream), b.api+".DIRECT.GET."+string(b.stream)
	ctx, done := b.conn.expecting(ctx, subject)
	defer done()
	if err := b.conn.nc.PublishRequest(subject, b.sub.Subject, r.body()); err != nil {
		return false, translate(op, err)
	}
	next := r.Seq
	for {
		m, err := nextMsg(ctx, b.answers, answerWait)
		if err != nil {
			return false, translate(op, why(ctx, err))
		}
		if over, pending, err := b.end(m); over {
			return pending, err
		}
		record, err := directRecord(b.stream, m, appendedInBatch)
		if errors.Is(err, errUnreadable) && len(r.LastOf) == 0 {
			record, err = b.conn.getFromLeader(ctx, b.api, b.stream, getRequest{Seq: next, NextFor: r.NextFor})
		}
		if err != nil {
			return false, translate(op, err)
		}
		if err := apply(record); err != nil {
			return false, err
		}
		next = record.Seq + 1
	}
}

// end reports whether m is the status that ends a batch, and whether more records
// are waiting behind it.
func (b *batches) end(m *nats.Msg) (over, pending bool, err error) {
	if !whole(m) || len(m.Header["Nats-Subject"]) > 0 || len(m.Data) > 0 {
		return false, false, nil
	}
	b.upTo, _ = strconv.ParseUint(m.Header.Get("Nats-UpTo-Sequence"), 10, 64)
	switch m.Header.Get("Status") {
	case "204":
		left, err := strconv.ParseUint(m.Header.Get("Nats-Num-Pending"), 10, 64)
		return true, left > 0, translate("reading the end of a batch", err)
	case "404":
		return true, false, nil
	case "":
		return false, false, nil
	default:
		_, err := directRecord(b.stream, m, appendedInBatch)
		return true, false, translate("reading "+string(b.stream), err)
	}
}

// nextMsg returns the next of the answers, however late, or an error if there is
// none when the wait is over or ctx ends.
func nextMsg(ctx context.Context, answers <-chan *nats.Msg, wait time.Duration) (*nats.Msg, error) {
	select {
	case m := <-answers:
		return m, nil
	default:
	}
	patience := time.NewTimer(wait)
	defer patience.Stop()
	select {
	case m := <-answers:
		return m, nil
	case <-patience.C:
		return nil, nats.ErrTimeout
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
