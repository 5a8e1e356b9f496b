package broker

import (
	"context"
	"encoding/json"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

// Status returns how far the stages and AUDIT are, and how large the streams
// have become.
func (l *Log) Status(ctx context.Context) (schemas.BrokerStatus, error) {
	var status schemas.BrokerStatus
	audit, err := l.streamInfo(ctx, schemas.Audit)
	if err != nil {
		return status, err
	}
	status.AuditRecords, status.AuditBytes = audit.State.Msgs, audit.State.Bytes
	status.AuditMaxBytes = max(0, audit.Config.MaxBytes)
	behind := map[string]uint64{}
	for _, s := range audit.Sources {
		behind[s.Name] = s.Lag
	}
	for _, stream := range schemas.Streams() {
		info, err := l.streamInfo(ctx, stream)
		if err != nil {
			return status, err
		}
		status.Streams = append(status.Streams, schemas.StreamStatus{
			Stream: stream, Records: info.State.Msgs, Bytes: info.State.Bytes, Behind: behind[string(stream)],
		})
		if stageConsumer(stream) == "" {
			continue
		}
		stage, err := l.stageStatus(ctx, stream)
		if err != nil {
			return status, err
		}
		status.Stages = append(status.Stages, stage)
	}
	return status, nil
}

func (l *Log) stageStatus(ctx context.Context, stream schemas.Stream) (schemas.StageStatus, error) {
	status := schemas.StageStatus{Stage: schemas.Role(stageConsumer(stream)), Stream: stream}
	subject := "$JS.API.CONSUMER.INFO." + string(stream) + "." + stageConsumer(stream)
	op := "asking " + subject
	m, err := l.request(ctx, op, subject, nil)
	if err != nil {
		return status, err
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
		jetstream.ConsumerInfo
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return status, translate(op, err)
	}
	if answer.Error != nil {
		return status, translate(op, answer.Error)
	}
	status.Waiting, status.Taken, status.Redelivered = answer.NumPending, answer.NumAckPending, answer.NumRedelivered
	return status, nil
}
