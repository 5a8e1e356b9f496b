package broker

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/holdpoint/holdpoint/schemas"
)

// TestAuditIsWell: only while every stream is a source, none stalls, lags or fails,
// and there is room. A source that was made again shows no lag and has heard
// nothing.
func TestAuditIsWell(t *testing.T) {
	t.Parallel()
	b := Bounds{Lag: 10, Silence: 20 * time.Second}
	for _, c := range []struct {
		what   string
		change func(*jetstream.StreamInfo)
		want   string // what it complains about
	}{
		{"as it should be", func(*jetstream.StreamInfo) {}, ""},
		{"just within bounds", func(i *jetstream.StreamInfo) { i.Sources[3].Lag, i.Sources[3].Active = 10, 20*time.Second }, ""},
		{"room left", func(i *jetstream.StreamInfo) { i.Config.MaxBytes, i.State.Bytes = 1000, 950 }, ""},
		{"too far behind", func(i *jetstream.StreamInfo) { i.Sources[3].Lag = 11 }, "AUDIT is 11 records behind PARKED, at most 10"},
		{"silent", func(i *jetstream.StreamInfo) { i.Sources[3].Active = 20*time.Second + 1 }, "AUDIT has not heard from PARKED within 20s"},
		{"never heard", func(i *jetstream.StreamInfo) { i.Sources[3].Active = -1 }, "AUDIT has not begun to copy PARKED"},
		{"failing", func(i *jetstream.StreamInfo) { i.Sources[3].Error = &jetstream.APIError{Description: "no"} }, "copying PARKED: no"},
		{"one missing", func(i *jetstream.StreamInfo) { i.Sources = i.Sources[1:] }, "AUDIT copies 12 of 13 streams"},
		{"none there", func(i *jetstream.StreamInfo) { i.Sources = nil }, "AUDIT copies 0 of 13 streams"},
		{"nearly full", func(i *jetstream.StreamInfo) { i.Config.MaxBytes, i.State.Bytes = 1000, 951 }, "AUDIT holds 951 of at most 1000 bytes"},
	} {
		info := &jetstream.StreamInfo{Config: jetstream.StreamConfig{MaxBytes: -1}, State: jetstream.StreamState{Bytes: 1 << 40}}
		for _, stream := range schemas.Streams() {
			info.Sources = append(info.Sources, &jetstream.StreamSourceInfo{Name: string(stream), Active: time.Second})
		}
		c.change(info)
		if got := named("audit", b.audit(info)); got.Healthy != (c.want == "") || !strings.Contains(got.Detail, c.want) {
			t.Errorf("%s: %+v, want %q", c.what, got, c.want)
		}
	}
}

// TestClockIsWell: the broker's stamp lies between question and answer, or not
// further from them than the bound.
func TestClockIsWell(t *testing.T) {
	t.Parallel()
	b := Bounds{Skew: 5 * time.Second}
	asked := time.Unix(1_000_000, 0)
	answered := asked.Add(time.Second)
	for off, well := range map[time.Duration]bool{
		-6 * time.Second: false, -5*time.Second - 1: false, -5 * time.Second: true, 0: true, time.Second: true,
		6 * time.Second: true, 6*time.Second + 1: false, time.Hour: false, -time.Hour: false,
	} {
		if got := named("clock", b.clock(asked.Add(off), asked, answered)); got.Healthy != well {
			t.Errorf("%s after the question: %+v, want well %t", off, got, well)
		}
	}
}
