package broker

import (
	"context"
	"encoding/json"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/holdpoint/holdpoint/schemas"
)

// Status returns how far the stages and AUDIT are, and how large the streams
// have become. It asks everything at once.
func (l *Log) Status(ctx context.Context) (schemas.BrokerStatus, error) {
	names := schemas.Streams()
	var audit *jetstream.StreamInfo
	streams, staged := make([]*jetstream.StreamInfo, len(names)), make([]*schemas.StageStatus, len(names))
	asking, ctx := errgroup.WithContext(ctx)
	asking.Go(func() (err error) {
		audit, err = l.streamInfo(ctx, schemas.Audit)
		return err
	})
	for i, stream := range names {
		asking.Go(func() (err error) {
			streams[i], err = l.streamInfo(ctx, stream)
			return err
		})
		if stageConsumer(stream) != "" {
			asking.Go(func() (err error) {
				staged[i], err = l.stageStatus(ctx, stream)
				return err
			})
		}
	}
	if err := asking.Wait(); err != nil {
		return schemas.BrokerStatus{}, err
	}
	status := schemas.BrokerStatus{
		AuditRecords: audit.State.Msgs, AuditBytes: audit.State.Bytes, AuditMaxBytes: max(0, audit.Config.MaxBytes),
	}
	behind := map[string]uint64{}
	for _, s := range audit.Sources {
		behind[s.Name] = s.Lag
	}
	for i, stream := range names {
		status.Streams = append(status.Streams, schemas.StreamStatus{
			Stream: stream, Records: streams[i].State.Msgs, Bytes: streams[i].State.Bytes, Behind: behind[string(stream)],
		})
		if staged[i] != nil {
			status.Stages = append(status.Stages, *staged[i])
		}
	}
	return status, nil
}

func (l *Log) stageStatus(ctx context.Context, stream schemas.Stream) (*schemas.StageStatus, error) {
	status := &schemas.StageStatus{Stage: schemas.Role(stageConsumer(stream)), Stream: stream}
	subject := "$JS.API.CONSUMER.INFO." + string(stream) + "." + stageConsumer(stream)
	op := "asking " + subject
	m, err := l.request(ctx, op, subject, nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
		jetstream.ConsumerInfo
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return nil, translate(op, err)
	}
	if answer.Error != nil {
		return nil, translate(op, answer.Error)
	}
	status.Waiting, status.Taken, status.Redelivered = answer.NumPending, answer.NumAckPending, answer.NumRedelivered
	return status, nil
}
